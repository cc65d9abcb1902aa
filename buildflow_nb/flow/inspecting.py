"""A flow in a person's hands: what passes tapped as a table, recorded, replayed; routes called."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from buildflow_nb.core.declaring.flow_spec import CollectorSpec, ConsumerSpec, EndpointSpec
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.project_folder import make_private
from buildflow_nb.flow.passages_table import EDGES, table
from buildflow_nb.flow.running import Running

if TYPE_CHECKING:
    import pandas as pd

    from buildflow_nb.core.status.health import HealthLine
    from buildflow_nb.core.status.history import History
    from buildflow_nb.core.status.snapshot import FlowSnapshot
    from buildflow_nb.flow.client import Client
    from buildflow_nb.runtime.handle import RunHandle
    from buildflow_nb.runtime.replay import Replay

__all__ = ("Inspecting",)

FOLDER = Path(".buildflow", "recordings")
TAP_S = 1.0  # how long a first tap waits for rows
GRACE_S = 10.0  # beyond the deadline of a replay, for what ends it


class Inspecting(Running):
    """A flow whose elements and routes can be handled one by one."""

    def tap(
        self,
        processor_id: str,
        count: int = 1_000,
        edge: str = "out",
        timeout: float | None = None,
    ) -> pd.DataFrame:
        """What passed a processor lately, as a DataFrame: its fields, and `at`, when it passed.

        `edge` is "out" for results, "in" for inputs. A running processor keeps `count` passages
        from now on (20 otherwise), and is waited for up to `timeout` seconds (1 by default) until
        there are so many rows. Secrets are masked.

        Raises:
            UsageError: no such processor or edge, a wrong count, or pandas is not installed.
        """
        from buildflow_nb.runtime.observability.ledger import MAX_PASSAGES

        spec = self.processor(processor_id)
        if edge not in EDGES:
            msg = f"tap: edge must be 'in' or 'out', got {edge!r}"
            raise UsageError(msg)
        if not 1 <= count <= MAX_PASSAGES:
            msg = f"tap: count must be from 1 to {MAX_PASSAGES:,}, got {count!r}"
            raise UsageError(msg)
        deadline = time.monotonic() + (TAP_S if timeout is None else timeout)
        run = self._run_of(processor_id)
        if run is not None:
            run.tap(processor_id, count, lambda n: n >= count or time.monotonic() >= deadline)
        passages = [] if run is None else run.peek(processor_id, count)
        return table(spec, passages, edge, count)

    def history(self, processor_id: str | None = None) -> pd.DataFrame:
        """What a processor, or each of them, has done in the last day, as a DataFrame by time.

        A row is of one second in the last ten minutes of a run, of ten seconds before (`step_s`);
        there is none for a time in which it did not run. `in_per_s`, `out_per_s` and `failed_per_s`
        are elements a second; `p50_s` and `p99_s` latencies in seconds of the elements that were
        done with in that time; `backlog` and `in_flight` the most elements that were seen.
        `frame.attrs["marks"]` tells what was started, swapped, stopped and applied when.

        Raises:
            UsageError: there is no such processor, or pandas is not installed.
            TimeoutError: the run's loop does not answer.
        """
        from buildflow_nb.flow.history_table import history_table

        names = list(self.processors) if processor_id is None else [processor_id]
        return history_table(list(map(self.history_of, names)), named=processor_id is None)

    def health(self, snapshot: FlowSnapshot | None = None) -> HealthLine:
        """How the flow is, in one sentence: the worst first, with the numbers and one cause.

        It is asked of a moment that is known already, if one is given. What is too much, `health:`
        in buildflow.yaml says, or `FlowOptions(health=...)`.

        Raises:
            TimeoutError: no moment is given, and the run's loop does not answer.
        """
        from buildflow_nb.core.status.health import health_of

        shot = snapshot if snapshot is not None else self.snapshot()
        limits = self.options.health or self.config.health
        return health_of(shot, self._known_history, limits, self._errors)

    def _known_history(self, processor_id: str) -> History | None:
        run = self.handle
        if run is None or not run.has(processor_id):
            return None
        with suppress(TimeoutError):  # the sentence is true without it, and says less
            return run.history.recent(processor_id)
        return None

    def _errors(self, processor_id: str) -> list[str]:
        run = self.handle
        known = [] if run is None or not run.has(processor_id) else run.failures(processor_id)
        return [failure.error for failure in known]

    def record(
        self,
        processor_id: str,
        count: int = 100,
        to: str | Path | None = None,
        timeout: float = 60.0,
    ) -> Path:
        """Keep the next inputs of a running processor, and what they give, in a file; gives it.

        It ends after `count` inputs, after `timeout` seconds, or when it is interrupted, with what
        came until then. Secrets are masked.

        Raises:
            UsageError: it does not run, nothing came, or the file cannot be written.
        """
        from buildflow_nb.runtime.observability.recording import (
            MAX_INPUTS,
            Recorder,
            header_of,
            write_recording,
        )
        from buildflow_nb.runtime.observability.redaction import redaction_of

        spec = self.processor(processor_id)
        if not 1 <= count <= MAX_INPUTS:
            msg = f"record: count must be from 1 to {MAX_INPUTS:,}, got {count!r}"
            raise UsageError(msg)
        run = self._live(processor_id, "record")
        path = _writable(self._new_recording(processor_id) if to is None else Path(to))
        recorder = Recorder(count)
        try:
            run.record(processor_id, recorder, timeout)
        except KeyboardInterrupt:
            if not recorder.lines:
                raise
        if not recorder.lines:
            msg = f"nothing came to {processor_id!r} within {timeout:g} s; nothing was recorded"
            raise UsageError(msg)
        header = header_of(spec, shown=redaction_of(spec).secret)
        write_recording(path, header, recorder.lines[:count])
        return path

    def recordings(self, processor_id: str) -> list[Path]:
        """The recordings of a processor in the flow's folder, oldest first."""
        folder = self.config.folder / FOLDER
        found = [path for path in folder.glob("*.jsonl") if _is_of(path, processor_id)]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def replay(
        self, processor_id: str, file: str | Path | None = None, timeout: float = 60.0
    ) -> Replay:
        """Run the code of this moment on recorded inputs and say what it gives now; writes nothing.

        Without a file it is the processor's latest recording.

        Raises:
            UsageError: there is no recording, or it is another processor's.
            Exception: the code cannot be set up.
        """
        from buildflow_nb.runtime.concurrency.loop import loop_thread
        from buildflow_nb.runtime.observability.recording import read_recording
        from buildflow_nb.runtime.replay import replay_rows
        from buildflow_nb.runtime.trial import trial_supply

        spec = self.processor(processor_id)
        path = self._latest_recording(processor_id) if file is None else Path(file).expanduser()
        header, rows = read_recording(path)
        if header.processor != processor_id:
            msg = (
                f"{path} is a recording of {header.processor!r}, not of {processor_id!r}; "
                f"app.replay({header.processor!r}, ...) replays it"
            )
            raise UsageError(msg)
        supply = trial_supply(spec, self.place.env)
        work = replay_rows(spec, header, rows, timeout, supply)
        return loop_thread().run(work, timeout + GRACE_S)

    def client(self) -> Client:
        """The flow's routes as functions that call them: `app.client().worst(limit=3)`."""
        from buildflow_nb.flow.client import Client

        return Client(self._routes, self._address)

    def _routes(self) -> dict[str, CollectorSpec | EndpointSpec]:
        found = self.processors.items()
        return {name: spec for name, spec in found if not isinstance(spec, ConsumerSpec)}

    def _address(self) -> str:
        handle = self.handle
        if handle is None or not handle.running or handle.address is None:
            msg = f"flow {self.flow_id!r} does not serve; app.run() starts it"
            raise UsageError(msg)
        return handle.address

    def _live(self, processor_id: str, verb: str) -> RunHandle:
        run = self._run_of(processor_id)
        if run is None or not run.running:
            msg = f"{verb}: {processor_id!r} does not run; app.run() starts it"
            raise UsageError(msg)
        return run

    def _new_recording(self, processor_id: str) -> Path:
        folder = self.config.folder / FOLDER
        stem = f"{processor_id}-{time.strftime('%Y%m%d-%H%M%S')}"
        path, number = folder / f"{stem}.jsonl", 2
        while path.exists():
            path, number = folder / f"{stem}-{number}.jsonl", number + 1
        return path

    def _latest_recording(self, processor_id: str) -> Path:
        found = self.recordings(processor_id)
        if not found:
            msg = (
                f"there is no recording of {processor_id!r} in {self.config.folder / FOLDER}; "
                f"app.record({processor_id!r}) makes one"
            )
            raise UsageError(msg)
        return found[-1]


def _is_of(path: Path, processor_id: str) -> bool:
    return path.name.rsplit(".", 1)[0].partition("-")[0] == processor_id


def _writable(path: Path) -> Path:
    """A place for a recording, known to be one before anything comes; what is there stays.

    Raises:
        UsageError: something else is there, or nothing can be written there.
    """
    from buildflow_nb.runtime.observability.recording import read_recording

    path = path.expanduser()
    try:
        make_private(path.parent)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        msg = f"record: {path.parent} cannot be written: {error.strerror or error}"
        raise UsageError(msg) from error
    if path.is_dir():
        msg = f"record: {path} is a folder; name a file in it"
        raise UsageError(msg)
    if path.exists():
        try:
            read_recording(path)
        except UsageError as error:
            msg = f"record: {path} is there and no recording; name another file"
            raise UsageError(msg) from error
    return path
