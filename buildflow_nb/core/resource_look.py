"""A look at what a primitive names: a queue, a bucket, a table, as frozen data for every face.

Looking consumes nothing and changes nothing. Where that cannot be wholly true, nothing is shown in
place of it, and `notes` say why and what does show it. A look never raises for what is wrong: it
says that something is gone or out of reach, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from buildflow_nb.core.env import Env

__all__ = (
    "MOST_ROWS",
    "Action",
    "Asked",
    "Binary",
    "Browsable",
    "Column",
    "Content",
    "Figure",
    "Held",
    "Lookable",
    "Purgeable",
    "ResourceLook",
    "Standing",
    "size_said",
)

MOST_ROWS = 100_000  # of one look; who wants more reads the table itself


class Standing(Enum):
    """How what was looked at stands."""

    THERE = "there"
    ABSENT = "not there"  # not made yet, or gone
    ASLEEP = "asleep"  # in a store of the local cloud that does not run
    REFUSED = "refused"  # no credentials, or no permission
    UNREACHED = "out of reach"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a look is asked for.

    `rows` is how many rows, messages or objects are shown at most, 0 for the figures alone;
    `prefix` what the names of objects begin with, `key` the object to look into, `page` the token
    of the page before. With `peek` messages may be received and given back at once, where a cloud
    has no other way to show them. It answers within `within_s` seconds; what is counted one by one
    is counted until then if `whole` is asked for, else to a number that takes no time.
    """

    rows: int = 20
    prefix: str = ""
    key: str = ""
    page: str = ""
    peek: bool = False
    whole: bool = False
    within_s: float = 8.0


@dataclass(frozen=True, slots=True)
class Binary:
    """Bytes that are no text: how many there are, and the first of them."""

    length: int
    head: bytes = b""

    def __str__(self) -> str:
        more = "…" if self.length > len(self.head) else ""
        return f"{self.length:,} bytes: {self.head.hex(' ')}{more}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column, with its type as the store calls it, "" where it has none."""

    name: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """Rows of values: messages, objects, rows, the columns of a table.

    A value is plain (text, number, time, None, a list, a dict) or `Binary`. `said` stands below.
    `elements` tells whether the rows are elements, in which there may be secrets; `named_by` where
    the columns have their names from: the "store", which knows them, the "rows", of which each has
    names of its own (JSON), or a "header", a line of text that may be anything.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[object, ...], ...] = ()
    said: str = ""
    elements: bool = True
    named_by: str = "store"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that says how much; `value` is None where it is not known.

    `unit` is "", "bytes", "s" or "/s". `about` is "" for an exact number, "about" or "at least".
    A text is shown as it is.
    """

    label: str
    value: float | str | None
    unit: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What is lost with a resource: a number of "objects", "messages" or "rows", and their bytes.

    `count` and `bytes` are None where that is not known; `about` as in `Figure`.
    """

    noun: str
    count: int | None
    about: str = ""
    bytes: int | None = None

    def __str__(self) -> str:
        if self.count is None:
            return f"{self.noun}: not known how many"
        noun = self.noun[:-1] if self.count == 1 else self.noun
        size = f", {size_said(self.bytes)}" if self.bytes else ""
        return f"{self.about} {self.count:,} {noun}{size}".strip()


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done with it: a word, and the line that does it; with `asks` it asks first."""

    label: str
    line: str
    asks: bool = False
    danger: bool = False


@dataclass(frozen=True, slots=True)
class ResourceLook:
    """A resource as it was at `at`, seconds since the epoch.

    `key` is class and id ("SQSQueue orders"), `name` what lines call it, `kind` what it is ("SQS
    queue"), `place` where. `said` is how it stands where it is not simply there, `cure` what to do
    about it. `figures` come first, then `contents`; `next_page` is the token of what comes after
    them, "" at the end. `prefix` and `key_shown` are what was looked for in a bucket. `roles` say
    what the flow does with it.
    """

    key: str
    kind: str
    name: str
    place: str = ""
    standing: Standing = Standing.THERE
    said: str = ""
    cure: str = ""
    figures: tuple[Figure, ...] = ()
    contents: tuple[Content, ...] = ()
    notes: tuple[str, ...] = ()
    next_page: str = ""
    prefix: str = ""
    key_shown: str = ""
    held: Held | None = None
    roles: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    at: float = 0.0

    @property
    def there(self) -> bool:
        """Whether it was found."""
        return self.standing is Standing.THERE


@runtime_checkable
class Lookable(Protocol):
    """A primitive that can be looked into without consuming or changing anything."""

    @property
    def primitive_id(self) -> str:
        """Stable name, unique in a flow."""
        ...

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """Look. Never raises for what is wrong with it: the look says that, with its cure."""
        ...


@runtime_checkable
class Browsable(Lookable, Protocol):
    """A primitive that holds objects, each of which can be fetched."""

    async def download(self, env: Env, key: str, take: Callable[[bytes], object]) -> None:
        """Hand an object's bytes to `take`, piece by piece in order, on another thread.

        Raises:
            AbsentError: there is no such object, or no bucket.
            TemporaryError: it is out of reach.
            PermanentError: it refuses us.
        """
        ...


@runtime_checkable
class Purgeable(Protocol):
    """A primitive that can be emptied of its messages."""

    async def purge(self, env: Env) -> None:
        """Delete all its messages.

        Raises:
            TemporaryError: it is missing or out of reach.
            PermanentError: it refuses us.
        """
        ...


_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def size_said(count: float) -> str:
    """Bytes in two or three digits: "11.2 MB"."""
    for unit, size in _UNITS:
        if count >= size:
            scaled = count / size
            return f"{scaled:.1f} {unit}" if scaled < 100 else f"{scaled:,.0f} {unit}"  # noqa: PLR2004
    return f"{count:,.0f} bytes"
