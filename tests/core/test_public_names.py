"""Every module says what is public, and what it says is there."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import pytest

import buildflow_nb

MODULES = sorted(
    found.name for found in pkgutil.walk_packages(buildflow_nb.__path__, "buildflow_nb.")
)


@pytest.mark.parametrize("name", MODULES)
def test_all_is_true(name):
    module = importlib.import_module(name)
    public = getattr(module, "__all__", None)
    if public is None:
        assert hasattr(module, "__path__"), f"{name} has no __all__"
        return
    assert sorted(public) == sorted(set(public))
    assert [word for word in public if not hasattr(module, word)] == []


def test_the_names_of_buildflow_are_at_the_root():
    from buildflow_nb import Flow, FlowOptions, Service, collector, consumer, endpoint

    assert {Flow, FlowOptions, Service, collector, consumer, endpoint} <= {
        getattr(buildflow_nb, name) for name in buildflow_nb.__all__
    }


def test_one_name_is_one_thing_in_a_folder():
    root = Path(buildflow_nb.__file__).parent
    found = Counter(
        (path.parent.relative_to(root).as_posix(), node.name)
        for path in root.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert [where for where, count in found.items() if count > 1] == []


def test_a_file_has_one_noun():
    """Up to 400 lines: beyond, it holds a second one."""
    root = Path(buildflow_nb.__file__).parent
    long = {path.name: len(path.read_text().splitlines()) for path in root.rglob("*.py")}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
