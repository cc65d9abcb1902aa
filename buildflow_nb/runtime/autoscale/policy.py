"""How many replicas a processor wants, decided from what was seen of it; pure, without a clock.

For consumers: as many as keep up with what arrives, with a fifth to spare, and work the backlog off
within `consumer_backlog_burn_threshold` seconds. What arrives is what was done with, and what the
backlog grew by; what one replica can do is what was done with in the time that its workers were
busy. Where a source cannot tell its backlog, busy workers are the only sign. For fronts: requests
under way, by `target_num_ongoing_requests_per_replica`, as in Ray Serve.

Guarantees:
* Up after two looks that agree, or at once where the backlog is far too long; at most twice as
  many at a time, and none while some are starting, or before it is seen what the last ones bring.
* Never up while the sink waits or holds the workers back, nor while most elements fail: more
  replicas would only do more of that. While the sink waits not down either: it passes.
* Back where a step up brought nothing (the limit is elsewhere: a database, one core); it is tried
  again after `MEMORY_S`.
* Down only to what no look of the last five `autoscale_frequency_secs` found too few to keep up, so
  that what comes in waves does not have replicas come and go; those that only worked a backlog off
  go after one.

The CPU is no sign: code that waits for a network is at its limit at 5 %, and code that computes is
fine at 100 %. So `consumer_cpu_percent_target` is taken and not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from buildflow_nb.core.options import ConsumerOptions, Options, ServiceOptions
from buildflow_nb.runtime.autoscale.sample import LOOK_S, Sample

__all__ = ("MEMORY_S", "Decision", "decide", "kept_s")

MEMORY_S = 600.0  # a step up that brought nothing is not tried again for so long
DOWN_TIMES = 5  # `autoscale_frequency_secs`: five minutes by default, as Kubernetes waits
MOST_DOWN_S = 3600.0  # nobody wants to look at more
RECENT_S = 30.0  # over which arrivals and requests are averaged
CAPACITY_S = 60.0  # over which it is learnt what a replica can do
SPARE = 0.8  # share of their time that replicas shall be busy; the rest is for waves
BUSY = 0.7  # the same where nothing but that is known
LEAST_BUSY = 0.02  # below, what a replica could do is not guessed any higher
TOLERANCE = 1.15  # times too few that are borne
AT_ONCE = 3.0  # times the burn threshold
STEP = 2  # times as many, at most
GAIN = 0.3  # of what a step up should bring; less is nothing
FULL = 0.8  # share of time busy, at which all that can be done is done
FAULTY = 0.75  # share of tries that fail where, with the usual retries, half of the elements do
FEW_LOOKS, MANY_LOOKS, ENOUGH = 3, 6, 30  # looks that judge a step: few with so many elements


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas there shall be, and why, for people; "" where there is nothing to say."""

    wanted: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Want:
    """What one look alone asks for, of which `lasting` are not for a backlog that will be gone.

    `held` says that `why` is why it does not ask for more.
    """

    replicas: int
    lasting: int
    why: str = ""
    held: bool = False
    urgent: bool = False


def kept_s(options: Options) -> float:
    """Seconds of samples that `decide` looks at."""
    return max(MEMORY_S, _down_s(options)) + CAPACITY_S


def decide(  # noqa: PLR0913  (bounds are three)
    history: Sequence[Sample],
    options: Options,
    now_wanted: int,
    *,
    most: int,
    least: int = 0,
    own_pulls: bool = True,
) -> Decision:
    """Decide after the last of these samples, oldest first.

    `most` and `least` bound what the options allow further. `own_pulls` says that each replica
    pulls for itself, so that more of them help where it is the pulls that take the time.
    """
    look = _Look(history, options, now_wanted, own_pulls)
    high = max(min(options.max_replicas, most), 1)
    low = min(max(options.min_replicas, least, look.least), high)
    if not history or not low <= now_wanted <= high:
        wanted = min(max(now_wanted, low), high)
        bound = f"at least {low}" if wanted > now_wanted else f"at most {high}"
        return Decision(wanted, "" if wanted == now_wanted else f"{now_wanted} → {wanted}: {bound}")
    made = _back(look, low) or _next(look, low, high)
    if made.wanted == now_wanted:
        return made
    return Decision(made.wanted, f"{now_wanted} → {made.wanted}: {made.why}")


def _next(look: _Look, low: int, high: int) -> Decision:
    now, last = look.now_wanted, look.want(-1)
    if last.held or last.replicas == now:
        return Decision(now, last.why if last.held else "")
    if last.replicas < now:
        return _down(look, low)
    if now == high:
        return Decision(now, f"{last.why}; there are no more than {_replicas(high)} to be had")
    at_work = look.history[-1].replicas
    if at_work < now:
        return Decision(now, f"{now - at_work} of {_replicas(now)} are starting")
    agreed = last.replicas
    if not last.urgent:
        agreed = min(agreed, look.want(-2).replicas if len(look.history) > 1 else now)
    if _unseen(look.history):
        return Decision(now, f"{last.why}; what the last step brings is not seen yet")
    step = max(STEP * now, 1)
    return Decision(max(min(agreed, step, high), now), last.why)


def _down(look: _Look, low: int) -> Decision:
    now, end = look.now_wanted, look.history[-1].at_s
    down_s = _down_s(look.options)
    if end - look.history[0].at_s < down_s - LOOK_S / 2:
        return Decision(now)
    wanted = low
    for back in range(1, len(look.history) + 1):
        ago_s = end - look.history[-back].at_s
        if ago_s > down_s:
            break
        found = look.want(-back)
        wanted = max(wanted, found.replicas if ago_s <= down_s / DOWN_TIMES else found.lasting)
        if wanted >= now:
            return Decision(now)
    return Decision(wanted, f"{_replicas(wanted)} would have done for a while")


def _back(look: _Look, low: int) -> Decision | None:
    """Leave a step up that brought nothing."""
    if look.vain is None or look.now_wanted <= max(look.vain[0], low):
        return None
    fewer, more = look.vain
    why = f"{more} did no more than {fewer}, so something else is the limit"
    return Decision(max(fewer, low), why)


@dataclass(frozen=True, slots=True)
class _Need:
    """How many replicas are needed, as a fraction, and of these to keep up; why more."""

    replicas: float
    lasting: float
    why: str = ""
    urgent: bool = False


class _Look:
    """What each look asked for, as far as it was known then."""

    def __init__(
        self, history: Sequence[Sample], options: Options, now_wanted: int, own_pulls: bool
    ) -> None:
        self.history = history
        self.options = options
        self.now_wanted = now_wanted
        self.vain = _in_vain(history)
        self._own_pulls = own_pulls

    @property
    def least(self) -> int:
        """Without any replica nobody can tell that one is needed, but from the backlog."""
        blind = isinstance(self.options, ServiceOptions) or not self.history
        return 1 if blind or self.history[-1].backlog is None else 0

    def want(self, at: int) -> _Want:
        """What the look at that position asks for; negative ones count from the end."""
        history = self.history[: at + 1] if at < -1 else self.history
        now = self.now_wanted if at == -1 else history[-1].replicas
        if isinstance(self.options, ServiceOptions):
            found = _front(history, self.options, now)
        else:
            found = self._consumer(history, now)
        if self.vain is not None and found.replicas > max(now, self.vain[0]):
            why = f"{found.why}, but more than {_replicas(self.vain[0])} brought nothing"
            return _Want(now, now, why, held=True)
        return found

    def _consumer(self, history: Sequence[Sample], now: int) -> _Want:
        last = history[-1]
        if now == 0:
            waiting = last.backlog or 0
            why = "1 element waits" if waiting == 1 else f"{waiting:,} elements wait"
            return _Want(min(waiting, 1), 0, why, urgent=True)
        if last.sink_waits:
            why = "its sink cannot be written, so more replicas would not help"
            return _Want(now, now, why, held=True)
        need = self._need(history, now)
        if need.replicas <= now * TOLERANCE:
            return _Want(min(_whole(need.replicas), now), min(_whole(need.lasting), now))
        held = self._held(last)
        if held:
            return _Want(now, now, held, held=True)
        return _Want(_whole(need.replicas), _whole(need.lasting), need.why, urgent=need.urgent)

    def _held(self, last: Sample) -> str:
        """Why more would not help, though they seem to be needed."""
        if last.held:
            return last.held
        if last.faults >= FAULTY:
            return "most elements fail, so more replicas would not help"
        if last.push > last.busy:
            return "it waits for its sink, so more replicas would not help"
        if not self._own_pulls and last.busy + last.push < 0.5:  # noqa: PLR2004
            return "its workers wait for the source, so more of them would not help"
        return ""

    def _need(self, history: Sequence[Sample], now: int) -> _Need:
        last = history[-1]
        if last.backlog is None:
            why = f"its workers are busy {last.busy:.0%} of the time"
            needed = max(last.replicas, 1) * last.busy / BUSY
            return _Need(needed, needed, why)
        each = _capacity(history, self._own_pulls)
        arrivals = _arrivals(history)
        if not each:
            needed = float(now if last.backlog or arrivals else 0)
            return _Need(needed, needed)
        assert isinstance(self.options, ConsumerOptions)  # noqa: S101  (the others are fronts)
        burn_s = self.options.consumer_backlog_burn_threshold
        keep_up, catch_up = arrivals / (SPARE * each), (arrivals + last.backlog / burn_s) / each
        takes_s = last.backlog / (each * max(last.replicas, 1))
        if catch_up > keep_up:
            why = f"backlog {last.backlog:,} would take {_span(takes_s)}"
        else:
            why = f"{_rate(arrivals)} arrive, and one replica does {_rate(each)}"
        return _Need(max(keep_up, catch_up), keep_up, why, takes_s > AT_ONCE * burn_s)


def _front(history: Sequence[Sample], options: ServiceOptions, now: int) -> _Want:
    recent = _recent(history, RECENT_S)
    under_way = sum(sample.in_flight for sample in recent) / len(recent)
    needed = under_way / options.target_num_ongoing_requests_per_replica
    if now < needed <= now * TOLERANCE:
        return _Want(now, now)
    wanted = max(_whole(needed), 1)
    if wanted > now and history[-1].held:
        return _Want(now, now, history[-1].held, held=True)
    return _Want(wanted, wanted, f"{under_way:,.0f} requests are under way")


def _recent(history: Sequence[Sample], span_s: float) -> Sequence[Sample]:
    """The last samples, of that many seconds; at least one."""
    end, first = history[-1].at_s, len(history) - 1
    while first and end - history[first - 1].at_s < span_s:
        first -= 1
    return history[first:]


def _arrivals(history: Sequence[Sample]) -> float:
    """Elements that came a second: those that were done with, and what the backlog grew by."""
    known = [one for one in _recent(history, RECENT_S) if one.backlog is not None]
    first, last = known[0], known[-1]
    if first is last:
        return last.out_per_s
    done = sum(one.out_per_s * (one.at_s - before.at_s) for before, one in pairwise(known))
    grown = (last.backlog or 0) - (first.backlog or 0)
    return max((done + grown) / (last.at_s - first.at_s), 0.0)


def _capacity(history: Sequence[Sample], own_pulls: bool) -> float:
    """Elements a second that one replica can do; 0.0 where nothing was done of late."""
    done = spent = 0.0
    for one in _recent(history, CAPACITY_S):
        if one.sink_waits or not one.replicas:
            continue
        share = min(max(one.busy + one.push, LEAST_BUSY), 1.0)
        if own_pulls and (one.backlog or 0) > one.out_per_s * LOOK_S > 0:
            share = 1.0  # it has enough to do, so this is what it can do
        done += one.out_per_s
        spent += one.replicas * share
    return done / spent if spent else 0.0


def _in_vain(history: Sequence[Sample]) -> tuple[int, int] | None:
    """The last step up that brought nothing: from how many replicas, to how many."""
    end = history[-1].at_s if history else 0.0
    for at in range(len(history) - 1, 0, -1):
        fewer, more = history[at - 1].replicas, history[at].replicas
        if end - history[at].at_s > MEMORY_S:
            return None
        if 0 < fewer < more and _brought_nothing(history, at):
            return fewer, more
    return None


def _unseen(history: Sequence[Sample]) -> bool:
    """Whether the last step up may still turn out to bring something, and has not so far."""
    at = len(history) - 1
    while at and history[at - 1].replicas == history[-1].replicas:
        at -= 1
    if not at or not 0 < history[at - 1].replicas < history[at].replicas:
        return False
    if history[-1].at_s - history[at].at_s > MEMORY_S:
        return False
    gain = _gain(history, at)
    return gain is None or gain[0] < GAIN


def _brought_nothing(history: Sequence[Sample], at: int) -> bool:
    gain = _gain(history, at)
    if gain is None or gain[0] >= GAIN:
        return False
    _, looks, elements = gain
    return looks >= MANY_LOOKS or (looks >= FEW_LOOKS and elements >= ENOUGH)


def _gain(history: Sequence[Sample], at: int) -> tuple[float, int, float] | None:
    """What a step up brought, as a share of what it should: with looks, and elements in them.

    None before that can be told. Where there was, or is, less to do than could be done, it cannot
    have been in vain.
    """
    few, many = history[at - 1].replicas, history[at].replicas
    before = _level(reversed(history[max(at - MANY_LOOKS, 0) : at]), few)
    after = _level(history[at + 1 : at + 1 + MANY_LOOKS], many)  # in the first they were starting
    if not all(map(_full, (*before, *after))):
        return 1.0, len(after), 0.0
    if not after:
        return None
    was = sum(one.out_per_s for one in before) / len(before)
    came = sum(one.out_per_s for one in after) / len(after)
    share = (came / was - 1) / (many / few - 1) if was else 1.0
    return share, len(after), came * LOOK_S * len(after)


def _level(looks: Iterable[Sample], replicas: int) -> list[Sample]:
    """The looks up to the first with another number of replicas."""
    return list(takewhile(lambda one: one.replicas == replicas, looks))


def _full(one: Sample) -> bool:
    """Whether all that could be done was done."""
    waiting = (one.backlog or 0) > one.out_per_s * LOOK_S
    return not one.sink_waits and (one.busy >= FULL or waiting)


def _down_s(options: Options) -> float:
    wanted_s = DOWN_TIMES * getattr(options, "autoscale_frequency_secs", 60)
    return float(min(wanted_s, MOST_DOWN_S))


def _whole(needed: float) -> int:
    return math.ceil(needed - 1e-9)


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f} elements/s" if per_s >= 10 else f"{per_s:.2g} elements/s"  # noqa: PLR2004


def _replicas(count: int) -> str:
    return "1 replica" if count == 1 else f"{count} replicas"


def _span(seconds: float) -> str:
    """A time as people say it."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{max(seconds, 1):,.0f} s"
