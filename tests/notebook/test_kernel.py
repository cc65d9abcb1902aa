"""The extension in a real kernel."""

import pytest

from buildflow_nb.notebook.view import WIDGET_VIEW
from tests.notebook.kernels import DEADLINE_S, Kernel

pytestmark = pytest.mark.notebook

SETUP = (
    "%load_ext buildflow_nb\n"
    "import logging, time\n"
    "from buildflow_nb.io.local.pulse import Pulse\n"
    "numbers = Pulse(range(1000), 0.002)\n"
    "logging.basicConfig()\n"
)
PRICE = (
    "%%buildflow consumer source=numbers\n"
    "def price(x: int) -> int:\n"
    "    print('NOISE', x)\n"
    "    logging.error('NOISE')\n"
    "    return {}\n"
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    made = Kernel(tmp_path_factory.mktemp("kernel"))
    yield made
    made.close()


@pytest.fixture
def cells(kernel):
    """A kernel with the extension freshly loaded."""
    assert kernel("%reset -f").status == "ok"
    assert kernel(SETUP).status == "ok"
    kernel.strays.clear()
    yield kernel
    assert kernel("%unload_ext buildflow_nb").status == "ok"


def passed(cells, more=5):
    """Wait, inside the kernel, until more elements have passed."""
    return cells(
        f"n = app.snapshot().processors[0].elements_in + {more}\n"
        f"for _ in range({DEADLINE_S * 20}):\n"
        "    if app.snapshot().processors[0].elements_in >= n: break\n"
        "    time.sleep(0.05)\n"
        "assert app.snapshot().processors[0].elements_in >= n\n"
    )


def test_a_running_processor_is_replaced_renamed_and_kept_when_its_cell_fails(cells):
    cells(PRICE.format(1), "c1")
    cells("%buildflow run --port 0", "c2")
    assert passed(cells).status == "ok"
    cells(PRICE.format(2), "c1")
    assert cells.value("app.send('price', 0)") == "[2]"
    failing = cells(PRICE.format(3) + "1 / 0\n", "c1")
    assert failing.status == "error"
    assert "'price' keeps running as it was before" in failing.text
    assert cells.value("app.send('price', 0)") == "[2]"
    cells(PRICE.format(4).replace("price", "cost"), "c1")
    assert cells.value("[p.processor_id for p in app.snapshot().processors]") == "['cost']"
    assert passed(cells).status == "ok"


def test_what_processors_print_and_log_goes_nowhere_but_their_log(cells):
    cells(PRICE.format(1), "c1")
    runs = [cells("%buildflow run --port 0", "c2"), passed(cells), cells("1", "c3")]
    runs.append(cells("%buildflow stop", "c4"))
    assert all("NOISE" not in run.text for run in runs)
    assert not [m for m in cells.strays if m["msg_type"] in ("stream", "display_data", "error")]
    assert "NOISE" in cells("%buildflow logs price -n 5", "c5").bundles[0]["text/plain"]


def test_interrupting_a_cell_leaves_the_flow_running(cells):
    cells(PRICE.format(1), "c1")
    cells("%buildflow run --port 0", "c2")
    sent = cells.send("%buildflow run --duration 60s", "c3")
    for message in cells.messages():
        if message["parent_header"].get("msg_id") == sent and message["msg_type"] == "display_data":
            break
    cells.manager.interrupt_kernel()
    reply = cells.client.get_shell_msg(timeout=DEADLINE_S)["content"]
    assert (reply["status"], reply["ename"]) == ("error", "UsageError")
    assert "keeps running" in reply["evalue"]
    assert cells.value("app.handle.running") == "True"
    assert passed(cells).status == "ok"


def page_shows(cells, view):
    """What a page says that shows a view."""
    content = {"comm_id": view["model_id"]}
    content["data"] = {"method": "custom", "content": {"act": "here", "arg": "page"}}
    cells.client.shell_channel.send(cells.client.session.msg("comm_msg", content))


def test_the_panel_is_a_widget_told_what_is_new_beside_a_twin_that_ends_as_the_run_does(
    cells,
):
    cells(PRICE.format(1), "c1")
    twin, widget = cells("%buildflow run --port 0", "c2").bundles
    assert set(twin) == {"text/html", "text/plain"}
    assert set(widget) == {WIDGET_VIEW, "text/plain"}
    assert passed(cells, 400).traits == []  # nobody looks at it
    page_shows(cells, widget[WIDGET_VIEW])
    later = passed(cells, 400)
    told = [data["content"] for data in later.traits if data["method"] == "custom"]
    updates = [content for content in told if "put" in content]
    assert updates
    assert all(set(content) <= {"put", "order", "label"} for content in updates)
    ended = cells("%buildflow stop", "c3")
    assert "■ stopped" in ended.updates[-1]["text/plain"]
    assert cells("x = 1", "c4").updates == []


def test_a_newer_panel_makes_the_older_one_quiet(cells):
    cells(PRICE.format(1), "c1")
    cells("%buildflow run --port 0", "c2")
    newer = cells("%buildflow", "c3")
    said = f"the live view is in cell [{newer.number}]; this is how it was"
    older = newer.updates[0]
    assert said in older["text/plain"]
    assert said in older["text/html"]
    (_, widget) = newer.bundles
    page_shows(cells, widget[WIDGET_VIEW])
    third = cells("app", "c4")
    assert third.number == newer.number + 1
    assert WIDGET_VIEW in third.bundles[1]


def test_an_interrupt_between_cells_ends_what_a_button_began_and_nothing_else(cells):
    cells("%buildflow", "c1")  # what has buttons
    cells(
        "import gc\n"
        "from buildflow_nb.infra.stop import Stop\n"
        "from buildflow_nb.cockpit.panel.operation_box import OperationBox\n"
        "box = next(x for x in gc.get_objects() if isinstance(x, OperationBox))\n"
        "box.stop = Stop()"
    )
    cells.manager.interrupt_kernel()
    waited = cells(
        f"for _ in range({DEADLINE_S * 20}):\n"
        "    if box.stop.asked: break\n"
        "    time.sleep(0.05)\n"
        "asked, box.stop = box.stop.asked, None"
    )
    assert waited.status == "ok"
    assert cells.value("asked") == "True"
    cells.manager.interrupt_kernel()  # nothing is under way: it is passed over, as ever
    assert cells.value("1 + 1") == "2"


def test_one_line_errors_reach_the_front_end_as_errors(cells):
    wrong = cells("%buildflow rnu", "c1")
    assert wrong.status == "error"
    assert wrong.traceback == [wrong.error]
    assert "did you mean 'run'?" in wrong.error
    assert "parsing.py" in "".join(cells("%tb", "c2").traceback)


def test_top_level_await_waits_for_a_run_without_holding_the_kernel(cells):
    cells("numbers = Pulse(iter(range(5)), 0.001)")
    cells(PRICE.format(1), "c1")
    cells("handle = app.run()", "c2")
    assert cells("(await handle).value", "c3").bundles[0]["text/plain"] == "'done'"


def test_help_opens_in_the_pager(cells):
    sent = cells.send("%%buildflow?")
    reply = cells.client.get_shell_msg(timeout=DEADLINE_S)
    assert reply["parent_header"]["msg_id"] == sent
    assert "%%buildflow KIND" in reply["content"]["payload"][0]["data"]["text/plain"]


def test_after_a_restart_the_notebook_runs_again(kernel):
    kernel(SETUP)
    kernel(PRICE.format(1), "c1")
    kernel("%buildflow run --port 0", "c2")
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=DEADLINE_S)
    assert kernel(SETUP).status == "ok"
    assert kernel(PRICE.format(1), "c1").status == "ok"
    assert kernel("%buildflow run --port 0", "c2").status == "ok"
    assert passed(kernel).status == "ok"
    assert kernel("%unload_ext buildflow_nb").status == "ok"


@pytest.mark.parametrize("ended_by", ["shutdown", "quit"])
def test_ending_the_kernel_drains_the_flow(tmp_path, ended_by):
    kernel = Kernel(tmp_path)
    try:
        kernel(SETUP)
        kernel(
            "%%buildflow consumer source=numbers\n"
            "class Mark:\n"
            "    def process(self, x: int): time.sleep(0.01)\n"
            "    def teardown(self): open('ended', 'w').close()\n",
            "c1",
        )
        kernel("%buildflow run --port 0", "c2")
        assert passed(kernel).status == "ok"
        if ended_by == "quit":
            kernel("quit")
    finally:
        kernel.close()
    assert (tmp_path / "ended").exists()
