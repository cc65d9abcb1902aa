"""The panel's parts, and what its clicks become."""

from types import SimpleNamespace
from typing import Annotated

import pytest

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.panel import Panel
from buildflow_nb.cockpit.panel.view_state import _CHANGES, ALL, TABS, ViewState, state_of
from buildflow_nb.commands.parsing import parse
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.local import Empty, Pulse
from tests.notebook.shots import PRICE, WORST, fake_flow, shot
from tests.notebook.test_form import void
from tests.notebook.test_snapshot_view import read


@pytest.fixture
def flow(bare):
    made = fake_flow()

    @made.consumer(Pulse([1], 1), Empty())
    def price(x: int) -> int:
        return x

    @made.endpoint("/worst", method="GET")
    def worst(limit: int = 3) -> int:
        return limit

    made.manage(SQSQueue("orders"))
    return made


class Made:
    """A panel, the lines that were clicked in it, and what its page was told."""

    def __init__(self, flow):
        self.changes, self.told = [], []
        self.cockpit = Cockpit(lambda: flow, lambda: None, cell_of=lambda _: "cell [2]")
        self.clicks = self.cockpit.clicks
        self.lines = []
        self.clicks.click = lambda line, shown="": self.lines.append((line, shown or line))
        self.panel = Panel(
            self.cockpit,
            "cell [4]",
            lambda: self.changes.append(1),
            tell=lambda **message: self.told.append(message),
        )

    def act(self, act, arg="", value="", **fields):
        self.panel.act({"act": act, "arg": arg, "value": value, "fields": fields})

    def html(self, now=None):
        return "".join(self.panel.parts(now or shot()).values())

    def buttons(self, now=None):
        tags = read(void(self.html(now))).tags
        return [a for t, a in tags if t == "button"]


@pytest.fixture
def made(flow):
    return Made(flow)


def test_every_button_that_does_something_is_a_line_that_the_magic_takes(made):
    known = made.cockpit.clicks.handlers
    lines = set()
    for tab in TABS:
        made.panel.state = ViewState(selected="price", tab=tab)
        for snapshot in (shot(), shot(state=State.STOPPED)):
            runs = snapshot.state is State.RUNNING
            made.panel.cockpit.flow().handle.running = runs
            lines |= {b["data-arg"] for b in made.buttons(snapshot) if b.get("data-act") == "do"}
    words = {parse(line.removeprefix("%buildflow")).command.name for line in lines}
    steer = {"preview", "apply", "destroy", "run", "stop", "check", "record", "replay"}
    assert words >= steer
    assert words <= set(known)


def test_a_button_says_its_line_and_why_it_is_off(made):
    made.clicks.off = lambda line: "under way" if line == "%buildflow stop" else ""
    (stop,) = [b for b in made.buttons() if b.get("data-arg") == "%buildflow stop"]
    assert stop["title"] == "%buildflow stop (under way)"
    assert stop["aria-disabled"] == "true"
    assert not [b for b in made.buttons() if b.get("data-arg") == "%buildflow run"]


def test_a_click_on_a_line_is_put_on_the_desk(made):
    made.act("do", "%buildflow apply")
    assert made.lines == [("%buildflow apply", "%buildflow apply")]
    assert made.changes == [1]


def test_a_row_opens_and_closes_and_its_tabs_show_what_is_there(made):
    made.act("select", "price")
    assert "nothing passed yet" in made.html()
    made.act("failures", "price")
    assert "nothing failed" in made.html()
    made.act("tab", "code")
    assert "def price(x: int) -&gt; int:" in made.html()
    assert "cell [2]" in made.html()
    made.act("tab", "no such tab")
    assert made.panel.state.tab == "code"
    made.act("select", "price")
    assert made.panel.state.selected == ""
    made.act("select", "nobody")
    assert not [name for name in made.panel.parts(shot()) if "drawer" in name]


def test_every_tab_names_the_line_that_shows_the_same(made):
    for tab, line in (
        ("elements", "%buildflow peek price"),
        ("failures", "%buildflow failures price"),
        ("log", "%buildflow logs price --level ERROR"),
        ("try", "%buildflow send price"),
        ("chart", "%buildflow chart price --span 10m"),
        ("profile", "%buildflow profile price"),
    ):
        made.panel.state = ViewState(selected="price", tab=tab, level="ERROR")
        assert f'data-copy="{line}"' in made.html()


@pytest.mark.parametrize(
    "act", ["nonsense", "level", "text", "pause", "fill", "close", "log", "no"]
)
def test_what_a_page_sends_is_only_ever_looked_at(made, act):
    made.act(act, "<b>", "<b>")
    html = made.html()
    assert "<b>&lt;" not in html
    assert made.lines == []


def test_a_form_becomes_a_line_and_a_wrong_one_a_message(made):
    made.act("send", "price", element="x")
    assert "is no int" in made.panel.state.wrong[1]
    made.act("send", "price", element="5")
    assert made.lines == [("%buildflow send price 5", "%buildflow send price 5")]
    assert made.cockpit.sent.of("price") == ["5"]


def test_a_secret_of_a_form_is_sent_and_seen_nowhere(made, flow):
    @flow.consumer(Pulse([1], 1), Empty())
    def pay(card: Annotated[str, Secret]): ...

    made.act("send", "pay", element="4111")
    ((line, shown),) = made.lines
    assert "4111" in line
    assert "4111" not in shown + made.html() + "".join(made.cockpit.sent.of("pay"))


def test_the_log_of_all_opens_and_is_taken_as_a_file(made, flow, monkeypatch):
    line = SimpleNamespace(at=1.0, level="PRINT", text="hello", number=1)
    monkeypatch.setattr(flow, "logs", lambda name: [line] if name == "price" else [])
    made.act("log")
    assert made.panel.state.selected == ALL
    assert "price hello" in made.html()
    made.act("download", ALL)
    (told,) = made.told
    assert told["save"] == "flow.log"
    assert told["text"].endswith("PRINT    price  hello\n")
    made.act("log")
    assert made.panel.state.selected == ""


def test_what_was_said_and_found_can_be_closed(made):
    made.clicks.say("it <failed>", "err")
    made.cockpit.found = SimpleNamespace(_repr_html_=lambda: "<p>found</p>")
    html = made.html()
    assert "it &lt;failed&gt;" in html
    assert "<p>found</p>" in html
    made.act("close-said")
    made.act("close-found")
    assert "failed&gt;" not in made.panel.parts(shot())["health"]
    assert made.panel.parts(shot())["found"] == ""


def test_codes_of_a_route_stand_with_its_state(made):
    from dataclasses import replace

    now = shot(PRICE, replace(WORST, failed=3, codes=((200, 2_804), (422, 3))))
    assert "200: 2,804 · 422: 3" in made.html(now)


def test_a_flow_that_is_no_longer_bound_is_said_and_breaks_nothing(made):
    made.act("select", "price")
    made.act("send", "nobody")
    assert "no processor 'nobody'" in made.clicks.said


def test_a_field_that_does_not_fit_is_told_at_the_field_and_nothing_is_sent(made):
    made.act("select", "price")
    made.act("tab", "try")
    made.act("send", "price", element="")
    assert made.lines == []
    assert made.clicks.said == ""
    assert "✕ it is missing" in made.panel.parts(shot())["drawer/body"]
    made.act("send", "price", element="5")
    assert [line for line, _ in made.lines] == ["%buildflow send price 5"]
    details = made.panel.parts(shot())["drawer/body"]
    assert "missing" not in details
    assert 'value="5"' in details  # the form keeps what was sent


LOOKS = {  # a click that looks: what it is made with
    "select": ("price", ""), "failures": ("price", ""), "chart": ("price", ""), "log": ("", ""),
    "trace": ("price 0af7651916cd43dd8448eb211c80319c", ""), "tab": ("code", ""),
    "group": ("KeyError cell [5] line 4", ""), "which": ("failed", ""), "find": ("", "usd"),
    "span": ("1h", ""), "sort": ("failed", ""), "query": ("", "pri ce"), "only": ("fails", ""),
    "unfold": ("", ""), "lane": ("orders's", ""), "look": ("SQSQueue orders", ""),
    "level": ("", "ERROR"), "text": ("", 'say "x"'),
}  # fmt: skip
OF_THE_PAGE = {"pause", "fill", "hold", "rows", "keys", "close", "close-look"}


def test_every_click_that_looks_is_a_line_that_opens_the_same():
    assert set(LOOKS) | OF_THE_PAGE == set(_CHANGES)
    for act, (arg, value) in LOOKS.items():
        state = ViewState(selected="price").after(act, arg, value)
        asked = parse(state.line.removeprefix("%buildflow"))
        assert asked.command.name == "panel"
        opened = state_of(asked.values)
        assert opened.line == state.line
        assert opened.after("close", "", "") != opened or act in ("select", "log")
        for name in ("selected", "tab", "sort", "query", "only", "folded", "group", "resource"):
            wanted = getattr(state, name) if name != "tab" or state.selected else "elements"
            assert getattr(opened, name) == wanted, (act, name)


@pytest.mark.parametrize(("act", "line"), [
    ("cancel", "%buildflow cancel"),
    ("kill", "%buildflow cancel --now"),
    ("download", "%buildflow logs price --to price.log"),
    ("send", "%buildflow send price 5"),
])  # fmt: skip
def test_every_click_that_does_something_else_has_a_line_of_its_own(act, line):
    assert parse(line.removeprefix("%buildflow")).command.name in line
