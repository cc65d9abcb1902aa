"""Where a command speaks: JSON alone on stdout, colours where a person sees them."""

from __future__ import annotations

import io
import json
import sys

import pytest

from buildflow_nb.cli.output.terminal import Terminal, lively


class Tty(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


def test_a_terminal_is_lively_and_a_pipe_is_not(plain_environment):
    assert lively(Tty())
    assert not lively(io.StringIO())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_asks_for_plain_lines(plain_environment, name, value):
    plain_environment.setenv(name, value)
    assert not lively(Tty())


def test_json_is_all_that_stdout_holds(capsys):
    terminal = Terminal(json=True)
    with terminal.kept_clean():
        print("printed by the project")  # noqa: T201
        terminal.say("said to a person")
        terminal.give({"answer": 42}, "the answer")
    out, error = capsys.readouterr()
    assert json.loads(out) == {"answer": 42}
    assert error == "printed by the project\nsaid to a person\n"
    assert not terminal.lively


def test_without_json_text_is_the_answer(capsys):
    terminal = Terminal()
    with terminal.kept_clean():
        terminal.give({"answer": 42}, "run `%buildflow apply`")
        terminal.note("beside")
    assert capsys.readouterr() == ("run `buildflow apply`\n", "beside\n")
    assert sys.stdout is not sys.stderr


def test_json_is_lively_nowhere(monkeypatch, plain_environment):
    monkeypatch.setattr(sys, "stdout", Tty())
    assert Terminal().lively
    assert not Terminal(json=True).lively
