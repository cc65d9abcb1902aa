"""The contract of a source that never ends and forgets what is settled."""

from __future__ import annotations

from buildflow_nb.core.primitive import Releasing
from tests.io import driving
from tests.io.contract import SourceContract, drain, run

__all__ = ("EndlessSourceContract",)


class EndlessSourceContract(SourceContract):
    bounded = False
    consumes = True

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
