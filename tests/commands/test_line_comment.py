"""Where the comment of a magic's line begins."""

from __future__ import annotations

import pytest

from buildflow_nb.commands.line_comment import without_comment
from buildflow_nb.commands.parsing import parse
from buildflow_nb.core.errors import UsageError


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("run      # returns at once", "run"),
        ("# the panel", ""),
        ("   # the panel", ""),
        ("run", "run"),
        ("run #", "run"),
        ("run\t# tab", "run"),
        ("remove a#b", "remove a#b"),
        ('send price {"note": "a # b"}  # one', 'send price {"note": "a # b"}'),
        ("send price {'note': 'a # b'}  # one", "send price {'note': 'a # b'}"),
        (r'send price {"note": "a \" # b"} # one', r'send price {"note": "a \" # b"}'),
        (r'send price {"path": "C:\\"} # one', r'send price {"path": "C:\\"}'),
        ('send price "it\'s # x" # one', 'send price "it\'s # x"'),
        ("send price [1, 2]# no", "send price [1, 2]# no"),
        ("export my\\ # folder", "export my\\ # folder"),
    ],
)
def test_a_comment_ends_the_line(line, left):
    assert without_comment(line) == left


@pytest.mark.parametrize(
    "line",
    ["run", "check", "peek price", "failures price", "stop", "apply", "list", "cloud", "history"],
)
def test_every_command_takes_one(line):
    assert parse(f'{line}   # what it does; --yes, "it\'s" and {{more}}') == parse(line)
    assert parse("# the panel", alone="panel").command.name == "panel"


def test_what_is_sent_is_as_it_was_typed():
    sent = parse('send price {"a": "#1"}  # the first')
    assert sent.values == {"id": "price", "element": '{"a": "#1"}'}
    with pytest.raises(UsageError, match="one word too many"):
        parse("peek price #5x -n 5 more".replace("#5x", "5x"))
