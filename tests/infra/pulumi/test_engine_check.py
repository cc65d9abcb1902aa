"""Whether the engine fits, as a finding."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from buildflow_nb.core.findings import Health
from buildflow_nb.infra.pulumi import cli
from buildflow_nb.infra.pulumi.cli import Cli, look_at_engine


@pytest.mark.parametrize(
    ("engine", "health"),
    [(version("pulumi"), Health.OK), ("3.210.0", Health.WARNING), ("3.999.0-dev", Health.OK)],
)
def test_one_that_is_there(monkeypatch, engine, health):
    there = Cli(Path("/opt/pulumi"), engine, "on PATH")
    monkeypatch.setattr(cli, "find_cli", lambda: there)
    found = look_at_engine()
    assert found.health is health
    assert f"{engine}, on PATH (/opt/pulumi)" in found.said
    assert bool(found.cure) is (health is not Health.OK)


def test_none(monkeypatch):
    monkeypatch.setattr(cli, "find_cli", lambda: None)
    found = look_at_engine()
    assert found.health is Health.WARNING
    assert "the next apply gets one" in found.said
