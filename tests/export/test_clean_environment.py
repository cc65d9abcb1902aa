"""An exported project does what its README says, in an environment made by its requirements alone.

The README's own lines are run. `pip` there is uv's, which reads the same files: pip itself takes
minutes to lay out so many packages. Wheels are made by pip.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import duckdb
import pytest

from tests.export.programs import TEXT, program, written
from tests.export.project.test_samples import good, record
from tests.notebooks import proof
from tests.notebooks.exported import Program

pytestmark = [pytest.mark.emulator, pytest.mark.pulumi]

ROOT = Path(__file__).parents[2]
COMMAND_S = 600
SHOP = TEXT.replace(
    "from buildflow_nb.io.duckdb",
    "from buildflow_nb.io.aws import SQSQueue\nfrom buildflow_nb.io.duckdb",
).replace("app = Flow()\n", 'app = Flow()\napp.manage(SQSQueue("orders"))\n')


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The project, a clean environment, and what is on the path of a person who works there."""
    folder = tmp_path_factory.mktemp("clean")
    recordings = folder / "recordings"
    record(recordings, "price", good())
    shop = written(folder / "shop", program(SHOP), samples=recordings)
    (shop / "orders.jsonl").write_text('{"id": 1, "qty": 2}\n{"id": 2, "qty": 3}\n')
    uv = Path(sys.executable).with_name("uv")
    environment = folder / "environment"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, environment], check=True)
    (environment / "bin" / "pip").write_text(
        f'#!/bin/sh\ncase $1 in\nwheel) exec {sys.executable} -m pip "$@";;\n'
        f'*) exec {uv} pip "$@";;\nesac\n'
    )
    (environment / "bin" / "pip").chmod(0o755)
    # The engine that was built for these tests must not be older than the SDK.
    (environment / "engine.txt").write_text(f"pulumi=={version('pulumi')}\n")
    return shop, environment


def lines(shop):
    """The commands of the README, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", (shop / "README.md").read_text(), re.DOTALL)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]


def done(place, line):
    """Type a line, as a person in the project's folder who has activated the environment."""
    shop, environment = place
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    kept |= {"VIRTUAL_ENV": str(environment), "PATH": f"{environment}/bin:{os.environ['PATH']}"}
    kept["UV_CONSTRAINT"] = str(environment / "engine.txt")
    ended = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=shop,
        env=kept,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, f"{line}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def test_it_is_installed_run_deployed_and_tested_as_its_readme_says(place):
    shop, environment = place
    wheel, install, run, apply_, *_, get_pytest, test = lines(shop)

    done(place, wheel.replace("PATH_OF_ITS_FOLDER", str(ROOT)))
    done(place, install)
    where = done(place, "python -c 'import buildflow_nb; print(buildflow_nb.__file__)'")
    assert Path(where).is_relative_to(environment)

    assert run == "buildflow run"
    with Program(shop, [str(environment / "bin" / "buildflow")]) as running:
        running.done("price")
        assert proof.ask(running.address, [("GET", "/rate", None)])[0][::2] == [200, "1.5"]
        assert running.stop() == 0, running.log
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        rows = connection.execute("SELECT id, total FROM priced ORDER BY id").fetchall()
    assert rows == [(1, 3.0), (2, 4.5)]

    try:
        done(place, f"{apply_} --yes")
        assert "nothing to do" in done(place, "buildflow preview").lower()
        done(place, "buildflow destroy --yes")
    finally:
        done(place, "buildflow cloud stop")

    done(place, get_pytest)
    assert "2 passed" in done(place, test)
    shutil.rmtree(environment)
