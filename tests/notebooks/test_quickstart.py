"""The quickstart in a real kernel, and its numbers against DuckDB reading the CSV by itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import nbformat
import pytest
from nbconvert import HTMLExporter

from tools.notebooks import NOTEBOOKS, execute

pytestmark = pytest.mark.notebook
FLIGHTS = 336_776


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("quickstart")


@pytest.fixture(scope="module")
def executed(folder) -> nbformat.NotebookNode:
    return execute(NOTEBOOKS / "quickstart.ipynb", folder)


@pytest.fixture(scope="module")
def text(executed) -> dict[str, str]:
    """What each cell shows, as plain text, by the cell's id."""
    return {
        cell.id: "\n".join(
            str(output.get("text") or output.get("data", {}).get("text/plain", ""))
            for output in cell.outputs
        )
        for cell in executed.cells
        if cell.cell_type == "code"
    }


@pytest.fixture(scope="module")
def truth(executed, folder):
    """DuckDB over the CSV, without us."""
    with duckdb.connect() as connection:
        path = folder / "quickstart-data" / "flights.csv"
        connection.execute(
            f"CREATE VIEW flights AS SELECT * FROM read_csv('{path}', nullstr=['NA', ''], "
            "header=true, types={'dep_time': 'VARCHAR'}) WHERE dep_time IS DISTINCT FROM 'late'"
        )
        yield connection


def test_every_flight_that_arrived_is_in_the_table_once(truth, folder):
    assert truth.execute("SELECT count(*) FROM flights").fetchone() == (FLIGHTS,)
    truth.execute(f"ATTACH '{folder / 'quickstart-data' / 'flights.duckdb'}' AS ours (READ_ONLY)")
    truth.execute(
        "CREATE TEMP VIEW wanted AS SELECT time_hour AT TIME ZONE 'UTC' AS scheduled, carrier, "
        "flight, origin, dest, arr_delay::DOUBLE AS delay FROM flights WHERE arr_delay IS NOT NULL;"
        "CREATE TEMP VIEW got AS SELECT * REPLACE (scheduled AT TIME ZONE 'UTC' AS scheduled) "
        "FROM ours.arrivals"
    )
    assert truth.execute("SELECT count(*) FROM got").fetchone() == (327_346,)
    different = "(FROM wanted EXCEPT ALL FROM got) UNION ALL (FROM got EXCEPT ALL FROM wanted)"
    assert truth.execute(different).fetchall() == []


def test_the_dashboard_in_the_file_is_true(text):
    (row,) = [line for line in text["run"].splitlines() if line.startswith("arrivals")]
    assert "336,777" in row
    assert "done" in row
    assert re.search(r"\b1\b", row)  # the torn line


def test_what_was_posted_and_asked_over_http(text, truth):
    assert "{'success': True}" in text["ask"]
    worst = truth.execute(
        "SELECT carrier, flight, arr_delay FROM flights ORDER BY arr_delay DESC, flight LIMIT 2"
    ).fetchall()
    for carrier, flight, delay in worst:
        assert f"'carrier': '{carrier}'" in text["ask"]
        assert f"'flight': {flight}" in text["ask"]
        assert f"'delay': {float(delay)}" in text["ask"]


def test_the_cell_that_was_run_again_changed_the_running_endpoint(text):
    assert "'hours': 21.2" in text["ask-again"]
    assert "'notes': ['slept at JFK']" in text["ask-again"]


def test_send_peek_and_failures_show_what_they_should(text):
    assert "carrier='HA'" in text["send"]
    assert "delay=1272.0" in text["send"]
    assert text["peek"].count("Flight(") == 7
    assert text["peek"].count("✕") == 1  # the one whose departure is "late"
    assert "dropped" in text["peek"]
    assert "Arrival(" in text["peek"]
    assert "flights.csv line 336778" in text["failures"]
    assert "dep_time: expected int | null, got str 'late'" in text["failures"]


def test_the_summary_agrees_with_the_file(text, truth):
    rows, mean = truth.execute("SELECT count(arr_delay), avg(arr_delay) FROM flights").fetchone()
    assert text["summary"].strip() == f"{rows:,} arrivals, {mean:.2f} minutes late on average"


def test_it_ends_stopped_with_a_chart_and_without_stray_output(executed, text):
    (chart,) = [cell for cell in executed.cells if cell.id == "chart"]
    assert any("image/png" in output.get("data", {}) for output in chart.outputs)
    silent = ("types", "consumer", "collector", "endpoint", "swap")
    assert all(text[name].strip().count("\n") == 0 for name in silent)  # one line each, at most
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert not any(output.get("name") == "stderr" for output in outputs)


def test_it_reads_well_as_a_page_without_any_script(executed):
    page, _ = HTMLExporter(exclude_input_prompt=True).from_notebook_node(executed)
    assert "336,777" in page
    assert "buildflow-app" in page


def test_the_notebook_in_the_repository_has_outputs_of_this_very_code():
    saved = nbformat.read(NOTEBOOKS / "quickstart.ipynb", as_version=4)
    counts = [cell.execution_count for cell in saved.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert str(Path.home()) not in json.dumps(saved)
