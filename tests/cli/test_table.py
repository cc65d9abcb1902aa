"""The commands of a terminal and those of the line magics are one table."""

from __future__ import annotations

import shlex

import pytest
import typer

from buildflow_nb.cli import main as main_module
from buildflow_nb.cli.table import TERMINAL, words_for
from buildflow_nb.cli.words import _program, read_words
from buildflow_nb.commands.parsing import parse, parsed
from buildflow_nb.commands.table import COMMANDS

PROMISED = (
    *("init", "run", "preview", "apply", "refresh", "destroy", "inspect", "build", "export"),
    *("cloud", "doctor", "jupyter", "status", "check", "look", "help"),
)
OWN = {"host", "port", "notebook", "folder", "topic"}  # a terminal says more, or it other words


def test_every_promised_command_is_there_and_does_something():
    assert set(TERMINAL) == set(PROMISED) == set(main_module._HOMES)
    for name in TERMINAL:
        assert callable(main_module._does(name))


@pytest.mark.parametrize("name", sorted(set(TERMINAL) & set(COMMANDS)))
def test_an_option_of_a_line_magic_is_the_same_here(name):
    there = {option.name: option for option in COMMANDS[name].options}
    here = {option.name: option for option in TERMINAL[name].options}
    assert set(there) - {"notebook", "folder"} <= set(here)
    for option_name in set(there) & set(here) - OWN:
        assert here[option_name] is there[option_name]
    for option_name in set(there) & {"host", "port"}:
        assert set(there[option_name].flags) < set(here[option_name].flags)
        assert here[option_name].default == there[option_name].default


@pytest.mark.parametrize("name", TERMINAL)
def test_each_example_is_one(name):
    words = shlex.split(TERMINAL[name].example)
    assert words[0] == name
    found = read_words(words)
    assert found is not None
    assert found.command is TERMINAL[name]


@pytest.mark.parametrize("name", sorted({"run", "apply", "destroy", "preview", "check", "cloud"}))
def test_a_line_means_the_same_in_both(name):
    example = COMMANDS[name].example
    there = parse(example).values
    here = read_words(shlex.split(example)).values
    assert there.items() <= here.items()


@pytest.mark.parametrize("name", TERMINAL)
def test_typer_knows_each_option_by_the_same_words(name):
    command = typer.main.get_command(_program()).commands[name]
    known = {
        param.name: {*param.opts, *param.secondary_opts}
        for param in command.params
        if param.param_type_name == "option"
    }
    assert known == {
        option.name: set(option.words) for option in TERMINAL[name].options if option.flags
    }


@pytest.mark.parametrize(
    "line",
    [
        "run",
        "run --port 0 --until drained --stack prod --start-runtime-server",
        "run --duration 1.5 --app shop.main:app --json",
        "build --ignores a --ignores 'b c'",
        "apply -y",
    ],
)
def test_values_become_the_words_that_say_them(line):
    name, *words = shlex.split(line)
    values = parsed(TERMINAL[name], words).values
    again = words_for(TERMINAL[name], values)
    assert parsed(TERMINAL[name], again[1:]).values == values


def test_a_command_that_loads_a_flow_takes_another_one_and_all_that_print_take_json():
    for name in ("run", "preview", "apply", "refresh", "destroy", "status", "check", "inspect"):
        assert {"app", "stack"} <= {option.name for option in TERMINAL[name].options}
    for command in TERMINAL.values():
        assert "json" in {option.name for option in command.options}
