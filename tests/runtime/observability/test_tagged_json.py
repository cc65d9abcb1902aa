"""Values in a file: they come back as they were, records as their fields, and secrets never."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import uuid

import pydantic
import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.runtime.observability.tagged_json import UnreadableError, tagged, untagged
from tests.flow.fed import Order, Packed, Pair, Priced

VALUES = [
    None,
    True,
    2**70,
    1.5,
    math.inf,
    "ä\ud800",
    b"\x00\xff",
    dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
    dt.datetime(2024, 1, 2),
    dt.date(2024, 1, 2),
    dt.time(1, 2, 3),
    dt.timedelta(days=-1, seconds=3, microseconds=5),
    decimal.Decimal("1.10"),
    uuid.UUID(int=5),
    (1, "a"),
    {1, 2},
    {"a": [1, {"b": b"x"}]},
    {1: "one", (2, 3): "pair"},
    {"$bytes": "a key that looks like a tag"},
    {},
    [],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_survive_a_file(value):
    found = untagged(json.loads(json.dumps(tagged(value))))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Order(1, 2), {"id": 1, "qty": 2}),
        (Priced(id=1, total=2), {"id": 1, "total": 2.0}),
        (Pair(1, "b"), {"a": 1, "b": "b"}),
        (Packed(x=1), {"x": 1}),
        ([Secret("x")], ["****"]),
        (pydantic.SecretStr("x"), "****"),
    ],
    ids=repr,
)
def test_records_come_back_as_their_fields_and_secrets_never(value, plain):
    assert untagged(json.loads(json.dumps(tagged(value)))) == plain


@pytest.mark.parametrize(
    "bad",
    [
        {"$repr": "<object>"},
        {"$bytes": "not base64!"},
        {"$unknown": 1},
        {"$bytes": "", "more": 1},
        {"$datetime": 5},
        {"$record": 5},
        {"$set": [[1]]},
        {"$float": "1"},
        {"$timedelta": "x"},
    ],
    ids=repr,
)
def test_damaged_values_are_refused(bad):
    with pytest.raises(UnreadableError):
        untagged(bad)
