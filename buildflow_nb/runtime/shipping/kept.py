"""What keeps its identity however often it is sent: classes, type variables, dependencies.

Each gets a key where it is first sent, and a process that meets the key again takes what it has.
So a class that went to a replica is itself when its instances come back, and a notebook's cell that
is run again makes another one; both live as long as somebody uses them, since nothing is held here.

A process never changes what was made in it. What it got from elsewhere it brings up to date when
code comes, as globals that functions use are sent as they are at that moment; mere values change
nothing, else the methods of a class would lose the globals that they share with functions.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ("found", "is_from_elsewhere", "is_to_be_set", "keep", "key_of", "values_only")

_values_only: ContextVar[bool] = ContextVar("values only", default=False)
_lock = threading.RLock()  # again, where a collection of garbage interrupts us
_things: weakref.WeakValueDictionary[str, object] = weakref.WeakValueDictionary()
_keys: dict[int, tuple[weakref.ref[object], str]] = {}  # by id, as a metaclass may forbid to hash
_elsewhere: set[str] = set()
_bare: set[str] = set()  # made, and not set until now


def key_of(thing: object) -> str:
    """The key of something that is to be sent, in all processes the same."""
    with _lock:
        known = _keys.get(id(thing))
        if known is not None and known[0]() is thing:
            return known[1]
        key = uuid.uuid4().hex
        _note(thing, key)
        return key


def found(key: str) -> object | None:
    """What has this key in this process."""
    with _lock:
        return _things.get(key)


def keep(key: str, make: Callable[[], object]) -> object:
    """What has this key in this process; made now where there is none."""
    known = found(key)
    if known is not None:
        return known
    made = make()  # may run code of anybody's, so without the lock
    with _lock:
        known = _things.get(key)
        if known is not None:  # somebody else was quicker
            return known
        _elsewhere.add(key)
        _bare.add(key)
        _note(made, key)
        return made


@contextmanager
def values_only() -> Iterator[None]:
    """What is unpacked meanwhile is no code, so that what is known already stays as it is."""
    token = _values_only.set(True)
    try:
        yield
    finally:
        _values_only.reset(token)


def is_from_elsewhere(thing: object) -> bool:
    """Whether something was made in another process, and sent here."""
    with _lock:
        known = _keys.get(id(thing))
        return known is not None and known[0]() is thing and known[1] in _elsewhere


def is_to_be_set(thing: object) -> bool:
    """Whether what came of something is to be set: it was made elsewhere, and is new or changes."""
    with _lock:
        if not is_from_elsewhere(thing):
            return False
        _, key = _keys[id(thing)]
        if key in _bare:
            _bare.discard(key)
            return True
        return not _values_only.get()


def _note(thing: object, key: str) -> None:
    name = id(thing)

    def forget(gone: weakref.ref[object]) -> None:
        with _lock:
            _elsewhere.discard(key)
            _bare.discard(key)
            if (known := _keys.get(name)) is not None and known[0] is gone:
                del _keys[name]

    _keys[name] = (weakref.ref(thing, forget), key)
    _things[key] = thing
