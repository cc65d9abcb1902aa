"""How the value of one parameter is made: out of text, of fields or of JSON; compiled once.

Every fault is an `HttpError` whose detail leads to the parameter, so that those of several
parameters can be told together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast, get_args, get_origin

import msgspec

from buildflow_nb.core.conversion.annotations import is_unknown, record_hints
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.declaring.http_binding import (
    TEXTS,
    ParameterSource,
    Slot,
    compile_json,
    compile_text,
)
from buildflow_nb.core.declaring.websocket_parameters import OF_CONNECTION
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.http.errors import HttpError, details, missing

__all__ = ("REFUSED", "Fields", "Form", "Taker")

REFUSED = (ValueError, TypeError, ConversionError, RecursionError)
"""What the conversion of a value raises that does not fit."""


class Fields(Protocol):
    """Texts by key, several for a key that is repeated: a query or a form."""

    def keys(self) -> Iterable[str]:
        """The keys."""
        ...

    def getall(self, key: str) -> list[str]:
        """Every value of a key."""
        ...

    def __contains__(self, key: object) -> bool: ...


class Form(dict[str, list[str]]):
    """A form's fields."""

    def getall(self, key: str) -> list[str]:
        """Every value of a key."""
        return self[key]


class Taker:
    """Makes one parameter's value out of text, fields, files or JSON."""

    def __init__(self, slot: Slot, owner: str) -> None:
        self.slot = slot
        self.name = slot.name
        where = f"{owner}, parameter {slot.name!r}"
        place, hint = slot.place, slot.hint
        self.text: Callable[[Any], object] = _as_is
        self.row: Callable[[Any], object] = _as_is
        self.json: Callable[[bytes], object] = msgspec.json.decode
        self.value: Callable[[Any], object] = _as_is
        if place not in (ParameterSource.FILE, *OF_CONNECTION):
            self.value = compile_decoder(hint, Wire.OBJECT, where).one
        if place in (*TEXTS, ParameterSource.PATH) and not slot.is_record:
            self.text = compile_text(hint, where)
        elif place is ParameterSource.FIELDS or slot.is_record:
            self.row = compile_decoder(hint, Wire.ROW, where).one
        if place in (ParameterSource.BODY, ParameterSource.FIELDS) and not is_unknown(hint):
            mark = slot.parameter.mark
            wire = Wire.JSON if slot.kind is str else Wire.BYTES
            bounded = mark is not None and mark.bounds
            self.json = (
                compile_json(hint, where) if bounded else compile_decoder(hint, wire, where).one
            )
        self.from_rows = self.row is not _as_is
        self.lists = {
            name for name, kind in record_hints(slot.kind).items() if _listed(kind)
        }  # fields of which a query may hold several

    def absent(self, *place: str | int) -> object:
        """The default.

        Raises:
            HttpError: there is none.
        """
        if self.slot.parameter.required:
            raise HttpError(422, [missing(*(place or ("body",)))])
        return self.slot.parameter.absent()

    def from_fields(self, fields: Fields, place: str) -> object:
        """A record made of a query's or a form's fields; fields that it does not have are left.

        Raises:
            HttpError: they do not fit.
        """
        keys = list(fields.keys())
        if not keys and not self.slot.parameter.required:
            return self.slot.parameter.absent()
        row = {
            key: msgspec.json.encode(fields.getall(key)).decode()
            if key in self.lists
            else fields.getall(key)[-1]
            for key in keys
        }
        try:
            return self.row(row)
        except REFUSED as error:
            raise HttpError(422, details(error, [place], text=True)) from error

    def from_texts(self, texts: Sequence[str], place: str) -> object:
        """A value made of every text of its name.

        Raises:
            HttpError: there is none, and no default; or one does not fit.
        """
        if not texts:
            return self.absent(place, self.slot.alias)
        return self.converted(list(texts) if self.slot.repeated else texts[-1], place)

    def converted(self, text: str | list[str], place: str) -> object:
        """A value made of text.

        Raises:
            HttpError: it does not fit.
        """
        try:
            return self.text(text)
        except REFUSED as error:
            where: list[str | int] = [place, self.slot.alias]
            raise HttpError(422, details(error, where, text=True)) from error

    def decoded(self, part: bytes, place: list[str | int]) -> object:
        """A value made of JSON.

        Raises:
            HttpError: it does not fit.
        """
        try:
            return self.json(part)
        except REFUSED as error:
            raise HttpError(422, details(error, place)) from error

    def from_headers(self, headers: Fields) -> object:
        """A value made of headers: one, or a record of several.

        Raises:
            HttpError: it is missing, or does not fit.
        """
        if not self.slot.is_record:
            found = headers.getall(self.slot.alias) if self.slot.alias in headers else ()
            return self.from_texts([_text(one) for one in found], "header")
        mark = self.slot.parameter.mark
        dashed = mark is None or mark.convert_underscores
        texts = Form()
        for name in record_hints(self.slot.kind):
            called = name.replace("_", "-") if dashed else name
            if called in headers:
                texts[name] = [_text(one) for one in headers.getall(called)]
        return self.from_fields(texts, "header")

    def from_cookies(self, cookies: Mapping[str, str]) -> object:
        """A value made of cookies: one, or a record of several.

        Raises:
            HttpError: it is missing, or does not fit.
        """
        if self.slot.is_record:
            return self.from_fields(Form({k: [v] for k, v in cookies.items()}), "cookie")
        found = cookies.get(self.slot.alias)
        return self.from_texts([] if found is None else [found], "cookie")

    def from_form(self, form: Mapping[str, Sequence[object]]) -> object:
        """A value made of a form's fields; an empty one counts as missing, as browsers send it.

        Raises:
            HttpError: it is missing, or does not fit.
        """
        if self.slot.is_record:
            rows = {k: [v for v in vs if isinstance(v, str) and v] for k, vs in form.items()}
            return self.from_fields(Form({k: vs for k, vs in rows.items() if vs}), "body")
        alias = self.slot.alias
        found = form.get(alias, ())
        if not self.slot.repeated:
            found = [one for one in found[-1:] if one != ""]
        for one in found:
            if not isinstance(one, str):
                fault = {"msg": "Input should be a valid string", "type": "string_type"}
                raise HttpError(422, [{"loc": ["body", alias], **fault}])
        return self.from_texts(cast("Sequence[str]", found), "body")

    def from_files(self, form: Mapping[str, Sequence[object]]) -> object:
        """The files of its name; an input that was left empty counts as none.

        Raises:
            HttpError: there is none, and no default; or it is no file.
        """
        alias, as_bytes = self.slot.alias, self.takes_bytes
        found = [one for one in form.get(alias, ()) if one not in ("", b"")]
        if not found:
            return self.absent("body", alias)
        for at, one in enumerate(found):
            if isinstance(one, str) and not as_bytes:
                where = ["body", alias, at] if self.slot.repeated else ["body", alias]
                told = f"Expected UploadFile, received: {type(one)}"
                fault = {"loc": where, "msg": f"Value error, {told}", "type": "value_error"}
                raise HttpError(422, [fault])
        files = [one.encode() if isinstance(one, str) else one for one in found]
        if not self.slot.repeated:
            return files[-1]
        kind = get_origin(self.slot.kind)
        return kind(files) if kind in (tuple, set, frozenset) else files

    @property
    def takes_bytes(self) -> bool:
        """Whether it takes what is in its files, rather than these."""
        if self.slot.place is not ParameterSource.FILE:
            return False
        return bytes in (get_args(self.slot.kind) if self.slot.repeated else (self.slot.kind,))


def _as_is(value: Any) -> object:
    return value


def _text(header: str) -> str:
    """A header's value: UTF-8, or else Latin-1, as HTTP once had it."""
    if header.isascii():
        return header
    raw = header.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _listed(kind: object) -> bool:
    return getattr(kind, "__origin__", kind) in (list, set, tuple, frozenset)
