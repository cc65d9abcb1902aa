"""Classes of what is sent back: written once, and read only where they are not known.

Elements come back many times a second, and whoever gets them has sent their classes, as a rule. So
a class goes as its key, with bytes that are kept as long as the class: it is what it was when one
of its instances went first. A big one, whose methods use a table of the notebook for example, goes
without the bytes where it came from elsewhere.
"""

from __future__ import annotations

import pickle
import threading
import weakref
import zlib
from collections.abc import Callable

from buildflow_nb.core.errors import CannotShipError
from buildflow_nb.runtime.shipping import kept

__all__ = ("parts_of",)

_BIG = 1 << 16  # bytes
_lock = threading.RLock()
_blobs: dict[int, tuple[weakref.ref[type], bytes]] = {}  # by id, as a metaclass may forbid to hash


def parts_of(kind: type, write: Callable[[type], bytes]) -> tuple[Callable[..., object], object]:
    """How to make a class; `write` gives it whole, as bytes.

    Raises:
        Exception: whatever `write` raises.
    """
    name = id(kind)
    with _lock:
        found = _blobs.get(name)
    if found is None or found[0]() is not kind:
        found = weakref.ref(kind, lambda gone: _forget(name, gone)), zlib.compress(write(kind))
        with _lock:
            _blobs[name] = found
    blob = found[1]
    key = kept.key_of(kind)
    if len(blob) > _BIG and kept.is_from_elsewhere(kind):
        blob = b""
    return _made, (key, kind.__qualname__, blob)


def _forget(name: int, gone: weakref.ref[type]) -> None:
    with _lock:
        if (known := _blobs.get(name)) is not None and known[0] is gone:
            del _blobs[name]


def _made(key: str, name: str, blob: bytes) -> object:
    known = kept.found(key)
    if known is not None:
        return known
    if not blob:
        msg = f"the class {name!r} of what was sent back is not there any more"
        raise CannotShipError(msg)
    return pickle.loads(zlib.decompress(blob))  # noqa: S301  (our own)
