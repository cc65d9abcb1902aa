"""Cloud resources from the cells of a real kernel, on a real local cloud."""

from __future__ import annotations

import pytest

from buildflow_nb.local_cloud.client import stop_cloud
from tests.notebook.kernels import DEADLINE_S, Kernel

pytestmark = [pytest.mark.notebook, pytest.mark.pulumi, pytest.mark.emulator]

SETUP = (
    "%load_ext buildflow_nb\n"
    "from buildflow_nb.io.aws import SQSQueue, S3Bucket\n"
    "app.manage(SQSQueue('orders'), S3Bucket('a-bucket'))\n"
)
SLOW = """
import time
class Slow:
    primitive_id = "slow"
    def owned(self): return ()
    def parents(self): return ()
    def resources(self, site):
        print("BEGUN", flush=True)
        time.sleep(3)
        return {}
app.manage(Slow())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cloud-kernel")
    yield made
    stop_cloud(made)


@pytest.fixture(scope="module")
def kernel(folder):
    made = Kernel(folder)
    yield made
    made.close()


@pytest.fixture
def cells(kernel):
    """A kernel whose flow manages a queue and a bucket, with nothing applied."""
    assert kernel("%reset -f").status == "ok"
    assert kernel(SETUP).error is None
    yield kernel
    kernel("%buildflow destroy --yes")
    assert kernel("%unload_ext buildflow_nb").status == "ok"


def last(shown):
    """The last state of the one view of a cell."""
    assert len(shown.bundles) == 1
    return (shown.bundles + shown.updates)[-1]


def test_preview_shows_the_plan_and_touches_nothing(cells):
    shown = cells("%buildflow preview")
    assert shown.error is None
    view = last(shown)
    text = view["text/plain"]
    assert text.splitlines()[0] == "preview · stack local: 2 to create"
    assert "\n+ SQSQueue orders\n    aws:sqs/queue:Queue orders" in text
    assert 'bucket: "a-bucket"' in text
    assert "aws:sqs/queue:Queue orders" in view["text/html"]
    assert last(cells("%buildflow preview"))["text/plain"] == text


def test_apply_asks_and_yes_applies(cells):
    shown = cells("%buildflow apply", answer="y")
    assert shown.asked == "Apply these 2 changes? [y/N] "
    assert shown.error is None
    plan, _ = shown.bundles
    assert "2 to create" in plan["text/plain"]
    end = shown.updates[-1]["text/plain"]
    assert "apply · stack local: 2 created in" in end
    again = cells("%buildflow apply")
    assert again.error is None
    assert "nothing to do: 2 resources as declared" in again.text


def test_apply_asks_and_no_changes_nothing(cells):
    shown = cells("%buildflow apply", answer="n")
    assert shown.error == "UsageError: apply rejected; nothing was changed"
    assert "2 to create" in last(cells("%buildflow preview"))["text/plain"]


def test_where_nobody_can_answer_it_is_an_error_that_names_the_way_out(cells):
    shown = cells("%buildflow apply")
    assert "--yes" in shown.error
    assert "require_confirmation=False" in shown.error
    cells("from buildflow_nb import Flow, FlowOptions")
    cells("app = Flow(flow_options=FlowOptions(require_confirmation=False))")
    cells("app.manage(SQSQueue('orders'), S3Bucket('a-bucket'))")
    assert cells("%buildflow apply").error is None


def test_refresh_and_destroy(cells):
    assert cells("%buildflow apply --yes").error is None
    assert "nothing to do" in last(cells("%buildflow refresh"))["text/plain"]
    gone = cells("%buildflow destroy --yes")
    assert "2 deleted in" in last(gone)["text/plain"]
    assert "the stack is empty" in last(cells("%buildflow destroy --yes"))["text/plain"]


def test_an_error_is_one_line_and_the_whole_text_on_request(cells):
    cells(SLOW.replace("time.sleep(3)", "raise ValueError('no shelf')"))
    short = cells("%buildflow apply --yes")
    assert short.error == "UsageError: apply: no shelf"
    assert "\n" not in short.error
    whole = cells("%buildflow apply --yes --verbose")
    assert "Traceback" in whole.text
    assert "Traceback" not in short.text


@pytest.mark.parametrize("operation", ["preview", "apply --yes", "refresh", "destroy --yes"])
def test_stop_during_an_operation(cells, operation):
    assert cells("%buildflow apply --yes").error is None
    cells(SLOW)
    sent = cells.send(f"%buildflow {operation}")
    error = None
    for message in cells.messages():
        content = message["content"]
        if "BEGUN" in content.get("text", ""):
            cells.manager.interrupt_kernel()
        if message["parent_header"].get("msg_id") != sent:
            continue
        if message["msg_type"] == "error":
            error = content["evalue"]
        if content.get("execution_state") == "idle":
            break
    cells.client.get_shell_msg(timeout=DEADLINE_S)
    word = operation.split()[0]
    assert error == f"{word}: {word} was interrupted; what was done is kept"
    cells("app.manage(Slow := type('Slow', (), {'primitive_id': 'slow'})())")
    assert "2 resources as declared" in last(cells("%buildflow preview"))["text/plain"]


def test_the_cloud_by_a_magic(cells):
    assert "runs as process" in cells("%buildflow cloud start").text
    assert "stopped" in cells("%buildflow cloud stop").text
    assert "does not run" in cells("%buildflow cloud status").text
    assert "runs as process" in cells("%buildflow cloud start").text
    assert "is none of status, start, stop, reset" in cells("%buildflow cloud up").error


def test_a_queue_that_is_not_there_yet_is_waited_for(cells):
    cells("seen = []")
    cells("%%buildflow consumer source=SQSQueue('orders')\ndef take(x: str):\n    seen.append(x)\n")
    cells("%buildflow run --port 0")
    waits = (
        "import time\n"
        "def until(condition):\n"
        f"    for _ in range({int(DEADLINE_S * 10)}):\n"
        "        if condition(): return\n"
        "        time.sleep(0.1)\n"
        "    raise TimeoutError(repr(app.snapshot()))\n"
    )
    cells(waits)
    shown = cells("until(lambda: 'apply' in app.snapshot().processors[0].reason)")
    assert shown.error is None
    reason = cells.value("app.snapshot().processors[0].reason")
    missing = "queue 'orders' does not exist in stack 'local' (local cloud) (run %buildflow apply)"
    assert missing in reason
    assert cells("%buildflow apply --yes").error is None
    sending = (
        "import boto3\n"
        "from buildflow_nb.local_cloud.client import find_cloud\n"
        "sqs = boto3.client('sqs', endpoint_url=app.place.env().endpoints['sqs'], "
        "region_name='us-east-1', aws_access_key_id='000000000000', aws_secret_access_key='x')\n"
        "url = sqs.get_queue_url(QueueName='orders')['QueueUrl']\n"
        "sqs.send_message(QueueUrl=url, MessageBody='hello')\n"
    )
    assert cells(sending).error is None
    assert cells("until(lambda: seen == ['hello'])").error is None
    cells("%buildflow stop")
