"""A msgspec Struct by value: made anew of its fields, since its layout is no attribute of it.

The class is made of the fields' names, defaults and flags alone, so that nothing in it needs the
class itself; methods (their `super()` does) and annotations are set when it is there. What
`__post_init__` is to be must be known when the class is made, so a function that calls it stands
there.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import StructConfig

from buildflow_nb.runtime.shipping import classes, hints
from buildflow_nb.runtime.shipping.refused import RefusedError

__all__ = ("finish", "made", "parts_of", "state_of")

_FLAGS = (
    *("frozen", "eq", "order", "array_like", "gc", "repr_omit_defaults", "omit_defaults"),
    *("forbid_unknown_fields", "weakref", "dict", "cache_hash"),
)
_OWN = frozenset(  # made with the class
    {"__slots__", "__dict__", "__weakref__", "__match_args__", "__orig_bases__", "__parameters__"}
    | {"__module__", "__qualname__", "__annotations__", "_abc_impl"}
    | {"__annotate_func__", "__annotations_cache__", "__annotate__"}  # from Python 3.14 on
    | {"__type_params__", "__static_attributes__", "__firstlineno__"}
)
_AFTER = "__post_init__"
_STARTS = "__init_subclass__"
_TARGET = "__buildflow_target__"  # of what stands for it
Parts = tuple[Any, ...]


def parts_of(kind: Any) -> Parts:
    """What `made` takes; all of it can be sent without the class.

    Raises:
        RefusedError: it would not be the same class over there.
    """
    parts = _parts(kind)
    tells = isinstance(kind.__init_subclass__, types.MethodType)  # somebody, of each class made
    if not tells and not _is_like(made(*parts), kind):
        raise RefusedError(kind)
    return parts


def _parts(kind: Any) -> Parts:
    names = kind.__struct_fields__
    optional = kind.__struct_defaults__
    defaults = dict(zip(names[len(names) - len(optional) :], optional, strict=True))
    written = dict(zip(names, kind.__struct_encode_fields__, strict=True))
    own = [name for name in hints.own(kind) if name in names]
    values, factories = {}, {}
    for name in own:
        default = defaults.get(name, msgspec.NODEFAULT)
        if type(default).__name__ == "Factory":
            factories[name] = default.factory
        elif default is not msgspec.NODEFAULT:
            values[name] = default
    config: StructConfig = kind.__struct_config__
    flags = {name: getattr(config, name) for name in _FLAGS if hasattr(config, name)}
    flags["kw_only"] = bool(own) and not set(own) & set(kind.__match_args__)
    flags["tag"] = False if config.tag is None else config.tag
    if config.tag is not None:
        flags["tag_field"] = config.tag_field
    flags["rename"] = {name: written[name] for name in own}
    bases = vars(kind).get("__orig_bases__", kind.__bases__)
    told = (kind.__module__, kind.__qualname__, vars(kind).get("__type_params__", ()))
    named = (kind.__name__, *told)
    return type(kind), named, bases, tuple(own), values, factories, flags, _AFTER in vars(kind)


def made(  # noqa: PLR0913, PLR0917  (one for each part)
    meta: type,
    named: tuple[str, str, str, tuple[Any, ...]],
    bases: tuple[Any, ...],
    own: tuple[str, ...],
    values: dict[str, object],
    factories: dict[str, Callable[[], object]],
    flags: dict[str, Any],
    has_after: bool,
) -> type:
    """The class, without what is set when it is there."""
    name, module, qualname, parameters = named
    body: dict[str, Any] = {name: msgspec.field(default=value) for name, value in values.items()}
    for field, factory in factories.items():
        body[field] = msgspec.field(default_factory=factory)
    body |= {"__module__": module, "__qualname__": qualname}
    body["__annotations__"] = dict.fromkeys(own, object)
    if parameters:
        body["__type_params__"] = parameters
    if has_after:
        body[_AFTER] = _after()
    words = flags if meta is type(msgspec.Struct) else {"metaclass": meta, **flags}
    return types.new_class(sys.intern(name), bases, words, lambda names: names.update(body))


def _after() -> Callable[[Any], None]:
    """What a class calls for each instance that is made; what it calls in turn is set later."""

    def call(self: Any) -> None:
        getattr(call, _TARGET)(self)

    return call


def _is_like(made_: Any, kind: Any) -> bool:
    same = ("__struct_fields__", "__struct_encode_fields__", "__match_args__")
    if any(getattr(made_, name) != getattr(kind, name) for name in same):
        return False
    there, here = made_.__struct_config__, kind.__struct_config__
    flags = (*_FLAGS, "tag", "tag_field")
    return all(getattr(there, name, None) == getattr(here, name, None) for name in flags)


def state_of(kind: Any) -> dict[str, Any]:
    """What is to be set when the class is there."""
    own = {
        name: value
        for name, value in vars(kind).items()
        if name not in _OWN
        and not isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))
    }
    after = own.get(_AFTER)
    if after is not None:
        own[_AFTER] = getattr(after, _TARGET, after)
    if _STARTS in own:
        own[_STARTS] = classes.sent_as(own[_STARTS])
    return own | {"__annotations__": hints.of_class(kind)}


def finish(kind: type, state: dict[str, Any]) -> None:
    """Set what `state_of` gave."""
    for name, value in state.items():
        if name == _AFTER:
            setattr(vars(kind)[_AFTER], _TARGET, value)
        else:
            setattr(kind, name, classes.quiet(value) if name == _STARTS else value)
