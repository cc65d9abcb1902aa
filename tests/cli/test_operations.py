"""Cloud resources from a terminal: what is printed, and the exit codes."""

from __future__ import annotations

import pytest

from buildflow_nb.local_cloud.client import stop_cloud
from tests.cli.typed import Here, Typed, in_a_terminal
from tests.infra.conftest import ENGINE

pytestmark = ENGINE

MAIN = """
from buildflow_nb import Flow
from buildflow_nb.io.aws import AWSBucket, SQSQueue

app = Flow()
app.manage(AWSBucket("my-bucket"), SQSQueue("orders"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("shop")
    yield made
    stop_cloud(made)


ON_STACK = "on stack 'local' (local cloud)\n"


@pytest.fixture
def type_(folder):
    """A person whose commands run in the test's process."""
    terminal = Here(folder)
    terminal.file("main.py", MAIN)
    yield terminal
    (folder / "buildflow.yaml").unlink(missing_ok=True)
    terminal.file("main.py", MAIN)
    terminal("destroy", "--yes")


@pytest.fixture
def type_apart(type_):
    """The same person, with a process for each command."""
    return Typed(type_.folder)


def test_preview_apply_and_destroy(type_apart):
    type_ = type_apart
    plan = type_("preview")
    assert plan.returncode == 0
    assert "2 to create" in plan.stdout.splitlines()
    assert "+ S3Bucket s3://my-bucket" in plan.stdout.splitlines()
    assert plan.stderr == ON_STACK
    made = type_("apply", "--yes")
    assert (made.returncode, made.stderr) == (0, ON_STACK)
    assert "+ aws:sqs/queue:Queue orders created" in made.stdout
    assert made.stdout.splitlines()[-1].startswith("2 created in ")
    assert type_("apply").stdout == "nothing to do: 2 resources as declared\n"
    assert type_("refresh").stdout == "nothing to do: 2 resources as declared\n"
    gone = type_("destroy", answers="y\n")
    assert gone.returncode == 0
    assert "- SQSQueue orders\n    aws:sqs" in gone.stdout, "the plan is shown before the question"
    assert "2 deleted in" in gone.stdout


def test_a_rejection_is_its_own_message(type_):
    said = type_("apply", answers="no\n")
    assert said.returncode == 1
    assert said.stderr == ON_STACK + "buildflow: apply rejected; nothing was changed\n"
    assert "2 to create" in type_("preview").stdout


def test_without_an_answer_it_names_yes(type_):
    said = type_("apply")
    assert said.returncode == 2
    assert "add --yes" in said.stderr


def test_what_fails_exits_with_1_and_its_first_error(type_):
    type_.file(
        "main.py",
        MAIN + "class Bad:\n"
        "    primitive_id = 'bad'\n"
        "    def owned(self): return ()\n"
        "    def parents(self): return ()\n"
        "    def resources(self, site): raise ValueError('no shelf')\n"
        "app.manage(Bad())\n",
    )
    said = type_("apply", "--yes")
    assert said.returncode == 1
    assert said.stderr == ON_STACK + "buildflow: apply: no shelf\n"
    assert "Traceback" in type_("apply", "--yes", "--verbose").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("applyy",), "unknown subcommand 'applyy'; did you mean 'apply'?"),
        (("apply", "--yess"), "unknown option '--yess'; did you mean '--yes'?"),
        (("apply", "now"), "'now' is one word too many"),
        (("cloud", "up"), "'up' is none of status, start, stop, reset"),
        (("peek", "price"), "peek is for notebooks; in a terminal there is init, run, preview"),
    ],
)
def test_wrong_words_exit_with_2(type_, words, said):
    found = type_(*words)
    assert found.returncode == 2
    assert said in found.stderr
    assert "%" not in found.stderr


def test_a_file_that_fails_is_told_with_its_place(type_):
    type_.file("main.py", "from buildflow import Flow\n\napp = Flow()\nundefined_name\n")
    found = type_("preview")
    assert found.returncode == 1
    said = found.stderr.splitlines()
    assert said[-1] == (
        "buildflow: main.py line 4: NameError: name 'undefined_name' is not defined"
    )
    assert said[0] == "Traceback (most recent call last):"
    assert said[1].endswith('main.py", line 4, in <module>'), "it begins in the project"
    assert len(said) == 5
    type_.file("main.py", "def broken(:\n")
    assert "main.py line 1: SyntaxError" in type_("preview").stderr


def test_each_failure_is_told_once(type_):
    failing = MAIN + (
        "class Bad:\n"
        "    primitive_id = 'bad'\n"
        "    def owned(self): return ()\n"
        "    def parents(self): return ()\n"
        "    def resources(self, site): raise ValueError('no shelf')\n"
        "app.manage(Bad())\n"
    )
    type_.file("main.py", failing)
    found = type_("apply", "--yes")
    assert (found.stdout + found.stderr).count("no shelf") == 1


@pytest.mark.parametrize("name", ["../../esc", "a b", ""])
def test_a_stack_whose_name_is_none(type_, name):
    type_.file("buildflow.yaml", f"app: x\npulumi_config:\n  stacks:\n  - name: '{name}'\n")
    found = type_("preview")
    assert found.returncode == 2
    assert f"has letters, digits, '-', '_' and '.' alone, got {name!r}" in found.stderr


def test_two_stacks_of_one_name(type_):
    type_.file(
        "buildflow.yaml",
        "app: x\npulumi_config:\n  stacks:\n  - name: one\n    cloud: local\n  - name: one\n",
    )
    found = type_("preview")
    assert found.returncode == 2
    assert "names two stacks 'one'; give one another name" in found.stderr


def test_an_unknown_stack(type_):
    type_.file("buildflow.yaml", "app: shop\npulumi_config:\n  default_stack: prod\n  stacks: []\n")
    found = type_("preview")
    assert found.returncode == 2
    assert "no stack 'prod'" in found.stderr


def test_no_flow_to_be_found(type_):
    type_.file("main.py", "app = 1\n")
    found = type_("preview")
    assert found.returncode == 2
    assert "app of " in found.stderr
    assert "is no Flow" in found.stderr
    (type_.folder / "main.py").unlink()
    found = type_("preview")
    assert found.returncode == 2
    assert "no module 'main'" in found.stderr
    assert "set entry_point in buildflow.yaml" in found.stderr


def test_an_entry_point_of_ones_own(type_):
    config = (
        "app: shop\nentry_point: backend.py\npulumi_config:\n  default_stack: local\n"
        "  stacks:\n  - name: local\n    cloud: local\n"
    )
    type_.file("buildflow.yaml", config)
    type_.file("backend.py", MAIN.replace("app", "backend"))
    assert type_("preview").stdout.splitlines()[0] == "2 to create"
    type_.file("backend.py", f"{MAIN}\nother = Flow()\n")
    found = type_("preview")
    assert found.returncode == 2
    assert "must hold one Flow, it holds: app, other" in found.stderr


def test_the_cloud_and_help(type_apart):
    type_ = type_apart
    assert "runs as process" in type_("cloud", "start").stdout
    assert "stopped" in type_("cloud", "stop").stdout
    assert "does not run" in type_("cloud").stdout
    for words in (("help",), ()):
        said = type_(*words)
        assert said.returncode == 0
        assert "apply    Create and change cloud resources" in said.stdout
    assert "-y, --yes      Do not ask." in type_("apply", "-h").stdout


def test_a_program_gets_json_alone(type_):
    import json

    plan = type_("preview", "--json")
    assert (plan.returncode, plan.stderr) == (0, ON_STACK)
    found = json.loads(plan.stdout)
    assert found["summary"]["changes"] == {"create": 2}
    owners = {step["owner"] for step in found["steps"]}
    assert owners == {"S3Bucket s3://my-bucket", "SQSQueue orders"}
    asked = type_("apply", "--json", answers="n\n")
    assert asked.returncode == 1
    assert json.loads(asked.stdout) == {
        "error": "apply rejected; nothing was changed",
        "kind": "RejectedError",
    }
    assert "2 to create" in asked.stderr
    assert "Apply these 2 changes? [y/N] buildflow: apply rejected" in asked.stderr
    made = type_("apply", "--json", "--yes")
    events = [json.loads(line) for line in made.stdout.splitlines()]
    assert events[-1]["event"] == "Summary"
    assert events[-1]["changes"] == {"create": 2}
    assert {"StepStarted", "StepDone"} <= {event["event"] for event in events}
    again = type_("apply", "--json")
    (summary,) = map(json.loads, again.stdout.splitlines())
    assert (summary["event"], summary["unchanged"]) == ("Summary", 2)
    assert json.loads(type_("status", "--json").stdout)["missing"] == []


def test_a_terminal_sees_each_resource_change(type_):
    code, said = in_a_terminal(type_.folder, "apply", "--yes")
    assert code == 0
    assert "applying" in said
    last = said[said.rindex("applying") :]
    for resource in ("aws:s3/bucket:Bucket", "aws:sqs/queue:Queue"):
        assert resource in last
    assert last.count("created") == 3, "one for each resource, and the summary"
    code, said = in_a_terminal(type_.folder, "destroy", "--yes", NO_COLOR="1")
    assert (code, "\x1b" in said) == (0, False)
    assert "2 deleted in" in said
