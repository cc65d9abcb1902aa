"""The contract of a source that never ends and forgets what is settled."""

from __future__ import annotations

from buildflow_nb.core.primitive import Releasing
from tests.io import driving
from tests.io.contract import SourceContract, drain, run

__all__ = ("EndlessSourceContract",)


def text_of(item):
    """A message as text."""
    data = getattr(item, "data", item)
    return data.decode() if isinstance(data, bytes) else str(data)


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MALFORMED = ("hello", f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01")


class EndlessSourceContract(SourceContract):
    """What a source keeps that never ends.

    Where messages can say which trace they belong to, `send_traced` sends one with attributes.
    """

    bounded = False
    consumes = True
    send_traced = None

    def test_the_trace_of_a_message_comes_with_it(self, tmp_path):
        primitive = self.prepare(tmp_path)
        if self.send_traced is None:
            assert not any(batch.contexts for batch in self._all_of(primitive, len(self.expected)))
            return
        self.send_traced(primitive, "traced", {"traceparent": f"00-{TRACE}-{SPAN}-01"})
        found = self._contexts(self._all_of(primitive, len(self.expected) + 1))
        assert found == {"traced": (TRACE, SPAN, True)}

    def test_a_malformed_trace_is_none(self, tmp_path):
        if self.send_traced is None:
            return
        primitive = self.prepare(tmp_path)
        for i, parent in enumerate(MALFORMED):
            self.send_traced(primitive, f"bad {i}", {"traceparent": parent, "tracestate": "a=1"})
        self.send_traced(primitive, "state alone", {"tracestate": "a=1", "other": "x"})
        batches = self._all_of(primitive, len(self.expected) + len(MALFORMED) + 1)
        assert self._contexts(batches) == {}

    @staticmethod
    def _contexts(batches):
        return {
            text_of(batch.items[i]): (c.trace_id, c.span_id, c.sampled)
            for batch in batches
            for i, c in (batch.contexts or {}).items()
        }

    @staticmethod
    def _all_of(primitive, count):
        async def go():
            found = []
            async with primitive.source(driving.Env()) as source:
                while sum(len(batch.items) for batch in found) < count:
                    found.append(await source.pull())
                    await source.settle(found[-1].receipts, ok=True)
            return found

        return run(go())

    def test_it_says_that_it_is_empty_when_it_is_and_goes_on(self, tmp_path):
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(driving.Env()) as source:
                found = await drain(source, len(self.expected))
                empty = await source.pull()
                left = await source.backlog()
                self.prepare(tmp_path)
                again = await drain(source, len(self.expected))
                return found, list(empty.items), left, again

        found, empty, left, again = run(go())
        assert found == self.expected
        assert again == self.expected
        assert empty == []
        assert left in (0, None)

    def test_what_was_not_tried_comes_before_what_failed(self, tmp_path):
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(driving.Env()) as source:
                assert isinstance(source, Releasing)
                found, receipts = [], []
                while len(found) < len(self.expected):
                    batch = await source.pull()
                    found += batch.items
                    receipts += batch.receipts
                await source.settle(receipts[-1:], ok=False)
                await source.release(receipts[:-1])
                again = []
                while len(again) < len(found):
                    batch = await source.pull()
                    again += batch.items
                    await source.settle(batch.receipts, ok=True)
                return found, again

        found, again = run(go())
        assert found == self.expected
        assert again[-1] == self.expected[-1]
        left = list(self.expected)
        for item in again:
            left.remove(item)
        assert left == []
