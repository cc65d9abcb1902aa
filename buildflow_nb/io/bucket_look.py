"""A look into a bucket: one page of names by a prefix, an object's first rows, an object fetched.

Objects are counted as they are listed, a thousand at a time, and not for ever: a look counts to ten
thousand, and says "at least"; whoever asks for all gets what is counted until the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from buildflow_nb.core.errors import AbsentError
from buildflow_nb.core.resource_look import Asked, Column, Content, Figure, Held, ResourceLook
from buildflow_nb.io.checks import on_thread
from buildflow_nb.io.files.preview import Ranged, preview
from buildflow_nb.io.looks import TAKES_NOTHING, rows_asked, seen

__all__ = ("BucketLister", "Listed", "Page", "look_into_bucket", "seen_bucket")

PAGE = 1_000  # names of one call, at most, with either cloud
QUICK = 10_000  # objects that a look counts unasked
SHARE = 0.6  # of the time that there is, for counting


@dataclass(frozen=True, slots=True)
class Listed:
    """An object: its whole name, its bytes, when it was written."""

    key: str
    size: int
    written: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list: folders (prefixes that end with "/"), objects, the token of the next part."""

    folders: Sequence[str]
    objects: Sequence[Listed]
    token: str = ""


class BucketLister(Protocol):
    """A bucket, seen by its own client; every call blocks, and raises as `Lookable` may say."""

    def page(self, prefix: str, token: str, most: int, *, deep: bool) -> Page:
        """Names that begin with a prefix; not `deep`, what is in a folder is told as the folder."""
        ...

    def size_of(self, key: str) -> int:
        """An object's bytes.

        Raises:
            AbsentError: there is no such object.
        """
        ...

    def read(self, key: str, start: int, length: int) -> bytes:
        """Some of an object's bytes."""
        ...

    def fetch(self, key: str, take: Callable[[bytes], object]) -> None:
        """All of an object's bytes, piece by piece."""
        ...


class Bucket(Protocol):
    """A bucket as its page names it."""

    @property
    def bucket_name(self) -> str: ...

    @property
    def bucket_url(self) -> str: ...


async def seen_bucket(
    bucket: Bucket,
    kind: str,
    lister: BucketLister,
    load: Callable[[], Awaitable[object]],
    asked: Asked,
) -> ResourceLook:
    """A look into a bucket of a `kind`, off the loop; `load` gets its client ready."""

    def look(empty: ResourceLook) -> ResourceLook:
        named = replace(empty, name=bucket.bucket_name, place=bucket.bucket_url)
        return look_into_bucket(lister, named, asked)

    return await seen(
        bucket, kind, lambda empty: on_thread(lambda: look(empty)),
        load=load, within_s=asked.within_s,
    )  # fmt: skip


def look_into_bucket(lister: BucketLister, empty: ResourceLook, asked: Asked) -> ResourceLook:
    """Look; blocks.

    Raises:
        AbsentError: the bucket is not there.
        TemporaryError: it is out of reach.
        PermanentError: it refuses us.
    """
    ends = time.monotonic() + SHARE * asked.within_s
    most = rows_asked(asked, PAGE)
    contents: list[Content] = []
    token = ""
    if most:
        page = lister.page(asked.prefix, asked.page, most, deep=False)
        contents.append(_listed(page))
        token = page.token
    if asked.key:
        contents.append(_previewed(lister, asked.key, most))
    figures, held = _counted(lister, asked, ends)
    return replace(
        empty,
        figures=figures,
        contents=tuple(contents),
        notes=(TAKES_NOTHING,),
        next_page=token,
        prefix=asked.prefix,
        key_shown=asked.key,
        held=held if not asked.prefix else None,
    )


def _listed(page: Page) -> Content:
    rows: list[tuple[object, ...]] = [(folder, None, None) for folder in page.folders]
    rows += [(one.key, one.size, _clock(one.written)) for one in page.objects]
    said = "" if rows else "There is nothing of that name." if page.token else "It is empty."
    columns = (Column("key"), Column("size", "bytes"), Column("written"))
    return Content("Objects", columns, tuple(rows), said, elements=False)


def _previewed(lister: BucketLister, key: str, most: int) -> Content:
    try:
        size = lister.size_of(key)
        return preview(Ranged(key, size, lambda at, count: lister.read(key, at, count)), most)
    except AbsentError:
        return Content(key, (), said=f"There is no object {key!r} (any more).")


def _counted(lister: BucketLister, asked: Asked, ends: float) -> tuple[tuple[Figure, ...], Held]:
    count, size, latest, token = 0, 0, None, ""
    while True:
        page = lister.page(asked.prefix, token, PAGE, deep=True)
        count += len(page.objects)
        size += sum(one.size for one in page.objects)
        latest = max(filter(None, (latest, *(one.written for one in page.objects))), default=None)
        token = page.token
        if not token or time.monotonic() > ends or (count >= QUICK and not asked.whole):
            break
    about = "at least" if token else ""
    figures = [Figure("objects", count, about=about), Figure("size", size, "bytes", about)]
    if latest is not None and not token:
        figures.append(Figure("last written", _clock(latest)))
    return tuple(figures), Held("objects", count, about, size)


def _clock(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
