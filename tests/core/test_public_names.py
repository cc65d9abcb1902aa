"""Every module says what is public, and what it says is there."""

from __future__ import annotations

import importlib
import pkgutil

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
