"""`%buildflow look`, `put`, `redrive` and `purge` in a real shell."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from buildflow_nb.io.local import File
from tests.flow.test_resources import STORES, Order, Tray, letter


@pytest.fixture
def shop(cells, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    STORES.clear()
    app = cells.app

    @app.consumer(Tray("orders"), File("out.csv"), dead_letter=Tray("orders-dead"))
    def price(order: Order) -> dict:
        return {}

    return cells


def test_a_look_is_a_page_and_a_list_is_a_table(shop):
    STORES["orders"] = [b'{"id": 88123, "card": "4111"}']
    shown = shop("%buildflow look orders")
    assert shown.ok
    assert "88123" in shown.value._repr_html_()
    assert "4111" not in shown.value._repr_html_() + repr(shown.value)
    assert shown.value.look.held.count == 1
    formatted = shop.shell.display_formatter.format(shop.app.resource("orders").look())[0]
    assert "88123" in formatted["text/html"]
    assert "88123" in formatted["text/plain"]
    listed = shop("%buildflow look").value
    assert {one.name for one in listed} == {"orders", "orders-dead", "out.csv"}
    assert isinstance(shop("%buildflow look order").error, UsageError)
    assert STORES["orders"] == [b'{"id": 88123, "card": "4111"}']


def test_a_message_is_json_a_value_of_the_notebook_or_text(shop):
    shop("order = {'id': 2}")
    for line in ('{"id": 1}', "{order}", "{'id': 3}", "just text"):
        assert shop(f"%buildflow put orders {line}").ok, line
    assert STORES["orders"] == [b'{"id":1}', b'{"id":2}', b'{"id":3}', b"just text"]


def test_letters_go_back(shop):
    STORES["orders-dead"] = [letter({"id": i}) for i in range(3)]
    shown = shop("%buildflow redrive orders-dead --number 2")
    assert shown.text.strip() == "redriven: 2 to orders"
    assert (len(STORES["orders"]), len(STORES["orders-dead"])) == (2, 1)


def test_a_purge_asks_for_the_name(shop, monkeypatch):
    STORES["orders"] = [b"1", b"2"]
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "yes")
    assert "nothing was deleted" in str(shop("%buildflow purge orders").error)
    assert asked == ["Delete 2 messages of Tray orders? [type 'orders' to do it] "]
    assert "would delete 2 messages" in str(shop("%buildflow purge orders --yes order").error)
    assert len(STORES["orders"]) == 2
    shown = shop("%buildflow purge orders --yes orders")
    assert shown.text.strip() == "purged Tray orders: 2 messages deleted"
    assert STORES["orders"] == []
