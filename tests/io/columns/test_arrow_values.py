"""Values out of Arrow arrays are those of `to_pylist`, and so are the errors."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal

import pyarrow as pa
import pytest

from buildflow_nb.io.columns.arrow_values import values_of

SEED = 20261130
DAY_US = 86_400_000_000
LAST_US = 253_402_300_799_999_999


def whole(bits, *, signed=True):
    low = -(2 ** (bits - 1)) if signed else 0
    return lambda chance: chance.randint(low, low + 2**bits - 1)


def text(chance):
    letters = "abc ,\n\0" if chance.random() < 0.5 else "aüß€🦆"
    return "".join(chance.choices(letters, k=chance.randint(0, 6)))


KINDS = {
    pa.int8(): whole(8),
    pa.int16(): whole(16),
    pa.int32(): whole(32),
    pa.int64(): whole(64),
    pa.uint8(): whole(8, signed=False),
    pa.uint16(): whole(16, signed=False),
    pa.uint32(): whole(32, signed=False),
    pa.uint64(): whole(64, signed=False),
    pa.float32(): lambda chance: chance.choice([0.5, -0.0, 1e30, float("inf"), chance.random()]),
    pa.float64(): lambda chance: chance.choice([0.1, -0.0, 1e300, chance.gauss(0, 1)]),
    pa.bool_(): lambda chance: chance.random() < 0.5,
    pa.string(): text,
    pa.large_string(): text,
    pa.binary(): lambda chance: chance.randbytes(3),
    pa.date32(): lambda chance: dt.date.fromordinal(chance.randint(1, 3_652_059)),
    pa.timestamp("us"): lambda chance: chance.randint(-DAY_US, LAST_US),
    pa.timestamp("us", "UTC"): lambda chance: chance.randint(-62_135_596_800_000_000, LAST_US),
    pa.timestamp("us", "Europe/Berlin"): lambda chance: chance.randint(0, LAST_US - DAY_US),
    pa.timestamp("ms"): lambda chance: chance.randint(-(10**12), 10**12),
    pa.timestamp("s", "UTC"): lambda chance: chance.randint(-(10**9), 10**9),
    pa.timestamp("ns", "UTC"): lambda chance: 1_000 * chance.randint(0, 10**15),
    pa.time32("s"): lambda chance: chance.randint(0, 86_399),
    pa.time32("ms"): lambda chance: chance.randint(0, 86_399_999),
    pa.time64("us"): lambda chance: chance.randint(0, DAY_US - 1),
    pa.duration("s"): lambda chance: chance.randint(-(10**9), 10**9),
    pa.duration("us"): lambda chance: chance.randint(-(10**15), 10**15),
    pa.decimal128(20, 3): lambda chance: Decimal(chance.randint(-(10**9), 10**9)).scaleb(-3),
    pa.list_(pa.int64()): lambda chance: [chance.randint(0, 9)] * chance.randint(0, 3),
    pa.struct([("a", pa.string())]): lambda chance: {"a": text(chance)},
    pa.null(): lambda _: None,
}


def shown(values):
    """What differs where values, their types or their zones do."""
    return [(type(v), repr(v), getattr(v, "tzinfo", None)) for v in values]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("missing", [0.0, 0.3, 1.0])
def test_values_are_those_of_to_pylist(kind, missing):
    chance = random.Random(f"{SEED}{kind}{missing}")  # noqa: S311
    for _ in range(20):
        make = KINDS[kind]
        count = chance.randint(0, 40)
        values = [None if chance.random() < missing else make(chance) for _ in range(count)]
        array = pa.array(values, type=kind)
        start, end = sorted(chance.choices(range(count + 1), k=2))
        for found in (
            array,
            array[start:end],
            array[start:end][1:],
            pa.concat_arrays([array[end:], array]),
        ):
            assert shown(values_of(found)) == shown(found.to_pylist())


def test_what_stands_where_a_value_is_missing_is_not_looked_at():
    beyond = pa.py_buffer((2**63 - 1).to_bytes(8, "little") + bytes(8))
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        array = pa.Array.from_buffers(kind, 2, [pa.py_buffer(b"\x02"), beyond])
        assert shown(values_of(array)) == shown(array.to_pylist())


@pytest.mark.parametrize(
    "array",
    [
        pa.array([2**60], pa.timestamp("us")),
        pa.array([2**60], pa.timestamp("us", "UTC")),
        pa.array([4_000_000], pa.date32()),
        pa.Array.from_buffers(
            pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
        ),
    ],
    ids=lambda array: str(array.type),
)
def test_what_python_does_not_have_raises(array):
    for read in (values_of, lambda found: found.to_pylist()):
        with pytest.raises((ValueError, OverflowError)):
            read(array)
