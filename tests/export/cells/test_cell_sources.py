"""What is kept of the cells that ran."""

from __future__ import annotations

from dataclasses import replace

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell
from buildflow_nb.notebook.cell_sources import CellSources, recorded, sources_of


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell.instance(config=config, colors="nocolor")
    yield made
    made.history_manager.end_session()
    InteractiveShell.clear_instance()


@pytest.fixture
def run(shell):
    """Runs cells; what is kept is `run.sources.kept`."""

    def go(source, cell_id=None, **words):
        with capture_output():
            shell.run_cell(source, cell_id=cell_id, **{"store_history": True, **words})

    go.shell = shell
    go.sources = CellSources(shell)
    shell.events.register("post_run_cell", go.sources.note)
    return go


def kept(sources):
    """The cells, without when they ran."""
    return tuple(replace(cell, at=None) for cell in sources.kept)


def test_the_latest_source_in_the_place_of_the_first(run):
    for source, cell_id in [("a = 1", "A"), ("b = 1", "B"), ("%time a = 2", "A")]:
        run(source, cell_id)
    assert kept(run.sources) == (
        RanCell("%time a = 2", 3, cell_id="A"),
        RanCell("b = 1", 2, cell_id="B"),
    )
    assert all(cell.at is not None for cell in run.sources.kept)


def test_a_source_that_failed_does_not_count(run):
    run("a = 1", "A")
    run("1 / 0", "B")
    run("a = ", "A")
    assert kept(run.sources) == (RanCell("a = 1", 1, failed_since=True, cell_id="A"),)
    run("a = 2", "A")
    assert kept(run.sources) == (RanCell("a = 2", 4, cell_id="A"),)


def test_a_cell_stands_where_it_first_ran_well(run):
    run("b = a", "B")
    run("a = 1", "A")
    run("b = a", "B")
    assert [cell.source for cell in run.sources.kept] == ["a = 1", "b = a"]


def test_without_ids_every_run_is_a_cell(run):
    run("a = 1")
    run("a = 1")
    assert [cell.number for cell in run.sources.kept] == [1, 2]


def test_what_a_front_end_runs_by_itself_is_not_kept(run):
    run("a = 1", store_history=False)
    run("a = 1", silent=True)
    assert run.sources.kept == ()


def test_cells_from_before_are_known_from_the_history(shell):
    with capture_output():
        shell.run_cell("import json", store_history=True)
        shell.run_cell("rate = 1", store_history=True)
        shell.user_ns["begin"] = lambda: sources.append(CellSources(shell))
        sources = []
        shell.run_cell("begin()", store_history=True)  # as %load_ext does
    (made,) = sources
    assert made.kept == (RanCell("import json", 1), RanCell("rate = 1", 2))
    shell.events.register("post_run_cell", made.note)
    with capture_output():
        shell.run_cell("rate = 1", store_history=True, cell_id="R")
    assert kept(made) == (RanCell("import json", 1), RanCell("rate = 1", 4, cell_id="R"))


def test_a_shell_keeps_them_until_it_is_told_not_to(shell):
    with recorded(shell), capture_output():
        shell.run_cell("a = 1", store_history=True, cell_id="A")
        kept = sources_of(shell).kept
    assert [cell.source for cell in kept] == ["a = 1"]
    with pytest.raises(UsageError, match="%reload_ext buildflow_nb"):
        sources_of(shell)


def test_cells_that_never_ran_well_are_known(run):
    run("a = 1", "A")
    run("1 / 0", "B")
    run("2 / 0", "B")
    run("a = ", "A")
    assert run.sources.failed == (RanCell("2 / 0", 3, cell_id="B", failed=True),)
    run("b = 1", "B")
    assert run.sources.failed == ()
