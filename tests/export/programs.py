"""A program as export makes them, by hand: a file of orders, priced into a table; a question."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from buildflow_nb.export.folder.folder import check_folder, write_files
from buildflow_nb.export.project.files import project_files
from buildflow_nb.export.project.requirements import requirements_of
from buildflow_nb.export.report import ExportedProgram, Import

TEXT = '''\
"""Prices of orders."""

from dataclasses import dataclass

from buildflow_nb import Flow
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File

RATE = 1.5


@dataclass
class Order:
    id: int
    qty: int


@dataclass
class Priced:
    id: int
    total: float


app = Flow()


@app.consumer(source=File("orders.jsonl"), sink=DuckDBTable("shop.duckdb", "priced"))
def price(order: Order) -> Priced:
    return Priced(order.id, order.qty * RATE)


@app.endpoint("/rate", method="GET")
def rate() -> float:
    return RATE


if __name__ == "__main__":
    app.run()
'''


def program(text=TEXT, **changes):
    told = {
        "name": "shop",
        "title": "A shop",
        "modules": {"main.py": text},
        "entry_point": "main:app",
        "imports": (Import("buildflow_nb.io.duckdb", "cell [1] line 1"),),
        "processors": ("price", "rate"),
    }
    return ExportedProgram(**(told | changes))


def files(folder, made=None, samples=None):
    """The project's files, by path."""
    made = made or program()
    return project_files(made, requirements_of(made.imports), folder, samples)


def written(folder: Path, made=None, samples=None, *, force=False):
    """A project on disk, as export writes it; gives its folder."""
    check_folder(folder, force=force)
    write_files(folder, files(folder, made, samples), force=force)
    return folder


def texts(folder: Path):
    """Everything in a folder, by path: text, or where a link leads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = "a folder"
    return found


def run_tests(folder):
    """The project's own tests, run as its README says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        [Path(sys.executable).with_name("pytest"), "-p", "no:cacheprovider", "-q"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
