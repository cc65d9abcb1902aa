"""Where an element's time goes in one processor, of the last minute: frozen data.

Times are means over all elements of that minute. An element waits whenever nothing is done for it
itself: in line, while its neighbours are processed, for a thread. What is shared by a chunk
(decoding, encoding) is divided among its elements.
"""

from __future__ import annotations

from dataclasses import dataclass

from buildflow_nb.core.status.traces import Part, took

__all__ = ("SPAN_S", "Profile")

SPAN_S = 60  # seconds that a profile is of, at most
BUSY = 0.9  # of workers' time in code; from here on elements wait for workers


@dataclass(frozen=True, slots=True)
class Profile:
    """One processor.

    `span_s` is what it is of, in seconds, `elements` how many were done with in it. The times are
    seconds for one element; `busy` is the share (0..1) of its `workers`' time in code, None where
    it has no workers of its own. `pushes` to its sink had `pushed` elements and took `pushing_s`
    seconds together. `p50_s` is the latency that its row shows.
    """

    processor_id: str
    kind: str
    source: str
    sink: str
    span_s: float
    elements: int
    wait_s: float = 0.0
    decode_s: float = 0.0
    code_s: float = 0.0
    encode_s: float = 0.0
    sink_s: float = 0.0
    workers: int = 1
    busy: float | None = None
    pushes: int = 0
    pushed: int = 0
    pushing_s: float = 0.0
    p50_s: float | None = None

    @property
    def times(self) -> dict[Part, float]:
        """Seconds by part."""
        return {
            Part.WAIT: self.wait_s,
            Part.DECODE: self.decode_s,
            Part.CODE: self.code_s,
            Part.ENCODE: self.encode_s,
            Part.SINK: self.sink_s,
        }

    @property
    def total_s(self) -> float:
        """Seconds of an element from pull to ack, or from request to answer."""
        return sum(self.times.values())

    @property
    def shares(self) -> dict[Part, int]:
        """Per cent by part; they sum to 100, or are 0 where nothing came."""
        total = self.total_s
        if not self.elements or total <= 0:
            return dict.fromkeys(self.times, 0)
        exact = {part: 100 * seconds / total for part, seconds in self.times.items()}
        found = {part: int(share) for part, share in exact.items()}
        by_rest = sorted(exact, key=lambda part: exact[part] - found[part], reverse=True)
        for part in by_rest[: 100 - sum(found.values())]:
            found[part] += 1
        return found

    @property
    def per_s(self) -> float:
        """Elements a second."""
        return self.elements / self.span_s if self.span_s > 0 else 0.0

    @property
    def said(self) -> str:
        """Why its latency is not its code's time, as a sentence."""
        if not self.elements:
            return f"nothing came to {self.processor_id} in the last {self.span_s:.0f} s"
        p50 = "" if self.p50_s is None else f", p50 is {took(self.p50_s)}"
        head = f"an element takes {took(self.code_s)} of your code and {took(self.total_s)} in all"
        return "; ".join([f"{head}{p50}", *self._reasons()])

    def _reasons(self) -> list[str]:
        shares, found = self.shares, []
        if shares[Part.WAIT]:
            found.append(f"it waits {shares[Part.WAIT]} % of the time{self._why_it_waits()}")
        if shares[Part.SINK]:
            each = took(self.pushing_s / self.pushes) if self.pushes else ""
            many = f" a push of {self.pushed / self.pushes:,.0f}" if self.pushes else ""
            mean = f", {each}{many}" if each else ""
            found.append(f"the sink takes {shares[Part.SINK]} %{mean}")
        return found

    def _why_it_waits(self) -> str:
        if self.busy is None:
            return ": in line, and for its body"
        who = f"{self.workers} worker{'' if self.workers == 1 else 's'}"
        said = f"{who} busy {100 * self.busy:.0f} %"
        if self.busy >= BUSY:
            return f": {said}; num_concurrency or num_replicas gives more"
        return f": {said}, so not for a worker, but for others of its chunk, or to be tried again"

    def text(self) -> str:
        """As plain text."""
        head = f"{self.processor_id}, the last {self.span_s:.0f} s: {self.elements:,} elements"
        rows = [
            f"  {part.value:<8}{self.shares[part]:>4} %  {took(seconds):>9}"
            for part, seconds in self.times.items()
        ]
        return "\n".join([head, *(rows if self.elements else ()), f"  {self.said}"])

    def __repr__(self) -> str:
        return self.text()
