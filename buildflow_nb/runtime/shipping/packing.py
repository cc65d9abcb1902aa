"""Bytes for another process, and back: the envelope, and what is said where that cannot be."""

from __future__ import annotations

import pickle
import threading
from contextlib import nullcontext
from pathlib import Path

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.errors import CannotShipError, told
from buildflow_nb.runtime.shipping.arrived import take
from buildflow_nb.runtime.shipping.culprit import explained
from buildflow_nb.runtime.shipping.kept import values_only
from buildflow_nb.runtime.shipping.pickler import dumped
from buildflow_nb.runtime.shipping.shown import StandIn, StandInError, stand_in
from buildflow_nb.runtime.shipping.sources import sources_of

__all__ = ("pack", "pack_shown", "pack_spec", "unpack")

_TRIES = 5
_unpacking = threading.RLock()  # nobody is to see a class that is not set yet


def pack(thing: object, *, folder: Path | None = None) -> bytes:
    """Something as bytes for another process, with the modules under `folder` that it needs.

    Raises:
        CannotShipError: it cannot be sent; says which variable is at fault, where, and what to do.
    """
    try:
        return _packed(thing, folder)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's own way to be pickled may raise anything
        raise CannotShipError(explained(thing, error)) from error


def pack_spec(spec: ProcessorSpec, *, folder: Path | None = None) -> bytes:
    """The same for a processor, which errors name: "consumer 'price': uses 'app' (line 7 of …".

    Raises:
        CannotShipError: as `pack`.
    """
    return pack(spec, folder=folder)


def pack_shown(thing: object) -> bytes:
    """Something as bytes, to be looked at: what cannot be sent is a stand-in that shows like it.

    Never raises, and what it gives can be unpacked.
    """
    for lenient in (False, True):
        if (data := _sound(thing, lenient=lenient)) is not None:
            return data
    if (data := _sound(_by_parts(thing), lenient=False)) is not None:
        return data
    return _packed_values(stand_in(thing))


def unpack(data: bytes) -> object:
    """What `pack` was given, in this process.

    Reading it runs code. Only for bytes that our own process wrote and sent through our own pipe.

    Raises:
        CannotShipError: it needs a module that is not installed here, or cannot be made again.
    """
    try:
        is_code, sources, payload = pickle.loads(data)  # noqa: S301  (our own)
        take(sources, only_new=not is_code)
        with _unpacking, nullcontext() if is_code else values_only():
            return pickle.loads(payload)  # noqa: S301
    except ModuleNotFoundError as error:
        msg = (
            f"what was sent needs the module {error.name!r}, which is not there; install it where "
            "the flow runs, or put it into the notebook's folder"
        )
        raise CannotShipError(msg) from error
    except Exception as error:
        msg = f"what was sent cannot be made again in another process: {told(error)}"
        raise CannotShipError(msg) from error


def _packed(thing: object, folder: Path | None) -> bytes:
    for left in reversed(range(_TRIES)):
        try:
            payload, modules, is_code = dumped(thing)
            break
        except RuntimeError as error:  # a cell that runs meanwhile has changed a container
            if not left or "changed" not in str(error):
                raise
    sources = [] if folder is None else sources_of(modules, folder)
    return pickle.dumps((is_code, sources, payload), pickle.HIGHEST_PROTOCOL)


def _packed_values(thing: object, *, lenient: bool = False) -> bytes:
    payload = dumped(thing, lenient=lenient, is_back=True).data
    return pickle.dumps((False, [], payload), pickle.HIGHEST_PROTOCOL)


def _sound(thing: object, *, lenient: bool) -> bytes | None:
    """The bytes, if something can be made of them again."""
    try:
        data = _packed_values(thing, lenient=lenient)
        unpack(data)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001
        return None
    return data


def _shown(thing: object) -> object:
    if _sound(thing, lenient=False) is not None:
        return thing
    there: StandIn | StandInError = stand_in(thing)
    return there


def _by_parts(thing: object) -> object:
    """A container with stand-ins for those of its parts that cannot be sent; else the thing."""
    if type(thing) is dict:
        return {_shown(key): _shown(value) for key, value in thing.items()}
    if type(thing) is list:
        return [_shown(one) for one in thing]
    return tuple(map(_shown, thing)) if type(thing) is tuple else thing
