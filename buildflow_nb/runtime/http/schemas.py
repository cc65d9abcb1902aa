"""JSON schemas of annotated types, with the named ones collected into `components`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from buildflow_nb.core.conversion.annotations import (
    is_named_tuple,
    is_pydantic,
    is_unknown,
    record_hints,
)
from buildflow_nb.core.conversion.typed_values import needs_pydantic
from buildflow_nb.core.declaring.http_binding import for_pydantic

__all__ = ("Schemas",)

Json = dict[str, Any]
_REF = "#/components/schemas/{name}"


class Schemas:
    """The schemas of a set of types, made at once so that equal names are told apart."""

    def __init__(self, hints: Iterable[Any]) -> None:
        self.components: dict[str, Json] = {}
        self._made: dict[int, Json] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        wanted = {id(hint): hint for hint in hints if not is_unknown(hint)}
        ours = {key: hint for key, hint in wanted.items() if self._by_msgspec(hint)}
        try:
            self._add(ours)
        except (TypeError, ValueError):  # one of them cannot be described beside the others
            for key, hint in ours.items():
                self._add_alone(key, hint)
        for key, hint in wanted.items():
            if key not in ours:
                self._made[key] = self._of_pydantic(hint)
        self._kept = list(wanted.values())

    def of(self, hint: Any) -> Json:
        """The schema of one of the types; of `("fields", record)`, that of the record itself."""
        if isinstance(hint, tuple):
            named = self.of(hint[1])
            name = str(named.get("$ref", "")).rpartition("/")[2]
            return self.components.get(name, named)
        return self._made.get(id(hint), {})

    def _add(self, hints: dict[int, Any]) -> None:
        types = [_twin(hint) for hint in hints.values()]
        made, components = msgspec.json.schema_components(
            types, schema_hook=self._of_pydantic, ref_template=_REF
        )
        self._made |= dict(zip(hints, made, strict=True))
        self.components |= cast("dict[str, Json]", components)

    def _add_alone(self, key: int, hint: Any) -> None:
        try:
            self._add({key: hint})
        except (TypeError, ValueError):
            self._made[key] = {}

    @staticmethod
    def _by_msgspec(hint: Any) -> bool:
        if for_pydantic(hint):  # it has bounds that msgspec would not see
            return False
        return not needs_pydantic(hint)

    def _of_pydantic(self, hint: Any) -> Json:
        """A model's schema, by pydantic; its definitions become components."""
        import pydantic

        try:
            described = pydantic.TypeAdapter(hint).json_schema(
                ref_template=_REF.replace("{name}", "{model}")
            )
        except (pydantic.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError):
            return {}
        self.components |= described.pop("$defs", {})
        if not is_pydantic(hint) or "$ref" in described:
            return described  # no model, or one that holds itself and is defined already
        self.components[hint.__name__] = described
        return {"$ref": _REF.format(name=hint.__name__)}


def _twin(hint: Any) -> Any:
    """NamedTuples are arrays to msgspec, but objects here."""
    if not is_named_tuple(hint):
        return hint
    defaults = getattr(hint, "_field_defaults", {})
    fields = [
        (name, kind, defaults[name]) if name in defaults else (name, kind)
        for name, kind in record_hints(hint).items()
    ]
    return msgspec.defstruct(hint.__name__, fields)
