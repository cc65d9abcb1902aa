"""What a ledger keeps of a haul: its last elements, and every one while a recording is made."""

from __future__ import annotations

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.runtime.code import Outcome
from buildflow_nb.runtime.inbox import Haul
from buildflow_nb.runtime.ledger import Ledger
from buildflow_nb.runtime.traces import describe

__all__ = ("remember",)


def remember(ledger: Ledger, haul: Haul, outcome: Outcome, retries: int) -> None:
    """Keep what a person may ask for; costs a few elements a haul, however many there were.

    An element that will be tried again, `retries` times at most, is recorded when that is over.
    What cannot be shown is not worth a processor: trouble goes to its log.
    """
    try:
        _keep(ledger, haul, outcome)
        if ledger.recorder is not None:
            _record(ledger, haul, outcome, retries)
    except Exception as error:  # noqa: BLE001  (a user's classes, which may do anything)
        ledger.log.add("ERROR", f"elements cannot be shown: {describe(error)}")


def _keep(ledger: Ledger, haul: Haul, outcome: Outcome) -> None:
    most = ledger.passages.maxlen or 0
    last = range(max(0, len(outcome.values) - most), len(outcome.values))
    kept = [i for i in last if i not in outcome.faults]
    ledger.passed(
        [outcome.values[i] for i in kept],
        [outcome.given(i) for i in kept],
        outcome.seconds / len(haul),
    )


def _record(ledger: Ledger, haul: Haul, outcome: Outcome, retries: int) -> None:
    for i, raw in enumerate(haul.items()):
        if ledger.recorder is None or ledger.recorder.full.is_set():
            return
        if i in outcome.faults:
            error = outcome.faults[i]
            if isinstance(error, ConversionError) or haul.find(i)[0].tries >= retries:
                ledger.record(raw, (), error)
        else:
            ledger.record(raw, outcome.given(i))
