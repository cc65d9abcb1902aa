"""A small, seeded slice of the parsers' fuzzing, and that it finds what it looks for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from buildflow_nb.core.errors import UsageError
from tests.faults import parsers
from tests.faults.parsers import PARSERS, Parser, fuzzed
from tests.faults.tally import table

SEED = 20
COUNT = 150


@pytest.mark.parametrize("name", PARSERS)
def test_whatever_comes_is_taken_or_refused_in_one_line(name, tmp_path):
    tally = fuzzed(name, COUNT, random.Random(SEED), tmp_path)
    assert tally.verdict == "ok", table([tally])


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), RecursionError(), UsageError("two\nlines"), UsageError("\x1b[31m"),
     UsageError("x" * 2_000)],
)  # fmt: skip
def test_a_parser_that_fails_is_seen(error, monkeypatch, tmp_path):
    def read(data: bytes, folder: Path) -> None:
        raise error

    monkeypatch.setattr(parsers, "PARSERS", {"bad": Parser(lambda: (b"x",), read)})
    assert fuzzed("bad", 3, random.Random(SEED), tmp_path).verdict != "ok"
