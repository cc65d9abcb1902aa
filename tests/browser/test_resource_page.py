"""Pages of resources and plans as a person uses them: on the page of its own, in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from buildflow_nb.local_cloud.client import stop_cloud

pytestmark = [pytest.mark.browser, pytest.mark.emulator, pytest.mark.pulumi]

# The flow runs in a process of its own: Playwright's loop is this thread's.
PROGRAM = """
import sys, time
from dataclasses import dataclass

from buildflow_nb import Flow
from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.io.aws import S3Bucket, SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable

app = Flow("shop")
orders, dead = SQSQueue("orders"), SQSQueue("orders-dead")
bucket = S3Bucket("exports-2025").options(force_destroy=True)
app.manage(orders, dead, bucket)
BAD = True


@dataclass
class Order:
    id: int
    item: str
    qty: int


@app.consumer(orders, DuckDBTable("out.duckdb", "priced"), dead_letter=dead, retries=0)
def price(order: Order) -> dict:
    if BAD and order.qty == 0:
        raise KeyError("usd")
    return {"id": order.id, "total": order.qty * 1.2}


app.apply(yes=True)
for i in range(4):
    app.resource("orders").send({"id": 88_000 + i, "item": "<b>Lemon</b>", "qty": i % 2})
import boto3

place = app.place.env()
keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
s3 = boto3.client("s3", endpoint_url=place.endpoints["s3"], **keys)
for name in ("2025/a.csv", "readme.txt"):
    s3.put_object(Bucket="exports-2025", Key=name, Body=b"id,item\\n1,Fig\\n2,Pear\\n")
handle = app.run(block=False)
cockpit = Cockpit(lambda: app, lambda: None)
print(cockpit.open().url, flush=True)
for line in sys.stdin:
    word = line.strip()
    if word == "mend":
        BAD = False
    elif word == "forget":
        app.unmanage(bucket)
    elif word == "end":
        break
    print("done", flush=True)
handle.stop()
cockpit.close()
"""


class Program:
    """The flow, as a process that does what it is told."""

    def __init__(self, folder):
        (folder / "shop.py").write_text(PROGRAM)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "shop.py"], cwd=folder, **pipes)
        self.link = self._line()

    def _line(self):
        return self.process.stdout.readline().strip()

    def tell(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self._line() == "done"

    def end(self):
        try:
            self.process.communicate("end\n", timeout=30)
        finally:
            self.process.kill()


@pytest.fixture
def program(tmp_path):
    made = Program(tmp_path)
    yield made
    made.end()
    stop_cloud(tmp_path)


@pytest.fixture
def page(context, program):
    made = context.new_page()
    made.set_viewport_size({"width": 1200, "height": 1300})
    made.set_default_timeout(15_000)
    made.goto(program.link)
    yield made
    made.close()


def opened(page, name):
    page.locator("[data-act=look]", has_text=name).first.click()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def test_dead_letters_are_seen_redriven_and_messages_sent(page, program):
    opened(page, "orders-dead")
    page.get_by_text("why it is here").wait_for()
    page.locator("td", has_text="<b>Lemon</b>").nth(1).wait_for()  # a text is no HTML
    assert page.locator("td", has_text="KeyError: 'usd'").count() == 2
    page.get_by_text("Looking takes nothing away and changes nothing.").wait_for()
    program.tell("mend")
    button(page, "Redrive 2 to orders…").click()
    page.get_by_text("takes about 2 messages out").wait_for()
    button(page, "Redrive").click()
    page.get_by_text("redriven: 2 to orders").first.wait_for()
    page.locator("[data-act=look]", has_text="orders").first.click()
    button(page, "Send…").click()
    page.locator("input[name=element]").fill(json.dumps({"id": 7, "item": "Fig", "qty": 2}))
    button(page, "Send").click()
    page.get_by_text("put a message into orders").first.wait_for()
    opened(page, "out.duckdb")
    page.locator(".stats b", has_text="5").first.wait_for()


def test_a_bucket_is_walked_and_an_object_previewed(page):
    opened(page, "exports-2025")
    button(page, "2025/").click()
    button(page, "a.csv").click()
    page.locator("td", has_text="Pear").wait_for()
    page.get_by_label("prefix").fill("read")
    button(page, "readme.txt").wait_for()


def test_a_plan_tells_what_goes_with_a_bucket(page, program):
    program.tell("forget")
    page.locator('[data-arg="%buildflow apply"]').first.click()
    band = page.locator(".band[role=alert]")
    band.wait_for()
    assert "would delete 2 objects" in band.inner_text()
    assert page.get_by_text("2 objects go").count()
    button(page, "Cancel").first.click()
