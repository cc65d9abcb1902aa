"""The verbs on elements in a real shell: failures retried and debugged, tap, record, replay."""

import sys
import time
from dataclasses import dataclass
from typing import Annotated

import pytest
from IPython.core.error import UsageError

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.observability.failures import FailureRecord
from tests.fakes import PATIENCE_S, FakeSink, FakeSource

PICKY = """%%buildflow consumer source=source, sink=sink, retries=0
def picky(x: int) -> int:
    if x in bad:
        place = f"local of {x}"
        raise ValueError(f"no {x}")
    return 10 * x
"""


def until(so):
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def picky(cells):
    """A processor that has refused 2 and 4."""
    cells.names.update(source=FakeSource([[1, 2, 3, 4]], endless=True), sink=FakeSink(), bad={2, 4})
    assert cells(PICKY).ok
    cells.app.run(block=False)
    until(lambda: len(cells.app.failures("picky")) == 2)
    yield cells
    cells.app.handle.stop(drain=False, timeout=1)


def test_failures_are_live_in_the_next_cell(picky):
    out = picky("found = %buildflow failures picky\nfound")
    assert "ValueError: no 2" in out.bundles[0]["text/html"] if out.bundles else True
    assert all(isinstance(failed, FailureRecord) for failed in picky.names["found"])
    assert picky("found[0].retry(7)").value == [70]
    assert 70 in picky.names["sink"].tape.pushed
    assert len(picky.app.failures("picky")) == 1


def test_a_line_retries_all_and_goes_on_past_those_that_fail_again(picky):
    picky.names["bad"].discard(4)
    out = picky("%buildflow failures picky --retry")
    assert out.ok
    assert [(deal.failure.number, deal.went, deal.said) for deal in out.value] == [
        (1, "failed again", "ValueError: no 2"),
        (2, "passed", "1 written"),
    ]
    said = repr(out.value)
    assert said.splitlines()[0] == "picky · retried · 2: 1 failed again, 1 passed"
    assert "✕ failed again" in said
    html = out.value._repr_html_()
    assert "l err" in html
    assert "l ok" in html
    assert [f.number for f in picky.app.failures("picky")] == [1]


def test_numbers_choose_and_discarding_forgets(picky):
    assert picky("%buildflow failures picky --discard --number 2").text == (
        "picky: 1 failure discarded\n"
    )
    assert [f.number for f in picky.app.failures("picky")] == [1]
    assert "all processors: 1 failure discarded" in picky("%buildflow failures --discard").text
    assert picky.app.failures() == []
    assert "nothing" in repr(picky("%buildflow failures --retry").value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%buildflow failures picky --retry --discard", "give one of them"),
        ("%buildflow failures picky --retry --number 9", "no failure has number 9"),
        ("%buildflow failures picky --number x", "is not a whole number above 0"),
        ("%buildflow send picky", "the element is missing; like %buildflow send"),
        ("%buildflow tap piky", "did you mean 'picky'?"),
        ("%buildflow tap picky --edge up", "is none of in, out"),
        ("%buildflow replay picky", "there is no recording of 'picky'"),
        ("%buildflow record picky 5 --timeout 50ms", "nothing came to 'picky' within 0.05 s"),
    ],
)
def test_a_bad_line_is_one_line(picky, line, said):
    out = picky(line)
    assert isinstance(out.error, UsageError)
    assert said in str(out.error)
    assert len(out.text.strip().splitlines()) == 1


def test_a_stopped_processor_is_said_for_each(picky):
    picky.app.handle.stop("picky")
    out = picky("%buildflow failures picky --retry")
    assert [deal.went for deal in out.value] == ["not tried", "not tried"]
    assert "is stopped" in out.value[0].said


def test_debug_lands_in_the_users_frame(picky, monkeypatch):
    out = picky("app.failures('picky')[0].reraise()")
    assert isinstance(out.error, ValueError)
    trace = sys.last_traceback
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert trace.tb_frame.f_code.co_name == "picky"
    assert trace.tb_frame.f_locals["place"] == "local of 2"

    lines = iter(["p place, x", "q"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    out = picky("%debug")
    assert out.ok, out.error
    assert "('local of 2', 2)" in out.text
    assert next(lines, None) is None


def test_a_failed_retry_can_be_debugged_at_once(picky):
    out = picky("app.failures('picky')[1].retry()")
    assert isinstance(out.error, ValueError)
    trace = sys.last_traceback
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert trace.tb_frame.f_locals["place"] == "local of 4"


def test_tap_is_a_frame(picky):
    frame = picky("%buildflow tap picky -n 2").value
    assert list(frame["value"]) == [10, 30]
    assert list(picky("%buildflow tap picky -n 2 --edge in").value["value"]) == [1, 3]


def test_record_and_replay(cells):
    from buildflow_nb.io.local.pulse import Pulse

    cells.names.update(source=Pulse(iter(range(1, 10_000)), 0.005), sink=FakeSink(), bad={-1})
    assert cells(PICKY).ok
    cells.app.run(block=False)
    out = cells("%buildflow record picky 3 --to mine.jsonl --timeout 20s")
    cells.app.handle.stop(drain=False, timeout=1)
    assert out.text.splitlines()[0] == "recorded 3 of 3 inputs of picky"
    assert out.value.name == "mine.jsonl"
    first = min(row.input for row in cells("%buildflow replay picky mine.jsonl").value)
    cells.names["bad"].add(first + 1)
    cells(PICKY.replace("10 * x", f"{{{first}: 5}}.get(x, 10 * x)"))
    shown = cells("%buildflow replay picky mine.jsonl").value
    replay = cells("app.replay('picky', 'mine.jsonl')").value
    data, _ = cells.shell.display_formatter.format(replay)
    assert data["text/plain"].splitlines()[0] == replay.summary
    assert "≠ different" in data["text/html"]
    assert [row.number for row in shown] == [2, 1, 3]  # what fails, what differs, what is the same
    text = repr(shown)
    assert text.splitlines()[0] == "picky: 3 replayed, 1 same, 1 different, 1 failed"
    for said in ("✕ failed", "≠ different", "= same", f"ValueError: no {first + 1}"):
        assert said in text
    html = shown._repr_html_()
    for said in ("l err", "l warn", "l mute", "≠ different"):
        assert said in html
    cells.app.handle.stop(drain=False, timeout=1)


def test_errors_of_a_sent_element_do_not_quote_its_secrets(cells):
    cells.names.update(source=FakeSource([], endless=True, source_wire=Wire.RECORD), Login=Login)
    code = "def login(x: Login) -> None:\n    raise ValueError(f'no {x.word} for {x.user}')\n"
    assert cells("%%buildflow consumer source=source\n" + code).ok
    for more, said in (
        ('"keys": []', "ValueError: no **** for ann"),
        ('"keys": "Zq9key7Kx"', "ConversionError: keys: expected array, got str '****'"),
    ):
        out = cells('%buildflow send login {"user": "ann", "word": "Zq9word7Kx", ' + more + "}")
        assert str(out.error) == said
        assert "Zq9" not in out.text


def test_errors_without_secrets_keep_their_traceback(picky):
    out = picky("%buildflow send picky 2")
    assert isinstance(out.error, ValueError)
    assert str(out.error) == "no 2"


@dataclass
class Login:
    user: str
    word: Annotated[str, Secret]
    keys: list[Secret]
