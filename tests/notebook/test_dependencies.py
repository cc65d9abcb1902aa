"""A dependency whose own cell is run again, in a real shell."""

import pytest

from tests.fakes import FakeSink, FakeSource
from tests.flow.failing import until

DB = """
from buildflow_nb.dependencies import Scope, dependency
@dependency(Scope.REPLICA)
class DB:
    factor = {factor}
    def close(self):
        closed.append(self.factor)
"""
REPO = """
@dependency(Scope.REPLICA)
class Repo:
    def __init__(self, db: DB):
        self.db = db
"""
PRICE = """
@app.consumer(numbers, stored)
def price(x: int, repo: Repo) -> int:
    return x * repo.db.factor
"""


def with_init(parameter):
    return f"{DB.format(factor=3)}    def __init__(self, {parameter}): ..."


@pytest.fixture
def shop(cells):
    """Three cells: a database, what stands on it, and a processor that uses that."""
    cells.names["numbers"] = FakeSource([[1, 2]], endless=True)
    cells.names.update(stored=FakeSink(), closed=[])
    assert cells(DB.format(factor=10), "db").ok
    assert cells(REPO, "repo").ok
    assert cells(PRICE, "price").ok
    return cells


def test_its_users_take_it_up_while_they_run(shop):
    shop.app.run(block=False)
    until(lambda: shop.names["stored"].tape.pushed == [10, 20])
    assert shop(DB.format(factor=3), "db").ok
    assert shop.app.send("price", 5) == [15]
    until(lambda: shop.names["closed"] == [10])
    assert shop.app.snapshot().processors[0].version == 2
    shop.app.handle.stop()
    assert shop.names["closed"] == [10, 3]
    assert shop.names["stored"].tape.pushed == [10, 20]


def test_what_stands_between_is_made_anew_too(shop):
    repo = shop.names["Repo"]
    assert shop(DB.format(factor=3), "db").ok
    assert shop.names["Repo"] is repo
    assert shop.app.send("price", 5) == [15]


def test_a_cell_that_fails_leaves_the_old_one(shop):
    shop.app.run(block=False)
    assert not shop(DB.format(factor=3) + "\n1 / 0", "db").ok
    assert shop.app.send("price", 5) == [50]
    assert shop("x = 1", "other").ok
    assert shop.app.send("price", 5) == [50]
    assert shop(PRICE, "price").ok
    assert shop.app.send("price", 5) == [50]


def test_other_processors_are_left_alone(shop):
    assert shop("@app.consumer(numbers)\ndef plain(x: int): ...", "plain").ok
    before = shop.app.processors["plain"]
    assert shop(DB.format(factor=3), "db").ok
    assert shop.app.processors["plain"] is before


def test_one_that_cannot_be_made_any_more_is_told_and_changes_nothing(shop):
    assert not shop(with_init("url: str"), "db").ok
    assert shop.app.send("price", 5) == [50]


def test_a_circle_that_comes_about_is_told_and_changes_nothing(shop):
    error = shop(with_init("repo: Repo"), "db").error
    assert "DB → Repo → DB" in str(error)
    assert shop.app.send("price", 5) == [50]


OVERRIDE = """
class Fake:
    factor = 1
with app.override(DB, Fake()):
    inside = app.send("price", 5)
outside = app.send("price", 5)
"""


def test_what_stands_in_does_so_within_its_cell(shop):
    shop.app.run(block=False)
    assert shop(OVERRIDE, "try").ok
    assert (shop.names["inside"], shop.names["outside"]) == ([5], [50])
    assert shop.app.snapshot().processors[0].version == 3


def test_a_cell_that_fails_has_undone_it(shop):
    shop.app.run(block=False)
    failing = OVERRIDE.replace("    inside = ", "    1 / 0\n    inside = ")
    assert not shop(failing, "try").ok
    assert shop.app.send("price", 5) == [50]
    assert shop("x = 1", "other").ok
    assert shop.app.send("price", 5) == [50]
