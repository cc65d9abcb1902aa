"""What Prometheus reads of a run, by its own parser."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from buildflow_nb import Flow
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.observability.exposition import CONTENT_TYPE, exposition, families
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.plan import TOKEN_VARIABLE
from tests.fakes import PATIENCE_S, FakeClock, FakeSink, FakeSource

TOKEN = "s3cret"  # noqa: S105  (made up)
ODD = 'a "quoted" \\ back\nline é\u2028 {x="y"}'


@pytest.fixture(autouse=True)
def _no_token(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def ask(address: str, path: str, **headers: str) -> tuple[int, str, str]:
    place = urlsplit(address)
    line = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
    try:
        line.request("GET", path, headers=headers)
        answer = line.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        line.close()


def read(text: str) -> dict[str, list]:
    """Families by name, as Prometheus's own library reads them."""
    return {family.name: family.samples for family in text_string_to_metric_families(text)}


def value(text: str, name: str, **labels: str) -> float:
    (found,) = (
        sample.value
        for samples in read(text).values()
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return found


def serve(app: Flow, **words: object) -> str:
    run = app.run(
        block=False, serve_port=0, start_runtime_server=True, runtime_server_port=0, **words
    )
    return run.runtime_address


def test_a_run_tells_what_it_has_counted(app):
    @app.consumer(source=FakeSource([[1, 2, 3, 4]], endless=True), sink=FakeSink(), retries=0)
    def price(x: int) -> list[int]:
        if x == 3:
            msg = "usd"
            raise KeyError(msg)
        return [x] * (x % 3)

    @app.endpoint("/worst")
    def worst(limit: int = 3) -> int:
        return limit

    address = serve(app)
    app.handle.wait_until(count=4, timeout=PATIENCE_S)
    for path in ("/worst", "/worst?limit=x"):
        place = urlsplit(app.handle.address)
        line = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
        line.request("GET", path)
        line.getresponse().read()
        line.close()
    status, kind, text = ask(address, "/metrics")
    assert (status, kind) == (200, CONTENT_TYPE)
    price_, worst_ = {"processor": "price"}, {"processor": "worst"}
    elements = "buildflow_elements_total"
    assert value(text, elements, direction="in", **price_) == 4
    assert value(text, elements, direction="out", **price_) == 4  # 1, 2 twice, and 4 once
    assert value(text, elements, direction="in", flow="test", stack="local", **worst_) == 2
    assert value(text, "buildflow_failed_elements_total", **price_) == 1
    assert value(text, "buildflow_responses_total", code="200", **worst_) == 1
    assert value(text, "buildflow_responses_total", code="422", **worst_) == 1
    assert value(text, "buildflow_latency_seconds_count", **worst_) == 2
    assert value(text, "buildflow_in_flight_elements", **price_) == 0
    assert value(text, "buildflow_processor_state", state="running", **price_) == 1
    assert value(text, "buildflow_processor_state", state="failed", **price_) == 0
    assert value(text, "buildflow_code_version", **price_) == 1
    assert value(text, "buildflow_run_start_time_seconds") == app.handle.snapshot().started_at


def test_every_family_is_explained_and_typed_once_before_its_values(app):
    app.consumer(source=FakeSource([[1]], endless=True), sink=FakeSink())(passed)
    _, _, text = ask(serve(app), "/metrics")
    told: list[str] = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            told.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2] == told[-1]
        else:
            assert line.startswith(told[-1])
    assert len(told) == len(set(told)) >= 10
    assert text.endswith("\n")


def passed(x):
    return x


def test_labels_are_escaped_so_that_they_are_read_again():
    ledger = Ledger(ODD, FakeClock())
    text = exposition(families(ODD, "local", {ODD: Unit(ledger)}, 0.0)).decode()
    assert value(text, "buildflow_code_version", flow=ODD, processor=ODD) == 1
    assert len(text.split("\n")) == len(text.replace("\\n", "").split("\n"))


class Unit:
    """A unit that has counted what its ledger says."""

    def __init__(self, ledger: Ledger, backlog: int | None = None) -> None:
        self.ledger, self.backlog = ledger, backlog

    def counted(self):
        return self.ledger.metrics.counted(self.backlog)


def told(ledger: Ledger, backlog: int | None = None) -> str:
    return exposition(families("f", "s", {"p": Unit(ledger, backlog)}, 0.0)).decode()


def test_buckets_add_up_and_none_is_lost_whoever_takes_the_fresh_ones():
    ledger = Ledger("p", FakeClock())
    latency = ledger.metrics.latency
    for seconds, count in ((0.0, 1), (0.0009, 10), (0.2, 5), (9_999.0, 2)):
        latency.add(seconds, count, 0.0)
        if seconds:
            latency.take_fresh()  # as the history of the run does each second
    text = told(ledger)
    name = "buildflow_latency_seconds_bucket"
    at = {bound: value(text, name, le=bound) for bound in ("0.0001", "0.001", "0.1", "0.25")}
    assert at == {"0.0001": 1, "0.001": 11, "0.1": 11, "0.25": 16}
    assert value(text, name, le="1800") == 16
    assert value(text, name, le="+Inf") == 18 == value(text, "buildflow_latency_seconds_count")
    assert value(text, "buildflow_latency_seconds_sum") == pytest.approx(0.009 + 1 + 19_998)
    found = [s.value for s in read(text)["buildflow_latency_seconds"] if s.name == name]
    assert found == sorted(found)


def test_a_failure_that_is_retried_does_not_let_a_counter_fall():
    ledger = Ledger("p", FakeClock())
    ledger.metrics.failed = ledger.metrics.failures = 3
    ledger.metrics.failed -= 1
    assert value(told(ledger), "buildflow_failed_elements_total") == 3


def test_what_a_source_cannot_tell_has_no_value():
    ledger = Ledger("p", FakeClock())
    assert read(told(ledger))["buildflow_backlog_elements"] == []
    assert value(told(ledger, 7), "buildflow_backlog_elements") == 7


@pytest.mark.parametrize("state", list(State))
def test_a_processor_is_in_one_state(state):
    ledger = Ledger("p", FakeClock())
    ledger.state = state
    samples = read(told(ledger))["buildflow_processor_state"]
    assert [s.labels["state"] for s in samples if s.value] == [state.value]


def test_a_token_is_needed_where_all_else_needs_one(app):
    app.consumer(source=FakeSource([[1]], endless=True))(passed)
    address = serve(app, runtime_server_token=TOKEN)
    assert ask(address, "/metrics")[0] == 401
    assert ask(address, "/metrics", Authorization="Bearer wrong")[0] == 401
    assert ask(address, "/metrics", Authorization="Bearer " + TOKEN)[0] == 200
    assert ask(address, "/metrics", Authorization="Bearer " + TOKEN, Host="evil.example")[0] != 200


def test_prometheus_may_ask_by_its_own_words(app):
    app.consumer(source=FakeSource([[1]], endless=True))(passed)
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4"
    status, kind, text = ask(serve(app), "/metrics", Accept=accept)
    assert (status, kind) == (200, CONTENT_TYPE)
    assert value(text, "buildflow_elements_total", direction="in") == 1
