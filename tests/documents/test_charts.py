"""docs/charts.md: its metrics are a run's, its settings are taken, its sentences are said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from buildflow_nb.core.config import load_config
from buildflow_nb.core.status.health import health_of
from buildflow_nb.core.status.history import FINE_KEPT_S, SPANS
from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot, State
from buildflow_nb.core.status.thresholds import FAILED_SHARE, Thresholds
from buildflow_nb.runtime.observability import history_file, history_keeper, otel
from buildflow_nb.runtime.observability.exposition import families

TEXT = (Path(__file__).parents[2] / "docs" / "charts.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_every_metric_is_in_the_table_and_no_other():
    told = set(re.findall(r"`(buildflow_[a-z_]+)`", TEXT)) - {"buildflow_nb"}
    assert told == {family.name for family in families("f", "s", {}, 0.0)}


def test_the_file_sets_what_it_says(tmp_path):
    (text,) = (block for block in BLOCKS if "health:" in block)
    (tmp_path / "buildflow.yaml").write_text(text)
    found = load_config(tmp_path / "buildflow.yaml").health
    assert found == Thresholds(0.05, 10_000, 2.5, 600.0)
    assert f"{FAILED_SHARE} where it is not set" in text
    assert all(yaml.safe_load(block) for block in BLOCKS)


@pytest.mark.parametrize("failed", [0, 409])
def test_sentences_are_as_they_stand_there(failed):
    price = ProcessorSnapshot(
        "price",
        "consumer",
        State.RUNNING,
        elements_in=12_480,
        failed=failed,
        failures_kept=failed,
        in_per_s=917,
        backlog=118,
    )
    shot = FlowSnapshot("shop", "local", State.RUNNING, 0.0, 0.0, None, (price,))
    line = health_of(shot, errors=lambda _: ["KeyError: 'usd'"]).line
    if failed:
        assert line == "✕ price fails 3.3 %: KeyError: 'usd' (409 of 12,480)"
    else:
        assert line == "✓ fine (1 processor, 917/s, nothing failed, 118 waiting)"


def test_bounds_are_those_of_the_code():
    assert "half a minute at most" in TEXT
    assert history_keeper.SAVE_S == 30
    assert f"at most {history_file.MOST_BYTES >> 20} MiB" in TEXT
    assert (FINE_KEPT_S, otel.LEAVE_S, tuple(SPANS)) == (600, 2, ("10m", "1h", "24h"))
