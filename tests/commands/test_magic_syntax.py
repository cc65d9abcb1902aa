import pytest

from buildflow_nb.commands.magic_syntax import KINDS, cell_source
from buildflow_nb.core.errors import UsageError

BODY = "import x\n\ndef helper(): pass\n\ndef price(order):\n    return order\n"


def text(line, body=BODY, **words):
    return cell_source(line, body, **words).text


@pytest.mark.parametrize(
    ("line", "decorator"),
    [
        ("consumer source=A, sink=B", "@app.consumer(source=A, sink=B)"),
        ("  consumer   A", "@app.consumer(A)"),
        ("consumer **words", "@app.consumer(**words)"),
        ("consumer *both", "@app.consumer(*both)"),
        (
            "consumer source=f(a, [1, 'x)']), sink=B",
            "@app.consumer(source=f(a, [1, 'x)']), sink=B)",
        ),
        ('collector "/collect", "POST", sink=B', '@app.collector("/collect", "POST", sink=B)'),
        ('endpoint "/worst/{day}", method="GET"', '@app.endpoint("/worst/{day}", method="GET")'),
        ("consumer source=A, num_concurrent_tasks=3", None),
    ],
)
def test_a_line_is_the_decorator_of_the_last_function(line, decorator):
    made = cell_source(line, BODY)
    lines = made.text.splitlines()
    assert lines[made.row].startswith("@app.")
    assert decorator is None or lines[made.row] == decorator
    assert lines[made.row + 1] == "def price(order):"
    del lines[made.row]
    assert lines == BODY.splitlines()


@pytest.mark.parametrize(
    ("body", "row"),
    [
        ("@keep\n@also\nclass P:\n    pass\nx = 1\n", 0),
        ("async def f(x):\n    pass\n", 0),
        ("if 1:\n    def inner(): pass\ndef f(x): pass\nf(1)", 2),
        ("class P: pass\nawait thing()\n", 0),
    ],
)
def test_the_decorator_stands_above_other_decorators_and_inner_code_is_left_alone(body, row):
    assert cell_source("consumer A", body).row == row


def test_an_open_bracket_goes_on_in_the_body():
    made = cell_source("consumer source=f(", "  1,\n  ')'), sink=B\ndef g(x): pass\n")
    assert made.text == "@app.consumer(source=f(\n  1,\n  ')'), sink=B)\ndef g(x): pass\n"


def test_a_comment_does_not_swallow_the_bracket():
    assert text("consumer A  # why", "def f(x): pass") == (
        "@app.consumer(A  # why\n)\ndef f(x): pass\n"
    )


def test_a_hash_in_a_string_is_no_harm():
    compile(text('consumer A("#")'), "cell", "exec")


def test_magics_in_the_body_are_located_in_its_plain_twin():
    body = "!ls\ndef f(x): pass\n"
    assert text("consumer A", body, plain="system('ls')\ndef f(x): pass\n") == (
        "!ls\n@app.consumer(A)\ndef f(x): pass\n"
    )


def test_a_body_that_is_no_python_is_pythons_to_explain():
    with pytest.raises(SyntaxError):
        cell_source("consumer A", "def f(x)\n  pass")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "which kind?"),
        ("consumr source=A", "unknown kind 'consumr'; did you mean 'consumer'?"),
        ("consumer(source=A)", "leave the brackets out"),
        ("consumer", "source is missing"),
        ("consumer sink=B", "source is missing"),
        ("endpoint", "route is missing"),
        ("consumer A, B, C", "takes source, sink and named options"),
        ("consumer A, source=B", "source is given twice"),
        ("consumer source=A, retrys=2", "unknown option 'retrys'; did you mean 'retries'?"),
        ("collector /collect", 'the route needs quotes, "/collect"'),
        ("collector /collect, sink=B", 'the route needs quotes, "/collect"'),
        ("consumer source=A sink=B", "at 'A sink=B' (column 8 of them)"),
        ("consumer source=A,,", "at ',' (column 10 of them)"),
        ("consumer source=A) + (B", "brackets do not match"),
        ('consumer source="abc', "unterminated string"),
        ("consumer source=f(a", "'(' was never closed"),
        ("consumer 1=2", "cannot read the arguments"),
        ("consumer source=" + "x y" * 99, "…"),
        ("consumer source=\x00", "cannot read the arguments"),
    ],
)
def test_a_bad_line_is_one_line_that_says_what_is_wrong_and_an_example(line, said):
    with pytest.raises(UsageError) as caught:
        cell_source(line, BODY)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert "like %%buildflow" in message or "-h lists them" in message


@pytest.mark.parametrize(
    ("body", "said"), [("", "the cell is empty"), ("x = 1", "holds no function or class")]
)
def test_a_cell_without_a_function_says_so(body, said):
    with pytest.raises(UsageError, match=said):
        cell_source("consumer A", body)


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_right(kind):
    line = KINDS[kind].example.removeprefix("%%buildflow ")
    compile(text(line), "cell", "exec")


ODD = {
    "half a character": "consumer source='\ud800'",
    "not": "consumer source=" + "not " * 20_000 + "a",
    "minus": "consumer source=" + "-" * 20_000 + "1",
    "brackets": "consumer source=" + "(" * 3_000,
    "lambda": "consumer source=" + "lambda:" * 3_000 + "1",
    "attributes": "consumer source=" + "a." * 20_000 + "a",
    "sum": "consumer source=" + "a+" * 20_000 + "a",
    "null": "consumer source=a\0",
    "number": "consumer source=" + "9" * 6_000,
    "kind": "\ud800" * 100_000,
    "option": "consumer source=a, " + "x" * 100_000 + "=1",
    "route": "collector /" + "x" * 100_000,
}


@pytest.mark.parametrize("line", ODD.values(), ids=ODD)
def test_an_odd_line_is_told_in_one_line(line):
    with pytest.raises(UsageError) as caught:
        cell_source(line, "def f(x): ...\n")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "body", ["x = '\ud800'", "x = " + "not " * 20_000 + "y", "(" * 3_000, "\0"]
)
def test_an_odd_body_is_no_python(body):
    with pytest.raises(SyntaxError):
        cell_source("consumer source=a", body)


def test_where_half_a_character_is():
    with pytest.raises(SyntaxError) as caught:
        cell_source("consumer source=a", "x = 1\ny = '\ud800'\n")
    assert (caught.value.lineno, caught.value.offset) == (2, 6)
    assert caught.value.msg == "half a character, U+D800"
