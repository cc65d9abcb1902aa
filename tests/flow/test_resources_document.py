"""docs/resources.md: its lines are lines, its names are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from buildflow_nb.commands.parsing import parse
from buildflow_nb.flow.resource import Resource

TEXT = (Path(__file__).parents[2] / "docs" / "resources.md").read_text()
LINES = re.findall(r"^    %buildflow (.*?)(?:  +#.*)?$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("line", LINES)
def test_each_line_is_one(line):
    assert parse(line).command.name in ("look", "put", "redrive", "purge")


def test_every_method_is_there_and_told():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    own = {name for name in vars(Resource) if not name.startswith("_")}
    assert called - {"resource", "resources"} <= own
    assert own - {"key", "name", "primitive", "uses", "looked"} <= called
