"""Data of ours as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from buildflow_nb.cli.output.terminal import plain
from buildflow_nb.core.status.operations import Op, Unknown


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Thing:
    colour: Colour
    places: tuple[Path, ...]
    counts: dict


def test_everything_becomes_what_json_has():
    thing = Thing(Colour.RED, (Path("/a"),), {Op.CREATE: 1, 2: {3}})
    found = plain({"thing": thing, "unknown": Unknown(), "nan": float("nan"), "none": None})
    assert found == {
        "thing": {"colour": "red", "places": ["/a"], "counts": {"create": 1, "2": [3]}},
        "unknown": "(known after apply)",
        "nan": None,
        "none": None,
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_class_is_no_data_and_a_secret_stays_one():
    from buildflow_nb.core.credentials import Secret

    assert plain(Thing) == repr(Thing)
    assert "key" not in json.dumps(plain({"key of": Secret("key")})).replace("key of", "")
