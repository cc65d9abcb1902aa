"""Bodies: JSON, text in any charset, forms, bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from aiohttp import FormData

from tests.runtime.http.bound import (
    Item,
    Model,
    Named,
    Order,
    Search,
    Struct,
    Typed,
    body,
    check,
    faults,
    mixed,
    model,
)
from tests.runtime.http.site import Site, serve


@pytest.mark.parametrize(
    ("hint", "sent", "expected"),
    [
        (Order, {"id": 1, "items": [{"sku": "a", "qty": 2}]}, "Order(id=1, items=[Item("),
        (Model, {"id": 1, "name": "ab"}, "Model(id=1, name='ab')"),
        (Struct, {"id": 1}, "Struct(id=1)"),
        (Typed, {"id": 1}, "{'id': 1}"),
        (Named, {"id": 1}, "Named(id=1, name='n')"),
        (dict, {"any": [1]}, "{'any': [1]}"),
        (dict[str, int], {"a": 1}, "{'a': 1}"),
        (list[Item], [{"sku": "a", "qty": 2}], "[Item(sku='a', qty=2)]"),
        (Order | None, None, "None"),
        (Model | Item, {"id": 1, "name": "ab"}, "Model(id=1"),
        (Model | Item, {"sku": "a", "qty": 1}, "Item(sku='a'"),
        (Any, [1, {"a": None}], "[1, {'a': None}]"),
        (None, [1], "[1]"),
    ],
)
def test_records_are_the_json_body(hint, sent, expected):
    async def take(value) -> str:
        return repr(value)

    if hint is not None:
        take.__annotations__["value"] = hint

    async def scenario(site: Site):
        await site.endpoint(take)
        reply = await site.post(sent)
        assert reply.status == 200, reply.body
        assert reply.json.startswith(expected)

    serve(scenario)


def test_a_type_deep_inside_is_named_by_its_path():
    wrong = {"id": 1, "items": [{"sku": "a", "qty": "2"}]}
    faults(body, [(["body", "items", 0, "qty"], "int_type")], json=wrong)
    faults(body, [(["body", "items", 0, "qty"], "missing")], json={"id": 1, "items": [{"sku": ""}]})
    faults(body, [(["body", "items"], "list_type")], json={"id": 1, "items": {}})
    faults(body, [(["body"], "dict_type")], json=[])


def test_pydantic_names_all_its_faults():
    expected = [(["body", "id"], "int_parsing"), (["body", "name"], "string_too_short")]
    faults(model, expected, json={"id": "x", "name": "a"})
    faults(
        mixed,
        [(["body", "models", 1, "name"], "string_too_short")]
        if _keeps_path()
        else [(["body", "models", "...", "name"], "string_too_short")],
        json={"models": [{"id": 1, "name": "ab"}, {"id": 1, "name": "a"}]},
    )


def _keeps_path() -> bool:
    try:
        msgspec.convert([1, "x"], list[int])
    except msgspec.ValidationError as error:
        return "$[1]" in str(error)
    return False


@pytest.mark.parametrize(
    ("sent", "at"),
    [
        (b'{"id": nope}', 11),
        (b'{"id": 1', 8),
        (b"\xff\xfe", None),
        (b'{"id":1} trailing', 10),
        (b'{"deep":' + b"[" * 100_000, None),
        (b"<html>", 0),
    ],
)
def test_a_body_that_is_not_json_says_where(sent, at):
    async def scenario(site: Site):
        await site.endpoint(body)
        reply = await site.ask("POST", data=sent, headers={"Content-Type": "application/json"})
        assert reply.status == 422
        (one,) = reply.detail
        assert one["type"] == "json_invalid"
        assert one["loc"][0] == "body"
        assert at is None or one["loc"][1] == at
        assert one["msg"].startswith("JSON decode error")

    serve(scenario)


def test_an_empty_body():
    async def optional(order: Order | None = None) -> str:
        return repr(order)

    faults(body, [(["body"], "missing")])
    check(optional, "None", method="POST")


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "a/b+json", "broken"])
def test_another_content_type_is_tolerated_when_it_parses(kind):
    check(
        body,
        "Order(id=1, items=[], note=None)",
        method="POST",
        data=b'{"id":1}',
        headers={"Content-Type": kind},
    )


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-8", "UTF8", "cp1252"])
def test_other_charsets_are_read(charset):
    check(
        body,
        "Order(id=1, items=[], note='ü')",
        method="POST",
        data='{"id":1,"note":"ü"}'.encode(charset),
        headers={"Content-Type": f"application/json; charset={charset}"},
    )


def test_a_byte_order_mark_and_an_unknown_charset():
    check(body, "Order(id=1, items=[], note=None)", method="POST", data=b'\xef\xbb\xbf{"id":1}')

    async def scenario(site: Site):
        await site.endpoint(body)
        kind = {"Content-Type": "application/json; charset=klingon"}
        reply = await site.ask("POST", data=b"{}", headers=kind)
        assert reply.status == 415
        assert "klingon" in reply.detail
        kind = {"Content-Type": "application/json; charset=utf-16"}
        reply = await site.ask("POST", data=b"{}{", headers=kind)
        assert reply.status == 422

    serve(scenario)


def test_a_form_fills_a_record_and_multipart_is_refused():
    async def search(search: Search) -> str:
        return repr(search)

    expected = "Search(text='a b', limit=3, tags=['x', 'y'], since=None)"
    check(
        search,
        expected,
        method="POST",
        data=b"text=a+b&limit=3&tags=x&tags=y",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    async def scenario(site: Site):
        await site.endpoint(search)
        form = FormData(default_to_multipart=True)
        form.add_field("text", "a")
        reply = await site.ask("POST", data=form)
        assert reply.status == 415
        assert reply.detail == (
            "multipart bodies are not read here; send JSON or an urlencoded form"
        )

    serve(scenario)


def test_bytes_take_the_body_as_it_is():
    async def raw(data: bytes, name: str = "n") -> str:
        return f"{data!r} {name}"

    check(raw, "b'\\xff\\x00 {' m", method="PUT", path="/x?name=m", data=b"\xff\x00 {")
    check(raw, "b'' n", method="PUT")


def test_several_records_come_by_name():
    async def several(order: Order, item: Item | None = None, dry: bool = False) -> str:
        return f"{order.id} {item} {dry}"

    check(several, "1 None True", method="POST", path="/x?dry=1", json={"order": {"id": 1}})
    sent = {"order": {"id": 1}, "item": {"sku": "a", "qty": 1}}
    check(several, "1 Item(sku='a', qty=1) False", method="POST", json=sent)
    faults(
        several,
        [(["body", "order", "id"], "int_type"), (["body", "item", "qty"], "missing")],
        json={"order": {"id": "x"}, "item": {"sku": ""}},
    )
    faults(several, [(["body", "order"], "missing")])
    faults(several, [(["body"], "dict_type")], json=[1])
