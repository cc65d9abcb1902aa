"""A notebook with a panel, and what a person does with it."""

from __future__ import annotations

LOAD = """%load_ext buildflow_nb
from dataclasses import dataclass
from buildflow_nb.io.aws import S3Bucket, SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import Pulse

@dataclass
class Order:
    id: int
    qty: int

@dataclass
class Priced:
    id: int
    price: float

orders = Pulse([{"id": i, "qty": i % 7} for i in range(1000)], 0.01)
app.manage(SQSQueue("NAME-queue"), S3Bucket("NAME-bucket"))"""
PRICE = """%%buildflow consumer source=orders, sink=DuckDBTable("NAME.duckdb", "priced"), retries=0
def price(order: Order) -> Priced:
    if order.qty == 0:
        raise ValueError("qty must be positive")
    print("order", order.id)
    return Priced(order.id, 2.0 * order.qty)"""
DOUBLE = '%%buildflow endpoint "/double/{n}"\ndef double(n: int) -> int:\n    return 2 * n'
HELD = """import pathlib, time
class Held:
    primitive_id = "held"
    def resources(self, site):
        end = time.monotonic() + 60
        while not pathlib.Path("GATE").exists() and time.monotonic() < end:
            time.sleep(0.05)
        return {}
app.manage(Held())"""
PANEL = 3  # the cell under which the panel stands


def panel(book, cell=PANEL):
    return book.output(cell).locator("section.bf-live")


def line(view, text):
    """The button that stands for a line."""
    return view.locator(f'button[data-arg="%buildflow {text}"]')


def act(view, name):
    return view.locator(f'button[data-act="{name}"]')


def start(view):
    """Run the flow by its button, on any free port."""
    line(view, "run").click()
    line(view, "stop").wait_for()


def stop(view):
    """Stop it by its button, and wait until it has."""
    line(view, "stop").click()
    line(view, "run").wait_for()


def row(view, name):
    """The button that opens a processor's row."""
    return view.locator(f'tr[data-act][data-arg="{name}"] button.nm')


def menu(view, text):
    """The button for a line that stands in the menu."""
    view.locator("summary[aria-label=more]").click()
    return line(view, text)


def numbers_move(book, view):
    book.wait_change(view.locator("[data-part=table]"))
