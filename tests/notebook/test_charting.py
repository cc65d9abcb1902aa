"""`%buildflow chart` in a real shell, and the tab of the drawer."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from buildflow_nb.cockpit.panel.chart_tab import ChartTab
from buildflow_nb.cockpit.views.chart import Chart
from tests.fakes import FakeSink, FakeSource
from tests.notebook.test_elements import until

PRICE = """%%buildflow consumer source=source, sink=sink
def price(x: int) -> int:
    return x
"""


@pytest.fixture
def price(cells):
    """A processor that has met three elements."""
    cells.names.update(source=FakeSource([[1, 2, 3]], endless=True), sink=FakeSink())
    assert cells(PRICE).ok
    cells.app.run(block=False)
    until(lambda: len(cells.app.history_of("price")))
    yield cells
    cells.app.handle.stop(drain=False, timeout=1)


@pytest.mark.parametrize(("span", "said"), [("", "10 minutes"), (" --span 1h", "hour")])
def test_a_line_draws_a_chart_in_both_forms(price, span, said):
    chart = price(f"%buildflow chart price{span}").value
    assert isinstance(chart, Chart)
    assert repr(chart).startswith(f"price, last {said}, to ")
    assert "in/s" in repr(chart)
    html = chart._repr_html_()
    assert html.count('class="plot') + html.count("class=plot>") >= 3
    assert "<script" not in html


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chart prise", "did you mean 'price'"),
        ("chart price --span 2h", "'2h' is none of 10m, 1h, 24h"),
        ("chart", "are required: ID"),
    ],
)
def test_a_bad_line_is_one_line(price, line, said):
    found = price(f"%buildflow {line}")
    assert isinstance(found.error, UsageError)
    assert said in str(found.error)


def test_the_tab_has_its_spans_as_buttons_and_draws_once_a_second(price, monkeypatch):
    from buildflow_nb.cockpit.panel import chart_tab

    now = [1_700_000_000.0]
    monkeypatch.setattr(chart_tab.time, "time", lambda: now[0])
    tab, asked = ChartTab(), []
    ask = price.app.history_of
    monkeypatch.setattr(price.app, "history_of", lambda name: asked.append(name) or ask(name))
    html = tab.html(price.app, "price", "1h")
    assert html.count('data-act="span"') == 3
    assert 'data-arg="1h" aria-pressed="true"' in html
    for step in (0.2, 0.9, 4.0):
        now[0] = 1_700_000_000.0 + step
        assert tab.html(price.app, "price", "1h") == html
    assert asked == ["price"]
    now[0] += 2
    tab.html(price.app, "price", "1h")
    tab.html(price.app, "price", "10m")
    assert asked == ["price"] * 3
