"""What a check says about Ray."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import sys

import pytest

from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.runtime.ray.findings import findings


def found(address: str | None, cpus: float = 0.0) -> list[Finding]:
    return asyncio.run(findings(address, cpus))


def test_what_is_not_installed_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "platform", "linux")
    (one,) = found(None)
    assert (one.health, one.said) == (Health.ERROR, "the Ray engine needs Ray")
    assert one.cure == "pip install 'buildflow_nb[ray]'"


def test_a_cluster_that_takes_jobs_needs_no_ray_here(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (one,) = found("http://head:8265")
    assert (one.health, one.subject) == (Health.WARNING, "Ray cluster")
    assert one.said.startswith("jobs are submitted to http://head:8265")
    assert one.cure.startswith("buildflow run in a terminal does so")


@pytest.mark.usefixtures("rig")
class TestInstalled:
    def test_its_own_is_told_without_starting_it(self):
        ray, own = found(None, 1.0)
        assert ray.said == f"{_ray()}, with Python {sys.version.split()[0]}"
        assert (ray.health, own.health) == (Health.OK, Health.OK)
        assert own.said.startswith(f"one of the run's own, on {os.cpu_count()} CPU")

    def test_more_cpus_than_there_are_is_a_warning(self):
        _, own = found("local", 1000.0)
        assert own.health is Health.WARNING
        assert "the processors ask for 1000, and share them" in own.said

    def test_a_cluster_is_looked_at(self, rig):
        _, well = found(rig.address, 1.0)
        assert well.health is Health.OK
        assert well.said.startswith(f"the cluster at {rig.address}: 1 machine, ")
        assert well.said.endswith(" of 4 CPUs free")

    def test_a_cluster_that_is_too_small_is_a_warning(self, rig):
        _, short = found(rig.address, 40.0)
        assert short.health is Health.WARNING
        assert short.said.endswith("; the processors ask for 40")
        assert short.cure.startswith("replicas wait until there is room; lower num_cpus")

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("127.0.0.1:1", "there is no Ray at 127.0.0.1:1: nothing listens there"),
            ("head", "'head' is no address of a Ray cluster"),
        ],
    )
    def test_what_is_no_cluster_is_an_error(self, address, said):
        _, one = found(address)
        assert (one.health, one.said) == (Health.ERROR, said)
        assert one.cure.startswith("give ")


def _ray() -> str:
    return importlib.metadata.version("ray")
