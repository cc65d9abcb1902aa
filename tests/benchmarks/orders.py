"""The messages that queues are measured with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ("Address", "Order")


@dataclass
class Address:
    """Where a customer lives."""

    street: str
    town: str


@dataclass
class Order:
    """A message."""

    id: int
    name: str
    amount: float
    paid: bool
    at: datetime
    address: Address
