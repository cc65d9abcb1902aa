"""A file of records on this machine: CSV, JSON Lines or Parquet, to read from or append to.

As a source it is bounded: it ends at the end of the file. A file that is missing is waited for.
With `resume` a source goes on where the last run was done, as `io/resuming/source.py` has it. As a
sink it only ever grows; see `appender.py` and `parquet.py` of `io/files` for what a reader may see
meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.findings import Columns, Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Source, Wire
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.blocking import BlockingSink, Writer
from buildflow_nb.io.checks import looked, on_thread
from buildflow_nb.io.files.checks import first_of, look_to_read, look_to_write, names_in
from buildflow_nb.io.files.csv import CsvFormat, CsvWriter
from buildflow_nb.io.files.json_lines import JsonLinesFormat, JsonLinesWriter
from buildflow_nb.io.files.look import look_into_file
from buildflow_nb.io.files.parquet import ParquetReader, ParquetWriter
from buildflow_nb.io.files.paths import absolute, format_of
from buildflow_nb.io.files.text_file import TextReader
from buildflow_nb.io.looks import seen
from buildflow_nb.io.resuming.offset import ResumableReader
from buildflow_nb.io.resuming.source import source_over
from buildflow_nb.types.portable import FileFormat

__all__ = ("File",)


@dataclass(frozen=True, slots=True)
class File(Injectable):
    """A file at `file_path`, which is made absolute at once; `None` tells the format by the ending.

    `missing` are texts that stand for no value when a CSV file is read ("NA", "NULL"), besides an
    empty field. With `resume` only what no earlier run of the processor has done is read: the lines
    or parts that were added since, and what failed or was not reached. A file that does not any
    more begin as it did, or that is shorter, is read from its beginning, and the log says so; a
    last line counts once it has its line end.

    Raises:
        DeclarationError: the format is unknown.
    """

    cloud: ClassVar[str] = "local"
    max_pullers: ClassVar[int] = 1  # it has one cursor
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # the sink reads their fields itself, column by column
    max_push: ClassVar[int] = 5_000  # elements in one append, or in one part

    file_path: str | os.PathLike[str]
    file_format: FileFormat | str | None = None
    missing: Sequence[str] = ()
    resume: bool = False

    def __post_init__(self) -> None:
        missing = (self.missing,) if isinstance(self.missing, str) else tuple(self.missing)
        object.__setattr__(self, "missing", missing)
        object.__setattr__(self, "file_path", absolute(self.file_path))
        found = format_of(self.path.name, self.file_format, None, f"File {self.path.name!r}")
        object.__setattr__(self, "file_format", found)

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return Path(self.file_path)

    @property
    def replays(self) -> bool:
        """Whether a later run gets what was not done again, the same, in the same order."""
        return self.resume

    @property
    def primitive_id(self) -> PrimitiveId:
        """The absolute path."""
        return PrimitiveId(self.file_path)

    @property
    def label(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def exclusive(self) -> str:
        """The file, by whichever name: lines that several processes append would be mixed."""
        return f"file {os.path.realpath(self.path)}"

    @property
    def source_wire(self) -> Wire:
        """Rows of text for CSV, lines for JSON, records for Parquet."""
        if self.file_format is FileFormat.CSV:
            return Wire.ROW
        return Wire.JSON if self.file_format is FileFormat.JSON else Wire.RECORD

    @property
    def linger_s(self) -> float:
        """Parts of a Parquet folder are worth waiting for; an append is cheap."""
        return 0.5 if self.file_format is FileFormat.PARQUET else 0.0

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source at the beginning of the file, or where the last run was done."""
        return source_over(self._reader(), env, self, resume=self.resume)

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:  # noqa: ARG002
        """Open a sink at the end of the file."""
        return BlockingSink(self._writer(element))

    async def check(self, env: Env) -> Sequence[Finding]:  # noqa: ARG002
        """Read the first row, and look whether the file, or its folder, could be written."""
        parts = self.file_format is FileFormat.PARQUET  # a folder of them is written

        async def to_read() -> str:
            return await on_thread(lambda: look_to_read(self.path, self._reader))

        async def to_write() -> str:
            return await on_thread(lambda: look_to_write(self.path, folder_too=parts))

        found = await looked(self, to_read, role="source")
        return [*found, *await looked(self, to_write, role="sink")]

    async def columns(self, env: Env) -> Columns | None:  # noqa: ARG002
        """The columns of a file that has some, as its first row has them."""
        if self.file_format is FileFormat.JSON:
            return None
        try:
            first = await on_thread(lambda: first_of(self._reader))
        except BuildFlowError:  # `check` says it
            return None
        names = names_in(first)
        return Columns(names, exact=True) if names else None

    async def look(self, env: Env, asked: Asked) -> ResourceLook:  # noqa: ARG002
        """How large the file is, since when, and its first rows."""
        ending = _ENDINGS.get(self.file_format, "")
        return await seen(
            self,
            "file",
            lambda empty: on_thread(lambda: look_into_file(self.path, ending, empty, asked)),
            within_s=asked.within_s,
        )

    def _reader(self) -> ResumableReader:
        path = str(self.file_path)
        if self.file_format is FileFormat.CSV:
            return TextReader(path, CsvFormat(self.missing), whole_lines=self.resume)
        if self.file_format is FileFormat.JSON:
            return TextReader(path, JsonLinesFormat(), whole_lines=self.resume)
        return ParquetReader(path)

    def _writer(self, element: object) -> Writer:
        path = str(self.file_path)
        if self.file_format is FileFormat.CSV:
            return CsvWriter(path, element)
        if self.file_format is FileFormat.JSON:
            return JsonLinesWriter(path)
        return ParquetWriter(path, element)


_ENDINGS: Mapping[object, str] = {FileFormat.CSV: ".csv", FileFormat.JSON: ".jsonl"}
