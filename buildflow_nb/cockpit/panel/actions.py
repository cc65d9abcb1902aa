"""What magics and clicks both do: send, retry, discard, remove, stop; told by whoever asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from buildflow_nb.cockpit.panel.uploads import with_files
from buildflow_nb.cockpit.views.formats import shown
from buildflow_nb.cockpit.views.listings import Deal
from buildflow_nb.core.errors import UsageError
from buildflow_nb.flow import Flow
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.observability.failures import FailureRecord
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("CHECK_S", "discarded", "end_recording", "ended", "removed", "retried", "sent", "tried")

CHECK_S = 1.5  # what cannot be looked at within that is left to the run, which says it as well
SILENT_S = 2.0  # for which a stop needs no word


def sent(flow: Flow, chosen: str, element: object) -> list[object]:
    """What a processor makes of an element, with secrets masked in results and errors.

    Raises:
        UsageError: the code of a processor with secrets failed; its own error may quote them.
        Exception: whatever the code of another processor raised.
    """
    redaction = redaction_of(flow.processor(chosen))
    try:
        results = flow.send(chosen, with_files(flow.processor(chosen), element, flow.config.folder))
    except Exception as error:  # whatever the user's code raises
        if not redaction.secret:
            raise
        said = str(error) if isinstance(error, UsageError) else describe(error)
        raise UsageError(redaction.text(said, element)) from None
    return [redaction.result(result) for result in results]


def retried(found: list[FailureRecord]) -> list[Deal]:
    """Retry failures, past those that fail again, until one does not answer in time."""
    deals: list[Deal] = []
    late = ""
    for failure in found:
        if late:
            deals.append(Deal(failure, "not tried", late))
            continue
        try:
            results = failure.retry()
        except TimeoutError as error:
            late = f"number {failure.number} of {failure.processor_id} did not answer in time"
            deals.append(Deal(failure, "failed again", str(error)))
        except UsageError as error:
            deals.append(Deal(failure, "not tried", str(error)))
        except Exception:  # noqa: BLE001  (whatever the user's code raises)
            deals.append(Deal(failure, "failed again", failure.error))
        else:
            deals.append(
                Deal(failure, "passed", f"{len(results)} written" if results else "dropped")
            )
    return deals


def discarded(found: list[FailureRecord]) -> list[Deal]:
    """Forget failures; one that somebody else has dealt with meanwhile says so."""
    deals = []
    for failure in found:
        try:
            failure.discard()
        except UsageError as error:
            deals.append(Deal(failure, "not there", str(error)))
        else:
            deals.append(Deal(failure, "discarded", failure.error))
    return deals


def tried(flow: Flow, found: Sequence[FailureRecord]) -> list[Deal]:
    """Run the newest failure through the code of this moment; nothing is written.

    Raises:
        UsageError: there is none.
    """
    if not found:
        msg = "nothing failed like that, so there is nothing to try"
        raise UsageError(msg)
    failure = found[-1]
    try:
        results = sent(flow, failure.processor_id, failure.input)
    except Exception as error:  # noqa: BLE001  (whatever the user's code raises)
        said = str(error) if isinstance(error, UsageError) else describe(error)
        return [Deal(failure, "fails still", said)]
    return [Deal(failure, "would pass", f"gives {', '.join(map(shown, results)) or 'nothing'}")]


def end_recording(flow: Flow, processor_id: str) -> str:
    """End the recording of a processor, with what came.

    Raises:
        UsageError: there is no such processor, or it does not run.
    """
    flow.processor(processor_id)
    if flow.handle is None or not flow.handle.has(processor_id):
        msg = f"{processor_id!r} does not run, so nothing of it is recorded"
        raise UsageError(msg)
    flow.handle.end_recording(processor_id)
    return f"the recording of {processor_id} ends, with what came"


def removed(flow: Flow, ids: Sequence[str]) -> str:
    """Remove processors, all of them or, where one is not there, none; says which.

    Raises:
        UsageError: there is no such processor.
    """
    for each in ids:
        flow.processor(each)
    for each in dict.fromkeys(ids):
        flow.remove(each)
    return f"removed {', '.join(dict.fromkeys(ids))}"


def ended(handle: RunHandle, values: Mapping[str, Any], tell: Callable[[str], None]) -> str:
    """Stop a run, or some of it, and `tell` what is waited for where that takes a while.

    Raises:
        UsageError: there is no such processor.
    """
    ids, failed, done = values["ids"] or None, list[BaseException](), threading.Event()

    def stop() -> None:
        try:
            handle.stop(ids, drain=not values["no_drain"], timeout=values["timeout"])
        except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=stop, name="buildflow stop", daemon=True).start()
    if not done.wait(SILENT_S):
        tell(_waited_for(handle, ids, values["timeout"]))
        done.wait(values["timeout"] + 60.0)  # the stop has a deadline of its own, before that
    if failed:
        raise failed[0]
    return f"stopped {', '.join(ids) if ids else f'flow {handle.flow_id!r}'}"


def _waited_for(handle: RunHandle, ids: Sequence[str] | None, timeout: float) -> str:
    try:
        found = [p for p in handle.snapshot().processors if not p.state.ended]
    except TimeoutError:
        return "stop waits for the flow's loop, which an async processor holds"
    names = [
        f"{p.processor_id} ({p.in_flight:,} in flight{f'; {p.reason}' if p.reason else ''})"
        for p in found
        if ids is None or p.processor_id in ids
    ]
    return (
        f"stop waits up to {timeout:g} s for {', '.join(names) or 'open requests'}; --timeout and "
        "--no-drain give what is not finished back sooner"
    )
