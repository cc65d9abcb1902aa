"""How each tutorial and its export are proved to be the same: what is asked, and when to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.notebooks.proof import ROOT

__all__ = ("SCENARIOS", "Scenario")

Question = tuple[str, str, object]


@dataclass(frozen=True)
class Scenario:
    """What is done with one notebook and with its export.

    `cells` are put before the notebook's cells of these ids. `inputs` are files that it makes and
    the program reads, `prepared` the requests that its cells made, `questions` those that both are
    asked at the end, `messages` what it sent to queues by hand. `sums` are queries for tables whose
    rows are split by chance. `ends` are the consumers that come to an end, `follows` those that
    have an element for each object of a bucket. With `stores` it is looked at once the stores hold
    the same. `managed` says whether it owns cloud resources.
    """

    cells: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    prepared: tuple[Question, ...] = ()
    questions: tuple[Question, ...] = ()
    messages: Mapping[str, str] = field(default_factory=dict)
    sums: Mapping[str, str] = field(default_factory=dict)
    ends: tuple[str, ...] = ()
    follows: Mapping[str, str] = field(default_factory=dict)
    stores: bool = False
    managed: bool = False


def _cell(text: str) -> str:
    head = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests.notebooks import proof\n"
    return f"{head}\n{text}"


def _quickstart() -> Scenario:
    questions: tuple[Question, ...] = (
        ("GET", "/worst?limit=5", None),
        ("GET", "/worst?carrier=HA&limit=2", None),
        ("GET", "/worst?limit=many", None),
        ("GET", "/nothing", None),
        ("POST", "/worst", {}),
        ("POST", "/reports", {"carrier": "UA", "flight": 1, "minutes": 5}),
        ("POST", "/reports", {"carrier": "UA", "flight": 1, "minutes": -5}),
        ("POST", "/reports", {"carrier": "UA"}),
        ("GET", "/openapi.json", None),
    )
    look = f"""
answers = proof.ask(app.handle.address, {questions!r})
proof.note(answers=answers, flowstate=proof.state(app, Path.cwd()))
%buildflow export proof.ipynb from-kernel
"""
    report = {"carrier": "HA", "flight": 51, "minutes": 1272, "note": "slept at JFK"}
    return Scenario(
        cells={"stop": _cell(look)},
        inputs=("quickstart-data/flights.csv",),
        prepared=(("POST", "/reports", report),),
        questions=questions,
        ends=("arrivals",),
    )


def _cloud() -> Scenario:
    parts = "SELECT cloud, sum(rows)::INT, sum(delay)::INT FROM parts GROUP BY ALL ORDER BY ALL"
    sums = {"parts": parts}
    late = (
        '{"carrier": "HA", "flight": 51, "origin": "JFK", "dest": "HNL", '
        '"time_hour": "2013-01-09T14:00:00Z", "arr_delay": 1272.0}'
    )
    look = f"""
told = proof.state(app, Path.cwd())
proof.note(
    flowstate=told,
    sinks=proof.sinks(told, Path.cwd(), app.place.env().endpoints, {sums!r}),
    applied=proof.preview_of(Path("..", "export").resolve(), Path.cwd()),
)
%buildflow export proof.ipynb from-kernel
"""
    return Scenario(
        cells={
            "stop": _cell(look),
            "gone": _cell("proof.note(preview=proof.planned(app.preview()))"),
        },
        inputs=("cloud-data/flights.csv",),
        messages={"flights": late},
        sums=sums,
        ends=("to_sqs", "to_pubsub"),
        follows={"from_s3": "s3://arrivals-s3", "from_gcs": "gcs://arrivals-gcs"},
        managed=True,
    )


def _service() -> Scenario:
    like = {"name": "sea.png", "stars": 5}
    questions: tuple[Question, ...] = (
        ("GET", "/", None),
        ("GET", "/me", None),
        ("GET", "/callback?code=a&state=b", None),
        ("POST", "/pictures", {"picture": "no form"}),
        ("POST", "/likes", {"name": "hill.png"}),
        ("POST", "/likes", {"stars": 1}),
        ("GET", "/search", None),
        ("GET", "/nothing", None),
        ("GET", "/openapi.json", None),
    )
    look = f"""
answers = proof.ask(app.handle.address, {questions!r})
proof.note(answers=answers, flowstate=proof.state(app, Path.cwd()))
%buildflow export proof.ipynb from-kernel
"""
    return Scenario(
        cells={"stop": _cell(look)},
        prepared=(("POST", "/likes", like),),
        questions=questions,
    )


def _warehouse() -> Scenario:
    late = {
        "carrier": "HA",
        "flight": 51,
        "origin": "JFK",
        "dest": "HNL",
        "time_hour": "2013-01-02T14:00:00Z",
        "arr_delay": 1272.0,
    }
    questions: tuple[Question, ...] = (
        ("GET", "/worst?carrier=HA&limit=2", None),
        ("GET", "/worst?carrier=UA", None),
        ("GET", "/worst?carrier=%27%3B", None),
        ("GET", "/worst", None),
        ("POST", "/corrections", {"carrier": "HA"}),
        ("GET", "/openapi.json", None),
    )
    look = f"""
answers = proof.ask(app.handle.address, {questions!r})
time.sleep(3)  # the figures are asked for every second
told = proof.state(app, Path.cwd())
proof.note(
    answers=answers,
    flowstate=told,
    sinks=proof.sinks(told, Path.cwd(), {{}}, {{}}),
    applied=proof.preview_of(Path("..", "export").resolve(), Path.cwd()),
)
%buildflow export proof.ipynb from-kernel
"""
    return Scenario(
        cells={
            "stop": _cell(look),
            "gone": _cell("proof.note(preview=proof.planned(app.preview()))"),
        },
        inputs=("warehouse-data/flights.csv", "warehouse-data/password"),
        prepared=(("POST", "/corrections", late),),
        questions=questions,
        ends=("to_postgres",),
        stores=True,
        managed=True,
    )


SCENARIOS: Mapping[str, Scenario] = {
    "quickstart": _quickstart(),
    "cloud": _cloud(),
    "service": _service(),
    "warehouse": _warehouse(),
}
