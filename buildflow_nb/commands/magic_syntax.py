"""A `%%buildflow` cell as the Python source that it stands for.

`%%buildflow consumer source=A, sink=B` over a cell is `@app.consumer(source=A, sink=B)` on the last
function or class of that cell. The kernel runs that source and export writes it, so there is one
meaning. All of it is read with `ast`, because arguments hold brackets, strings and commas.
"""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass, fields

from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.nearest import cut
from buildflow_nb.core.options import (
    SPELLINGS,
    CollectorOptions,
    ConsumerOptions,
    EndpointOptions,
    Options,
    nearest,
)
from buildflow_nb.core.python_text import parse_python

__all__ = ("KINDS", "MAGIC", "CellSource", "Kind", "cell_source", "kind_words", "magic_first")

MAGIC = "%%buildflow"
_OPEN = "_(\n"  # the newline keeps columns of the arguments as they were typed


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of processor: its own arguments in order, those it needs, its options, an example."""

    arguments: tuple[str, ...]
    needed: str
    options: type[Options]
    example: str


KINDS = {
    "consumer": Kind(
        ("source", "sink"), "source", ConsumerOptions, f"{MAGIC} consumer source=orders, sink=table"
    ),
    "collector": Kind(
        ("route", "method", "sink"),
        "route",
        CollectorOptions,
        f'{MAGIC} collector "/collect", "POST", sink=table',
    ),
    "endpoint": Kind(
        ("route", "method"), "route", EndpointOptions, f'{MAGIC} endpoint "/worst", "GET"'
    ),
}


@dataclass(frozen=True, slots=True)
class CellSource:
    """Python source of a cell; line `row` (from 0) is the first one of the inserted decorator."""

    text: str
    row: int


def magic_first(lines: list[str]) -> list[str]:
    """The lines of a cell with its `%%buildflow` line before the comments that stand above it.

    The lines below keep their numbers; a cell without such a line stays as it is.
    """
    at = next((n for n, line in enumerate(lines) if _code(line)), None)
    if not at or lines[at].split()[0] != MAGIC:
        return lines
    return [lines[at], *lines[:at], *lines[at + 1 :]]


def _code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def kind_words(kind: str) -> tuple[str, ...]:
    """Every argument name that a kind takes, its own first."""
    known = KINDS[kind]
    return (*known.arguments, *(f.name for f in fields(known.options)))


def cell_source(line: str, body: str, *, plain: str | None = None) -> CellSource:
    """Put the decorator that `line` stands for above the last function or class of `body`.

    `line` is what follows `%%buildflow`; while a bracket is open it goes on in the body. `plain` is
    the body with the same lines as pure Python, where `body` itself holds magics.

    Raises:
        UsageError: the line, or a cell without a function, cannot be a processor.
        SyntaxError: the body is no Python.
    """
    kind, arguments = _split(line)
    lines = body.splitlines()
    taken = _read(kind, arguments, lines)
    arguments = "\n".join([arguments, *lines[:taken]])
    del lines[:taken]
    readable = "\n".join((body if plain is None else plain).splitlines()[taken:])
    at = _decorator_row(kind, readable, len(lines))
    comment_safe = "\n" if "#" in arguments else ""
    decorator = f"@app.{kind}({arguments}{comment_safe})".split("\n")
    return CellSource("\n".join([*lines[:at], *decorator, *lines[at:]]) + "\n", at)


def _split(line: str) -> tuple[str, str]:
    kind, _, arguments = line.strip().partition(" ")
    if kind in KINDS:
        return kind, arguments.strip()
    word = kind.partition("(")[0]
    if word in KINDS and word != kind:
        msg = f"{MAGIC} {word}: leave the brackets out; like {KINDS[word].example}"
        raise UsageError(msg)
    what = f"unknown kind {cut(kind)!r}{nearest(kind, KINDS)}" if kind else "which kind?"
    msg = f"{MAGIC}: {what} (kinds: {', '.join(KINDS)}); like {KINDS['consumer'].example}"
    raise UsageError(msg)


def _read(kind: str, arguments: str, more: list[str]) -> int:
    """Check the arguments; how many lines of the body belong to them."""
    taken = 0
    while taken < len(more) and _open("\n".join([arguments, *more[:taken]])):
        taken += 1
    try:
        call = _call("\n".join([arguments, *more[:taken]]))
    except SyntaxError as error:
        raise _unreadable(kind, arguments) from error
    _check(kind, call)
    return taken


def _open(text: str) -> bool:
    """Whether a bracket or a triple quote is still open at the end."""
    try:
        for _ in tokenize.generate_tokens(io.StringIO(text).readline):
            pass
    except tokenize.TokenError as error:
        return "EOF in multi-line" in str(error) or "unexpected EOF" in str(error)
    except (SyntaxError, UnicodeEncodeError):  # half a character, since Python 3.12
        pass  # the parser says it better
    return False


def _call(arguments: str) -> ast.Call:
    tree = parse_python(f"{_OPEN}{arguments}\n)", "eval").body
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "_":
        return tree
    msg = "brackets do not match"
    raise SyntaxError(msg, ("", 2, 1, arguments))


def _unreadable(kind: str, arguments: str) -> UsageError:
    example = KINDS[kind].example
    if arguments.startswith("/"):
        route = arguments.replace(",", " ").split(maxsplit=1)[0]
        msg = f'{MAGIC} {kind}: the route needs quotes, "{cut(route)}"; like {example}'
        return UsageError(msg)
    column, reason = _fault(arguments)
    rest = arguments[column:].strip()
    where = f"at {_short(rest)!r} (column {column + 1} of them)" if rest else "at their end"
    msg = f"{MAGIC} {kind}: cannot read the arguments {where}: {reason}; like {example}"
    return UsageError(msg)


def _fault(arguments: str) -> tuple[int, str]:
    """The column (from 0) at which the arguments go wrong by themselves, and why."""
    try:
        _call(arguments)
    except SyntaxError as error:
        reason = str(error.msg).replace("syntax. Perhaps you", "syntax, perhaps you").rstrip("?")
        row, column = (error.lineno or 2) - 2, (error.offset or 1) - 1
        return (column if row == 0 else len(arguments)), reason
    return len(arguments), "the line below does not belong to them"


def _short(text: str, limit: int = 30) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _check(kind: str, call: ast.Call) -> None:
    known = KINDS[kind]
    words = [word.arg for word in call.keywords if word.arg is not None]
    takes = (*kind_words(kind), *SPELLINGS)
    for word in words:
        if word not in takes:
            msg = (
                f"{MAGIC} {kind}: unknown option {cut(word)!r}{nearest(word, takes)}; -h lists them"
            )
            raise UsageError(msg)
    positional = len(call.args)
    for word in known.arguments[:positional]:
        if word in words:
            msg = f"{MAGIC} {kind}: {word} is given twice; like {known.example}"
            raise UsageError(msg)
    spread = len(words) < len(call.keywords) or any(isinstance(a, ast.Starred) for a in call.args)
    if not positional and known.needed not in words and not spread:
        msg = f"{MAGIC} {kind}: {known.needed} is missing; like {known.example}"
        raise UsageError(msg)
    if positional > len(known.arguments):
        named = ", ".join(known.arguments)
        msg = f"{MAGIC} {kind}: takes {named} and named options; like {known.example}"
        raise UsageError(msg)


def _decorator_row(kind: str, readable: str, count: int) -> int:
    """The row (from 0) of the last top-level def or class, above its own decorators."""
    tree = parse_python(readable)
    found = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    ]
    if not found:
        what = "holds no function or class" if count else "is empty"
        msg = f"{MAGIC} {kind}: the cell {what}; write the processor below, like def price(order):"
        raise UsageError(msg)
    last = found[-1]
    return min([last.lineno, *(d.lineno for d in last.decorator_list)]) - 1
