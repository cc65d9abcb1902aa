"""What is remembered of secrets, and texts without them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.runtime.observability import hidden
from buildflow_nb.runtime.observability.hidden import Hidden, in_texts
from buildflow_nb.runtime.observability.logs import MAX_LINE, LogRing


def masked(text, *secrets):
    made = Hidden()
    made.add(secrets)
    return made.masked(text)


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("hunter2", "it is hunter2!"),
        (Secret("hunter2"), "it is hunter2!"),
        (b"hunter2", "it is hunter2!"),
        ("it's a\\b\n", "it is " + repr("it's a\\b\n")[1:-1] + "!"),
        ('say "é"', 'it is say \\"\\u00e9\\"!'),
        ("p@ss word/x", "it is p%40ss%20word%2Fx!"),
        ("p@ss word/x", "it is p%40ss+word%2Fx!"),
        ("héé-x", "it is h\\xc3\\xa9\\xc3\\xa9-x!"),
        (["other", "hunter2"], "it is hunter2!"),
        ({"k": {"hunter2"}}, "it is hunter2!"),
        (12345, "it is 12345!"),
        ("ab", "it is ab!"),
    ],
)
def test_a_secret_is_found_in_every_form_in_which_texts_quote_it(secret, text):
    assert masked(text, secret) == "it is ****!"


def test_the_lines_of_a_secret_are_secret():
    assert masked("line: MIIEvQIB", "-----BEGIN-----\nMIIEvQIB\n") == "line: ****"


def test_a_short_one_is_masked_where_it_stands_alone():
    assert masked("a cat, 'a' and ab-a", "a") == "**** cat, '****' and ab-****"


def test_of_two_that_overlap_nothing_is_left():
    assert masked("x abcdefgh y", "abcdef", "cdefgh") == "x **** y"
    assert masked("x abcdefgh y", "abcde", "abcdefgh") == "x **** y"


def test_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(hidden, "WORDS", 3)
    made = Hidden()
    made.add(["first1", "second2", "third3", "ab", "fifth5"])
    assert made.masked("first1 second2 third3 ab fifth5").count("****") == 3
    monkeypatch.setattr(hidden, "LETTERS", 10)
    made.add(["x" * 9])
    assert made.masked("x" * 9) == "****"
    assert "fifth5" in made.masked("fifth5")


@dataclass
class Note:
    text: str
    more: list


def test_values_are_masked_in_their_texts_and_kept_where_there_is_nothing():
    made = Hidden()
    made.add(["hunter2"])
    value = Note("got hunter2", [{"hunter2": ("hunter2", 1)}])
    assert in_texts(value, made.masked) == Note("got ****", [{"****": ("****", 1)}])
    assert value.text == "got hunter2"
    clean = Note("got it", [{"a": ("b", 1)}])
    assert in_texts(clean, made.masked) is clean


def test_a_ring_masks_before_it_cuts():
    ring = LogRing()
    ring.hide(["hunter2"])
    ring.add("PRINT", "x" * (MAX_LINE - 3) + "hunter2")
    (line,) = ring.lines()
    assert "hun" not in line.text


def test_a_ring_keeps_its_numbers_when_it_begins_to_hide():
    ring = LogRing()
    ring.add("PRINT", "one")
    ring.hide(["hunter2"])
    ring.add("PRINT", "two hunter2")
    assert [(line.number, line.text) for line in ring.lines()] == [(1, "one"), (2, "two ****")]
