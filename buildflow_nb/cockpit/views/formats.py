"""Numbers, times and values as a person reads them, the same in HTML and in plain text."""

from __future__ import annotations

import re
import reprlib
import time

from buildflow_nb.core.status.snapshot import ProcessorSnapshot, State

__all__ = (
    "NOTHING",
    "SHAPES",
    "TONES",
    "bad",
    "brief",
    "clean",
    "clock",
    "count",
    "dated",
    "label",
    "latency",
    "mark",
    "rate",
    "shown",
)

NOTHING = "\N{EN DASH}"
LONGEST = 400  # characters of a value in a table; the value itself stays whole
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # and lone surrogates

# A state is told by a shape and a word as well as by a colour.
SHAPES = {
    State.PENDING: "○",
    State.STARTING: "◌",
    State.RUNNING: "●",
    State.WAITING: "◐",
    State.DRAINING: "◑",
    State.DONE: "✓",
    State.STOPPED: "■",
    State.FAILED: "✕",
}
TROUBLED = "▲"  # it came to its end, but not with everything
TONES = {
    State.PENDING: "mute",
    State.STARTING: "info",
    State.RUNNING: "ok",
    State.WAITING: "warn",
    State.DRAINING: "info",
    State.DONE: "ok",
    State.STOPPED: "mute",
    State.FAILED: "err",
}


def bad(*processors: ProcessorSnapshot) -> str:
    """How bad the failures are: "err" where every tenth failed, else "warn"; "" without any."""
    failed = sum(p.failed for p in processors)
    settled = sum(p.elements_in - p.in_flight for p in processors)
    return "" if not failed else "err" if failed * 10 >= settled else "warn"


def count(number: int | None) -> str:
    """Elements, a dash where unknown."""
    return NOTHING if number is None else f"{number:,}"


def brief(number: int) -> str:
    """Elements in a few characters, where there is no room for all digits."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            scaled = number / size
            return f"{scaled:.1f}{unit}" if scaled < 100 else f"{scaled:.0f}{unit}"  # noqa: PLR2004
    return str(number)


def rate(per_s: float) -> str:
    """Elements in a second; small ones keep a decimal."""
    if per_s <= 0:
        return "0"
    return f"{per_s:.1f}" if per_s < 9.95 else f"{per_s:,.0f}"  # noqa: PLR2004


def latency(seconds: float | None) -> str:
    """A latency with its unit, in two digits."""
    if seconds is None:
        return NOTHING
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        number = seconds * factor
        if number >= 1:
            return f"{number:.1f} {unit}" if number < 9.95 else f"{number:,.0f} {unit}"  # noqa: PLR2004
    return "0 ms" if seconds <= 0 else "<1 µs"


def clock(at: float) -> str:
    """Local time of day of an epoch time."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def dated(at: float) -> str:
    """Local date and time of an epoch time, for what may be read on another day."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def clean(text: str, limit: int | None = None) -> str:
    """Text of a user without terminal escapes and control characters, cut at `limit`."""
    bare = _CONTROLS.sub("�", _ESCAPES.sub("", text.replace("\r\n", "\n")))
    return bare if limit is None or len(bare) <= limit else f"{bare[: limit - 1]}…"


def shown(value: object, limit: int = LONGEST) -> str:
    """A value on one line, cut at `limit`; a broken `__repr__` is said, not raised.

    Containers are cut before they are written out, so a huge one costs little.
    """
    return clean(_REPR.repr(value), limit).replace("\n", " ")


def label(processor: ProcessorSnapshot) -> str:
    """Shape and word of a state."""
    return f"{mark(processor.state, bad(processor))[0]} {processor.state.value}"


def mark(state: State, failures: str = "") -> tuple[str, str]:
    """Shape and tone of a state; what is well in itself is not where elements fail."""
    if not failures or TONES[state] != "ok":
        return SHAPES[state], TONES[state]
    return TROUBLED if state is State.DONE else SHAPES[state], failures


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 6
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 30
        self.maxstring = self.maxother = self.maxlong = LONGEST

    def repr_bytes(self, x: bytes, level: int) -> str:
        """Cut before writing out, as for text."""
        return self.repr_str(x, level)  # type: ignore[arg-type]  # slices and reprs either

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        """Keep the order of the keys, which reprlib would sort."""
        if level <= 0:
            return "{...}"
        pairs = list(zip(x, range(self.maxdict), strict=False))
        parts = [f"{self.repr1(k, level - 1)}: {self.repr1(x[k], level - 1)}" for k, _ in pairs]
        return "{" + ", ".join(parts + ["..."] * (len(x) > self.maxdict)) + "}"


_REPR = _Repr()
