"""`buildflow run` as it is typed: what it prints, how it ends, and that nothing is lost."""

from __future__ import annotations

import signal

import pytest

from tests.cli.typed import asked, in_a_terminal

COPY = """
from dataclasses import dataclass
from buildflow import Flow
from buildflow.io.local import File

app = Flow("copy")

@dataclass
class Row:
    n: int

@app.consumer(File("in.csv"), File("out.csv"))
def copy(row: Row) -> Row:
    print("copied", row.n)
    return row
"""
BROKEN = (
    COPY.replace('"copy"', '"breaks"')
    .replace("def copy", "def broken")
    .replace('print("copied", row.n)', "if True: raise ValueError(row.n)")
)
MANAGED = COPY.replace(
    "@app.consumer",
    """
class Owned(File):
    def owned(self): return ()
    def parents(self): return ()
    def resources(self, site): return {}

@app.consumer""",
).replace('File("out.csv")', 'Owned("out.csv")')
SERVE = """
from buildflow import Flow

app = Flow("greeter")
service = app.service("/")

@service.endpoint("/", method="GET")
def greet() -> str:
    return "hello"
"""
BREAKS = """
from contextlib import asynccontextmanager
from dataclasses import dataclass
from buildflow import Flow
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.primitive import Wire
from buildflow.io.local import Empty

app = Flow("breaks")

@dataclass(frozen=True)
class Broken:
    primitive_id: str = "broken"
    source_wire: Wire = Wire.OBJECT
    max_pullers: int = 1

    @asynccontextmanager
    async def source(self, env):
        raise PermanentError("it can never work; mend it")
        yield

@app.consumer(Broken(), Empty())
def use(x: int) -> int:
    return x
"""
SLOW = """
import time
from buildflow import Flow
from buildflow.io.local import File
from dataclasses import dataclass

app = Flow("slow")

@dataclass
class Row:
    n: int

@app.consumer(File("in.csv"), File("out.csv"))
def copy(row: Row) -> Row:
    print(f"copying {row.n}\\n", end="", flush=True)  # in one piece, whoever else prints
    time.sleep(0.05)
    return row
"""


def rows(count):
    return "n\n" + "".join(f"{n}\n" for n in range(count))


def test_until_drained(terminal):
    terminal.file("main.py", COPY)
    terminal.file("in.csv", rows(3))
    found = terminal("run", "--until", "drained", "--port", "0")
    assert (found.returncode, found.stderr) == (0, "")
    assert (terminal.folder / "out.csv").read_text() == rows(3)
    said = found.stdout.splitlines()
    assert "flow 'copy' runs on stack 'local' (local cloud)" in said
    assert "copied 2" in said, "what a processor prints goes where it always goes"
    assert said[-1] == "  copy  consumer  done  3 in  3 out  0 failed"
    assert "\x1b" not in found.stdout


@pytest.mark.parametrize("bound", [("--until", "drained"), ("--count", "3")])
@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_a_run_of_which_nothing_worked_is_no_success(here, bound, json_):
    here.file("main.py", BROKEN)
    here.file("in.csv", rows(3))
    found = here("run", *bound, "--port", "0", *json_)
    assert found.returncode == 1
    assert "nothing worked: all 3 elements of consumer 'broken' failed" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_run_of_which_something_worked_is_one(here):
    here.file("main.py", BROKEN.replace("if True", "if row.n != 1"))
    here.file("in.csv", rows(3))
    found = here("run", "--until", "drained", "--port", "0")
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("cloud", ["", ", cloud: real"])
def test_a_stack_that_is_real_by_default_is_told_before_it_runs(here, cloud):
    here.file(
        "buildflow.yaml",
        "app: shop\nentry_point: main:app\npulumi_config:\n  default_stack: local\n"
        f"  pulumi_home: .buildflow\n  stacks: [{{name: local{cloud}}}]\n",
    )
    here.file("main.py", MANAGED)
    here.file("in.csv", rows(1))
    found = here("run", "--until", "drained", "--port", "0")
    assert found.returncode == 0, found.stderr
    cautions = [line for line in found.stderr.splitlines() if "does not say which cloud" in line]
    assert len(cautions) == (not cloud)
    assert "runs on stack 'local' (real cloud)" in found.stdout


def test_json_is_all_that_stdout_holds(terminal):
    import json

    terminal.file("main.py", COPY + "print('imported')\n")
    terminal.file("in.csv", rows(2))
    found = terminal("run", "--until", "drained", "--json")
    assert found.returncode == 0
    documents = [json.loads(line) for line in found.stdout.splitlines()]
    assert documents[0]["event"] == "started"
    assert {"copied 0", "copied 1"} <= {one.get("text") for one in documents}
    assert documents[-1]["snapshot"]["processors"][0]["elements_out"] == 2
    assert found.stderr == "imported\n"


def test_a_service_is_served_and_drains_on_sigterm(terminal):
    terminal.file("main.py", SERVE)
    run = terminal.begin("run", "--serve-port", "0", "--json")
    run.until('"started"')
    (started,) = [one for one in run.documents() if one["event"] == "started"]
    assert asked(started["address"]) == '"hello"'
    assert started["address"].startswith("http://127.0.0.1:")
    run.signal(signal.SIGTERM)
    assert run.ended() == 0
    assert run.documents()[-1]["snapshot"]["state"] == "stopped"


def test_nothing_is_lost_when_it_is_told_to_end(terminal):
    terminal.file("main.py", SLOW)
    terminal.file("in.csv", rows(200))
    run = terminal.begin("run", "--port", "0")
    run.until("copying 3")
    run.signal(signal.SIGINT)
    assert run.ended() == 0
    assert "draining; once more ends at once" in run.said
    done = [int(line) for line in (terminal.folder / "out.csv").read_text().split()[1:]]
    begun = run.said.count("copying ")
    assert 4 <= begun < 200, "it did not go on to the end"
    assert sorted(done) == list(range(begun)), "each element that was begun is in the sink"


def test_a_second_signal_ends_it_at_once(terminal):
    terminal.file("main.py", SLOW.replace("time.sleep(0.05)", "time.sleep(3600)"))
    terminal.file("in.csv", rows(1))
    run = terminal.begin("run", "--port", "0")
    run.until("copying 0")
    run.signal(signal.SIGTERM)
    run.until("draining")
    run.signal(signal.SIGTERM)
    assert run.ended() == 128 + signal.SIGTERM
    assert "ended at once" in run.said


def test_a_processor_that_fails_makes_it_1(here):
    here.file("main.py", BREAKS)
    found = here("run", "--port", "0")
    assert found.returncode == 1
    assert "use is failed: it can never work; mend it" in found.stdout
    assert found.stderr == ("buildflow: consumer 'use' failed: it can never work; mend it\n")


def test_told_to_end_before_it_has_begun(terminal):
    terminal.file("main.py", "import time\nprint('loading', flush=True)\ntime.sleep(3600)\n")
    for number in (signal.SIGTERM, signal.SIGINT):
        run = terminal.begin("run")
        run.until("loading")
        run.signal(number)
        assert run.ended() == 128 + number
        assert run.said.endswith("buildflow: interrupted\n")


@pytest.mark.parametrize("bounds", [["--duration", "100ms"], ["--count", "2"]])
def test_a_run_can_be_bounded(here, bounds):
    here.file("main.py", SLOW)
    here.file("in.csv", rows(1000))
    found = here("run", *bounds, "--port", "0")
    assert found.returncode == 0
    assert "slow" in found.stdout
    assert "copying 999" not in found.stdout


def test_what_does_not_come_in_time_makes_it_1(here):
    here.file("main.py", SLOW)
    here.file("in.csv", rows(1000))
    found = here("run", "--until", "drained", "--timeout", "200ms", "--port", "0")
    assert found.returncode == 1
    assert "buildflow: run: it did not get there within 0.2 s, and was stopped" in found.stderr


def test_a_port_that_is_taken(here):
    import socket

    here.file("main.py", SERVE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = here("run", "--port", port)
    assert found.returncode == 1
    assert f"buildflow: port {port} of 127.0.0.1 is taken" in found.stderr
    assert "Traceback" not in found.stderr


def test_the_runtime_server(terminal):
    import json

    terminal.file("main.py", SERVE)
    run = terminal.begin(
        *("run", "--port", "0", "--json", "--start-runtime-server"),
        *("--runtime-server-port", "0", "--run-id", "first"),
    )
    run.until('"started"')
    address = run.documents()[0]["runtime_address"]
    assert json.loads(asked(f"{address}/runtime/status"))["status"] == "RUNNING"
    assert json.loads(asked(f"{address}/flowstate"))["flow_id"] == "greeter"
    run.signal(signal.SIGTERM)
    assert run.ended() == 0


def test_a_runtime_server_that_others_reach_needs_a_token(here):
    here.file("main.py", SERVE)
    words = ("run", "--port", "0", "--start-runtime-server", "--runtime-server-host", "0.0.0.0")  # noqa: S104
    found = here(*words)
    assert found.returncode == 2
    assert "BUILDFLOW_RUNTIME_TOKEN" in found.stderr


def test_a_subscriber_hears_every_event(here):
    here.file("main.py", COPY)
    here.file("in.csv", rows(1))
    here.file(
        "hearing.py",
        "def hear(event):\n    with open('heard.txt', 'a') as f:\n        f.write(f'{event}\\n')\n",
    )
    words = ("run", "--until", "drained", "--port", "0", "--event-subscriber")
    assert here(*words, "hearing:hear").returncode == 0
    assert "processor_id='copy', state=<State.DONE" in (here.folder / "heard.txt").read_text()
    for name, said in (
        ("hearing:here", "has no attribute 'here'"),
        ("nowhere:hear", "No module named 'nowhere'"),
        ("hearing:__name__", "is no function, but str"),
        ("hearing", "must be module:function"),
    ):
        found = here(*words, name)
        assert found.returncode == 2
        assert said in found.stderr
        assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("1 / 0\n", 1, "buildflow: main.py line 1: ZeroDivisionError: division by zero"),
        ("def (:\n", 1, "buildflow: main.py line 1: SyntaxError"),
        ("x = 1\n", 2, "app of "),
        ("from buildflow import Flow\napp = Flow('none')\n", 2, "flow 'none' has no processor"),
    ],
)
def test_a_project_that_cannot_run(here, text, code, said):
    here.file("main.py", text)
    found = here("run")
    assert (found.returncode, found.stdout) == (code, "")
    assert said in found.stderr.splitlines()[-1]
    assert "buildflow_nb" not in found.stderr, "no frame of ours is in the traceback"


def test_another_stack_and_another_flow(here):
    here.file("main.py", SERVE)
    here.file("other.py", SERVE.replace("greeter", "other"))
    here.file(
        "buildflow.yaml",
        "app: shop\npulumi_config:\n  stacks:\n"
        "  - {name: local, cloud: local}\n  - {name: second, cloud: local}\n",
    )
    words = ("run", "--duration", "10ms", "--port", "0")
    found = here(*words, "--stack", "second", "--app", "other:app")
    assert "flow 'other' runs on stack 'second'" in found.stdout
    assert here(*words, "--stack", "nowhere").returncode == 2


def test_a_terminal_has_a_live_table(terminal):
    terminal.file("main.py", COPY)
    terminal.file("in.csv", rows(3))
    code, said = in_a_terminal(terminal.folder, "run", "--until", "drained", "--port", "0")
    assert code == 0
    hidden, there = said.rindex("\x1b[?25l"), said.index("\x1b[?25h")
    assert hidden < there < said.index("processor"), "the cursor is there, whatever ends the run"
    last = said[said.rindex("processor") :]
    assert "copy" in last
    assert "copied 2" in last, "what a processor printed stands below the table"


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_plain_lines_gets_them(terminal, more):
    terminal.file("main.py", COPY)
    terminal.file("in.csv", rows(1))
    code, said = in_a_terminal(terminal.folder, "run", "--until", "drained", "--port", "0", **more)
    assert code == 0
    assert "\x1b" not in said
    assert "copy  consumer  done  1 in" in said
