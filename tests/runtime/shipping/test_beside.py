"""Modules beside the notebook go with what uses them, and are modules like any others there."""

from __future__ import annotations

import re
import sys
from functools import partial

import pytest

from buildflow_nb.runtime.shipping import CannotShipError, pack, unpack
from tests.runtime.shipping.over_there import Again, keep


def test_a_module_that_is_imported_and_a_function_of_one(notebook, child, beside):
    folder = beside(
        rates="""
            RATE = 3
            def rate(x): return x * RATE
        """,
        other="""
            import rates
            def twice(x): return rates.rate(x) * 2
        """,
    )
    cell = notebook("""
        import rates
        from other import twice
        def price(x): return rates.rate(x), twice(x)
    """)
    assert child.call(cell.price, 2, folder=folder) == (6, 12)
    cell.rates.RATE = 5
    assert child.call(cell.price, 2, folder=folder) == (10, 20)


def test_a_module_that_is_imported_inside_of_a_function(notebook, child, beside):
    folder = beside(inside="def f(): return 'inside'")
    cell = notebook("""
        def price():
            from inside import f
            return f()
    """)
    assert "inside" not in sys.modules
    assert child.call(cell.price, folder=folder) == "inside"


def test_a_package_and_what_its_modules_import_of_each_other(notebook, child, beside):
    folder = beside(
        shop__in____init__="from .prices import price\nNAME = __name__",
        shop__in__prices="from . import rates\nfrom .deep.more import add\n"
        "def price(x): return add(rates.RATE * x)",
        shop__in__rates="RATE = 7",
        shop__in__deep__in__more="from ..rates import RATE\ndef add(x): return x + RATE",
    )
    cell = notebook("""
        from shop import price
        import shop
        def use(x): return price(x), shop.NAME, shop.prices.__name__, shop.prices.__file__
    """)
    told = (21, "shop", "shop.prices", str(folder / "shop" / "prices.py"))
    assert child.call(cell.use, 2, folder=folder) == told


def test_classes_of_a_module_are_themselves_and_come_back(notebook, child, beside):
    folder = beside(
        types_beside="""
            import dataclasses, enum, threading
            import msgspec
            LOCK = threading.Lock()  # cannot be sent, and is not
            @dataclasses.dataclass
            class Order:
                a: int
            class State(enum.Enum):
                OPEN = 1
            class Line(msgspec.Struct):
                a: int
                def more(self): return super().__class__
        """
    )
    cell = notebook("""
        import types_beside
        from types_beside import Order, Line, State
        class Big(Order): ...
        def use(x):
            with types_beside.LOCK:
                assert isinstance(x, types_beside.Order)
                return x, Order(1), Line(2), State.OPEN, Big(3)
    """)
    expected = (cell.Order(4), cell.Order(1), cell.Line(2), cell.State.OPEN, cell.Big(3))
    found = child.call(cell.use, cell.Order(4), folder=folder)
    assert found == expected
    assert [type(one) for one in found] == [type(one) for one in expected]


def test_a_module_that_was_changed_and_loaded_again(notebook, child, beside):
    import importlib

    folder = beside(changes="def f(): return 1", users="from changes import f\ndef g(): return f()")
    cell = notebook("import changes, users\ndef price(): return changes.f(), users.g()")
    assert child.call(cell.price, folder=folder) == (1, 1)
    beside(changes="def f(): return 'two'")
    importlib.reload(cell.changes)
    importlib.reload(cell.users)
    assert child.call(cell.price, folder=folder) == ("two", "two")


def test_what_is_installed_or_outside_of_the_folder_goes_by_name(notebook, child, beside, tmp_path):
    beside(outside="def f(): return 1")
    cell = notebook("from outside import f\nimport numpy\ndef price(): return f(), numpy.pi")
    inner = tmp_path / "inner"
    inner.mkdir()
    sources = pack(cell.price, folder=inner)
    assert b"def f()" not in sources
    assert b"def f()" in pack(cell.price, folder=tmp_path)
    assert b"numpy/" not in pack(cell.price, folder=tmp_path)
    with pytest.raises(
        CannotShipError, match="needs the module 'outside', which is not there; ins"
    ):
        child.call(cell.price, folder=inner)


def test_what_a_module_cannot_do_over_there_is_said(notebook, child, beside):
    folder = beside(breaks="import sys\nif 'pytest' not in sys.modules: raise ValueError('odd')")
    cell = notebook("import breaks\ndef price(): return breaks")
    with pytest.raises(CannotShipError, match=r"cannot be made again in another process: .*odd"):
        child.call(cell.price, folder=folder)


def test_a_traceback_over_there_shows_lines_of_the_module(notebook, child, beside):
    folder = beside(raises="def f():\n    raise KeyError('deep')  # here")
    cell = notebook("""
        import traceback
        from raises import f
        def price():
            try:
                f()
            except KeyError:
                return traceback.format_exc()
    """)
    assert re.search(r"raises.py.*raise KeyError\('deep'\)  # here", child.call(cell.price,
                     folder=folder), re.DOTALL)  # fmt: skip


def test_a_module_of_this_process_is_left_alone(notebook, beside):
    folder = beside(mine="values = [1]\ndef f(): return values")
    cell = notebook("import mine\ndef price(): return mine.f()")
    data = pack(cell.price, folder=folder)
    cell.mine.values.append(2)
    assert unpack(data)() is cell.mine.values
    assert cell.mine.values == [1, 2]


def test_a_module_with_a_flow_and_processors_of_its_own_declares_nothing(notebook, child, beside):
    folder = beside(
        flow_beside="""
            from buildflow_nb import Flow
            app = Flow(flow_id="beside")
            def rate(x): return x * 4
        """
    )
    cell = notebook("from flow_beside import rate\ndef price(x): return rate(x)")
    assert child.call(cell.price, 2, folder=folder) == 8


def test_values_of_a_module_are_set_only_where_they_were_changed_here(notebook, child, beside):
    folder = beside(
        counts="""
            RATE, seen, cache = 3, 0, {}
            def see():
                global seen
                seen += 1
                cache[seen] = RATE
                return seen, RATE, dict(cache)
        """
    )
    cell = notebook("import counts\ndef price(): return counts.see()")
    cell.counts.RATE = 2
    assert child.call(cell.price, folder=folder) == (1, 2, {1: 2})
    cell.counts.RATE = 3
    assert child.call(cell.price, folder=folder) == (2, 3, {1: 2, 2: 3})
    cell.counts.cache["from here"] = 1
    assert child.call(cell.price, folder=folder) == (3, 3, {"from here": 1, 3: 3})


def test_values_alone_leave_a_module_as_it_is(notebook, child, beside):
    folder = beside(
        elements_beside="""
            RATE = 3
            class Order:
                def told(self): return RATE
        """
    )
    cell = notebook("import elements_beside\ndef told(order): return order.told()")
    order = cell.elements_beside.Order()
    child.call(partial(keep, told=cell.told), folder=folder)
    assert child.call(Again("told"), order, folder=folder) == 3
    cell.elements_beside.RATE = 4
    assert child.call(Again("told"), order, folder=folder) == 3
    assert child.call(cell.told, order, folder=folder) == 4
