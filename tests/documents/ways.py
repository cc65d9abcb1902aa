"""Ways to run a flow that is written down: as a script, as a notebook, by the command.

A script of BuildFlow's imports `buildflow`, which is this package under the command and in a
kernel; a plain script says `buildflow_nb`, as an export does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from tests.fakes import PATIENCE_S
from tests.notebook.kernels import Kernel

COMMAND = (sys.executable, "-m", "buildflow_nb.cli.main")
DEADLINE_S = 90  # of an operation of the engine, on a slow machine


def _as_script(text: str) -> str:
    return text.replace("from buildflow", "from buildflow_nb")


@contextmanager
def _process(folder: Path, *words: str) -> Iterator[None]:
    """A program that runs until it is asked to drain, and then ends well."""
    env = {**os.environ, "SECRET_KEY": "of an export: it reads what a notebook has written out"}
    program = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True, env=env)
    try:
        yield
    finally:
        program.terminate()
        said = program.communicate(timeout=PATIENCE_S)[1]
    assert program.returncode == 0, said


@contextmanager
def _kernel(folder: Path, text: str) -> Iterator[Kernel]:
    kernel = Kernel(folder)
    try:
        assert kernel("%load_ext buildflow_nb").error is None
        assert kernel(text).error is None
        yield kernel
    finally:
        kernel.close()


class Script:
    """`python main.py`."""

    @contextmanager
    def serving(self, folder: Path, text: str, port: int) -> Iterator[None]:
        """Run the flow as long as this lasts."""
        end = f'\nif __name__ == "__main__":\n    app.run(serve_port={port})\n'
        (folder / "main.py").write_text(_as_script(text) + end)
        with _process(folder, sys.executable, "main.py"):
            yield

    def operate(self, folder: Path, text: str, verb: str, *, yes: bool = False) -> str:
        """Carry out an operation, and give what was said; with `yes` nobody is asked."""
        end = f"\nprint(app.{verb}({'yes=True' if yes else ''}))\n"
        (folder / "main.py").write_text(_as_script(text) + end)
        return _said(folder, sys.executable, "main.py")


class Command:
    """`buildflow run`, in the folder of main.py."""

    @contextmanager
    def serving(self, folder: Path, text: str, port: int) -> Iterator[None]:
        """Run the flow as long as this lasts."""
        (folder / "main.py").write_text(text)
        with _process(folder, *COMMAND, "run", "--port", str(port)):
            yield

    def operate(self, folder: Path, text: str, verb: str, *, yes: bool = False) -> str:
        """Carry out an operation, and give what was said; with `yes` nobody is asked."""
        (folder / "main.py").write_text(text)
        return _said(folder, *COMMAND, verb, *(["--yes"] if yes else []))


class Notebook:
    """Cells of a kernel that has loaded the extension."""

    @contextmanager
    def serving(self, folder: Path, text: str, port: int) -> Iterator[None]:
        """Run the flow as long as this lasts."""
        with _kernel(folder, text) as kernel:
            assert kernel(f"%buildflow run --port {port}").error is None
            yield
            assert kernel("%buildflow stop").error is None

    def operate(self, folder: Path, text: str, verb: str, *, yes: bool = False) -> str:
        """Carry out an operation, and give what was said; with `yes` nobody is asked."""
        with _kernel(folder, text) as kernel:
            ran = kernel(f"%buildflow {verb} {'--yes' if yes else ''}")
            assert ran.error is None
            shown = [bundle.get("text/plain", "") for bundle in (*ran.bundles, *ran.updates)]
            return "\n".join([ran.text, *shown])


class Export:
    """What `buildflow export` makes of a notebook with these cells, under the command."""

    @contextmanager
    def serving(self, folder: Path, text: str, port: int) -> Iterator[Path]:
        """Run the flow as long as this lasts; gives where it runs."""
        there = folder / "exported"
        cells = [new_code_cell("%load_ext buildflow_nb"), new_code_cell(text)]
        for number, cell in enumerate(cells, 1):
            cell.execution_count = number
        nbformat.write(new_notebook(cells=cells), folder / "shop.ipynb")
        _said(folder, *COMMAND, "export", "shop.ipynb", str(there))
        for file in folder.glob("*.html"):
            shutil.copy(file, there)
        with _process(there, *COMMAND, "run", "--port", str(port)):
            yield there


WAYS = {"script": Script(), "notebook": Notebook(), "command": Command()}
SERVING = {**WAYS, "export": Export()}


def _said(folder: Path, *words: str) -> str:
    ended = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
