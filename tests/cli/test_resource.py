"""`buildflow look`: resources looked into from a terminal, as text and as JSON."""

from __future__ import annotations

import json

import pytest

from tests.cli.typed import Here, Typed

MAIN = """
from buildflow_nb import Flow
from buildflow_nb.io.aws import S3Bucket
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File

app = Flow("shop")
app.manage(S3Bucket("exports"))


@app.consumer(File("orders.csv"), DuckDBTable("out.duckdb", "priced"))
def price(row: dict) -> dict:
    return row
"""


@pytest.fixture
def type_(tmp_path):
    terminal = Here(tmp_path)
    terminal.file("main.py", MAIN)
    terminal.file("orders.csv", "id,item\n1,Fig\n2,<b>\x1b[2J\n")
    return terminal


def test_without_a_name_all_are_listed(type_):
    found = type_("look")
    assert found.returncode == 0
    for name in ("orders.csv", "priced", "S3Bucket s3://exports", "source of price"):
        assert name in found.stdout
    listed = json.loads(type_("look", "--json").stdout)
    assert {one["name"] for one in listed} == {"orders.csv", "priced", "exports"}
    assert next(one["state"] for one in listed if one["name"] == "exports") == "not applied"


def test_one_is_shown_with_what_can_be_done(type_):
    found = Typed(type_.folder)("look", "orders.csv", "--rows", "5")
    assert found.returncode == 0, found.stderr
    assert "● file orders.csv · source of price" in found.stdout
    assert "Fig" in found.stdout
    assert "\x1b" not in found.stdout, "no terminal obeys what is in a resource"
    assert "app.resource('orders.csv').dataframe" in found.stdout
    assert "%buildflow" not in found.stdout


def test_all_of_it_is_json(type_):
    look = json.loads(type_("look", "orders.csv", "--json").stdout)
    assert look["standing"] == "there"
    assert look["held"]["noun"] == "objects"
    assert look["contents"][0]["rows"][0] == ["1", "Fig"]


def test_what_is_not_there_has_an_exit_code_and_a_cure(type_):
    found = type_("look", "priced")
    assert found.returncode == 1
    assert "does not exist (yet)" in found.stdout
    found = type_("look", "exports")
    assert found.returncode == 1
    assert "the local cloud does not run" in found.stdout
    assert "buildflow cloud start" in found.stdout
    wrong = type_("look", "prized")
    assert wrong.returncode == 2
    assert "did you mean 'priced'" in wrong.stderr


def test_words_that_do_not_go_together_are_refused(type_):
    assert "--download needs --object" in type_("look", "exports", "--download").stderr
    assert "are for --download" in type_("look", "orders.csv", "--force").stderr
    assert "is no bucket" in type_("look", "orders.csv", "--object", "x", "--download").stderr
