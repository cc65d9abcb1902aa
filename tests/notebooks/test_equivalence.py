"""What runs in the notebook is what ships: each tutorial against the program exported from it.

The notebook runs in a real kernel, its export as a program of its own, on the same input. Every
sink, every HTTP answer, the flow states and the plans of both have to be the same.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from buildflow_nb.export import export_flow
from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.notebooks import proof
from tests.notebooks.exported import COMMAND, Program
from tests.notebooks.scenarios import SCENARIOS
from tools.notebooks import NOTEBOOKS, execute

pytestmark = [pytest.mark.notebook, pytest.mark.pulumi, pytest.mark.emulator]

ELSEWHERE = {"scale"}  # its elements say which process they were in: tests/ray/test_tutorial.py
NAMES = sorted({path.stem for path in NOTEBOOKS.glob("*.ipynb")} - ELSEWHERE)
COMMAND_S = 180
SETTLED_S = 60


def test_every_tutorial_is_proved():
    assert sorted(SCENARIOS) == NAMES, "write a scenario for it in tests/notebooks/scenarios.py"


@pytest.fixture(scope="module", params=NAMES)
def both(request, tmp_path_factory):
    """What was seen of a notebook, and of its export."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    here, there = folder / "notebook", folder / "export"
    here.mkdir()
    (here / "buildflow.yaml").write_text("app: flights\n")
    notebook = shutil.copy(NOTEBOOKS / f"{name}.ipynb", here)
    for module in NOTEBOOKS.glob("*.py"):
        shutil.copy(module, here)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        export_flow((), there, notebook=Path(notebook))
    try:
        seen = of_notebook(name, here)
        for file in SCENARIOS[name].inputs:
            (there / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(here / file, there / file)
        yield SimpleNamespace(
            name=name, here=here, there=there, notebook=seen, program=of_program(name, there, seen)
        )
    finally:
        stop_cloud(here)
        stop_cloud(there)


@pytest.fixture(scope="module")
def on_ray(both):
    """What was seen of the export with its processors in replicas."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is an extra: pip install 'buildflow_nb[ray]'")
    folder = both.there.with_name("on-ray")
    shutil.copytree(both.there, folder, ignore=shutil.ignore_patterns(".buildflow", "*.duckdb*"))
    for file in SCENARIOS[both.name].inputs:
        shutil.copy(both.here / file, folder / file)
    try:
        yield of_program(both.name, folder, both.notebook, ("--engine", "ray"))
    finally:
        stop_cloud(folder)


def of_notebook(name, folder):
    """Run a tutorial with the cells that look at it."""
    scenario = SCENARIOS[name]
    told = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    for before, source in scenario.cells.items():
        at = next(i for i, cell in enumerate(told.cells) if cell.id == before)
        told.cells.insert(at, nbformat.v4.new_code_cell(source, id=f"proof-{before}"))
    nbformat.write(told, folder / "proof.ipynb")
    execute(folder / "proof.ipynb", folder)
    seen = json.loads((folder / proof.FILE).read_text())
    if "sinks" not in seen:
        seen["sinks"] = proof.sinks(seen["flowstate"], folder, {}, scenario.sums)
    return seen


def of_program(name, folder, notebook, words=()):
    """Run the export on the same input, and look at the same things."""
    scenario, seen = SCENARIOS[name], {}
    endpoints = {}
    with applied(scenario, folder, seen), Program(folder, words=words) as program:
        if scenario.managed:
            endpoints = start_cloud(folder).endpoints
        program.done(*scenario.ends)
        if scenario.stores:  # changes are told from when they were first asked for
            program.until(lambda: proof.followed(folder), SETTLED_S)
        proof.ask(program.address, scenario.prepared)
        if scenario.questions:
            seen["answers"] = proof.ask(program.address, scenario.questions)
        seen["flowstate"] = proof.state(program.control("/flowstate"), folder)
        send(scenario, endpoints)
        with suppress(AssertionError):  # what differs then is told by the comparison
            program.until(lambda: settled(scenario, program, notebook, endpoints), SETTLED_S)
        assert program.stop() == 0, program.log
        seen["sinks"] = proof.sinks(seen["flowstate"], folder, endpoints, scenario.sums)
    return seen


@contextmanager
def applied(scenario, folder, seen):
    """The program's resources, made by its own plan."""
    if not scenario.managed:
        yield
        return
    seen["preview"] = proof.preview_of(folder, folder)
    command(folder, "apply", "--yes")
    seen["applied"] = proof.preview_of(folder, folder)
    yield
    command(folder, "destroy", "--yes")


def command(folder, *words):
    line = [*COMMAND, *words]
    done = subprocess.run(
        line, cwd=folder, capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    assert done.returncode == 0, done.stderr


def send(scenario, endpoints):
    """What the notebook sent to queues by hand."""
    for name, text in scenario.messages.items():
        import boto3

        where = {"region_name": "us-east-1", "endpoint_url": endpoints["sqs"]}
        client = boto3.client("sqs", **where, **proof.KEYS)
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody=text)


def settled(scenario, program, notebook, endpoints):
    """Whether buckets hold what the notebook's hold, and who follows them has seen all of it.

    Stores, too.
    """
    if scenario.stores:
        told = proof.state(program.control("/flowstate"), program.folder)
        if proof.sinks(told, program.folder, endpoints, scenario.sums) != notebook["sinks"]:
            return False
    for follower, bucket in scenario.follows.items():
        found = proof.READERS["S3Bucket"](bucket, None, endpoints, {})
        passed = program.processor(follower)["elements_out"]
        if found != notebook["sinks"][bucket] or passed < len(proof.objects(bucket, endpoints)):
            return False
    return True


@pytest.mark.parametrize("what", ["sinks", "answers", "flowstate", "preview"])
def test_the_program_gives_what_the_notebook_gives(both, what):
    scenario = SCENARIOS[both.name]
    told = {"sinks": True, "answers": scenario.questions, "preview": scenario.managed}
    assert (what in both.notebook) == bool(told.get(what, True))
    assert nameless(both.program, what) == nameless(both.notebook, what)


def nameless(seen, what):
    """What was seen without the flow's name, which is that of the file that makes it."""
    return json.dumps(seen.get(what)).replace(seen["flowstate"]["flow_id"], "FLOW")


def test_every_sink_holds_something(both):
    """Equal sinks prove nothing if they are empty."""
    for sink, found in both.notebook["sinks"].items():
        assert found in ([], [0]) or found[0] > 0, sink
    assert any(found and found[0] > 0 for found in both.notebook["sinks"].values())


def test_the_program_finds_nothing_to_do_where_the_notebook_has_applied(both):
    for seen in (both.notebook, both.program):
        assert seen.get("applied", []) == []
    if SCENARIOS[both.name].managed:
        assert "applied" in both.notebook
        assert {step[0] for step in both.program["preview"]} == {"create"}


def test_the_kernel_exports_the_program_that_the_file_exports(both):
    kernel = both.here / "from-kernel" / "main.py"
    assert kernel.read_text() == (both.there / "main.py").read_text()


@pytest.mark.parametrize("what", ["sinks", "answers", "flowstate"])
def test_replicas_give_what_the_notebook_gives(both, on_ray, what):
    assert nameless(on_ray, what) == nameless(both.notebook, what)
