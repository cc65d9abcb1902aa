"""What the last run has measured of resources, and that it is known after it."""

from __future__ import annotations

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.config import Config
from buildflow_nb.core.pricing import Usage
from buildflow_nb.core.status.history import History, Mark, Row, Rows
from buildflow_nb.core.status.snapshot import Passage
from buildflow_nb.flow.run_usage import run_usage
from buildflow_nb.infra.measured_usage import known_usage, note_usage
from buildflow_nb.io.aws import S3Bucket, SQSQueue
from buildflow_nb.io.local import File

DAY = 1_796_000_000


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = Flow("shop")

    @flow.consumer(File("in.csv"), SQSQueue("orders"))
    def read(row: dict) -> dict: ...

    @flow.consumer(SQSQueue("orders"), S3Bucket("exports"))
    def price(order: dict) -> list[dict]: ...

    return flow


def history(name, *rows, marks=()):
    found = Rows()
    for at, seconds, taken, given in rows:
        found.add(Row(at, seconds, taken, given))
    return History(name, coarse=found, marks=tuple(marks))


def measured(app, histories, handle=None):
    return run_usage(histories.get, handle, app.known_resources().values())


def test_rates_are_of_the_last_run_and_of_whoever_does_more(app):
    begun = Mark(DAY + 100, "started")
    histories = {
        "read": history("read", (DAY + 100, 10, 1_200, 1_200), (DAY + 110, 10, 1_200, 1_200)),
        "price": history(
            "price", (DAY, 10, 9_000, 9_000), (DAY + 100, 10, 500, 50), marks=(begun,)
        ),
    }
    found, at = measured(app, histories)
    assert found["SQSQueue orders"] == Usage(120.0)
    assert found["S3Bucket s3://exports"] == Usage(5.0)
    assert at == DAY + 120


def test_a_run_that_has_just_begun_tells_nothing(app):
    short = {name: history(name, (DAY, 1, 100, 100)) for name in ("read", "price")}
    assert measured(app, short) == ({}, 0.0)
    assert measured(app, {name: History(name) for name in short}) == ({}, 0.0)


def test_sizes_are_of_what_passed_last(app):
    class Handle:
        def peek(self, processor_id, count):
            return [Passage(0.0, {"id": 1}, (b"x" * 2_000, b"x" * 4_000), 0.1)]

    histories = {name: history(name, (DAY, 10, 1_200, 1_200)) for name in ("read", "price")}
    found, _ = measured(app, histories, Handle())
    assert found["S3Bucket s3://exports"].element_kb == 3.0


def test_what_was_measured_is_kept_for_other_sessions(app, tmp_path):
    config = Config.implicit(tmp_path)
    assert known_usage(config).measured == {}
    note_usage(tmp_path, {"Q a": Usage(120, element_kb=2), "Q b": Usage(1)}, DAY)
    note_usage(tmp_path, {"Q a": Usage(60)}, DAY)
    found = known_usage(config)
    assert found.measured == {"Q a": Usage(60, element_kb=2), "Q b": Usage(1)}
    assert found.when
    path = tmp_path / ".buildflow" / "usage.json"
    path.write_text("{")
    assert known_usage(config).measured == {}


def test_numbers_of_the_file_that_are_no_amounts_are_not_taken(tmp_path):
    config = Config.implicit(tmp_path)
    path = tmp_path / ".buildflow" / "usage.json"
    note_usage(tmp_path, {"Q a": Usage(float("nan"), 2), "Q b": Usage(-5)}, DAY)
    assert known_usage(config).measured == {"Q a": Usage(element_kb=2), "Q b": Usage()}
    rows = '{"Q a": {"elements_per_s": -3, "element_kb": 1e300, "storage_gb": 4}}'
    path.write_text(f'{{"at": {DAY}, "resources": {rows}}}')
    assert known_usage(config).measured == {"Q a": Usage(storage_gb=4)}
    path.write_text(f'{{"at": 1e300, "resources": {rows}}}')
    assert known_usage(config).measured == {}


def test_histories_are_read_once_each_and_for_a_bounded_time(app, monkeypatch):
    asked = []

    def history_of(name):
        asked.append(name)
        return history(name, (DAY, 10, 1_200, 1_200))

    known = app.known_resources().values()
    assert run_usage(history_of, None, known)[0]
    assert sorted(asked) == ["price", "read"]
    monkeypatch.setattr("buildflow_nb.flow.run_usage.MOST_S", -1.0)
    asked.clear()
    assert run_usage(history_of, None, known) == ({}, 0.0)
    assert asked == []
