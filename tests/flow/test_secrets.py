"""A secret field is masked wherever a person looks, and whole where the sink gets it."""

from __future__ import annotations

import json
import traceback
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from typing import Annotated

import pydantic
import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.io.duckdb import DuckDBTable
from tests.fakes import PATIENCE_S, FakeSink, FakeSource
from tests.flow.failing import until

WORD = "hunter2"


@dataclass
class Login:
    user: str
    password: Annotated[str, Secret]
    qty: int = 1


def start(app, raws, code, *, wire=Wire.TEXT, sink=None):
    source = FakeSource([raws], endless=True, source_wire=wire)
    app.consumer(source=source, sink=sink or FakeSink(), retries=0)(code)
    app.run(block=False)


def texts(*logins):
    return [json.dumps({"user": u, "password": p, "qty": q}) for u, p, q in logins]


def check(login: Login) -> Login:
    if login.qty == 0:
        msg = f"wrong password {login.password!r} of {login.user}"
        raise ValueError(msg)
    return login


def test_peek_masks_elements_and_results_and_the_sink_gets_them_whole(app):
    sink = FakeSink()
    start(app, texts(("ann", WORD, 1)), check, sink=sink)
    until(lambda: app.peek("check"))
    (passage,) = app.peek("check")
    assert passage.element == Login("ann", "****")
    assert passage.results == (Login("ann", "****"),)
    until(lambda: sink.tape.pushed == [Login("ann", WORD)])  # peek shows it before it is stored


def test_results_without_an_annotation_are_masked_by_their_own_types(app):
    def free(x):
        return {"login": [Login(x, WORD)], "key": Secret(WORD)}

    start(app, ["ann"], free, wire=Wire.OBJECT)
    until(lambda: app.peek("free"))
    assert app.peek("free")[0].results == ({"login": [Login("ann", "****")], "key": "****"},)


def test_failures_mask_element_error_and_traceback_and_can_be_edited_and_retried(app):
    sink = FakeSink()
    start(app, texts(("ann", WORD, 0)), check, sink=sink)
    until(lambda: app.failures("check"))
    (failed,) = app.failures("check")
    assert failed.input == Login("ann", "****", 0)
    assert failed.error == "ValueError: wrong password '****' of ann"
    assert WORD not in failed.traceback + failed.error + repr(failed) + repr(failed.original)
    for again in (failed.retry, failed.reraise):
        with pytest.raises(ValueError, match=r"wrong password '\*\*\*\*' of ann") as raised:
            again()
        assert WORD not in "".join(traceback.format_exception(raised.value))
        assert raised.traceback[-1].name == "check"  # where %debug opens, with the real values
        assert raised.traceback[-1].locals["login"] == Login("ann", WORD, 0)
    assert WORD not in failed.traceback + failed.error + repr(failed.exception)
    assert failed.retry(replace(failed.input, qty=3)) == [Login("ann", "****", 3)]
    assert sink.tape.pushed == [Login("ann", WORD, 3)]


def test_a_masked_input_may_be_changed_in_place(app):
    sink = FakeSink()
    start(app, texts(("ann", WORD, 0)), check, sink=sink)
    until(lambda: app.failures("check"))
    (failed,) = app.failures("check")
    failed.input.qty = 5
    assert failed.input.qty == 5
    assert failed.retry() == [Login("ann", "****", 5)]
    assert sink.tape.pushed == [Login("ann", WORD, 5)]


@pytest.mark.parametrize(
    "edit",
    [
        {"user": "bob", "password": "****", "qty": 2},
        '{"user": "bob", "password": "****", "qty": 2}',
        {"user": "bob", "password": WORD, "qty": 2},
    ],
)
def test_edits_of_any_form_keep_or_replace_the_secret(app, edit):
    sink = FakeSink()
    start(app, texts(("ann", WORD, 0)), check, sink=sink)
    until(lambda: app.failures("check"))
    (failed,) = app.failures("check")
    failed.input = edit
    assert WORD not in repr(failed)
    failed.retry()
    assert sink.tape.pushed == [Login("bob", WORD, 2)]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (json.dumps({"user": "ann", "password": WORD, "qty": "x"}), "qty"),
        (json.dumps({"user": "ann", "password": 12345678}), "password"),
        ('{"user": "ann", "password": "hunter2', "truncated"),
    ],
)
def test_what_cannot_be_decoded_is_masked_as_a_whole(app, raw, said):
    start(app, [raw], check)
    until(lambda: app.failures("check"))
    (failed,) = app.failures("check")
    assert failed.input == "****"
    assert said in failed.error
    shown = failed.error + failed.traceback + repr(failed)
    assert WORD not in shown
    assert "12345678" not in shown
    with pytest.raises(ConversionError):
        failed.retry()
    assert failed.exception.__cause__ is None
    assert failed.retry({"user": "ann", "password": "new"}) == [Login("ann", "****")]


def test_rows_and_routes_are_masked_too(app):
    @app.collector(route="/in", sink=FakeSink())
    def take(login: Login, note: str = "") -> Login:
        return check(login)

    @app.endpoint(route="/ask", method="POST")
    def ask(login: Login) -> Login:
        return check(login)

    handle = app.run(block=False, serve_port=0)
    for path in ("/in", "/ask"):
        for qty in (0, 1):
            body = texts(("ann", WORD, qty))[0].encode()
            request = urllib.request.Request(  # noqa: S310
                handle.address + path, body, {"Content-Type": "application/json"}, method="POST"
            )
            if qty:
                urllib.request.urlopen(request, timeout=PATIENCE_S).close()  # noqa: S310
                continue
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=PATIENCE_S)  # noqa: S310
            caught.value.close()
    masked = Login("ann", "****", 0)
    assert app.failures("take")[0].input == {"login": masked, "note": ""}
    assert app.failures("ask")[0].input == masked
    until(lambda: app.peek("ask") and app.peek("take"))
    shown = repr([app.peek("take"), app.peek("ask"), app.logs(), app.failures()])
    assert WORD not in shown
    assert "wrong password '****' of ann" in shown
    assert app.failures("ask")[0].retry(replace(masked, qty=2)) == [Login("ann", "****", 2)]
    edited = {"login": replace(masked, qty=4), "note": "n"}
    assert app.failures("take")[0].retry(edited) == [Login("ann", "****", 4)]


def test_secrets_are_parameters_of_routes_and_part_of_the_schema(app):
    @app.endpoint(route="/ask", method="POST")
    def ask(login: Stored, token: Secret, marked: Annotated[str, Secret] = "") -> Stored:
        assert token == Secret(WORD)
        return login

    @app.endpoint(route="/model", method="POST")
    def model(body: Model) -> str:
        return body.key.reveal()

    handle = app.run(block=False, serve_port=0)
    client = app.client()
    whole = {"user": "ann", "key": "k", "more": ["m"]}
    assert client.ask(whole, token=Secret(WORD), marked="m4rked") == whole  # as it was returned
    assert client.model({"key": "k3y"}) == "k3y"
    assert "****" in Model(key="k").model_dump_json()
    until(lambda: app.peek("ask"))
    (passage,) = app.peek("ask")
    assert passage.element == {
        "login": Stored("ann", "****", ["****"]),
        "token": "****",
        "marked": "****",
    }
    with urllib.request.urlopen(f"{handle.address}/openapi.json", timeout=PATIENCE_S) as found:  # noqa: S310
        schemas = json.load(found)["components"]["schemas"]
    assert schemas["Stored"]["properties"]["key"] == {"type": "string"}


def test_a_marked_text_stays_a_text_in_routes_retries_and_models(app):
    @app.endpoint(route="/ask", method="POST")
    def ask(token: Annotated[str, Secret], body: Marked) -> str:
        if body.qty == 0:
            msg = f"no {token}"
            raise ValueError(msg)
        return "got " + token + body.word

    handle = app.run(block=False, serve_port=0)
    url = f"{handle.address}/ask?token={WORD}"
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(url, b'{"word": "w"}', headers)  # noqa: S310
    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:  # noqa: S310
        assert json.load(answer) == f"got {WORD}w"
    asked = urllib.request.Request(url, b'{"word": "w", "qty": 0}', headers)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked, timeout=PATIENCE_S)  # noqa: S310
    caught.value.close()
    (failed,) = app.failures("ask")
    assert failed.input == {"token": "****", "body": Marked.model_construct(word="****", qty=0)}
    edited = {"token": "****", "body": {"word": "****", "qty": 1}}
    assert failed.retry(edited) == ["got ********"]


class Marked(pydantic.BaseModel):
    word: Annotated[str, Secret]
    qty: int = 1


def test_a_table_has_a_column_of_what_secrets_hold(app, tmp_path):
    import duckdb

    def keep(row: Kept) -> Kept:
        return row

    raw = {"user": "ann", "key": "k", "text": "t", "data": "d"}
    source = FakeSource([[raw]], source_wire=Wire.RECORD)
    app.consumer(source=source, sink=DuckDBTable(str(tmp_path / "x.duckdb"), "t"))(keep)
    app.run()
    assert app.failures() == []
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        assert connection.execute("from t").fetchall() == [("ann", "k", "t", b"d")]
        kinds = connection.execute("select column_type from (describe t)").fetchall()
    assert kinds == [("VARCHAR",), ("VARCHAR",), ("VARCHAR",), ("BLOB",)]


@dataclass
class Kept:
    user: str
    key: Secret
    text: pydantic.SecretStr
    data: pydantic.SecretBytes


@dataclass
class Stored:
    user: str
    key: Secret
    more: list[Secret]


class Model(pydantic.BaseModel):
    key: Secret


class Sly:
    """Raises whoever looks at it."""

    def __getattr__(self, name):
        raise RuntimeError


def test_a_class_that_cannot_be_looked_into_does_not_end_the_processor(app):
    def wrong(x) -> object:
        return [Sly(), {"deep": Sly()}]

    start(app, [1, 2], wrong, wire=Wire.OBJECT)
    until(lambda: len(app.peek("wrong")) == 2)
    assert app.snapshot().processor("wrong").failed == 0
