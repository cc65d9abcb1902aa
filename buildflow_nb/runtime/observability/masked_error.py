"""An error that is raised again for a person: of the same type, and without the secrets it quotes.

It is a copy: its arguments and its own attributes hold `****` in place of secrets, and so do those
of its causes and of the errors in a group. `except` clauses, tracebacks and `%debug` find what they
look for. Where a class cannot be copied in that way, or says the secret still, the copy is of a
class derived from it that says the masked text and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import new_class
from typing import Any, cast

from buildflow_nb.core.errors import told

__all__ = ("masked_error",)

Mask = Callable[[str], str]
_CHAIN = ("__cause__", "__context__")
_DEPTH = 4  # levels of lists and dicts in arguments


def masked_error(error: BaseException, mask: Mask) -> BaseException:
    """The error as a person may see it; itself, where neither it nor its causes quote anything."""
    if not any(_quotes(each, mask) for each in _all_of(error)):
        return error
    return _copied(error, mask, {})


def _all_of(error: BaseException) -> list[BaseException]:
    found: dict[int, BaseException] = {}
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in found:
            continue
        found[id(each)] = each
        left += [each.__cause__, each.__context__]
        left += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
    return list(found.values())


def _quotes(error: BaseException, mask: Mask) -> bool:
    shown = [_shown(error), *getattr(error, "__notes__", ())]
    try:
        shown += [repr(error), repr(error.args), repr(vars(error))]
    except BaseException:  # noqa: BLE001  (a user's own class, which may do anything)
        return True
    return any(mask(str(text)) != str(text) for text in shown)


def _shown(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  (a user's own __str__)
        return ""


def _copied(error: BaseException, mask: Mask, seen: dict[int, BaseException]) -> BaseException:
    if id(error) in seen:
        return seen[id(error)]
    made = _alike(error, mask, seen)
    seen[id(error)] = made
    made.__traceback__ = error.__traceback__
    for name in _CHAIN:
        other = getattr(error, name)
        if other is not None:
            setattr(made, name, _copied(other, mask, seen))
    made.__suppress_context__ = error.__suppress_context__
    return made


def _alike(error: BaseException, mask: Mask, seen: dict[int, BaseException]) -> BaseException:
    if isinstance(error, BaseExceptionGroup):
        inner = [_copied(each, mask, seen) for each in error.exceptions]
        group = type(error.derive(inner))(mask(error.message), inner)
        _fill(group, error, mask)
        return group
    with suppress(BaseException):  # a user's own class, which may do anything
        copied = _same(error, mask)
        if _shown(copied) == mask(_shown(error)) and not _quotes(copied, mask):
            return copied
    with suppress(BaseException):
        return _derived(error, mask)
    return RuntimeError(f"{type(error).__name__}: {mask(told(error))}")


def _same(error: BaseException, mask: Mask) -> BaseException:
    """A copy of the same class, made without its `__init__`, which may want anything."""
    kind = type(error)
    state = error.__reduce__()  # the built-in ones keep more than `args`: a file's name
    args = state[1] if isinstance(state, tuple) and isinstance(state[1], tuple) else error.args
    masked = tuple(_masked(each, mask) for each in args)
    made = kind.__new__(kind, *masked)
    if kind.__init__ in _BUILT_IN:
        kind.__init__(made, *masked)
    _fill(made, error, mask)
    return made


_BUILT_IN = tuple(kind.__init__ for kind in (BaseException, OSError, SyntaxError, ImportError))


def _derived(error: BaseException, mask: Mask) -> BaseException:
    """A copy of a class derived from the error's, which says a text."""
    kind, text = type(error), mask(_shown(error))
    names: dict[str, object] = {
        "__str__": lambda _: text,
        "__repr__": lambda _: f"{kind.__name__}({text!r})",
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
    }
    derived = new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(names))
    plain = next(each for each in kind.__mro__ if each.__module__ == "builtins")
    make = cast("Callable[[type], BaseException]", plain.__new__)
    made = make(derived)
    made.args = (text,)
    _fill(made, error, mask)
    return made


def _fill(made: BaseException, error: BaseException, mask: Mask) -> None:
    slots = [name for kind in type(error).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in (*vars(error), *slots):
        with suppress(Exception):
            setattr(made, name, _masked(getattr(error, name), mask))


def _masked(value: Any, mask: Mask, depth: int = _DEPTH) -> Any:
    """A value without secrets; as a text where it is none that can be looked into."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, bytes):
        plain = value.decode(errors="surrogateescape")
        found = mask(plain)
        return value if found == plain else found.encode(errors="surrogateescape")
    if depth and type(value) in (list, tuple, set, frozenset):
        return type(value)(_masked(each, mask, depth - 1) for each in value)
    if depth and isinstance(value, Mapping) and type(value) is dict:
        return {_masked(k, mask, depth - 1): _masked(v, mask, depth - 1) for k, v in value.items()}
    text = repr(value)
    found = mask(text)
    return value if found == text else found
