import pytest

from buildflow_nb.commands.parsing import COMMANDS, help_text, parse, seconds
from buildflow_nb.core.errors import UsageError


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("run", {"host": "127.0.0.1", "port": 8000, "until": None, "timeout": None}),
        ("run --port 8001 --until drained", {"port": 8001, "until": "drained"}),
        ("run --until=Drained --duration 500ms", {"until": "drained", "duration": 0.5}),
        ("run --count 10", {"count": 10}),
        ("stop", {"ids": [], "no_drain": False, "timeout": 30.0, "flow": None}),
        (
            "stop a 'b' --no-drain --timeout 2m",
            {"ids": ["a", "b"], "no_drain": True, "timeout": 120},
        ),
        ("remove price double", {"ids": ["price", "double"]}),
        ('send price   {"a b": "--port"}', {"id": "price", "element": '{"a b": "--port"}'}),
        ("send price -1", {"id": "price", "element": "-1"}),
        ("peek -n 5 price", {"id": "price", "n": 5}),
        ("failures", {"id": None, "traceback": None}),
        ("failures price --traceback 3", {"id": "price", "traceback": 3}),
        ("logs --level warning", {"id": None, "n": 50, "level": "WARNING"}),
        ("help run", {"topic": "run"}),
        ("", {"topic": None}),
        ("-h", {"topic": None}),
    ],
)
def test_lines_become_values(line, values):
    found = parse(line)
    assert not found.help
    assert values.items() <= found.values.items()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rnu", "unknown subcommand 'rnu'; did you mean 'run'?"),
        ("zzz", "%buildflow help lists them"),
        ("run --prot 1", "unknown option '--prot'; did you mean '--port'?"),
        ("run --por 1", "unknown option '--por'; did you mean '--port'?"),
        ("run --port x", "'x' is not a port number"),
        ("run --port 70000", "'70000' is not a port number"),
        ("run --port", "expected one argument"),
        ("run --until draned", "'draned' is none of drained; did you mean 'drained'?"),
        ("run --duration soon", "'soon' is not a duration such as 30s"),
        ("run --duration -3", "'-3' is not a duration"),
        ("run --duration nan", "is not a duration"),
        ("run --count 0", "'0' is not a whole number above 0"),
        ("run now", "'now' is one word too many"),
        ("list --all", "unknown option '--all'; it takes none"),
        ("send", "required: ID"),
        ("peek", "required: ID"),
        ("peek a b", "'b' is one word too many"),
        ("stop --no-drain=3", "ignored explicit argument '3'"),
        ('logs "x', "no closing quotation"),
        ("logs --level LOUD", "'LOUD' is none of DEBUG"),
    ],
)
def test_a_wrong_line_is_one_line_that_names_the_right_one(line, said):
    with pytest.raises(UsageError) as caught:
        parse(line)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["send -h", "send price -h", "send price --help"])
def test_help_is_no_element(line):
    assert parse(line).help


def test_an_element_may_be_left_out():
    assert parse("send price").values == {"id": "price", "element": ""}


def test_nothing_at_all_is_what_the_caller_says():
    assert parse("").command.name == "help"
    assert parse(" ", alone="panel").command.name == "panel"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_each_never_fails(name, flag):
    found = parse(f"{name} {flag}")
    assert found.help
    shown = help_text(found.command)
    assert shown.startswith(f"%buildflow {name}")
    for option in found.command.options:
        assert option.help in shown


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_examples_are_right(command):
    assert parse(command.example).command is command
    assert command.name in help_text()


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30), ("500ms", 0.5), ("2m", 120), ("1h", 3600), ("1.5", 1.5)]
)
def test_durations(text, value):
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "s", "0", "-1s", "nan", "inf", "1d", "1 2"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError):  # noqa: PT011
        seconds(text)


@pytest.mark.parametrize(
    "line",
    [
        "x" * 100_000,
        "run " + "x" * 100_000,
        "run -" + "x" * 100_000,
        "run --port " + "9" * 6_000,
        "run --until " + "x" * 100_000,
        "run '" + "x" * 100_000,
    ],
)
def test_a_long_word_is_shown_by_its_beginning(line):
    with pytest.raises(UsageError) as caught:
        parse(line)
    assert "…" in str(caught.value)
    assert len(str(caught.value)) < 300
