"""docs/architecture.md names files and functions that are there, so that its readers find them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import buildflow_nb

PACKAGE = Path(buildflow_nb.__file__).parent
PROJECT = PACKAGE.parent
TEXT = (PROJECT / "docs" / "architecture.md").read_text()
FILE = re.compile(r"`([\w/]+\.py)(?::([\w.]+))?`")
TO_COME = {"io/kafka/topic.py", "topic.py", "source.py", "sink.py", "client.py"}  # Kafka's, one day


def section(title: str) -> str:
    """The text of a section, up to the next one."""
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def named(body: list[ast.stmt], names: list[str]) -> bool:
    """Whether a module, or a class in it, defines a name, and that the next one, and so on."""
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    found = [node for node in body if isinstance(node, kinds) and node.name == names[0]]
    return any(not names[1:] or named(node.body, names[1:]) for node in found)


def mentions() -> Iterator[tuple[str, str]]:
    """Files with what they are said to hold, as paths from the package or from the project."""
    for title in ("Where is …?", "Where to put things"):
        yield from FILE.findall(section(title))


@pytest.mark.parametrize(("path", "name"), sorted({m for m in mentions() if m[0] not in TO_COME}))
def test_a_file_that_is_named_is_there_and_holds_what_is_named(path, name):
    found = [root / path for root in (PACKAGE, PROJECT) if (root / path).is_file()]
    assert found, f"{path} is not there"
    assert not name or named(ast.parse(found[0].read_text()).body, name.split("."))


ROOMS = [(row[0].strip("`"), row[1]) for row in rows("The rooms")]


@pytest.mark.parametrize(("room", "says"), ROOMS, ids=[room for room, _ in ROOMS])
def test_a_room_has_the_files_and_folders_that_it_is_said_to_have(room, says):
    here = PACKAGE / room
    assert here.is_dir()
    files = [name for name, _ in FILE.findall(says)]
    folders = [name for name in re.findall(r"`([a-z_/0-9]+)`", says) if not name.startswith("app")]
    assert [name for name in files if not (here / name).is_file()] == []
    assert [name for name in folders if not (here / name).is_dir()] == []


def test_every_room_is_in_the_table():
    told = {room.partition("/")[0] for room, _ in ROOMS}
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert there - told == {"types"}


def test_the_questions_have_an_answer():
    assert [row for row in rows("Where is …?") if len(row) != 2 or not FILE.search(row[1])] == []
    assert len(rows("Where is …?")) >= 10
