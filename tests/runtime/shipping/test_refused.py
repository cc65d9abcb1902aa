"""What stays in its process, and what is said of it: the variable, its line, and the way to it."""

from __future__ import annotations

import pytest

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.declaring.hooks import lifespan_hook
from buildflow_nb.runtime.shipping import CannotShipError, pack, pack_spec
from tests.fakes import FakeSink, FakeSource

CURE = "which cannot be sent to another process; make it in setup(), or as a dependency"

MADE = {
    "a lock": "import threading\nit = threading.Lock()",
    "an event": "import threading\nit = threading.Event()",
    "a thread": "import threading\nit = threading.Thread()",
    "a pool": "import concurrent.futures as f\nit = f.ThreadPoolExecutor(1)",
    "a queue": "import queue\nit = queue.Queue()",
    "an open file": "it = open('/dev/null')",
    "an open file of bytes": "it = open('/dev/null', 'rb')",
    "a socket": "import socket\nit = socket.socket()",
    "a process": "import subprocess\nit = subprocess.Popen(['true']); it.wait(5)",
    "a generator": "it = (i for i in [1])",
    "a running coroutine": "async def f(): ...\nit = f()",
    "a loop": "import asyncio\nit = asyncio.new_event_loop()",
    "a task's future": "import asyncio\nloop = asyncio.new_event_loop()\nit = loop.create_future()",
    "a connection of sqlite": "import sqlite3\nit = sqlite3.connect(':memory:')",
    "a connection of DuckDB": "import duckdb\nit = duckdb.connect()",
    "a client of boto3": "import boto3\nit = boto3.client('sqs', region_name='eu-central-1',"
    " aws_access_key_id='a', aws_secret_access_key='b')",
    "what ctypes holds": "import ctypes\nit = ctypes.c_int(3)",
    "a library of ctypes": "import ctypes\nit = ctypes.CDLL(None)",
    "the notebook itself": "import __main__ as it",
    "a frame": "import sys\nit = sys._getframe()",
    "a weak reference": "import weakref\nclass A: ...\na = A()\nit = weakref.ref(a)",
    "a flow": "from buildflow_nb import Flow\nit = Flow(flow_id='shop')",
}


@pytest.mark.parametrize("text", MADE.values(), ids=MADE)
def test_a_global_that_stays_is_named_with_its_line(notebook, text):
    cell = notebook(text)
    cell = notebook("""
        def helper(x):
            return 3, it

        def price(x):
            return helper(
                x)
    """)
    try:
        with pytest.raises(CannotShipError) as caught:
            pack(cell.price)
        assert str(caught.value) == (
            f"'price': uses 'helper' (line 6), which uses 'it' (line 3), {CURE}"
        )
    finally:
        close(cell)


def close(cell):
    for name in ("loop", "it"):
        one = getattr(cell, name, None)
        way = next((way for way in ("close", "shutdown") if hasattr(one, way)), "__repr__")
        getattr(one, way)()


WAYS = {
    "of a closure": (
        """
        def make():
            it = threading.Lock()
            return lambda x: (x, it)
        price = make()
        """,
        "'<lambda>': uses 'it' (line 4)",
    ),
    "of a default": (
        "def price(x, it=threading.Lock()): ...",
        "'price': has a default of 'it' (line 1)",
    ),
    "of a method": (
        """
        class price:
            def process(self, x):
                return it
        """,
        "'price': uses 'it' (line 4)",
    ),
    "of a class": ("class price:\n    lock = threading.Lock()", "'price': holds 'lock'"),
    "of a base": (
        "class Base:\n    lock = threading.Lock()\nclass price(Base): ...",
        "'price': stands on 'Base', which holds 'lock'",
    ),
    "of an instance": (
        """
        class Client:
            def __init__(self): self.lock = threading.Lock()
        client = Client()
        def price(x): return client
        """,
        "'price': uses 'client' (line 5), which holds 'lock'",
    ),
    "of a container": (
        "all = {'a': [1, threading.Lock()]}\ndef price(x): return all",
        "'price': uses 'all' (line 2), which holds ['a'], which holds [1]",
    ),
    "of a partial": (
        "import functools\ndef f(x, y): ...\nprice = functools.partial(f, threading.Lock())",
        "a partial: holds [0]",
    ),
    "of a decorator": (
        """
        import functools
        def locked(f):
            lock = threading.Lock()
            @functools.wraps(f)
            def call(*args):
                with lock: return f(*args)
            return call
        @locked
        def price(x): return x
        """,
        "'price': uses 'lock' (line 7)",
    ),
    "of a property": (
        """
        class price:
            @property
            def it(self): return it
        """,
        "'price': uses 'it' (line 4)",
    ),
    "of a class method": (
        """
        class price:
            @classmethod
            def made(cls): return it
        """,
        "'price': uses 'it' (line 4)",
    ),
    "of a class that it makes": (
        """
        class Client:
            def go(self): return it
        def price(x): return Client()
        """,
        "'price': uses 'Client' (line 4), which uses 'it' (line 3)",
    ),
    "of get_ipython": (
        """
        from IPython import get_ipython
        def price(x): return get_ipython()
        """,
        "'price': uses 'get_ipython' (line 3)",
    ),
    "of themselves": (
        """
        def other(x): return price(x)
        box = [it]
        def price(x): return other(x), box
        """,
        "'price': uses 'box' (line 4), which holds [0]",
    ),
}


@pytest.mark.parametrize(("text", "said"), WAYS.values(), ids=WAYS)
def test_the_way_to_it(notebook, text, said):
    notebook("import threading\nit = threading.Lock()")
    cell = notebook(text)
    with pytest.raises(CannotShipError) as caught:
        pack(cell.price)
    assert str(caught.value) == f"{said}, {CURE}"


def test_a_spec_is_named_by_its_kind_and_name(notebook):
    cell = notebook("""
        from buildflow_nb import Flow
        app = Flow(flow_id="shop")
        def price(x: int) -> int:
            return app
    """)
    spec = consumer_spec(cell.price, FakeSource([]), FakeSink(), {})
    with pytest.raises(CannotShipError) as caught:
        pack_spec(spec)
    assert str(caught.value) == f"consumer 'price': uses 'app' (line 5), {CURE}"
    with pytest.raises(CannotShipError) as caught:
        pack(("of a call", spec))
    assert str(caught.value) == f"consumer 'price': uses 'app' (line 5), {CURE}"


def test_a_hook_is_named_by_its_word_and_name(notebook):
    cell = notebook("""
        import threading
        lock = threading.Lock()
        def start(): lock
    """)
    hook = lifespan_hook("on_startup", cell.start)
    for thing in (hook, (hook,), ({hook.key: hook},)):
        with pytest.raises(CannotShipError) as caught:
            pack(thing)
        assert str(caught.value) == f"on_startup 'start': uses 'lock' (line 4), {CURE}"


def test_a_line_of_a_cell_has_the_number_of_the_cell(notebook, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.compile.cache("import threading", 1)
    name = shell.compile.cache("import threading\nit = threading.Lock()\ndef …", 3)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    cell = notebook("import threading\nit = threading.Lock()\ndef price(x): return it", name=name)
    with pytest.raises(CannotShipError, match=r"'price': uses 'it' \(line 3 of cell 3\), which"):
        pack(cell.price)


def test_an_object_of_a_library_is_the_culprit_itself(notebook):
    cell = notebook("""
        import logging.handlers, queue
        it = logging.handlers.QueueHandler(queue.Queue())
        def price(x): return it
    """)
    with pytest.raises(CannotShipError) as caught:
        pack(cell.price)
    assert str(caught.value) == f"'price': uses 'it' (line 4), {CURE}"


def test_what_a_user_raises_while_it_is_pickled_is_a_refusal_too(notebook):
    cell = notebook("""
        class Odd:
            def __reduce__(self): raise SystemExit("no")
        it = Odd()
        def price(x): return it
    """)
    with pytest.raises(CannotShipError, match=r"'price': uses 'it' \(line 5\), which cannot"):
        pack(cell.price)


def test_a_depth_without_end_is_a_refusal(notebook):
    cell = notebook("""
        it = []
        for _ in range(100_000): it = [it]
        def price(x): return it
    """)
    with pytest.raises(CannotShipError, match=r"'price': uses 'it' \(line 4\)") as caught:
        pack(cell.price)
    assert "holds [0], …, which holds [0], which cannot" in str(caught.value)
    assert len(str(caught.value)) < 250
