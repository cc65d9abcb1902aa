"""A flow as a plain script: signals, exit codes, and ends that nothing may hold up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import PATIENCE_S

ROOT = Path(__file__).parents[2]
HEAD = """
import sys, time
sys.path.insert(0, {root!r})
from buildflow_nb import Flow
from tests.fakes import FakeSink, FakeSource
app = Flow("script")
source, sink = FakeSource([[1, 2, 3]], endless={endless}), FakeSink()
"""


@pytest.fixture
def start(tmp_path):
    """Start a script; whatever still runs at the end of the test is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(body: str, *, endless: bool = True) -> subprocess.Popen[str]:
        script = tmp_path / "main.py"
        script.write_text(HEAD.format(root=str(ROOT), endless=endless) + body)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"it hung\n{out}\n{err}")
    return process.returncode, out, err


DRAINS = """
@app.consumer(source=source, sink=sink)
def slow(x: int) -> int:
    print("got", x, flush=True)
    time.sleep(0.2)
    return x
app.run()
print("acked", sorted(source.tape.acked), "given back", source.tape.given_back)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_what_is_in_flight(start, number):
    process = start(DRAINS)
    assert process.stdout is not None
    assert process.stdout.readline() == "got 1\n"
    os.kill(process.pid, number)
    code, out, err = finish(process)
    assert code == 0, err
    assert "acked [1, 2, 3] given back []" in out
    assert "draining; once more ends at once" in err


STUCK = """
@app.consumer(source=source, sink=sink)
def stuck(x: int) -> int:
    print("got", x, flush=True)
    time.sleep(3600)
app.run()
"""


def test_a_second_signal_ends_at_once_even_if_code_is_stuck(start):
    process = start(STUCK)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "got 1\n"
    os.kill(process.pid, signal.SIGINT)
    assert "draining; once more ends at once\n" in process.stderr
    os.kill(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert "ended at once" in err


def test_a_bounded_script_ends_with_zero(start):
    body = """
@app.consumer(source=source, sink=sink)
async def same(x: int) -> int:
    return x
app.run()
print(sink.tape.pushed)
"""
    code, out, err = finish(start(body, endless=False))
    assert (code, out) == (0, "[1, 2, 3]\n")
    lines = err.splitlines()
    # the run may be over before anybody could say that it began
    assert sorted(lines[:2]) == [
        "flow 'script' runs on stack 'local' (local cloud)",
        "same is done",
    ]
    assert lines[2:] == [
        "flow 'script' on stack 'local' (local cloud): done",
        "  same  consumer  done  3 in  3 out  0 failed",
    ]


def test_a_failed_processor_ends_the_script_with_one_clear_line(start):
    body = """
from buildflow_nb.core.errors import PermanentError
@app.consumer(source=FakeSource([PermanentError("no table 't'; create it first")]))
def broken(x: int) -> int:
    return x
app.run()
"""
    code, _, err = finish(start(body))
    assert code == 1
    assert err.endswith("RunError: consumer 'broken' failed: no table 't'; create it first\n")


def test_a_script_that_forgets_to_stop_drains_and_ends(start):
    body = """
class Leaving:
    def process(self, x: int) -> int:
        return x
    def teardown(self) -> None:
        print("torn down", flush=True)
app.consumer(source=source, sink=sink)(Leaving)
handle = app.run(block=False)
handle.wait_until(count=3)
"""
    code, out, err = finish(start(body))
    assert (code, out, err) == (0, "torn down\n", "")


def test_stuck_code_cannot_hold_up_the_end_of_the_process(start):
    process = start(STUCK.replace("app.run()", "app.run(block=False); time.sleep(0.3)"))
    code, _, err = finish(process)
    assert code == 0, err


def test_importing_loads_nothing_heavy():
    heavy = (
        "IPython aiohttp boto3 botocore duckdb google grpc ipywidgets nest_asyncio numpy pandas "
        "pulumi pulumi_aws pulumi_gcp pyarrow pydantic rich typer uvloop watchfiles yaml"
    )
    check = (
        "import sys, buildflow_nb, buildflow_nb.io.local, buildflow_nb.io.duckdb\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    code = [sys.executable, "-c", check]
    done = subprocess.run(code, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("hidden", [True, False])
def test_the_loop_is_uvloop_where_the_extra_is_installed(start, hidden):
    body = """
@app.consumer(source=source, sink=sink)
async def where(x: int) -> str:
    import asyncio
    return type(asyncio.get_running_loop()).__module__
app.run()
print(set(sink.tape.pushed))
"""
    hide = "sys.modules['uvloop'] = None\n" if hidden else ""
    code, out, err = finish(start(hide + body, endless=False))
    assert code == 0, err
    assert ("uvloop" in out) is not hidden


def test_a_script_says_what_fails_and_goes_on(start):
    body = """
@app.consumer(source=source, sink=sink, retries=0)
def work(x: int) -> int:
    if x > 1:
        raise ValueError(f"not {x}")
    return x
app.run()
"""
    code, out, err = finish(start(body, endless=False))
    assert (code, out) == (0, "")
    assert [line for line in err.splitlines() if "failed" in line] == [
        "work: an element failed: ValueError: not 2 (given back)",
        "work: an element failed: ValueError: not 3 (given back)",
        "work: 2 elements failed in all",
        "  work  consumer  done  3 in  1 out  2 failed",
    ]


@pytest.mark.parametrize("graves", ["", ", dead_letter=FakeSink(primitive_id='graves')"])
def test_a_script_of_which_nothing_worked_says_so_and_ends_with_an_error(start, graves):
    body = f"""
@app.consumer(source=source, sink=sink, retries=0{graves})
def work(x: int) -> int:
    raise ValueError(f"not {{x}}")
app.run()
"""
    code, out, err = finish(start(body, endless=False))
    assert (code, out) == (1, "")
    assert "work: 3 elements failed in all\n" in err
    last = "nothing worked: all 3 elements of consumer 'work' failed; what failed is listed above"
    assert err.endswith(f"RunError: {last}\n")


@pytest.mark.parametrize("other", ["x", "None"])
def test_a_script_of_which_something_worked_ends_with_zero(start, other):
    body = f"""
@app.consumer(source=source, sink=sink, retries=0)
def work(x: int) -> int:
    raise ValueError(f"not {{x}}")
@app.consumer(source=FakeSource([[1]], primitive_id="other"), sink=sink)
def works(x: int) -> int | None:
    return {other}
app.run()
"""
    code, _, err = finish(start(body, endless=False))
    assert code == 0, err


def test_a_script_to_which_nothing_came_ends_with_zero(start):
    body = """
@app.consumer(source=FakeSource([]), sink=sink)
def work(x: int) -> int:
    return x
app.run()
"""
    code, _, err = finish(start(body))
    assert code == 0, err
    assert "work  consumer  done  0 in  0 out  0 failed" in err


SET_UP = """
import logging
logging.basicConfig(format="%(levelname)s:%(name)s:%(message)s", level=logging.{level})
@app.consumer(source=source, sink=sink, retries=0)
def work(x: int) -> int:
    return 1 // (x - 1)
app.run()
"""


@pytest.mark.parametrize(("level", "told"), [("INFO", True), ("WARNING", False)])
def test_a_script_that_has_set_up_logging_is_told_by_that_alone(start, level, told):
    code, out, err = finish(start(SET_UP.format(level=level), endless=False))
    assert (code, out) == (0, "")
    lines = [line for line in err.splitlines() if "buildflow_nb.run" in line]
    assert lines == err.splitlines() or told  # nothing is said a second time
    assert "WARNING:buildflow_nb.run:work: 1 element failed in all" in lines
    begun = "INFO:buildflow_nb.run:flow 'script' runs on stack 'local' (local cloud)"
    assert (begun in lines) is told


@pytest.mark.parametrize(
    ("cloud", "said"), [("", True), (", cloud: real", False), (", cloud: local", False)]
)
def test_a_stack_that_is_real_by_default_is_told_loudly(start, tmp_path, cloud, said):
    (tmp_path / "buildflow.yaml").write_text(
        "app: shop\nentry_point: main:app\npulumi_config:\n  default_stack: local\n"
        f"  pulumi_home: .buildflow\n  stacks: [{{name: local{cloud}}}]\n"
    )
    body = """
from buildflow_nb.io.aws import SQSQueue
@app.consumer(source=source, sink=SQSQueue("orders"))
def work(x: int) -> int:
    return x
print("caution:", app.caution())
"""
    code, out, err = finish(start(body))
    assert (code, err) == (0, "")
    caution = (
        "stack 'local' (real cloud): buildflow.yaml does not say which cloud it is, so this is "
        "the real one, with your account; write `cloud: local` below its name to run it on this "
        "machine, or `cloud: real` if it is meant"
    )
    assert out == f"caution: {caution if said else ''}\n"


def test_a_script_whose_source_cannot_go_on_says_so_and_ends_with_an_error(start):
    body = """
from buildflow_nb.core.errors import TemporaryError
source.batches = [[1], TemporaryError("away"), [2], KeyError("qty")]
@app.consumer(source=source, sink=sink)
def work(x: int) -> int:
    return x
app.run()
"""
    code, _out, err = finish(start(body, endless=False))
    assert code == 1
    assert "work is waiting: away\n" in err
    assert "work is failed: FakeSource fake source cannot be read on: KeyError: 'qty'\n" in err
    assert "RunError: consumer 'work' failed" in err
