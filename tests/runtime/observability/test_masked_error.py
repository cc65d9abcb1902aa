"""An error that quotes a secret is raised without it, and is caught as before."""

from __future__ import annotations

import traceback

import pytest

from buildflow_nb.runtime.observability.masked_error import masked_error

WORD = "hunter2"


def mask(text):
    return text.replace(WORD, "****")


class Wants(Exception):  # noqa: N818
    def __init__(self, user, *, word):
        super().__init__(f"{user}: {word}")
        self.word = word
        self.kept = {"words": [word, word.encode()]}


class Says(Exception):  # noqa: N818
    def __init__(self, word):
        self.inner = [[[[[word]]]]]

    def __str__(self):
        return f"says {self.inner}"


class Slotted(Exception):  # noqa: N818
    __slots__ = ("word",)

    def __init__(self, word):
        self.word = word

    def __str__(self):
        return f"says {self.word}"


class Stubborn(Exception):  # noqa: N818
    def __new__(cls, word):
        return super().__new__(cls, word)

    def __str__(self):
        return "says " + WORD


class Closed(Exception):  # noqa: N818
    def __init_subclass__(cls):
        raise TypeError

    def __str__(self):
        return "says " + WORD


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError(f"no {WORD}"), "no ****"),
        (KeyError(WORD), "'****'"),
        (FileNotFoundError(2, "No such file", f"/x/{WORD}"), "/x/****"),
        (ImportError(f"no {WORD}", name=WORD), "no ****"),
        (SyntaxError(f"no {WORD}", ("f.py", 1, 1, WORD)), "no ****"),
        (Wants("ann", word=WORD), "ann: ****"),
        (Says(WORD), "says"),
        (Slotted(WORD), "says ****"),
        (Stubborn("x"), "says ****"),
    ],
)
def test_its_type_survives_and_nothing_quotes_the_secret(error, says):
    made = masked_error(error, mask)
    assert isinstance(made, type(error))
    assert type(made).__name__ == type(error).__name__
    assert says in str(made)
    shown = "".join(traceback.format_exception(made)) + repr(made) + repr(vars(made))
    assert WORD not in shown + repr(made.args)
    assert mask(str(error)) != str(error)  # the original is as it was


def test_causes_notes_and_groups_are_masked_too():
    inner, cause = ValueError(WORD), KeyError("other")
    cause.__context__ = TypeError(f"deep {WORD}")
    error = ExceptionGroup(f"all of {WORD}", [inner, ExceptionGroup("more", [OSError(WORD)])])
    error.__cause__ = cause
    error.add_note(f"note {WORD}")
    cause.__context__.__context__ = error  # a circle
    made = masked_error(error, mask)
    assert isinstance(made, ExceptionGroup)
    shown = "".join(traceback.format_exception(made))
    assert WORD not in shown
    for text in ("all of ****", "deep ****", "note ****", "OSError: ****"):
        assert text in shown


def test_an_error_that_quotes_nothing_is_itself():
    error = ValueError("nothing")
    assert masked_error(error, mask) is error


def test_a_class_that_allows_no_copy_says_the_same():
    made = masked_error(Closed(), mask)
    assert type(made) is RuntimeError
    assert str(made) == "Closed: says ****"
