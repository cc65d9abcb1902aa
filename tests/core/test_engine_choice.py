"""What is waited for when a run begins, by its engine."""

from __future__ import annotations

import pytest

from buildflow_nb.core.engine_choice import RAY, EngineChoice


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (EngineChoice(), ""),
        (EngineChoice(RAY), "Ray is started on this machine"),
        (EngineChoice(RAY, "head:6379"), "replicas are started on the Ray cluster at head:6379"),
        (EngineChoice(RAY, "http://head:8265"), ""),  # it is refused, or submitted as a job
    ],
)
def test_only_what_is_about_to_happen_is_said(choice, said):
    assert choice.said.startswith(said)
    assert bool(choice.said) == bool(said)
