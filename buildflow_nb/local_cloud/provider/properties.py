"""Plain properties, asked for by name and type.

Handlers of resources read their inputs through this, so that what a program left out, set to null
or spelled as a wrong type shows in one place. By then the schema has been checked; a `TypeError`
here is a schema that declares another kind than its handler reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from buildflow_nb.local_cloud.provider.codec import Plain

__all__ = ("Properties",)

T = TypeVar("T")


class Properties(Mapping[str, Plain]):
    """A read-only view of one resource's properties; absent and null are the same."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Plain]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Plain:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str) -> str | None:
        """A text, or `None`."""
        return self._of(str, name)

    def must(self, name: str) -> str:
        """A text that is there, because the schema requires it or a default stands for it.

        Raises:
            KeyError: it is not there.
        """
        value = self.text(name)
        if value is None:
            raise KeyError(name)
        return value

    def number(self, name: str) -> int | None:
        """A whole number, or `None`."""
        return self._of(int, name)

    def flag(self, name: str) -> bool:
        """A truth value; absent is false."""
        return self._of(bool, name) or False

    def texts(self, name: str) -> list[str]:
        """A list of texts; absent is empty."""
        return [str(item) for item in self._of(list, name) or []]

    def table(self, name: str) -> dict[str, str]:
        """Texts by name (tags, labels); absent is empty."""
        return {key: str(item) for key, item in (self._of(dict, name) or {}).items()}

    def part(self, name: str) -> Properties | None:
        """A nested object, or `None`."""
        value = self._of(dict, name)
        return Properties(value) if value is not None else None

    def parts(self, name: str) -> list[Properties]:
        """A list of nested objects; absent is empty."""
        return [Properties(item) for item in self._of(list, name) or []]

    def _of(self, kind: type[T], name: str) -> T | None:
        value = self._values.get(name)
        if value is None or isinstance(value, kind):
            return value
        msg = f"property {name!r} is a {type(value).__name__}, not a {kind.__name__}"
        raise TypeError(msg)
