"""What comes back to be looked at: always something, and it shows like what it was."""

from __future__ import annotations

import threading

import pytest

from buildflow_nb.core.errors import ConversionError, PermanentError
from buildflow_nb.core.status.snapshot import Failure
from buildflow_nb.runtime.shipping import (
    CannotShipError,
    StandIn,
    StandInError,
    kept,
    pack_shown,
    unpack,
)


def shown(thing):
    return unpack(pack_shown(thing))


def test_what_can_be_sent_is_itself(notebook):
    cell = notebook("""
        class Order:
            def __init__(self, id): self.id = id
        order = Order(3)
    """)
    assert shown(cell.order).id == 3
    assert type(shown(cell.order)) is cell.Order


def test_a_stand_in_shows_like_the_original():
    lock = threading.Lock()
    found = shown(lock)
    assert repr(found) == str(found) == repr(lock)
    assert found.kind == "lock"
    assert found == shown(lock)
    assert hash(found) == hash(shown(lock))


@pytest.mark.parametrize("make", [lambda x: [x, 1], lambda x: (x, 1), lambda x: {"a": x, "b": 1}])
def test_only_what_cannot_be_sent_inside_of_a_container_is_replaced(make):
    lock = threading.Lock()
    found = shown(make(lock))
    assert type(found) is type(make(lock))
    assert repr(found) == repr(make(lock))


def test_an_element_keeps_its_class_and_what_of_it_can_be_sent(notebook, child):
    cell = notebook("""
        import threading
        from dataclasses import dataclass
        @dataclass
        class Order:
            id: int
            lock: object
        lock = "made over there"
        def make():
            return [Order(3, threading.Lock()), Order(4, (i for i in []))]
    """)
    first, second = child.call(cell.make)
    assert (type(first), first.id, first.lock.kind) == (cell.Order, 3, "lock")
    assert (second.id, second.lock.kind) == (4, "generator")
    assert "<generator object" in repr(second)


def test_texts_are_bounded(notebook):
    cell = notebook("""
        class Big:
            def __repr__(self): return "x" * 100_000
            def __reduce__(self): raise ValueError
        big = Big()
    """)
    found = shown(cell.big)
    assert len(repr(found)) == 500
    assert repr(found).endswith("x…")
    assert len(pack_shown(cell.big)) < 2_000


HOSTILE = {
    "its repr raises": "def __repr__(self): raise SystemExit",
    "its repr is no text": "def __repr__(self): return 3",
    "its reduce gives nonsense": "def __reduce__(self): return 4",
    "it cannot be made again": "def __reduce__(self): return Odd, (1, 2, 3)",
    "it makes another thing": "def __getstate__(self): raise RuntimeError",
    "it sets nothing": "def __setstate__(self, state): raise RuntimeError\n    x = 3",
    "its class lies": "__class__ = property(lambda self: 1 / 0)",
    "it recurses": "def __reduce__(self): return list, ([self],)",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_user_writes_something_comes_back(notebook, text):
    cell = notebook(f"class Odd:\n    {text}\nodd = Odd()\nodd.a = open")
    for thing in (cell.odd, [cell.odd], {"a": [(cell.odd,)]}):
        data = pack_shown(thing)
        assert type(unpack(data)) is type(thing) or isinstance(unpack(data), StandIn)


def test_a_depth_without_end():
    deep = []
    for _ in range(20_000):
        deep = [deep]
    assert isinstance(shown(deep), (StandIn, list))


def test_what_holds_itself():
    loop = [1]
    loop.append(loop)
    found = shown(loop)
    assert found[1] is found


def test_errors_come_back_as_they_are(notebook, child):
    cell = notebook("""
        class NoStock(Exception):
            def __init__(self, sku, *, left):
                super().__init__(f"{sku}: {left} left")
                self.sku, self.left = sku, left
        class Plain(ValueError): ...
        def sell(): raise NoStock("a", left=2)
        def again():
            try:
                sell()
            except NoStock as error:
                error.add_note("noted")
                raise Plain("b") from error
        def files(): open("/not/there")
        def text(): b"\\xff".decode()
        def group(): raise ExceptionGroup("many", [NoStock("c", left=1), KeyError("d")])
    """)
    with pytest.raises(cell.NoStock, match="a: 2 left") as caught:
        child.call(cell.sell)
    assert (caught.value.sku, caught.value.left) == ("a", 2)
    with pytest.raises(cell.Plain, match="b") as caught:
        child.call(cell.again)
    assert isinstance(caught.value.__cause__, cell.NoStock)
    assert caught.value.__cause__.__notes__ == ["noted"]
    with pytest.raises(FileNotFoundError, match="/not/there") as caught:
        child.call(cell.files)
    assert caught.value.errno == 2
    with pytest.raises(UnicodeDecodeError, match="invalid start byte") as caught:
        child.call(cell.text)
    with pytest.raises(ExceptionGroup, match="many") as caught:
        child.call(cell.group)
    assert [type(one) for one in caught.value.exceptions] == [cell.NoStock, KeyError]


def test_errors_of_libraries_come_back(notebook, child):
    cell = notebook("""
        import msgspec, pydantic
        class Order(pydantic.BaseModel):
            id: int
        def model(): Order(id="x")
        def text(): msgspec.json.decode(b"[")
        def client():
            from botocore.exceptions import ClientError
            raise ClientError({"Error": {"Code": "Odd", "Message": "none"}}, "SendMessage")
    """)
    import botocore.exceptions
    import msgspec
    import pydantic

    with pytest.raises(msgspec.DecodeError, match="truncated"):
        child.call(cell.text)
    with pytest.raises(botocore.exceptions.ClientError, match="Odd") as caught:
        child.call(cell.client)
    assert caught.value.response["Error"]["Code"] == "Odd"
    with pytest.raises((pydantic.ValidationError, StandInError), match="valid integer"):
        child.call(cell.model)


def test_an_error_that_cannot_be_sent_has_a_stand_in(notebook):
    cell = notebook("""
        class Odd(Exception):
            def __reduce__(self): raise TypeError
        odd = Odd("why")
    """)
    found = shown(cell.odd)
    assert isinstance(found, StandInError)
    assert (str(found), repr(found), found.kind) == ("why", "Odd('why')", "Odd")
    (again,) = shown([found])
    assert (str(again), repr(again), again.kind) == ("why", "Odd('why')", "Odd")


def test_an_error_that_holds_what_cannot_be_sent_keeps_its_class(notebook):
    cell = notebook("""
        import threading
        class Odd(Exception): ...
        odd = Odd("why", threading.Lock())
        odd.lock = threading.Lock()
    """)
    found = shown(cell.odd)
    assert type(found) is cell.Odd
    assert (found.args[0], found.args[1].kind, found.lock.kind) == ("why", "lock", "lock")


def test_our_own_errors_and_data():
    for made in (PermanentError("no such queue"), ConversionError("id: expected int")):
        found = shown(made)
        assert (type(found), str(found)) == (type(made), str(made))
    failure = Failure(1, 2.0, "price", threading.Lock(), "odd", "Traceback", 1, "there", "failed")
    found = shown(failure)
    assert (found.processor_id, found.element.kind) == ("price", "lock")


def test_to_send_something_back_changes_nothing_over_there(notebook, child):
    cell = notebook("""
        from buildflow_nb.dependencies import dependency, Scope
        from buildflow_nb.runtime.shipping import pack_shown
        count = 0
        class Order:
            def seen(self): return count
        def add():
            global count
            count += 1
            return Order()
        def use():
            before = Order.seen
            pack_shown([add(), Order])
            return add().seen(), Order.seen is before
    """)
    assert child.call(cell.use) == (2, True)


def test_a_class_goes_back_small_and_whole_where_it_is_not_known(notebook, child):
    cell = notebook("""
        table = {i: str(i) for i in range(100_000)}
        class Order:
            def named(self): return table[1]
        def use(order: Order):
            from buildflow_nb.runtime.shipping import pack_shown
            class Local:
                def named(self): return table[2]
            return len(pack_shown([order])), Local()
    """)
    size, local = child.call(cell.use, cell.Order())
    assert size < 1_000  # where it came from has it
    assert local.named() == "2"


def test_a_class_that_is_not_there_any_more_is_named(notebook, child, monkeypatch):
    cell = notebook("""
        table = {i: str(i) for i in range(100_000)}
        class Order:
            def named(self): return table[1]
        def give(order: Order): return order
    """)
    monkeypatch.setattr(kept, "found", lambda _: None)
    with pytest.raises(
        CannotShipError, match="the class 'Order' of what was sent back is not there"
    ):
        child.call(cell.give, cell.Order())
