"""Modules that are named in strings are where the strings say: a move breaks those in silence."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import buildflow_nb
import buildflow_nb.export as export_face
from buildflow_nb.cli import main as cli_main
from buildflow_nb.core.old_paths import OLD_PATHS
from buildflow_nb.flow.doctor.autoload import EXTENSION
from buildflow_nb.local_cloud import emulators
from buildflow_nb.notebook import display, verbs
from buildflow_nb.runtime.observability import tracebacks

PACKAGE = Path(buildflow_nb.__file__).parent
PROJECT = PACKAGE.parent
DOTTED = re.compile(r"buildflow_nb(\.\w+)+")
NO_MODULES = {"buildflow_nb.run"}  # a logger
# what startup files of users hold, which earlier versions have written
IN_STARTUP_FILES = "buildflow_nb.notebook.autoload"


def literal(path: Path) -> set[str]:
    """The texts of a file that are nothing but a dotted name of this package."""
    tree = ast.parse(path.read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and DOTTED.fullmatch(text)}


def resolved(name: str) -> object:
    """A module, or what a module holds under its last name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        home, _, last = name.rpartition(".")
        return getattr(importlib.import_module(home), last)


LITERAL = sorted(set().union(*map(literal, PACKAGE.rglob("*.py"))) - NO_MODULES)


@pytest.mark.parametrize("name", LITERAL)
def test_a_name_in_a_string_is_there(name):
    assert resolved(name) is not None


def below(package: str, homes: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"{package}.{home}", name) for name, home in homes.items()]


BY_NAME = [
    *below("buildflow_nb", buildflow_nb._HOMES),
    *below("buildflow_nb.export", export_face._HOMES),
    *[
        (f"buildflow_nb.cli.{home.partition(':')[0]}", home.partition(":")[2])
        for home in cli_main._HOMES.values()
    ],
    *[(f"buildflow_nb.notebook.verbs.{home}", "VERBS") for home in verbs._HOMES],
    *display._LIVE,
    *display._DATA,
    *[
        (f"buildflow_nb.{home}", name)
        for homes in OLD_PATHS.values()
        for home, names in homes.items()
        for name in names.split()
    ],
]


@pytest.mark.parametrize(("module", "name"), sorted(set(BY_NAME)))
def test_what_is_loaded_by_name_is_there(module, name):
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("word", [word for words in verbs._HOMES.values() for word in words])
def test_a_verb_is_where_its_word_says(word):
    assert callable(verbs.verb_of(word))


@pytest.mark.parametrize("module", sorted({*tracebacks._PER_CALL, tracebacks._PUSHES}))
def test_frames_are_told_by_modules_that_are_there(module):
    assert importlib.util.find_spec(module) is not None


def test_startup_files_that_were_written_go_on_working():
    assert EXTENSION == IN_STARTUP_FILES
    assert callable(importlib.import_module(IN_STARTUP_FILES).load_ipython_extension)


def test_parts_of_the_local_cloud_are_programs():
    own = {emulators.OWN, f"{emulators.OWN}.gcp", f"{emulators.OWN}.ministack"}
    assert own == {name for name in own if importlib.util.find_spec(name) is not None}
    assert importlib.util.find_spec(f"{emulators.OWN}.__main__") is not None


SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]


@pytest.mark.parametrize(
    "pattern",
    [one for one in SETTINGS["ruff"]["lint"]["per-file-ignores"] if "buildflow_nb" in one],
)
def test_exceptions_from_the_style_are_of_files_that_are_there(pattern):
    assert list(PROJECT.glob(pattern))


@pytest.mark.parametrize(
    "module",
    sorted(
        {
            name
            for contract in SETTINGS["importlinter"]["contracts"]
            for key in ("modules", "source_modules", "forbidden_modules")
            for name in contract.get(key, ())
        }
    ),
)
def test_contracts_are_between_modules_that_are_there(module):
    assert importlib.util.find_spec(module.removesuffix(".*")) is not None


FILE_NAME = re.compile(r"`([\w/]+\.py)`")
OF_USERS = {"main.py", "shop/main.py", "lib/rates.py", "lib/rates/__init__.py"}


def told(path: Path) -> set[str]:
    """The files that a module's docstrings and comments name, but for those of users."""
    return set(FILE_NAME.findall(path.read_text())) - OF_USERS


def test_files_that_comments_name_are_there():
    there = [path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("*/**/*.py")]
    gone = {
        f"{path.relative_to(PROJECT)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in told(path)
        if not any(f"/{one}".endswith(f"/{name}") for one in there)
    }
    assert gone == set()
