"""A class with hooks, which tells of them."""

from __future__ import annotations

from dataclasses import dataclass

EVENTS: list[str] = []
NO_DATABASE = ValueError("no database")


@dataclass
class Order:
    id: int


class Shop:
    """A class with hooks, sync and async."""

    made = 0

    def __init__(self) -> None:
        Shop.made += 1
        self.rate = 0

    async def setup(self) -> None:
        EVENTS.append("setup")
        self.rate = 2

    def process(self, order: Order) -> int:
        return order.id * self.rate

    def teardown(self) -> None:
        EVENTS.append("teardown")


async def other() -> str:
    return "other"
