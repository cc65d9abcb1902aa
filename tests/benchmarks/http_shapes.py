"""What every server under test takes, computes and gives: the same code in each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

__all__ = ("BODY", "Customer", "Order", "Priced", "price")


@dataclass
class Customer:
    name: str
    email: str
    vip: bool


@dataclass
class Order:
    id: int
    at: dt.datetime
    sku: str
    qty: int
    price: float
    tags: list[str]
    note: str | None
    customer: Customer


@dataclass
class Priced:
    id: int
    at: dt.datetime
    sku: str
    total: float
    customer: Customer


BODY = (
    b'{"id":4711,"at":"2024-05-06T07:08:09Z","sku":"A-1234","qty":3,"price":19.99,'
    b'"tags":["new","gift"],"note":null,'
    b'"customer":{"name":"Ada Lovelace","email":"ada@example.com","vip":true}}'
)


def price(order: Order) -> Priced:
    return Priced(order.id, order.at, order.sku, order.qty * order.price, order.customer)
