"""The tutorial of scale, in a kernel: from one core to two, and on when a replica has died."""

from __future__ import annotations

import importlib.util
import re

import nbformat
import pytest

from tools.notebooks import NOTEBOOKS, execute

pytestmark = [pytest.mark.notebook, pytest.mark.pulumi, pytest.mark.emulator]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text that each cell has put out, by its id."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is an extra: pip install 'buildflow_nb[ray]'")
    return texts(execute(NOTEBOOKS / "scale.ipynb", tmp_path_factory.mktemp("scale")))


def texts(notebook: nbformat.NotebookNode) -> dict[str, str]:
    return {
        cell.id: "".join(out.get("text", "") for out in cell.get("outputs", ()))
        for cell in notebook.cells
    }


def test_every_span_is_found_by_one_process_and_then_by_two(told):
    assert re.match(r"300 spans in [0-9.]+ s, done by 1 process\n", told["one-timed"])
    assert re.match(r"300 spans in [0-9.]+ s, done by 2 processes\n", told["two-timed"])


def test_whoever_starts_ray_is_told_that_it_takes_a_while(told):
    assert "Ray is started on this machine" in told["two"]
    assert "Ray" not in told["one"]


def test_new_code_works_in_replicas(told):
    assert "longest: swapped, v2, running" in told["swap"]


def test_a_replica_that_is_killed_is_replaced_and_nothing_is_lost(told):
    assert "60 of 60 spans are there" in told["killed"]
    assert re.search(
        r"replica \d+ \(process \d+\) has ended: .*; another one is started", told["killed"]
    )


def test_what_was_saved_is_what_it_puts_out(told):
    saved = texts(nbformat.read(NOTEBOOKS / "scale.ipynb", as_version=4))
    for cell in ("one-timed", "two-timed", "swap", "killed"):
        assert shape(saved[cell]) == shape(told[cell])


def shape(text: str) -> str:
    """What does not differ from one run to the next."""
    return re.sub(r"[0-9.]+ s|[0-9.]+ times|replica \d+|process \d+", "…", text)
