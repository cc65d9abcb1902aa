"""What is typed becomes a command and its values, or one line that says what is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from buildflow_nb.cli.main import main
from buildflow_nb.cli.table import TERMINAL

BOXES = "╭│─"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["applyy"], "buildflow: unknown subcommand 'applyy'; did you mean 'apply'?"),
        (["zzz"], "buildflow help lists them"),
        (["--foo"], "buildflow: no such option: --foo; buildflow help lists the commands"),
        (["apply", "--yess"], "buildflow apply: unknown option '--yess'; did you mean '--yes'?"),
        (["run", "--prot", "1"], "unknown option '--prot'; did you mean '--port'?"),
        (
            ["run", "--port", "x"],
            "'x' is not a port number, 0 to 65535; like buildflow run --until",
        ),
        (["run", "--port"], "expected one argument; like buildflow run"),
        (["run", "--until", "draned"], "'draned' is none of drained; did you mean 'drained'?"),
        (["run", "now"], "buildflow run: 'now' is one word too many"),
        (["cloud", "up"], "'up' is none of status, start, stop, reset"),
        (["export", "a.ipynb"], "required: FOLDER; like buildflow export shop.ipynb shop"),
        (["jupyter"], "required: ACTION; like buildflow jupyter install"),
        (["peek", "price"], "buildflow: peek is for notebooks; in a terminal there is init, run"),
        (["help", "rnu"], "buildflow: help: no command 'rnu'; did you mean 'run'?"),
        (["run", "--timeout", "5s"], "--timeout needs something to wait for; add --until drained"),
        (["run", "--build-output-dir", "x"], "is where --from-build FILE unpacks; name one"),
        (["run", "--reload", "--from-build", "x"], "a build does not; leave one of them out"),
    ],
)
def test_a_wrong_word_is_one_line_and_exits_with_2(capsys, words, said):
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert said in error
    assert error.count("\n") == 1
    assert (out, "%" in error) == ("", False)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command_without_boxes(capsys, words):
    assert main(words) == 0
    said = capsys.readouterr().out
    for name in TERMINAL:
        assert f"\n  {name} " in said
    assert "--install-completion" in said
    assert not set(BOXES) & set(said)


@pytest.mark.parametrize("name", TERMINAL)
def test_help_of_a_command_explains_each_option(capsys, name):
    assert main([name, "--help"]) == 0
    by_flag = capsys.readouterr().out
    assert main(["help", name]) == 0
    assert capsys.readouterr().out == by_flag
    assert f"Like: buildflow {TERMINAL[name].example}" in by_flag
    for option in TERMINAL[name].options:
        assert all(word in by_flag for word in option.words)
        assert all(choice in by_flag for choice in option.choices)
    assert not set(BOXES) & set(by_flag)


def test_the_default_is_in_the_help(capsys):
    main(["run", "-h"])
    assert "(default 8000)" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "buildflow 0.1.0\n"


def test_help_is_data_where_a_program_asks(capsys):
    import json

    assert main(["help", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [command["name"] for command in found["commands"]] == list(TERMINAL)
    assert main(["help", "run", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["commands"]
    assert "--host" in next(o["flags"] for o in run["options"] if o["name"] == "host")


def test_help_loads_nothing_that_is_slow():
    code = (
        "import sys; from buildflow_nb.cli.main import main; main(['--help']);"
        "slow = {'rich', 'pydantic', 'aiohttp', 'yaml', 'asyncio', 'buildflow_nb.core.options'};"
        "sys.stderr.write(' '.join(sorted(slow & set(sys.modules))))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stderr == ""
