"""What is said of one processor wherever it is shown: its state, its failures, what is left.

A processor that fails elements is never "running" in green, nor is one that waits: the worst that
can be said of it comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

from buildflow_nb.cockpit.views import formats
from buildflow_nb.cockpit.views.icons import STATES, icon
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.status.snapshot import ProcessorSnapshot, State

__all__ = ("SERVES", "Word", "badness", "codes_said", "left", "state_html", "tone_of", "word_of")

_MAY_HIDE_FAILURES = frozenset({State.RUNNING, State.DONE, State.STOPPED})
SERVES = frozenset({"endpoint", "collector"})


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its shape and tone."""

    shape: str
    tone: str
    text: str

    @property
    def icon(self) -> str:
        """The shape, as HTML."""
        return icon(self.shape, self.tone)


def word_of(p: ProcessorSnapshot) -> Word:
    """The worst that can be said of a processor, as a state."""
    tone, ends = formats.TONES[p.state], p.state.ended
    if fails(p) and p.state in _MAY_HIDE_FAILURES:
        said = f"{_share_failed(p)} {'failed' if ends else 'fail'}"
        return Word("fail", formats.bad(p) or "warn", said)
    if p.state is State.RUNNING and p.kind in SERVES:
        return Word("run", tone, "serving")
    return Word(STATES[p.state], tone, p.state.value)


def fails(p: ProcessorSnapshot) -> bool:
    """Whether its failures are what is said of it; those kept no more are told by the count."""
    return bool(p.failed and (p.failures_kept or p.state.ended))


def tone_of(p: ProcessorSnapshot) -> str:
    """The tone of that word, which of a processor that is well is found at once."""
    return word_of(p).tone if p.failed else formats.TONES[p.state]


def state_html(p: ProcessorSnapshot) -> str:
    """A state as shape, word and colour."""
    word = word_of(p)
    return f'<span class="st {word.tone}">{word.icon}{quote(word.text)}</span>'


def _share_failed(p: ProcessorSnapshot) -> str:
    """How many of the elements that are done with have failed, in per cent."""
    settled = max(p.elements_in - p.in_flight, p.failed, 1)
    share = 100 * p.failed / settled
    if share >= 1:
        return f"{share:.0f} %" if p.failed == settled or share < 99.5 else "99 %"  # noqa: PLR2004
    return "<1 %"


def badness(p: ProcessorSnapshot) -> int:
    """Where it stands among others, the worst first: it failed, fails, waits, works, has ended."""
    if p.state is State.FAILED:
        return 0
    if fails(p):
        return 1
    if p.state is State.WAITING:
        return 2
    return 4 if p.state.ended else 3


def codes_said(p: ProcessorSnapshot) -> str:
    """The codes that a route has answered with, "" without any."""
    return " · ".join(f"{code}: {count:,}" for code, count in p.codes)


def left(p: ProcessorSnapshot) -> str:
    """How much waits at its source, "" where nobody can tell or nothing does."""
    return f"{formats.count(p.backlog)} left" if p.backlog and not p.state.ended else ""
