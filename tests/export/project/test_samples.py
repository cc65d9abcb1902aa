"""Samples for an exported project's tests: one recorded line of each processor, never a secret."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.export.project.samples import sample_files
from buildflow_nb.export.secrets.types import takes_secrets
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, exported
from tests.export.notebook import written as all_text
from tests.export.programs import TEXT, program, run_tests, written

ORDER = {"$record": ["Order", {"id": 7, "qty": 2}]}
PRICED = {"$record": ["Priced", {"id": 7, "total": 3.0}]}
HEADER = {
    "format": "buildflow recording",
    "version": 1,
    "type": "Order",
    "wire": "object",
    "at": 1.0,
    "shown": False,
}


def record(folder, name, *rows, file=None, **header):
    """A recording, as `app.record` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    told = HEADER | {"processor": name, "inputs": len(rows)} | header
    path = folder / (file or f"{name}-20260101-000000.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in (told, *rows)))
    return path


@pytest.fixture
def recordings(tmp_path):
    return tmp_path / ".buildflow" / "recordings"


def good(number=7):
    return {
        "input": {"id": number, "qty": 2},
        "outputs": [{"$record": ["Priced", {"id": number, "total": 3.0}]}],
    }


def test_one_line_of_a_recording_becomes_a_sample(recordings):
    record(recordings, "price", good(1), good(2))
    (name, text), *more = sample_files(program(), recordings).items()
    assert (name, more) == ("tests/samples/price.jsonl", [])
    header, row = map(json.loads, text.splitlines())
    assert (header["inputs"], row) == (1, good(1))


def test_the_projects_tests_run_it_and_notice_a_difference(tmp_path, recordings):
    record(recordings, "price", good())
    folder = written(tmp_path / "shop", samples=recordings)
    code, said = run_tests(folder)
    assert (code, "2 passed" in said) == (0, True), said
    written(folder, program(TEXT.replace("RATE = 1.5", "RATE = 2.5")), samples=recordings)
    code, said = run_tests(folder)
    assert code == 1
    assert "'total': 5.0" in said


def test_what_a_notebook_has_recorded_replays_in_its_export(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = TEXT.replace('File("orders.jsonl")', "Pulse([Order(4, 2)], 0.01)")
    text = text.replace("local import File", "local import Pulse")
    names = {"__name__": "main"}
    exec(compile(text, "main.py", "exec", dont_inherit=True), names)  # noqa: S102  (this very test's)
    run = names["app"].run(block=False, serve_port=0)
    names["app"].record("price", 2)
    run.stop()
    folder = written(tmp_path / "shop", program(text), samples=tmp_path / ".buildflow/recordings")
    code, said = run_tests(folder)
    assert (code, "2 passed" in said) == (0, True), said


def test_an_endpoint_that_reads_what_is_not_here_is_skipped(tmp_path, recordings):
    text = TEXT.replace("    return RATE\n", '    return float(open("gone.txt").read())\n')
    record(recordings, "rate", {"input": {}, "outputs": [1.5]}, type="GET /rate")
    folder = written(tmp_path / "shop", program(text), samples=recordings)
    code, said = run_tests(folder)
    assert (code, "1 passed, 1 skipped" in said) == (0, True), said


def test_the_latest_recording_counts(recordings):
    record(recordings, "price", good(1), file="price-20260101-000000.jsonl")
    record(recordings, "price", good(2), file="price-20260102-000000.jsonl")
    (text,) = sample_files(program(), recordings).values()
    assert json.loads(text.splitlines()[1]) == good(2)


@pytest.mark.parametrize(
    "row",
    [
        {"input": {"id": 1, "qty": "****"}, "outputs": []},
        {"input": {"id": 1}, "outputs": [{"card": ["****"]}]},
        {"input": {"$repr": "<socket>"}, "outputs": []},
        {"input": {"id": 1}, "error": "ValueError: no"},
        {"input": {"$record": ["Order", {"id": 1, "api_key": "k-123456"}]}, "outputs": []},
        {"input": {"id": 1}, "outputs": [{"link": "postgres://me:pass-word@host/shop"}]},
        {"input": {"id": 1}, "outputs": [{"aws": "AKIAIOSFODNN7EXAMPLE"}]},
        {"input": {"id": 1, "note": "x" * 200_000}, "outputs": []},
    ],
)
def test_lines_that_do_not_replay_are_passed_over(recordings, row):
    record(recordings, "price", row, good(3))
    (text,) = sample_files(program(), recordings).values()
    assert json.loads(text.splitlines()[1]) == good(3)
    record(recordings, "price", row)
    assert sample_files(program(), recordings) == {}


def test_no_sample_is_taken_of_inputs_with_secrets(recordings):
    record(recordings, "price", good(), shown=True)
    assert sample_files(program(), recordings) == {}
    record(recordings, "price", good())  # as it was before the field was marked
    marked = program(TEXT.replace("    qty: int\n", "    qty: Annotated[int, Secret]\n"))
    assert sample_files(marked, recordings) == {}


def test_no_sample_holds_what_a_secret_is_here(recordings, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", 'tok-"12345')
    record(recordings, "price", {"input": {"id": 1, "note": 'see tok-"12345'}, "outputs": []})
    assert sample_files(program(secrets=("SHOP_TOKEN",)), recordings) == {}
    assert sample_files(program(), recordings) != {}


def test_no_sample_holds_what_was_typed_into_the_notebook_as_a_secret(recordings):
    record(recordings, "price", {"input": {"id": 1, "note": "see tok-12345"}, "outputs": []})
    assert sample_files(program(), recordings, hidden=["tok-12345"]) == {}
    assert sample_files(program(), recordings, hidden=["tok-99999", ""]) != {}


def test_recordings_of_others_and_damaged_files_are_passed_over(recordings):
    record(recordings, "gone", good())
    record(recordings, "other", good(), file="price-1.jsonl")
    (recordings / "price-2.jsonl").write_text("{torn")
    (recordings / "price-3.jsonl").mkdir()
    assert sample_files(program(), recordings) == {}


def test_without_recordings_there_are_none(tmp_path):
    assert sample_files(program(), None) == {}
    assert sample_files(program(), tmp_path / "gone") == {}


SECRETS = """
from pydantic import SecretStr as Hidden
import buildflow_nb as bf

Pin = Annotated[str, Secret]
Token: TypeAlias = "Hidden"

class Card:
    pin: Pin

class Order:
    cards: list["Card"]

class Loop:
    again: "Loop | None"

def deep(order: Order): ...
def quoted(order: "list[Order]"): ...
def renamed(token: Token): ...
def attribute(key: bf.Secret): ...
def loop(one: Loop, text: "not a type, secret"): ...
def returns(one: int) -> Order: ...

class Processor:
    def process(self, order: Order): ...
"""


def test_secrets_are_found_behind_every_name():
    found = takes_secrets({"main.py": SECRETS})
    assert found == {"deep", "quoted", "renamed", "attribute", "Processor"}


def test_secrets_are_found_in_another_module():
    types = "class Order:\n    pin: SecretStr\n"
    main = "from shop.types import Order\ndef price(order: Order): ...\n"
    assert takes_secrets({"shop/types.py": types, "main.py": main}) == {"price"}


def test_a_secret_that_was_typed_into_a_cell_reaches_no_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "PASSWORD = 'crocodile rock'\n"
    declare = "%%buildflow consumer source=numbers\ndef double(x: int) -> dict:\n"
    declare += "    return {'by': PASSWORD, 'twice': 2 * x}"
    row = {"input": 3, "outputs": [{"by": "as crocodile rock", "twice": 6}]}
    record(tmp_path / ".buildflow" / "recordings", "double", row, type="int")
    exported(tmp_path / "shop", LOAD, NUMBERS, code, declare)
    assert "crocodile" not in all_text(tmp_path / "shop")
    assert not (tmp_path / "shop" / "tests" / "samples").exists()
    exported(tmp_path / "bare", LOAD, NUMBERS, DOUBLE)
    assert (tmp_path / "bare" / "tests" / "samples" / "double.jsonl").is_file()
