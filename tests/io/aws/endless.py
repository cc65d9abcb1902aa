"""The contract of a source that never ends and forgets what is settled."""

from __future__ import annotations

from tests.io import contract
from tests.io.contract import SourceContract, drain, run

__all__ = ("EndlessSourceContract",)


class EndlessSourceContract(SourceContract):
    bounded = False
    consumes = True

    def test_what_is_given_back_comes_again(self, tmp_path):
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(contract.Env()) as source:
                batch = await source.pull()
                await source.settle(batch.receipts[:1], ok=False)
                await source.settle(batch.receipts[1:], ok=True)
                left = len(self.expected) - len(batch.items) + 1
                return [*batch.items[1:], *await drain(source, left)]

        found = run(go())
        assert len(found) == len(self.expected)
        assert all(item in found for item in self.expected)
