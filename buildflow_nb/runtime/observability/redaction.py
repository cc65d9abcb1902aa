"""How elements of one processor may be shown: as they are, or with their secrets masked.

Everything that a ledger remembers for a person's eyes goes through the redaction of its processor.
It is compiled from the annotations; where those say nothing, the values' own types decide.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from buildflow_nb.core.conversion.annotations import is_record
from buildflow_nb.core.conversion.decode import Decoder, compile_decoder
from buildflow_nb.core.conversion.json_values import plain_json
from buildflow_nb.core.conversion.secret_fields import MASK, is_open, masker, restorer, secrets_of
from buildflow_nb.core.credentials import is_secret_class
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, EndpointSpec, ProcessorSpec
from buildflow_nb.core.errors import ConversionError, DeclarationError
from buildflow_nb.core.primitive import Malformed, Wire
from buildflow_nb.runtime.observability.hidden import forms_of

__all__ = ("OPEN", "Redaction", "redaction_of", "unwrapped")

DEPTH = 4  # levels of dicts and lists without a type that are looked into
Mask = Callable[[object], object]


class Redaction:
    """Elements without secrets: everything is shown as it is."""

    secret = False
    masked = False

    def element(self, value: object) -> object:
        """An input of the declared type."""
        return value

    def raw(self, value: object) -> object:
        """An input as its source gave it."""
        return value

    def result(self, value: object) -> object:
        """A result."""
        return value

    def text(self, text: str, value: object) -> str:  # noqa: ARG002
        """A text that may quote the input `value`."""
        return text

    def secrets(self, value: object) -> list[object]:  # noqa: ARG002
        """The secrets in an input of the declared type."""
        return []

    def restored(self, shown: object, raw: object) -> object:  # noqa: ARG002
        """What a person made of a shown input, with the secrets that it had."""
        return shown


OPEN = Redaction()


class _FromJson(Redaction):
    """Elements without secrets whose source gives JSON: shown as the values that it stands for."""

    def raw(self, value: object) -> object:
        return _parsed(value)


class _Masked(Redaction):
    """Elements of types that have, or may have, secrets.

    `secret` says that inputs have some; `masked` that anything must be looked at when remembered.
    """

    masked = True

    def __init__(
        self, input_: _Type, result: Mask | None, decoder: Decoder | None, *, parse: bool
    ) -> None:
        self._input = input_
        self._result = result
        self._decoder = decoder
        self._parse = parse
        self.secret = input_.secrets is not None

    def element(self, value: object) -> object:
        return _applied(self._input.mask, value)

    def raw(self, value: object) -> object:
        if not self.secret or self._decoder is None:
            return self.element(_parsed(value) if self._parse else value)
        try:
            return self.element(self._decoder.one(value))
        except ConversionError:
            return MASK

    def result(self, value: object) -> object:
        return _applied(self._result, value)

    def text(self, text: str, value: object) -> str:
        if self._input.secrets is None:
            return text
        for word in forms_of(self._input.secrets(self._plain(value))):
            text = text.replace(word, MASK)
        return text

    def secrets(self, value: object) -> list[object]:
        try:
            return [] if self._input.secrets is None else self._input.secrets(value)
        except BaseException:  # noqa: BLE001  (a user's class, which may do anything)
            return []

    def restored(self, shown: object, raw: object) -> object:
        if self._input.restore is None:
            return shown
        if isinstance(shown, (str, bytes)):
            parsed = unwrapped(shown)
            if not isinstance(parsed, Mapping):
                return shown
            shown = parsed
        return self._input.restore(shown, self._plain(raw))

    def _plain(self, value: object) -> object:
        """An input as something whose fields can be told apart, if that is possible at all."""
        if self._decoder is not None:
            with contextlib.suppress(ConversionError):
                return self._decoder.one(value)
        return unwrapped(value)


class _Type(NamedTuple):
    """What the type of an input has to do with secrets."""

    mask: Mask | None
    secrets: Callable[[object], list[object]] | None
    restore: Callable[[object, object], object] | None


def redaction_of(spec: ProcessorSpec) -> Redaction:
    """The redaction of a processor's elements."""
    decoder = None
    parse = isinstance(spec, ConsumerSpec) and spec.source.source_wire is Wire.JSON
    if isinstance(spec, ConsumerSpec):
        input_ = _type(spec.input_type)
        if input_.secrets is not None:
            with contextlib.suppress(DeclarationError):
                decoder = compile_decoder(spec.input_type, spec.source.source_wire, spec.id)
    else:
        input_ = _call_type(spec)
    returns = spec.processor.returns if isinstance(spec, EndpointSpec) else spec.output_type
    result = _mask(returns)
    if input_.mask is None and result is None:
        return _FromJson() if parse else OPEN
    return _Masked(input_, result, decoder, parse=parse)


def _applied(mask: Mask | None, value: object) -> object:
    """The masked value; as a whole where its class does not let it be looked into."""
    if mask is None:
        return value
    try:
        return mask(value)
    except BaseException:  # noqa: BLE001  (a user's class; what is shown must end nothing)
        return MASK


def _mask(hint: object) -> Mask | None:
    return mask_by_value if is_open(hint) else masker(hint)


def _type(hint: object) -> _Type:
    return _Type(_mask(hint), secrets_of(hint), restorer(hint))


def _call_type(spec: ProcessorSpec) -> _Type:
    """The input of a route: its one argument, or all of them by name."""
    types = {p.name: _type(p.hint) for p in spec.processor.parameters}
    alone = next(iter(types.values())) if len(types) == 1 else None

    def mask(value: object) -> object:
        if isinstance(value, Mapping):
            value = {
                name: item
                if name not in types or types[name].mask is None
                else types[name].mask(item)  # type: ignore[misc]
                for name, item in value.items()
            }
        return value if alone is None or alone.mask is None else alone.mask(value)

    def secrets(value: object) -> list[object]:
        found = [] if alone is None or alone.secrets is None else alone.secrets(value)
        for name, item in value.items() if isinstance(value, Mapping) else ():
            each = types[name].secrets if name in types else None
            found += [] if each is None else each(item)
        return found

    def restore(shown: object, real: object) -> object:
        if isinstance(shown, Mapping) and isinstance(real, Mapping):
            shown = {
                name: item
                if name not in types or types[name].restore is None or name not in real
                else types[name].restore(item, real[name])  # type: ignore[misc]
                for name, item in shown.items()
            }
        return shown if alone is None or alone.restore is None else alone.restore(shown, real)

    any_secret = any(each.secrets is not None for each in types.values())
    return _Type(
        mask if any(each.mask is not None for each in types.values()) else None,
        secrets if any_secret else None,
        restore if any_secret else None,
    )


def mask_by_value(value: Any, depth: int = DEPTH) -> object:
    """Mask what a value's own types say is secret; the value itself where that is nothing."""
    kind = type(value)
    if is_secret_class(kind):
        return MASK
    if kind in _FLAT or not depth:
        return value
    if kind is dict:
        made = {key: mask_by_value(item, depth - 1) for key, item in value.items()}
        return value if all(made[key] is item for key, item in value.items()) else made
    if kind in (list, tuple):
        found = [mask_by_value(item, depth - 1) for item in value]
        return value if all(a is b for a, b in zip(found, value, strict=True)) else kind(found)
    mask = _mask_of_class(kind) if is_record(kind) else None  # type: ignore[arg-type]  # a class
    return value if mask is None else mask(value)


_FLAT = (str, int, float, bool, bytes, type(None))


@lru_cache(maxsize=256)
def _mask_of_class(kind: Hashable) -> Mask | None:
    return masker(kind)


def _parsed(value: object) -> object:
    """JSON as plain values; what is none, or is malformed, as it is."""
    if isinstance(value, (str, bytes)):
        with contextlib.suppress(ValueError, RecursionError):  # msgspec's errors among them
            return plain_json(value)
    return value


def unwrapped(value: object) -> object:
    """JSON as plain values, and a malformed element as what it was read from."""
    return _parsed(value.raw if isinstance(value, Malformed) else value)
