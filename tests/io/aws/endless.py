"""The contract of a source that never ends and forgets what is settled."""

from __future__ import annotations

from tests.io.contract import SourceContract

__all__ = ("EndlessSourceContract",)


class EndlessSourceContract(SourceContract):
    bounded = False
    consumes = True
