"""What a pydantic model is when it is written: what pydantic says, the same for every sink.

Aliases, `exclude`, serializers, computed fields and extras are pydantic's to apply. One thing is
added: of the spellings of a field the one is written that the model itself reads, so that what was
written can be read again. That is the alias where there is one; a `serialization_alias` that the
model does not read, or the name of a field that it reads by a `validation_alias` alone, gives way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from buildflow_nb.core.conversion.annotations import is_pydantic, pydantic_fields
from buildflow_nb.core.conversion.secret_fields import secrets_of

__all__ = ("ModelForm", "dumped", "model_config", "model_form", "names_read", "spelling_of")


@dataclass(frozen=True, slots=True)
class ModelForm:
    """What has to be known of a model class to write its instances.

    `secret` says that fields hide what they hold from pydantic's JSON. `renamed` says that some
    field in it, or in a model that it holds, is written by another name than pydantic would.
    `non_finite` says that the model itself decides what NaN and the infinities are in JSON.
    """

    secret: bool
    renamed: bool
    non_finite: bool


def model_form(kind: type) -> ModelForm:
    """The form of a pydantic model, or of a pydantic dataclass."""
    return _model_form(cast("Any", kind))


@lru_cache(maxsize=256)
def _model_form(kind: Any) -> ModelForm:
    return ModelForm(
        secret=secrets_of(kind) is not None,
        renamed=_renames(kind, set()),
        non_finite="ser_json_inf_nan" in model_config(kind),
    )


def model_config(kind: Any) -> Mapping[str, Any]:
    """How a model, or a pydantic dataclass, is configured."""
    found: Mapping[str, Any] | None = getattr(kind, "model_config", None)
    return getattr(kind, "__pydantic_config__", {}) if found is None else found


def spelling_of(kind: Any, name: str) -> str:
    """The name by which a field of a model is written."""
    info = pydantic_fields(kind)[name]
    written = info.serialization_alias or info.alias or name
    read = names_read(kind, name)
    return written if written in read or not read else read[0]


def names_read(kind: Any, name: str) -> list[str]:
    """The names by which a field of a model is read; none where it is found by a path."""
    info = pydantic_fields(kind)[name]
    alias = info.validation_alias or info.alias
    choices = getattr(alias, "choices", [alias])
    found = [one for one in choices if isinstance(one, str)]
    config = model_config(kind)
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    if not alias or by_name:
        found.append(name)
    return found


def _renames(kind: Any, seen: set[Any]) -> bool:
    if kind in seen:
        return False
    seen.add(kind)
    for name, info in pydantic_fields(kind).items():
        if spelling_of(kind, name) != (info.serialization_alias or info.alias or name):
            return True
        if any(_renames(model, seen) for model in _models_in(info.annotation)):
            return True
    return False


def _models_in(hint: Any) -> list[Any]:
    if is_pydantic(hint):
        return [hint]
    return [model for part in getattr(hint, "__args__", ()) for model in _models_in(part)]


def dumped(model: Any, *, json: bool = False) -> Any:
    """A model as plain values; `json` ones have JSON's types only."""
    mode = "json" if json else "python"
    if not hasattr(model, "model_dump"):  # a pydantic dataclass
        serializer = type(model).__pydantic_serializer__
        found = serializer.to_python(model, mode=mode, by_alias=True)
    else:
        found = model.model_dump(mode=mode, by_alias=True)
    return _respelled(model, found) if model_form(type(model)).renamed else found


def _respelled(value: Any, found: Any) -> Any:
    """What pydantic made of a value, with every field by the name that its model reads."""
    kind = type(value)
    if isinstance(found, dict) and is_pydantic(kind):
        return _respelled_model(value, cast("dict[str, Any]", found))
    if isinstance(found, dict) and isinstance(value, Mapping):
        pairs = zip(value.values(), found.items(), strict=False)
        return {key: _respelled(inner, item) for inner, (key, item) in pairs}
    if isinstance(found, (list, tuple)) and isinstance(value, (list, tuple)):
        return [_respelled(inner, item) for inner, item in zip(value, found, strict=False)]
    return found


def _respelled_model(model: Any, found: dict[str, Any]) -> dict[str, Any]:
    kind = type(model)
    names = {
        info.serialization_alias or info.alias or name: name
        for name, info in pydantic_fields(kind).items()
    }
    made: dict[str, Any] = {}
    for key, item in found.items():
        name = names.get(key)
        if name is None:  # a computed field, or an extra one
            made[key] = item
        else:
            made[spelling_of(kind, name)] = _respelled(getattr(model, name), item)
    return made
