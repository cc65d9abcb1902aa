"""What a run says where no face shows it: `python main.py` says what `buildflow run` says.

It goes to the logger "buildflow_nb.run": that the run began, what it came to and in which state
each processor is as information, failures and faults that are waited out as warnings, processors
that end badly as errors. A program that has set logging up gets them where it wants them; without
any set-up they are written to stderr. A flood of failures is counted: beyond the first ones, a
processor has one line a second.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from buildflow_nb.core.events import ElementFailed, Event, StateChanged
from buildflow_nb.core.status.snapshot import FlowSnapshot, State, harmless, run_text, served_text
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.signals import serve_until_ended

__all__ = ("ScriptLog",)

LISTED = 10  # failures of a processor that have a line of their own
EVERY_S = 1.0  # between two lines that count the others
_QUIET = (State.PENDING, State.STARTING)
_LOGGER = logging.getLogger("buildflow_nb.run")


class ScriptLog:
    """A listener of one run; `caution`, and what is waited `for_`, are said before it begins."""

    def __init__(
        self, caution: str = "", for_: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._caution = caution
        self._for = for_
        self._clock = clock
        self._failed: Counter[str] = Counter()
        self._counted: dict[str, tuple[int, float]] = {}
        self._said: dict[str, tuple[State, str]] = {}

    def serve(self, begin: Callable[[], RunHandle]) -> RunHandle:
        """Begin a run, wait for its end as `serve_until_ended` does, and say what it came to.

        Raises:
            RunError: a processor failed, or every element did.
        """
        begun: list[RunHandle] = []

        def told() -> RunHandle:
            if self._caution:
                _LOGGER.warning("%s", self._caution)
            if self._for:
                _LOGGER.info("%s", self._for)
            handle = begin()
            begun.append(handle)
            with suppress(TimeoutError):  # code of the flow blocks its loop, already
                _LOGGER.info("%s", served_text(handle.snapshot(), handle.runtime_address))
            return handle

        with _shown():
            try:
                return serve_until_ended(told)
            finally:
                for handle in begun:
                    with suppress(TimeoutError):
                        self._ended(handle.snapshot())

    def __call__(self, event: Event) -> None:
        """Log what a person has to know of."""
        if isinstance(event, ElementFailed):
            self._element_failed(event)
        elif event.processor_id is not None:
            self._changed(event, event.processor_id)

    def _changed(self, event: StateChanged, name: str) -> None:
        now, before = (event.state, event.reason), self._said.get(name)
        if event.state in _QUIET or now == before:
            return
        self._said[name] = now
        if before is None and event.state is State.RUNNING:
            return  # as was to be expected
        level = logging.WARNING if event.reason else logging.INFO
        level = logging.ERROR if event.state is State.FAILED else level
        reason = f": {harmless(event.reason)}" if event.reason else ""
        _LOGGER.log(level, "%s is %s%s", name, event.state.value, reason)

    def _element_failed(self, event: ElementFailed) -> None:
        failure = event.failure
        name, where = failure.processor_id, f"{failure.origin}: " if failure.origin else ""
        self._failed[name] += 1
        count, now = self._failed[name], self._clock()
        if count <= LISTED:
            self._counted[name] = (count, now)
            error = harmless(failure.error)
            text = f"{harmless(where)}{error} ({failure.fate})"
            _LOGGER.warning("%s: an element failed: %s", name, text)
            return
        told, at = self._counted[name]
        if now - at >= EVERY_S:
            self._counted[name] = (count, now)
            _LOGGER.warning("%s: %s more elements failed", name, f"{count - told:,}")

    def _ended(self, snapshot: FlowSnapshot) -> None:
        for name, count in self._failed.items():
            plural = "s" if count > 1 else ""
            _LOGGER.warning("%s: %s element%s failed in all", name, f"{count:,}", plural)
        for line in run_text(snapshot).splitlines():
            _LOGGER.info("%s", line)


@contextmanager
def _shown() -> Iterator[None]:
    """Write to stderr what nobody else would, and nothing but the text."""
    if _LOGGER.hasHandlers():
        yield
        return
    handler, level = logging.StreamHandler(), _LOGGER.level
    handler.addFilter(lambda _: not _heard(handler))
    _LOGGER.addHandler(handler)
    if level == logging.NOTSET:
        _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)


def _heard(ours: logging.Handler) -> bool:
    """Whether somebody else writes it by now: `logging.warning` in a processor sets logging up."""
    above = _LOGGER.parent if _LOGGER.propagate else None
    others = any(one is not ours for one in _LOGGER.handlers)
    return others or (above is not None and above.hasHandlers())
