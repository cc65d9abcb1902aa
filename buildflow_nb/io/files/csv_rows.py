"""Rows of a CSV file out of its lines.

Nearly always a row is a line, and then thousands are parsed at once, in C. Where a field holds line
ends, a row of several lines has to be sound by the letter of RFC 4180, because a quote that
somebody forgot swallows the lines behind it. Such a line fails alone, and the lines behind it are
read for themselves. A line that is not UTF-8 fails with the row that it is in.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import cast

from buildflow_nb.core.primitive import Malformed

__all__ = ("CsvRows", "Row", "Rows")

FIELD_BYTES = 1 << 28  # a quote that is never closed must not take all of the memory
MORE_LINES = 1_000  # taken at a time to find the end of a row
_END = "\n"  # an empty row behind the last line; where a quote is open it becomes part of the field
_LONE_RETURN = "a carriage return stands outside of quotes; end lines with a line feed"
Row = list[str] | Malformed


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows, the first line of each, counted from 0, and the number of lines that they took.

    An empty line is a row without fields.
    """

    rows: list[Row]
    starts: Sequence[int]
    lines: int


class CsvRows:
    """Parses the lines that `take` gives; it gives none at the end.

    What it does not need after all, also when `take` raises, it gives back.
    """

    def __init__(
        self,
        take: Callable[[int], list[bytes]],
        give_back: Callable[[Sequence[bytes]], object],
    ) -> None:
        self._take = take
        self._give_back = give_back
        # The limit is the csv module's own and the same for all of the process; ours is higher.
        csv.field_size_limit(max(csv.field_size_limit(), min(FIELD_BYTES, sys.maxsize)))

    def next(self, count: int) -> Rows:
        """The rows that begin in the next `count` lines."""
        lines = self._take(count)
        try:
            rows: list[Row] = list(csv.reader(chain(map(bytes.decode, lines), (_END,))))
        except (UnicodeDecodeError, csv.Error):
            rows = []
        if len(rows) == len(lines) + 1:  # each is a line, and no quote is open behind the last
            rows.pop()
            return Rows(rows, range(len(rows)), len(rows))
        try:
            found = _by_the_letter(lines) or self._one_by_one(lines)
        except BaseException:
            self._give_back(lines)
            raise
        self._give_back(lines[found.lines :])
        return found

    def _one_by_one(self, lines: list[bytes]) -> Rows:
        count, at = len(lines), 0
        rows: list[Row] = []
        starts: list[int] = []
        while at < count:
            texts = _Texts(lines, at, self._take)
            for row, height in texts.sound_rows():
                starts.append(at)
                rows.append(texts.checked(row, at, height))
                at += height
                if at >= count:
                    break
            else:
                if at < count:
                    starts.append(at)
                    rows.append(Malformed(_text(lines[at]), texts.reason))
                    at += 1
        return Rows(rows, starts, at)


def _by_the_letter(lines: list[bytes]) -> Rows | None:
    """The rows up to the first that is not sound, or has no end yet; None if there is none."""
    rows: list[Row] = []
    with suppress(UnicodeDecodeError, csv.Error):
        rows += csv.reader(map(bytes.decode, lines), strict=True)
    heights = [1 + sum(field.count("\n") for field in row) for row in cast("list[list[str]]", rows)]
    *starts, end = accumulate(heights, initial=0)
    return Rows(rows, starts, end) if rows else None


class _Texts:
    """Lines as text from one of them on; more are taken, and added to `lines`, as needed."""

    def __init__(self, lines: list[bytes], at: int, take: Callable[[int], list[bytes]]) -> None:
        self.reason = ""
        self._lines = lines
        self._at = at
        self._take = take
        self._bad: dict[int, str] = {}

    def sound_rows(self) -> Iterator[tuple[list[str], int]]:
        """Rows and how many lines they take, up to one that is not sound: `reason` says why."""
        reader = csv.reader(self._texts())
        at, read = self._at, 0
        while True:
            try:
                row = next(reader)
            except csv.Error as error:
                self.reason = f"not CSV: {_LONE_RETURN if 'new-line' in str(error) else error}"
                return
            except StopIteration:
                return
            height, read = reader.line_num - read, reader.line_num
            if height > 1 and not self._is_closed(row, at, height):
                return
            yield row, height
            at += height

    def checked(self, row: list[str], at: int, height: int) -> Row:
        """The row, unless one of its lines is not UTF-8."""
        for line in range(at, at + height) if self._bad else ():
            if line in self._bad:
                return Malformed(b"".join(self._lines[at : at + height]), self._bad[line])
        return row

    def _texts(self) -> Iterator[str]:
        at = self._at
        while at < len(self._lines) or self._more():
            yield self._decoded(at)
            at += 1
        yield _END

    def _more(self) -> bool:
        more = self._take(MORE_LINES)
        self._lines += more
        return bool(more)

    def _decoded(self, at: int) -> str:
        try:
            return self._lines[at].decode()
        except UnicodeDecodeError as error:
            self._bad[at] = f"not UTF-8: {error.reason}"
            return _text(self._lines[at])

    def _is_closed(self, row: list[str], at: int, height: int) -> bool:
        """Whether a row of several lines is one by the letter."""
        lines = self._lines[at : at + height]
        if len(lines) < height:
            self.reason = "not CSV: a quote opens in this line and is never closed; close it"
            return False
        try:
            return next(csv.reader(map(_text, lines), strict=True)) == row
        except csv.Error:
            self.reason = (
                "not CSV: a quote opens in this line and is not closed before the next one opens; "
                'close it, and write a quote inside a field twice ("")'
            )
            return False


def _text(line: bytes) -> str:
    return line.decode(errors="surrogateescape")
