"""How a flow is, in one sentence: the worst first, with who, how much, since when and why.

A pure function of what a run knows. It never says "fine" over a failure: an element that failed
for good is told as long as it is kept, and a count of those that are kept no more after that. What
is too much, `Thresholds` say.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from buildflow_nb.core.findings import SHAPES, Health
from buildflow_nb.core.status.history import History, Mark
from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot, State
from buildflow_nb.core.status.thresholds import Thresholds

__all__ = ("HealthLine", "health_of")

QUIET_S = 300  # without a failure, after which the next one begins another row of them
LATELY_S = 3_600  # that are looked back for the beginning of a row of failures
LONGEST = 120  # letters of an error or a reason; the rest is in the drawer
_NEAR_S = 5.0  # between a swap and the failures that are said to come with it


@dataclass(frozen=True, slots=True)
class HealthLine:
    """One sentence in its parts.

    `processor_id` is who it is about, None for the flow; `what` is how that is: "fails 3 %",
    "fine". `since` is when that began, seconds since the epoch; `cause` one reason, `share` the
    numbers behind it, `others` how many more are not well. `proof` is why a flow is fine.
    """

    health: Health
    what: str
    processor_id: str | None = None
    since: float | None = None
    cause: str = ""
    share: str = ""
    proof: str = ""
    others: int = 0

    @property
    def title(self) -> str:
        """Who, and how that is."""
        return f"{self.processor_id} {self.what}" if self.processor_id else self.what

    @property
    def rest(self) -> str:
        """Since when, why, and the numbers."""
        text = "" if self.since is None else f"since {_clock(self.since)}"
        if self.cause:
            text += f": {self.cause}"
        told = self.proof or self.share
        text += f" ({told})" if told else ""
        more = f"; {self.others} more {'is' if self.others == 1 else 'are'} not well"
        return (text + (more if self.others else "")).strip()

    @property
    def said(self) -> str:
        """The sentence."""
        rest = self.rest
        return f"{self.title}{'' if rest[:1] in ':;' else ' '}{rest}".strip()

    @property
    def line(self) -> str:
        """The sentence behind the shape of how it is."""
        return f"{SHAPES[self.health]} {self.said}"


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Something with a processor; the one with the lowest `rank` is told, by the highest `size`."""

    rank: int
    size: float
    shot: ProcessorSnapshot


_GONE, _FAILING, _WAITING, _FAILED_SOME, _SLOW, _SILENT = range(6)


def health_of(
    snapshot: FlowSnapshot,
    histories: Callable[[str], History | None] = lambda _: None,
    thresholds: Thresholds | None = None,
    errors: Callable[[str], Sequence[str]] = lambda _: (),
) -> HealthLine:
    """Tell how a run is; of the worst processor its history, and the errors kept, are asked for."""
    limits = thresholds or Thresholds()
    found = sorted(
        (trouble for shot in snapshot.processors for trouble in _troubles(shot, snapshot, limits)),
        key=lambda trouble: (trouble.rank, -trouble.size),
    )
    if not found:
        return _well(snapshot)
    worst = found[0]
    name = worst.shot.processor_id
    others = len({trouble.shot.processor_id for trouble in found} - {name})
    if worst.rank in (_FAILING, _FAILED_SOME):
        line = _failing(worst, snapshot.at, histories(name), errors(name))
    else:
        line = _told(worst, snapshot.at, limits)
    return replace(line, processor_id=name, others=others)


def _troubles(
    shot: ProcessorSnapshot, snapshot: FlowSnapshot, limits: Thresholds
) -> Iterator[_Trouble]:
    """What is wrong by the snapshot alone."""
    share = _share(shot.failed, shot.elements_in - shot.in_flight)
    if shot.state is State.FAILED:
        yield _Trouble(_GONE, 1.0, shot)
    if shot.failed and shot.failures_kept:
        yield _Trouble(_FAILING if share > limits.failed_share else _FAILED_SOME, share, shot)
    if shot.state is State.WAITING:
        yield _Trouble(_WAITING, shot.backlog or 0.0, shot)
    if shot.state.ended:
        return
    if limits.backlog is not None and (shot.backlog or 0) > limits.backlog:
        yield _Trouble(_SLOW, (shot.backlog or 0) / max(limits.backlog, 1), shot)
    if limits.p99_s is not None and (shot.p99_s or 0.0) > limits.p99_s:
        yield _Trouble(_SLOW, (shot.p99_s or 0.0) / max(limits.p99_s, 1e-9), shot)
    if limits.silence_s is not None and _silent_s(shot, snapshot.at) >= limits.silence_s:
        yield _Trouble(_SILENT, _silent_s(shot, snapshot.at), shot)


def _told(trouble: _Trouble, now: float, limits: Thresholds) -> HealthLine:
    """What is wrong but that elements fail."""
    shot, rank = trouble.shot, trouble.rank
    if rank == _GONE:
        return HealthLine(Health.ERROR, "has failed", since=shot.ended_at, cause=_cut(shot.reason))
    if rank == _WAITING:
        return HealthLine(Health.WARNING, "waits", cause=_cut(shot.reason))
    if rank == _SILENT:
        what = f"has had no element for {_span(_silent_s(shot, now))}"
        return HealthLine(Health.WARNING, what)
    parts = []
    if limits.backlog is not None and (shot.backlog or 0) > limits.backlog:
        parts.append(f"{shot.backlog:,} wait, more than {limits.backlog:,}")
    if limits.p99_s is not None and shot.p99_s is not None and shot.p99_s > limits.p99_s:
        parts.append(f"p99 {shot.p99_s:.3g} s, more than {limits.p99_s:g} s")
    return HealthLine(Health.WARNING, "is behind", cause="; ".join(parts))


def _failing(
    trouble: _Trouble, now: float, history: History | None, errors: Sequence[str]
) -> HealthLine:
    """That elements fail, or have failed."""
    shot = trouble.shot
    done = max(shot.elements_in - shot.in_flight, shot.failed)
    failed, since, last = shot.failed, None, None
    if history is not None:
        since, last = _row_of_failures(history, now)
    health = Health.ERROR if trouble.rank == _FAILING else Health.WARNING
    goes_on = not shot.state.ended and (last is None or now - last <= QUIET_S)
    what = f"fails {_percent(failed, done)}" if goes_on else f"failed {_percent(failed, done)}"
    share = f"{failed:,} of {done:,}"
    if history is not None and since is not None:
        swap = _swapped_before(history.marks, since)
        share += f", since {swap}" if swap else ""
    if not goes_on and last is not None:
        share += f", the last at {_clock(last)}"
    return HealthLine(health, what, since=since, cause=_most_common(errors), share=share)


def _well(snapshot: FlowSnapshot) -> HealthLine:
    """What a run is that nothing is wrong with."""
    shots = snapshot.processors
    count = f"{len(shots)} processor{'' if len(shots) == 1 else 's'}"
    gone = sum(shot.failed for shot in shots)
    failed = f"{gone:,} failed before, and are kept no more" if gone else "nothing failed"
    if snapshot.state is State.PENDING:
        return HealthLine(Health.OK, "not started", proof=count)
    done = sum(shot.elements_in - shot.in_flight for shot in shots)
    if snapshot.state.ended:
        what = snapshot.state.value
        return HealthLine(Health.OK, what, since=snapshot.since, proof=f"{done:,} done, {failed}")
    rate = sum(shot.in_per_s for shot in shots)
    parts = [count, f"{_rate(rate)}/s", failed]
    waiting = [shot.backlog for shot in shots if shot.backlog is not None]
    if waiting:
        parts.append(f"{sum(waiting):,} waiting")
    what = "runs" if gone else "fine"
    if snapshot.state is State.STARTING or any(shot.state is State.STARTING for shot in shots):
        what = "starting"
    elif snapshot.state is State.DRAINING:
        what = "stopping"
    return HealthLine(Health.OK, what, proof=", ".join(parts))


def _row_of_failures(history: History, now: float) -> tuple[float | None, float | None]:
    """When the latest row of failures began, and when its last one was."""
    begun: float | None = None
    last: float | None = None
    rows = history.rows(now - LATELY_S)
    at, failed = rows.at, rows.columns[4]
    for index in range(len(rows) - 1, -1, -1):
        if not failed[index]:
            continue
        if begun is not None and begun - at[index] > QUIET_S:
            break
        begun = float(at[index])
        last = begun if last is None else last
    return begun, last


def _swapped_before(marks: Sequence[Mark], at: float) -> str:
    """The code that the failures came with, if they came with one."""
    near = [mark for mark in marks if mark.kind == "swapped" and 0 <= at - mark.at + 1 <= _NEAR_S]
    return near[-1].text if near else ""


def _most_common(errors: Sequence[str]) -> str:
    if not errors:
        return ""
    (error, count), *_ = Counter(errors).most_common(1)
    if count == len(errors):
        return _cut(error)
    kinds = Counter(each.partition(":")[0] for each in errors)  # messages may hold data
    (kind, most), *_ = kinds.most_common(1)
    return _cut(kind if most == len(errors) else f"mostly {error if count > 1 else kind}")


def _silent_s(shot: ProcessorSnapshot, now: float) -> float:
    """Seconds without an element, of a processor that runs."""
    if shot.state is not State.RUNNING or shot.started_at is None:
        return 0.0
    since_start = max(now - shot.started_at, 0.0)
    return since_start if shot.quiet_s is None else min(shot.quiet_s, since_start)


def _share(failed: int, done: int) -> float:
    return failed / max(done, failed, 1)


def _percent(failed: int, done: int) -> str:
    share = 100 * _share(failed, done)
    if failed and share < 0.1:  # noqa: PLR2004
        return "less than 0.1 %"
    return f"{share:.1f} %" if share < 10 and share % 1 else f"{share:.0f} %"  # noqa: PLR2004


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 or not per_s % 1 else f"{per_s:.1f}"  # noqa: PLR2004


def _span(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"  # noqa: PLR2004


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
