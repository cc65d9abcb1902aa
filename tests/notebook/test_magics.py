"""The magics in a real shell; runs are short and every wait has a deadline."""

import sys

import pytest
from IPython.core.error import UsageError

from buildflow_nb.core.status.snapshot import FlowSnapshot, State

PRICE = "%%buildflow consumer source=numbers\ndef price(x: int) -> int:\n    return x * 2\n"
ENDING = "from buildflow_nb.io.local.pulse import Pulse\nnumbers = Pulse(iter(range(40)), 0.001)"


def test_a_cell_runs_natively(cells):
    out = cells(
        "%%buildflow consumer source=numbers\nimport asyncio\n\nawait asyncio.sleep(0)\n"
        "def price(x: int): ...\nprice.__name__",
        "c1",
    )
    assert out.ok
    assert out.value == "price"
    assert "price" in cells.app.processors


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%%buildflow consumer source=numbers\ndef price(x: int): ...\n1 / 0", 3),
        ("%%buildflow consumer source=numbers\nx = 1\n\ndef price(x: int): ...\n1 / 0", 5),
        ("%%buildflow consumer source=numbers\nx = 1\n1 / 0\n\ndef price(x: int): ...", 3),
        ("%%buildflow consumer source=numbers\n!true\n\ndef f(x): ...\n1 / 0", 5),
        ("%%buildflow consumer source=Pulse(\n  [1], 1)\n\ndef f(x): ...\n1 / 0", 5),
    ],
)
def test_tracebacks_have_the_lines_of_the_cell(cells, cell, line):
    out = cells(cell)
    trace = out.error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert isinstance(out.error, ZeroDivisionError)
    assert trace.tb_lineno == line


def test_python_explains_a_body_that_is_no_python(cells):
    out = cells("%%buildflow consumer source=numbers\nx = 1\ndef price(x)\n    pass")
    assert isinstance(out.error, SyntaxError)
    assert out.error.lineno == 3


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%buildflow", "which kind?"),
        ("%%buildflow consumr source=numbers\ndef f(x): ...", "did you mean 'consumer'?"),
        ("%%buildflow consumer source=numbers", "the cell holds no function or class"),
        ("%%buildflow consumer source=numbers retries=2\ndef f(x): ...", "forgot a comma"),
        ("%%buildflow collector /collect\ndef f(x): ...", "the route needs quotes"),
        ("%%buildflow run\nx = 1", "run takes no cell"),
        ("%buildflow consumer source=numbers", "consumer stands over a cell"),
        ("%buildflow rnu", "did you mean 'run'?"),
        ("%buildflow run --prot 1", "did you mean '--port'?"),
        ("%buildflow run --timeout 3s", "--timeout needs something to wait for"),
        ("%buildflow run", "has no processor"),
        ("%buildflow stop", "does not run"),
        ("%buildflow remove price", "no processor 'price'"),
        ("%buildflow send price 1", "no processor 'price'"),
        ("%buildflow peek price", "no processor 'price'"),
        ("%buildflow help nonsense", "nothing about 'nonsense'"),
        ("%buildflow failures --traceback 9", "no failure has number 9"),
    ],
)
def test_a_bad_line_is_one_line_and_an_error(cells, cell, said):
    out = cells(cell)
    assert isinstance(out.error, UsageError)
    assert said in str(out.error)
    assert out.text.strip().splitlines() == [f"UsageError: {out.error}"]


def test_the_traceback_is_there_on_request(cells):
    cells("%buildflow rnu")
    out = cells("%tb")
    assert "Traceback" in out.text
    assert "parsing.py" in out.text


def test_errors_of_plain_cells_are_one_line_with_their_place(cells):
    out = cells("x = 1\n\n@app.consumer(3)\ndef f(x): ...")
    assert out.text.count("\n") == 1
    assert "DeclarationError: consumer 'f': source=int cannot be read" in out.text
    assert "line 3; %tb shows the rest" in out.text
    assert "Traceback" in cells("%tb").text


def test_errors_of_others_keep_their_traceback(cells):
    assert "Traceback" in cells("1 / 0").text


def test_another_handler_of_exceptions_keeps_what_it_had(bare):
    bare.shell.set_custom_exc((KeyError,), lambda *_, **__: ["mine"])
    bare.shell.extension_manager.load_extension("buildflow_nb")
    bare("{}['a']")
    bare.shell.extension_manager.unload_extension("buildflow_nb")
    assert bare.shell.custom_exceptions == (KeyError,)


@pytest.mark.parametrize(
    ("element", "value"),
    [("3", 6), ("n", 10), ("{n}", 10), ("{n + 1}", 12), ("n + 1", 12), ("int('4')", 8)],
)
def test_an_element_is_json_or_an_expression(cells, element, value):
    cells(PRICE)
    cells("n = 5")
    assert cells(f"%buildflow send price {element}").value == [value]


def test_json_keeps_its_braces(cells):
    cells("%%buildflow consumer source=numbers\ndef echo(x: dict) -> dict:\n    return x")
    sent = cells('%buildflow send echo {"id": 1, "on": true, "no": null}').value
    assert sent == [{"id": 1, "on": True, "no": None}]


# From Python 3.12 on the tokenizer refuses half a character before any magic is asked.
HALF = "'\\ud800'" if sys.version_info >= (3, 12) else "'\ud800'"


@pytest.mark.parametrize(
    "element",
    ["{oops", "nobody", "1 / 0", "[" * 5_000, "(" * 5_000, "not " * 5_000, HALF, "-" * 9_000],
    ids=lambda element: element[:8].encode("unicode-escape").decode(),
)
def test_an_element_that_is_neither_is_one_line(cells, element):
    cells(PRICE)
    error = cells(f"%buildflow send price {element}").error
    assert isinstance(error, UsageError)
    assert len(str(error)) < 300
    assert "\n" not in str(error)


def test_what_the_function_raises_keeps_its_traceback(cells):
    cells("%%buildflow consumer source=numbers\ndef bad(x: int):\n    raise KeyError(x)")
    out = cells("%buildflow send bad 1")
    assert isinstance(out.error, KeyError)
    assert "raise KeyError(x)" in out.text


def test_a_day_of_commands(cells):
    cells(ENDING)
    cells(
        "%%buildflow consumer source=numbers\nimport logging\ndef price(x: int) -> int:\n"
        "    if x == 3: raise ValueError('bad three')\n"
        "    logging.warning('got %s', x)\n    return x",
        "c1",
    )
    out = cells("%buildflow run --port 0 --until drained --timeout 20s", "c2")
    assert out.ok, out.text
    assert "running" in out.bundles[0]["text/plain"]
    assert isinstance(cells("%buildflow status").value, FlowSnapshot)
    assert cells("%buildflow status").value.processor("price").elements_in == 40
    assert [p.element for p in cells.app.peek("price", 2)] == [38, 39]
    last = cells("%buildflow peek price -n 3").value
    assert sorted(p.element for p in last) == [3, 38, 39]  # what failed among them
    assert "✕ ValueError: bad three; dropped" in repr(last)
    assert [f.element for f in cells("%buildflow failures").value] == [3]
    assert "bad three" in cells("%buildflow failures price --traceback 1").value
    assert "got 39" in {line.text for _, line in cells("%buildflow logs price").value}
    assert not [x for x in cells("%buildflow logs --level ERROR").value if "got" in x[1].text]
    assert [spec.id for spec in cells("%buildflow list").value] == ["price"]
    assert "no processor 'prise'" in str(cells("%buildflow remove price prise").error)
    assert list(cells.app.processors) == ["price"]
    cells("%%buildflow consumer source=numbers\ndef double(x: int) -> int:\n    return x", "c3")
    assert "removed price, double" in cells("%buildflow remove price double price").text
    assert not cells.app.processors


def test_a_run_until_drained_goes_on_serving(cells):
    cells(
        "%%buildflow endpoint '/n', method='GET'\ndef n() -> int:\n    return 1",
        "c1",
    )
    assert cells("%buildflow run --port 0 --until drained --timeout 20s").ok
    assert cells.app.handle.running
    assert cells.app.handle.address.startswith("http://127.0.0.1:")


def test_a_bounded_run_stops_what_it_started_and_only_that(cells):
    cells(PRICE)
    cells("%buildflow run --port 0 --count 3 --timeout 20s")
    assert not cells.app.handle.running
    cells("%buildflow run --port 0")
    cells("%buildflow run --duration 50ms")
    assert cells.app.handle.running
    assert "stopped flow" in cells("%buildflow stop").text
    assert not cells.app.handle.running


def test_a_run_that_does_not_get_there_is_an_error_and_goes_on(cells):
    cells(PRICE)
    out = cells("%buildflow run --port 0 --count 999999 --timeout 100ms")
    assert isinstance(out.error, UsageError)
    assert "did not get there within 0.1 s" in str(out.error)
    assert cells.app.handle.running


def test_a_run_whose_processor_fails_is_an_error_that_says_where_to_look(cells):
    cells(
        "%%buildflow consumer source=numbers\nclass Bad:\n    def setup(self): 1 / 0\n"
        "    def process(self, x): ..."
    )
    out = cells("%buildflow run --port 0 --until drained --timeout 20s")
    assert isinstance(out.error, UsageError)
    for said in ("'Bad'", "ZeroDivisionError", "%buildflow failures", "%buildflow logs"):
        assert said in str(out.error)
    assert cells("%buildflow status").value.processor("Bad").state is State.FAILED


def test_help_never_fails(cells):
    for line in (
        "%buildflow help",
        "%buildflow -h",
        "%buildflow help errors",
        "%buildflow run -h",
        "%buildflow help consumer",
        "%%buildflow -h",
        "%%buildflow consumer --help",
        "%buildflow send -h",
    ):
        out = cells(line)
        assert out.ok, line
        assert "%" in out.text, line
    assert "%%buildflow KIND" in cells.shell.find_line_magic("buildflow").__doc__


def test_the_cell_magic_can_be_called_by_code(cells):
    cells.shell.run_cell_magic("buildflow", "consumer source=numbers", "def price(x: int): ...")
    assert "price" in cells.app.processors


def test_nest_asyncio_is_applied_only_when_asked_and_with_a_warning(cells, monkeypatch):
    applied = []
    monkeypatch.setattr("nest_asyncio.apply", lambda: applied.append(1))
    cells(PRICE)
    assert not applied
    assert "patched until it restarts" in cells("%buildflow nest_asyncio").text
    assert applied == [1]


@pytest.mark.parametrize("above", ["# orders\n", "# one\n\n# two\n", "\n   \n# three\n"])
def test_comments_may_stand_above_the_magic_line(cells, above):
    ran = cells(f"{above}%%buildflow consumer source=numbers\ndef above(x: int):\n    return x\n")
    assert ran.ok
    assert list(cells.app.processors) == ["above"]
    bad = cells(f"{above}%%buildflow consumer sorce=numbers\ndef above(x: int):\n    return x\n")
    assert "did you mean 'source'" in str(bad.error)


@pytest.mark.parametrize("line", ["consumer source=numbers", "consumer source=File(", "nonsense"])
def test_a_terminal_waits_for_the_body_as_it_does_for_other_cell_magics(cells, line):
    complete = cells.shell.check_complete
    typed = f"%%buildflow {line}\n"
    for row in ("", "def f(x: int):\n", "    return x\n"):
        typed += row
        assert (
            complete(typed)[0] == complete(typed.replace("buildflow", "timeit"))[0] == "incomplete"
        )
    assert complete(f"{typed}\n")[0] == "complete"


def test_help_says_which_options_do_nothing_here(cells):
    said = cells("%%buildflow consumer -h\npass").text
    acts, _, kept = said.partition("Of no effect in this process")
    for option in ("retries", "enable_autoscaler", "max_replicas"):
        assert option in acts
        assert option not in kept
    assert "num_cpus" not in acts
    assert "num_cpus" in kept
    routes = cells("%%buildflow endpoint -h\npass").text
    assert "max_replicas" in routes.partition("Of no effect in this process")[2]
