"""Transactions of cells, in a real shell."""

import gc
import re

import pytest

from buildflow_nb.flow import Flow
from tests.fakes import FakeSource

PRICE = "@app.consumer(numbers)\ndef price(x: int) -> int:\n    return x\n"
MAGIC = "%%buildflow consumer source=numbers\n\ndef price(x: int) -> int:\n    return x\n"


@pytest.mark.parametrize("code", [PRICE, MAGIC], ids=["decorator", "magic"])
def test_running_a_cell_again_replaces(cells, code):
    assert cells(code, "c1").ok
    first = cells.app.processors["price"]
    assert cells(code, "c1").ok
    assert list(cells.app.processors) == ["price"]
    assert cells.app.processors["price"] is not first


@pytest.mark.parametrize("code", [PRICE, MAGIC], ids=["decorator", "magic"])
def test_a_renamed_function_takes_its_predecessors_place(cells, code):
    cells(code, "c1")
    cells(code.replace("price", "cost"), "c1")
    assert list(cells.app.processors) == ["cost"]


ROUTE = "@app.endpoint('/pen')\ndef pen() -> int:\n    return 1\n"


def test_one_route_for_two_cells_is_refused_and_a_renamed_function_keeps_its_route(cells):
    cells(ROUTE, "c1")
    out = cells(ROUTE.replace("def pen", "def ink") + PRICE, "c2")
    assert out.ok
    assert "this cell declared nothing: endpoint 'pen' and endpoint 'ink' both serve" in out.text
    assert list(cells.app.processors) == ["pen"]
    cells(ROUTE.replace("def pen", "def nib"), "c1")
    assert list(cells.app.processors) == ["nib"]
    cells("x = 1", "c1")
    assert not cells.app.processors
    cells(ROUTE.replace("def pen", "def ink"), "c2")
    assert list(cells.app.processors) == ["ink"]


def test_a_renamed_function_keeps_its_route_where_its_cell_runs_the_flow(cells):
    run = "app.run(block=False, serve_port=0)\n"
    assert cells(ROUTE + run, "c1").ok
    out = cells(ROUTE.replace("def pen", "def nib") + run, "c1")
    assert out.ok
    assert "declared nothing" not in out.text
    assert list(cells.app.processors) == ["nib"]
    cells.app.handle.stop()


def test_a_cell_that_was_refused_keeps_what_it_had(cells):
    cells(ROUTE, "c1")
    cells(PRICE, "c2")
    cells(ROUTE.replace("def pen", "def ink"), "c2")
    assert list(cells.app.processors) == ["pen", "price"]
    cells("x = 1", "c2")
    assert list(cells.app.processors) == ["pen"]


def test_a_cell_that_registers_nothing_any_more_takes_its_processors_away(cells):
    cells(PRICE + PRICE.replace("price", "cost"), "c1")
    cells(PRICE, "c1")
    assert list(cells.app.processors) == ["price"]
    cells("x = 1", "c1")
    assert not cells.app.processors


def test_other_cells_are_left_alone(cells):
    cells(PRICE, "c1")
    cells("x = 1", "c2")
    cells(PRICE.replace("price", "cost"), "c3")
    assert list(cells.app.processors) == ["price", "cost"]


def test_a_function_moved_to_another_cell_belongs_to_that_cell(cells):
    cells(PRICE, "c1")
    cells(PRICE, "c2")
    cells("x = 1", "c1")
    assert list(cells.app.processors) == ["price"]


def test_without_a_cell_id_the_name_tells(cells):
    cells(PRICE)
    cells(PRICE.replace("price", "cost"))
    cells(PRICE)
    assert set(cells.app.processors) == {"price", "cost"}


def test_a_failing_cell_leaves_everything_as_it_was_and_says_so(cells):
    cells(PRICE, "c1")
    kept = cells.app.processors["price"]
    out = cells(PRICE.replace("price", "cost") + PRICE + "1 / 0", "c1")
    assert not out.ok
    assert cells.app.processors == {"price": kept}
    assert "this cell failed, so 'price' stays declared as it was before" in out.text


def test_a_failing_cell_that_concerns_no_processor_says_nothing(cells):
    assert "buildflow" not in cells("x = 1", "c1").text
    out = cells("nonsense", "c2")
    assert "this cell failed" not in out.text


def test_a_cell_that_does_not_compile_leaves_its_processor(cells):
    cells(MAGIC, "c1")
    out = cells(MAGIC.replace("int:", "int"), "c1")
    assert isinstance(out.error, SyntaxError)
    assert "price" in cells.app.processors
    assert "stays declared" in out.text


def test_a_cell_that_a_cell_runs_belongs_to_the_outer_one(cells):
    nested = f"get_ipython().run_cell({PRICE!r})\n"
    cells(nested + "1 / 0", "c1")
    assert not cells.app.processors
    cells(nested, "c1")
    assert list(cells.app.processors) == ["price"]
    cells("x = 1", "c1")
    assert not cells.app.processors


def test_a_cell_whose_end_was_never_told_is_undone(cells):
    session_hold = cells.app.registry.hold
    cells(PRICE, "c1")
    cells.shell.events.trigger("pre_run_cell", cells.shell.run_cell("").info)
    session_hold()
    cells(PRICE.replace("price", "cost"), "c2")
    assert set(cells.app.processors) == {"price", "cost"}
    assert not cells.app.registry.held


def test_silent_and_empty_cells_open_nothing(cells):
    cells("", "c1")
    cells("   \n", "c1")
    cells.shell.run_cell(PRICE, silent=True)
    assert "price" in cells.app.processors
    assert not cells.app.registry.held


def test_a_users_own_flow_takes_the_place(cells):
    cells(PRICE, "c1")
    cells("from buildflow_nb import Flow\napp = Flow('shop')\n" + PRICE, "c2")
    assert cells.app.flow_id == "shop"
    assert list(cells.app.processors) == ["price"]
    assert not cells.app.registry.held
    cells("app = Flow('shop')", "c2")
    assert not cells.app.processors


def test_running_in_the_cell_that_declares_takes_effect_at_once(cells):
    out = cells(PRICE + "handle = app.run(block=False, serve_port=0)\n1 / 0", "c1")
    assert isinstance(out.error, ZeroDivisionError)
    assert cells.names["handle"].running
    assert "price" in cells.app.processors
    assert "this cell failed" not in out.text


def test_an_older_running_flow_of_the_same_id_is_drained_first(cells):
    cells(PRICE, "c1")
    old = cells("app.run(block=False, serve_port=0)\napp", "c2").value
    out = cells(f"app = type(app)({old.flow_id!r})", "c3")
    assert "was drained and stopped" in out.text
    assert not old.handle.running
    assert isinstance(cells.app, Flow)


def test_a_running_flow_of_another_id_is_left_and_named(cells):
    cells(PRICE, "c1")
    old = cells("app.run(block=False, serve_port=0)\napp", "c2").value
    out = cells("app = type(app)('other')", "c3")
    assert f"flow {old.flow_id!r} still runs, but the name app is now flow 'other'" in out.text
    assert old.handle.running


@pytest.mark.parametrize(
    ("code", "now"),
    [
        ("app = 5", "is now int"),
        ("app = dict", "is now a class"),
        ("del app", "is free now"),
        ("app = type(app)('other')", "is now flow 'other'"),
    ],
)
def test_a_running_flow_that_lost_its_name_is_told_of_once_and_can_be_stopped(cells, code, now):
    cells(PRICE, "c1")
    cells("app.run(block=False, serve_port=0);", "c2")
    name, handle = cells.app.flow_id, cells.app.handle
    out = cells(code, "c3")
    line = f"%buildflow stop --flow {name}"
    assert out.text == (
        f"buildflow: flow {name!r} still runs, but the name app {now}; {line} ends it\n"
    )
    assert "still runs" not in cells("1").text
    gc.collect()
    wrong = cells("%buildflow stop --flow nope")
    assert f"no flow 'nope' runs (of this kernel's: {name})" in str(wrong.error)
    assert handle.running
    assert cells(line).text == f"stopped flow {name!r}\n"
    assert not handle.running
    assert "none does" in str(cells(line).error)


def test_a_flow_that_lost_its_name_is_drained_when_one_of_its_id_comes(cells):
    cells(PRICE, "c1")
    cells("app.run(block=False, serve_port=0);", "c2")
    name, handle, kind = cells.app.flow_id, cells.app.handle, type(cells.app)
    cells("app = 5", "c3")
    cells.names["Kind"] = kind
    assert "was drained and stopped" in cells(f"app = Kind({name!r})", "c4").text
    assert not handle.running


@pytest.mark.parametrize("code", ["app = 5", "del app"])
def test_a_cell_magic_without_a_flow_is_one_line(cells, code):
    cells(code)
    out = cells("%%buildflow consumer source=numbers\ndef price(x: int): ...")
    assert "run app = Flow() in a cell" in str(out.error)
    assert out.text.strip().splitlines() == [f"UsageError: {out.error}"]


def test_a_running_processor_is_swapped_and_a_failing_cell_keeps_the_old(cells):
    cells("%%buildflow consumer source=numbers\ndef see(x: int):\n    seen.append(1)", "c1")
    cells("%buildflow run --port 0", "c2")
    cells("%%buildflow consumer source=numbers\ndef see(x: int):\n    seen.append(2)", "c1")
    assert cells("app.send('see', 1); seen[-1]").value == 2
    out = cells("%%buildflow consumer source=numbers\nboom\ndef see(x: int): ...", "c1")
    assert "'see' keeps running as it was before" in out.text
    assert cells("app.send('see', 1); seen[-1]").value == 2


def test_a_cell_whose_new_setup_fails_says_that_the_old_code_goes_on(cells):
    cells.names.update(endless=FakeSource([], endless=True))
    code = (
        "@app.consumer(endless)\nclass Model:\n    def setup(self):\n        {}\n"
        "    def process(self, x: int) -> int:\n        return x\n"
    )
    assert cells(code.format("pass"), "c1").ok
    cells.app.run(block=False)
    out = cells(code.format("1 / 0"), "c1")
    cells.app.handle.stop(drain=False, timeout=1)
    assert out.ok
    assert (
        "buildflow: the running flow did not take this cell over: consumer 'Model': the new code "
        "could not be set up, the old one keeps running: ZeroDivisionError: division by zero"
    ) in out.text


QUEUES = "class Q:\n    def __init__(self, name): self.primitive_id = name\n"


def managed(cells):
    return [primitive.primitive_id for primitive in cells.app.registry.managed]


def test_a_cell_that_manages_is_replaced_by_its_next_run(cells):
    cells(QUEUES)
    cells("app.manage(Q('a'), Q('b'))", cell_id="one")
    cells("app.manage(Q('c'))", cell_id="two")
    assert managed(cells) == ["a", "b", "c"]
    said = cells("app.manage(Q('b'))", cell_id="one").text
    assert said.startswith("buildflow: Q a is managed no longer; the next apply deletes")
    assert managed(cells) == ["b", "c"]


def test_what_two_cells_manage_stays_until_neither_does(cells):
    cells(QUEUES)
    cells("q = Q('a'); app.manage(q)", cell_id="one")
    cells("app.manage(q)", cell_id="two")
    assert cells("q = Q('a')", cell_id="one").text == ""
    assert managed(cells) == ["a"]
    cells("pass", cell_id="two")
    assert managed(cells) == []


def test_a_cell_that_fails_manages_what_it_managed(cells):
    cells(QUEUES)
    cells("app.manage(Q('a'))", cell_id="one")
    cells("app.manage(Q('b')); 1/0", cell_id="one")
    assert managed(cells) == ["a"]
    cells("app.manage(Q('c'))", cell_id="one")
    assert managed(cells) == ["c"]


def test_unmanage_by_a_line(cells):
    cells(QUEUES)
    cells("app.manage(Q('a'), Q('b'))", cell_id="one")
    assert "no longer managed: Q a" in cells("%buildflow unmanage a").text
    assert managed(cells) == ["b"]
    said = str(cells("%buildflow unmanage ab").error)
    assert said == "'ab' is not managed (managed: Q b); did you mean 'b'?"


def test_a_declaration_says_what_it_became(cells):
    said = cells(PRICE, cell_id="a").text
    assert said.startswith("buildflow: price: consumer of Pulse")
    assert said.endswith("; %buildflow run starts the flow\n")
    assert cells("x = 1", cell_id="b").text == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (PRICE.replace("numbers", "Pulse([1], 60)"), "price: added, running"),
        ("%%buildflow endpoint '/x', method='GET'\ndef price(): return 1", "price: added, running"),
        (
            PRICE.replace("numbers", "File('oders.csv')").replace("int", "dict"),
            "price: added, waiting: file .*oders.csv does not exist",
        ),
        (
            "@app.consumer(numbers)\nclass price:\n    def setup(self): 1 / 0\n"
            "    def process(self, x: int) -> int: return x\n",
            "price: added, failed: ZeroDivisionError: division by zero",
        ),
        (
            "@app.consumer(Pulse([1, 2], 0.001), retries=0)\n"
            "def price(x: int) -> int:\n    return x.nothing\n",
            r"price: added, .*; \d+ of \d+ failed: AttributeError: 'int' object has no attribute",
        ),
    ],
)
def test_while_the_flow_runs_it_says_how_that_went(cells, code, said):
    cells("from buildflow_nb.io.local import File, Pulse")
    cells(PRICE.replace("price", "other"))
    cells("%buildflow run --port 0")
    assert re.match(f"buildflow: {said}", cells(code, cell_id="a").text)


def test_a_swap_says_its_version(cells):
    cells("endless = Pulse(range(1_000_000), 0.001)")
    slow = PRICE.replace("numbers", "endless")
    cells(slow, cell_id="a")
    cells("%buildflow run --port 0")
    assert cells(slow, cell_id="a").text == "buildflow: price: swapped, v2, running\n"
    assert cells(slow, cell_id="a").text == "buildflow: price: swapped, v3, running\n"
    assert cells("pass", cell_id="a").text == "buildflow: price: removed\n"


def test_a_cell_of_many_tells_of_a_few(cells):
    many = "".join(PRICE.replace("price", f"p{number}") for number in range(12))
    lines = cells(many, cell_id="a").text.splitlines()
    assert len(lines) == 9
    assert lines[0].startswith("buildflow: 4 processors, which %buildflow list shows")


CONNECT = "@app.on_startup\ndef connect():\n    return 1\n"
OOPS = "class Oops(Exception): ...\n"
HANDLE = "@app.exception_handler(Oops)\ndef handle(request, error):\n    return 1\n"


def hooks_of(cells):
    return [str(hook) for hook in cells.app.registry.hooks.values()]


def test_code_around_a_run_belongs_to_its_cell(cells):
    cells(CONNECT, "c1")
    cells(CONNECT.replace("connect", "warm"), "c2")
    assert hooks_of(cells) == ["on_startup 'connect'", "on_startup 'warm'"]
    cells(CONNECT.replace("connect", "open_all"), "c1")
    assert hooks_of(cells) == ["on_startup 'warm'", "on_startup 'open_all'"]
    cells("x = 1", "c2")
    assert hooks_of(cells) == ["on_startup 'open_all'"]


def test_a_cell_that_fails_declares_no_code_around_a_run(cells):
    cells(CONNECT, "c1")
    first = cells.app.registry.hooks
    assert not cells(f"{CONNECT.replace('1', '2')}\n1 / 0", "c1").ok
    assert cells.app.registry.hooks == first


def test_what_a_cell_declares_is_in_force_when_it_has_run(cells):
    cells(CONNECT, "c1")
    assert cells(
        f"{CONNECT.replace('connect', 'warm')}\n"
        "assert len(app.registry.hooks) == 2\nassert len(app.registry.hooks_in_force) == 1",
        "c2",
    ).ok
    assert len(cells.app.registry.hooks_in_force) == 2


def test_a_handler_is_for_a_class_that_is_defined_anew(cells):
    from buildflow_nb.core.declaring.hooks import handler_for

    cells(OOPS, "c1")
    cells(HANDLE, "c2")
    cells(OOPS, "c1")
    error = cells.shell.user_ns["Oops"]()
    assert handler_for(cells.app.registry.hooks, error, None).name == "handle"


MARK = "async def mark(request, call_next):\n    return await call_next(request)\n"
ZIP = "from buildflow_nb.middleware import GZipMiddleware as Zip\n"


def test_middleware_belongs_to_its_cell_and_keeps_its_place(cells):
    cells(f"@app.middleware()\n{MARK}", "c1")
    cells(f"{ZIP}app.add_middleware(Zip)\napp.add_middleware(Zip, minimum_size=9)", "c2")
    cells(f"@app.middleware()\n{MARK}", "c1")
    assert hooks_of(cells) == [
        "middleware 'mark'",
        "middleware 'GZipMiddleware'",
        "middleware 'GZipMiddleware'",
    ]
    cells(f"{ZIP}app.add_middleware(Zip)", "c2")
    assert hooks_of(cells) == ["middleware 'mark'", "middleware 'GZipMiddleware'"]
    cells("x = 1", "c1")
    assert hooks_of(cells) == ["middleware 'GZipMiddleware'"]
