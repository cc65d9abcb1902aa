"""The page of a resource in a panel: what is open is shown, and looked at again."""

from __future__ import annotations

import threading
import time

import pytest

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel import resource_pages
from buildflow_nb.cockpit.panel.panel import Panel
from buildflow_nb.cockpit.panel.resource_pages import ResourcePages
from tests.flow.test_resources import STORES, _apart, app

__all__ = ("_apart", "app")  # fixtures

PATIENCE_S = 5.0


class Seen:
    """A cockpit, and the page of it that is open."""

    def __init__(self, app):
        self.app, self.news = app, threading.Event()
        self.cockpit = Cockpit(lambda: app, self.news.set)
        self.pages = ResourcePages(self.cockpit)
        self.open = ("Tray orders", "", "")

    @property
    def html(self):
        return self.pages.html(self.app, *self.open)

    def until(self, so):
        deadline = time.monotonic() + PATIENCE_S
        while not so(self.html):
            assert time.monotonic() < deadline, self.html
            self.news.wait(0.05)
            self.news.clear()
        return self.html

    def answer(self, word, **typed):
        self.pages.act("answer", word, "Tray orders", typed)


@pytest.fixture
def seen(app):
    return Seen(app)


def test_it_says_that_it_looks_and_then_shows_what_is_there(seen):
    STORES["orders"] = [b'{"id": 88123}']
    assert "looking into Tray orders" in seen.html
    html = seen.until(lambda html: "88123" in html)
    assert "source of price" in html
    assert 'data-act="close-look"' in html
    seen.open = ("", "", "")
    assert seen.html == ""


def test_it_is_looked_at_again_and_drawn_only_when_there_is_news(seen, monkeypatch):
    monkeypatch.setitem(resource_pages.EVERY_S, True, 0.05)
    STORES["orders"] = [b'{"id": 1}']
    seen.until(lambda html: "<b>1</b>" in html)
    STORES["orders"].append(b'{"id": 2}')
    seen.until(lambda html: "<b>2</b>" in html)
    monkeypatch.setitem(resource_pages.EVERY_S, True, 60)
    assert seen.html is seen.html


def test_another_resource_takes_its_place_at_once(seen):
    STORES["orders"] = [b'{"id": 88123}']
    seen.until(lambda html: "88123" in html)
    seen.open = ("Tray orders-dead", "", "")
    assert "88123" not in seen.html
    seen.until(lambda html: "dead letters of price" in html)


def test_one_that_the_flow_has_no_longer_is_told(seen):
    seen.open = ("Tray gone", "", "")
    seen.until(lambda html: "no resource" in html)


def test_a_purge_wants_the_name_and_is_a_line(seen):
    STORES["orders"] = [b"1", b"2"]
    seen.until(lambda html: "Purge 2" in html)
    seen.pages.act("ask", "purge", "Tray orders", {})
    assert "deletes 2 messages; type <b>orders</b>" in seen.html
    seen.answer("purge", typed="order")
    assert "type orders to do it" in seen.html
    assert len(STORES["orders"]) == 2
    seen.answer("purge", typed="orders")
    seen.until(lambda _: not STORES["orders"])
    assert seen.cockpit.clicks.last == "%buildflow purge orders --yes orders"
    seen.until(lambda _: "2 messages deleted" in seen.cockpit.clicks.said)


def test_a_message_is_put_and_its_secrets_are_in_no_line(seen):
    seen.until(lambda html: "Send…" in html)
    seen.pages.act("ask", "put", "Tray orders", {})
    seen.answer("put", element="")
    assert "type a message" in seen.html
    seen.answer("put", element='{"id": 1,\n "card": "4111"}')
    seen.until(lambda _: STORES.get("orders"))
    assert STORES["orders"] == [b'{"id":1,"card":"4111"}']
    assert seen.cockpit.clicks.last == "%buildflow put orders {…}"
    seen.pages.act("ask", "", "", {})
    assert 'data-act="answer"' not in seen.html


def test_the_panel_opens_it_by_a_click_and_turns_its_pages(app):
    panel = Panel(Cockpit(lambda: app, lambda: None), "[1]", lambda: None)
    panel.act({"act": "look", "arg": "Tray orders"})
    assert "Tray orders" in panel.parts(app.snapshot())["resource"]
    panel.act({"act": "look", "arg": "Tray orders", "value": "prefix:2025/"})
    assert panel.state.prefix == "2025/"
    panel.act({"act": "look", "arg": "Tray orders", "value": "20"})
    assert (panel.state.resource, panel.state.prefix) == ("Tray orders", "20")
    panel.act({"act": "look", "arg": "Tray orders", "value": "page:t1"})
    assert (panel.state.resource, panel.state.prefix) == ("Tray orders", "20")
    panel.act({"act": "close-look", "arg": ""})
    assert panel.parts(app.snapshot())["resource"] == ""
