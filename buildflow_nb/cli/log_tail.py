"""What processors printed and logged since one last looked."""

from __future__ import annotations

from collections.abc import Iterator

from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.observability.logs import LogLine

__all__ = ("LogTail",)


class LogTail:
    """Remembers, for each processor, how far its ring was read."""

    def __init__(self) -> None:
        self._read: dict[str, int] = {}

    def new(self, handle: RunHandle) -> Iterator[tuple[str, LogLine]]:
        """The lines that are new, with the processor's id, oldest first."""
        found: list[tuple[str, LogLine]] = []
        for shot in handle.snapshot().processors:
            lines = handle.logs(shot.processor_id, self._read.get(shot.processor_id, 0))
            if lines:
                self._read[shot.processor_id] = lines[-1].number
                found += [(shot.processor_id, line) for line in lines]
        yield from sorted(found, key=lambda pair: pair[1].at)
