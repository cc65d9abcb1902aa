"""What stands in for a dependency, in tests say: in calls, in trials, and in a running flow."""

from typing import Annotated

import pytest

from buildflow_nb.core.errors import DeclarationError, UsageError
from buildflow_nb.dependencies import Scope, dependency
from tests.fakes import FakeSink, FakeSource
from tests.flow.failing import until


@dependency(Scope.REPLICA)
class DB:
    price = 10


@dependency(Scope.PROCESS)
def session(db: DB):
    yield db.price


class Fake:
    price = 1


def price(order: int, db: DB) -> int:
    return order * db.price


def declare(app, code=price, **words):
    source, sink = FakeSource([], endless=True), FakeSink()
    app.consumer(source=words.pop("source", source), sink=sink, **words)(code)
    return sink


def test_a_plain_call_takes_what_it_is_given():
    assert price(2, db=Fake()) == 2


def test_a_value_is_injected_as_it_is(app):
    declare(app)
    assert app.send("price", 2) == [20]
    with app.override(DB, Fake()):
        assert app.send("price", 2) == [2]
    assert app.send("price", 2) == [20]


def test_a_class_is_made(app):
    declare(app)
    with app.override(DB, Fake):
        assert app.send("price", 2) == [2]


def test_a_function_is_called_and_a_generator_is_closed(app):
    diary = []

    def fake():
        yield Fake()
        diary.append("closed")

    declare(app)
    with app.override(DB, fake):
        assert app.send("price", 2) == [2]
    assert diary == ["closed"]


def test_what_stands_on_it_gets_it_too(app):
    def code(order: int, price: Annotated[int, session]) -> int:
        return order * price

    declare(app, code)
    with app.override(DB, Fake()):
        assert app.send("code", 2) == [2]


def test_it_holds_for_what_is_declared_later_and_until_it_is_undone(app):
    override = app.override(DB, Fake())
    declare(app)
    assert app.send("price", 2) == [2]
    override.undo()
    assert app.send("price", 2) == [20]


def test_the_inner_one_gives_way_to_the_outer_one(app):
    declare(app)
    with app.override(DB, Fake()):
        with app.override(DB, type("Other", (), {"price": 3})()):
            assert app.send("price", 2) == [6]
        assert app.send("price", 2) == [2]


def test_a_running_flow_takes_it_up_and_loses_nothing(app):
    sink = declare(app, source=FakeSource([[1, 2], [3]], endless=True))
    app.run(block=False)
    until(lambda: sink.tape.pushed == [10, 20, 30])
    with app.override(DB, Fake()):
        assert app.send("price", 5) == [5]
        assert app.snapshot().processors[0].version == 2
    assert app.send("price", 5) == [50]


def test_what_is_no_dependency_is_refused(app):
    with pytest.raises(UsageError, match=r"'Fake' is no dependency; mark it with @dependency"):
        app.override(Fake, 1)


def test_what_cannot_be_made_changes_nothing(app):
    class Needs:
        def __init__(self, url: str):
            pass

    declare(app)
    with pytest.raises(DeclarationError, match="nothing gives its parameter 'url'"):
        app.override(DB, Needs)
    assert app.send("price", 2) == [20]


def test_a_replay_and_a_retry_use_it(app):
    class Broken:
        @property
        def price(self):
            msg = "no connection"
            raise OSError(msg)

    declare(app, source=FakeSource([[4]], endless=True), retries=0)
    with app.override(DB, Broken()):
        app.run(block=False)
        until(lambda: app.failures("price"))
    (failure,) = app.failures("price")
    assert failure.retry() == [40]


def test_what_it_stands_in_for_is_kept_as_it_is(app):
    diary = []

    @dependency(Scope.GLOBAL)
    class Feed:
        def __init__(self):
            diary.append("made")
            self.seen = []

        def close(self):
            diary.append("closed")

    def code(order: int, feed: Feed) -> int:
        feed.seen.append(order)
        return len(feed.seen)

    sink = declare(app, code, source=FakeSource([[1], [2]], endless=True))
    app.run(block=False)
    until(lambda: sink.tape.pushed == [1, 2])
    fake = type("Fake", (), {"seen": []})()
    with app.override(Feed, fake):
        assert app.send("code", 3) == [1]
    assert app.send("code", 4) == [3]
    app.handle.stop()
    assert diary == ["made", "closed"]
