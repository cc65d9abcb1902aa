"""docs/cli.md has every command, with an example that is one, and every flag."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from buildflow_nb.cli.table import TERMINAL
from buildflow_nb.cli.words import read_words

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| .* \| `buildflow (.*)` \|$", TEXT, re.MULTILINE))


def test_it_lists_every_command_in_the_order_of_help():
    assert list(ROWS) == list(TERMINAL)


@pytest.mark.parametrize("name", TERMINAL)
def test_each_example_is_read(name):
    found = read_words(shlex.split(ROWS[name]))
    assert found.command.name == name


@pytest.mark.parametrize("name", TERMINAL)
def test_each_flag_and_choice_is_in_it(name):
    for option in TERMINAL[name].options:
        for word in (*option.words, *option.choices):
            assert re.search(rf"`[^`]*{re.escape(word)}\b[^`]*`", TEXT), word


def test_no_flag_is_in_it_that_is_none():
    known = {word for command in TERMINAL.values() for o in command.options for word in o.words}
    known |= {"--help", "-h", "--version", "--install-completion", "--show-completion"}
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", TEXT)) <= known
