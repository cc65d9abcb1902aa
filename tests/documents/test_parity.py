"""Each public name of BuildFlow 0.3 resolves, or docs/buildflow-parity.md has a stand-in for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.documents.buildflow_names import MEMBERS, MODULES, PRIMITIVES

PAGE = Path(__file__).parents[2] / "docs" / "buildflow-parity.md"
PROBE = """
import importlib, json, sys
from buildflow_nb.core.alias import answer_to_buildflow

answer_to_buildflow()
modules, members = json.load(sys.stdin)

def there(module):
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        assert error.name.startswith("buildflow"), error
        return None

def has(kind, name):
    return hasattr(kind, name) or name in getattr(kind, "__dataclass_fields__", {})

names = [(m, n) for m, all_ in modules.items() for n in all_.split() if hasattr(there(m), n)]
held = []
for path, all_ in members.items():
    module, _, name = path.rpartition(".")
    kind = getattr(there(module), name)
    held += [(name, one) for one in all_.split() if has(kind, one)]
print(json.dumps([names, held]))
"""
Pairs = set[tuple[str, str]]


@pytest.fixture(scope="module")
def resolved() -> tuple[Pairs, Pairs]:
    """The names, and the members of classes, that are there."""
    told = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps([MODULES, MEMBERS]),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names, held = json.loads(told.stdout)
    return {tuple(pair) for pair in names}, {tuple(pair) for pair in held}


def rows(heading: str) -> Pairs:
    """Each of the first cell of every row of a table, with each of the second."""
    section = re.split(r"^##+ ", PAGE.read_text(), flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(heading))
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        cells = line.split("|")
        names = [re.findall(r"`([^`]+)`", cell) for cell in cells]
        if len(cells) > 3 and names[2]:
            owners = names[1] or (_class_names(PRIMITIVES) if "every primitive" in cells[1] else [])
            found += [(owner, name) for owner in owners for name in names[2]]
    assert len(found) == len(set(found)), "a name has two rows"
    return set(found)


def _class_names(paths: Iterable[str]) -> list[str]:
    return [path.rpartition(".")[2] for path in paths]


def every(names: dict[str, str]) -> Pairs:
    return {(owner, name) for owner, all_ in names.items() for name in all_.split()}


def test_each_name_resolves_or_is_listed_with_what_stands_for_it(resolved):
    there, _ = resolved
    assert there
    assert rows("What resolves") == there
    assert rows("What is missing") == every(MODULES) - there


def test_each_method_and_attribute_is_there_or_listed_with_what_stands_for_it(resolved):
    _, held = resolved
    assert held
    every_one = every({path.rpartition(".")[2]: names for path, names in MEMBERS.items()})
    assert rows("Methods and attributes") == every_one - held


def test_each_class_that_resolves_is_looked_into(resolved):
    there, _ = resolved
    looked_into = set(_class_names(MEMBERS))
    told = {name for _, name in there if name[0].isupper() and not name.endswith("Exception")}
    aliases = {"AWSBucket", "DuckDB", "InvalidDependencyHierarchyOrder"}
    aliases |= {"CloudSQLDatabaseVersion", "CloudSQLInstanceSettings"}  # texts, and Pulumi's own
    called = {"Collector", "Consumer", "Endpoint", "OpenAPISecurityWrapper", "EventSourceResponse"}
    called |= {"Body", "Cookie", "Form", "Header", "Path", "Query"}
    ends = ("Builder", "Scoped", "Middleware")
    left = {name for name in told - looked_into if not name.endswith(ends)}
    assert left == aliases | called | {"BearerCredentials", "Scope"}


@pytest.mark.parametrize("heading", ["What is missing", "Methods and attributes"])
def test_what_is_missing_has_something_that_stands_for_it(heading):
    text = re.split(r"^##+ ", PAGE.read_text().partition(f"# {heading}")[2], flags=re.MULTILINE)[0]
    lines = [line for line in text.splitlines() if line.startswith(("| `", "| every"))]
    assert lines
    assert all(len(line.split("|")[3].strip()) > 5 for line in lines)
