"""Several notebooks and a terminal in one folder: nobody's cloud resources are lost."""

from __future__ import annotations

import subprocess
import sys

import boto3
import pytest

from buildflow_nb.local_cloud.client import start_cloud, stop_cloud
from tests.notebook.kernels import Kernel

pytestmark = [pytest.mark.notebook, pytest.mark.pulumi, pytest.mark.emulator]

LOAD = "%load_ext buildflow_nb\nfrom buildflow_nb.io.aws import SQSQueue"
MAIN = """\
from buildflow_nb import Flow
from buildflow_nb.io.aws import SQSQueue

app = Flow()
app.manage(SQSQueue("of-main"))
"""


class Folder:
    """A project folder with kernels, each of a notebook, and a terminal."""

    def __init__(self, path):
        self.path = path
        self.kernels = []

    def open(self, notebook):
        """A kernel as Jupyter's server starts it for a notebook."""
        (self.path / notebook).write_text("{}")
        made = Kernel(self.path, {"JPY_SESSION_NAME": str(self.path / notebook)})
        self.kernels.append(made)
        assert made(LOAD).error is None
        return made

    def terminal(self, *words):
        line = [sys.executable, "-m", "buildflow_nb.cli.main", *words]
        return subprocess.run(line, cwd=self.path, capture_output=True, text=True, check=False)

    @property
    def queues(self):
        cloud = start_cloud(self.path)
        sqs = boto3.client(
            "sqs",
            endpoint_url=cloud.endpoints["sqs"],
            region_name="us-east-1",
            aws_access_key_id="000000000000",
            aws_secret_access_key="local",  # noqa: S106  (the emulator takes anything)
        )
        return sorted(url.rpartition("/")[2] for url in sqs.list_queues().get("QueueUrls", []))

    def close(self):
        for kernel in self.kernels:
            kernel.close()
        stop_cloud(self.path)


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path)
    yield made
    made.close()


def test_nobodys_resources_are_lost(folder):
    one, other = folder.open("one.ipynb"), folder.open("other.ipynb")
    cell = "app.manage(SQSQueue('of-one-1'), SQSQueue('of-one-2'), SQSQueue('of-one-3'))"
    assert one(cell, cell_id="manages").error is None
    assert one("%buildflow apply --yes").error is None

    assert other("app.manage(SQSQueue('of-other'))").error is None
    shown = other("%buildflow preview")
    plan = (shown.bundles + shown.updates)[-1]["text/plain"]
    assert plan.splitlines()[0] == "preview · stack local: 1 to create"
    assert other("%buildflow apply --yes").error is None

    (folder.path / "main.py").write_text(MAIN)
    ran = folder.terminal("apply", "--app", "main:app", "--yes")
    assert (ran.returncode, "1 created" in ran.stdout) == (0, True), ran.stderr
    everything = ["of-main", "of-one-1", "of-one-2", "of-one-3", "of-other"]
    assert folder.queues == everything

    again = folder.open("one.ipynb")  # as after a restart, before the cell has run
    refused = again("%buildflow apply --yes").error
    assert "deletes 3 resources" in refused
    assert "not declared in this session" in refused
    assert folder.queues == everything

    again(cell, cell_id="manages")
    assert "nothing to do" in again("%buildflow apply").text
    said = again("app.manage(SQSQueue('of-one-1'))", cell_id="manages").text
    assert "SQSQueue of-one-2, SQSQueue of-one-3 are managed no longer" in said
    assert "--delete" in again("%buildflow apply --yes").error
    asked = again("%buildflow apply", answer="y")
    assert asked.asked == "Delete these 2 resources? [type 'delete 2' to do it] "
    assert asked.error == "UsageError: apply rejected; nothing was changed"
    assert folder.queues == everything
    assert again("%buildflow apply", answer="delete 2").error is None
    assert folder.queues == ["of-main", "of-one-1", "of-other"]

    assert other("%buildflow destroy --yes").error is None
    assert folder.terminal("destroy", "--app", "main:app", "--yes").returncode == 0
    assert folder.queues == ["of-one-1"]


def test_who_works_on_a_stack_is_named(folder):
    (folder.path / "buildflow.yaml").write_text(
        "app: shop\npulumi_config:\n  stacks: [{name: local, cloud: local}]\n"
    )
    one, other = folder.open("one.ipynb"), folder.open("other.ipynb")
    one("class Slow:\n    primitive_id = 'slow'\n    def owned(self): return ()\n")
    one(
        "class Slower(Slow):\n"
        "    def parents(self): return ()\n"
        "    def resources(self, site):\n"
        "        print('BEGUN', flush=True)\n"
        "        gate.wait(60)\n"
        "        return {}\n"
        "import threading; gate = threading.Event()\n"
        "app.manage(Slower())"
    )
    one("done = threading.Event()")
    one(
        "def apply():\n    app.apply(yes=True); done.set()\n"
        "threading.Thread(target=apply, daemon=True).start()\n"
        "import pathlib, time\n"
        "lock = pathlib.Path('.buildflow/pulumi/local.lock')\n"
        "while not (lock.exists() and lock.read_text()): time.sleep(0.01)"
    )
    refused = other("%buildflow refresh").error
    one("gate.set(); assert done.wait(60)")
    assert "stack 'local' is being changed by one.ipynb (process " in refused
