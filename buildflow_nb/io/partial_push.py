"""Pushes of which some elements are at fault: their neighbours are written, and they are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from buildflow_nb.core.errors import ConversionError, PartialPushError, TemporaryError

__all__ = ("ELEMENT_FAULTS", "Failures", "any_passes", "raise_failed", "write_sound")

Failures = dict[int, Exception]  # by position in the push, or in a batch of it
Write = Callable[[Sequence[object]], object]
# What `write_sound` takes for a fault of an element and not of the sink.
ELEMENT_FAULTS = (ConversionError, ValueError, TypeError, AttributeError, OverflowError, KeyError)


def any_passes(failed: Mapping[int, Exception]) -> bool:
    """Whether some may be written when they are pushed again."""
    return any(isinstance(error, TemporaryError) for error in failed.values())


def raise_failed(failed: Mapping[int, Exception], count: int, said: str) -> None:
    """Raise what says best that some of `count` elements failed ("messages cannot be sent").

    Raises:
        TemporaryError: all failed, and may be pushed again.
        PartialPushError: all were written but those it names.
    """
    if not failed:
        return
    failed = dict(sorted(failed.items()))
    first = next(iter(failed.values()))
    if len(failed) == count and all(isinstance(e, TemporaryError) for e in failed.values()):
        raise first
    msg = f"{len(failed)} of {count} {said}; the first: {first}"
    raise PartialPushError(msg, failed)


def write_sound(items: Sequence[object], write: Write, faults: tuple[type[Exception], ...]) -> None:
    """Write all items; where some are at fault, write their neighbours in order.

    `write` writes all it is given or nothing, and raises one of `faults` when an element is bad.

    Raises:
        PartialPushError: names the elements at fault.
    """
    failed: Failures = {}
    _write_halves(items, write, faults, 0, failed)
    raise_failed(failed, len(items), "elements cannot be written")


def _write_halves(
    items: Sequence[object],
    write: Write,
    faults: tuple[type[Exception], ...],
    start: int,
    failed: Failures,
) -> None:
    try:
        write(items)
    except faults as error:
        if len(items) == 1:
            failed[start] = error
            return
        middle = len(items) // 2
        _write_halves(items[:middle], write, faults, start, failed)
        _write_halves(items[middle:], write, faults, start + middle, failed)
