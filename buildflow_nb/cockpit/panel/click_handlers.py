"""What a click does: the verbs of the panel, on a thread of its own, told in a line.

Each does what its magic does in a cell, but shows its result in the panel: nothing is ever written
into whichever cell happens to run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildflow_nb.cockpit.panel.actions import (
    CHECK_S,
    discarded,
    end_recording,
    ended,
    removed,
    retried,
    sent,
    tried,
)
from buildflow_nb.cockpit.panel.click_queue import Handler, Said
from buildflow_nb.cockpit.panel.resource_clicks import resource_handlers
from buildflow_nb.cockpit.views import formats
from buildflow_nb.cockpit.views.failure_groups import matching
from buildflow_nb.cockpit.views.findings_view import Findings
from buildflow_nb.cockpit.views.listings import WELL, Dealt
from buildflow_nb.cockpit.views.replayed import SideBySide
from buildflow_nb.core.errors import BuildFlowError, UsageError
from buildflow_nb.core.findings import Health, counted, worst
from buildflow_nb.core.status.operations import Operation
from buildflow_nb.runtime.observability.tracebacks import describe

if TYPE_CHECKING:
    from buildflow_nb.cockpit.cockpit import Cockpit

__all__ = ("handlers",)

Values = Mapping[str, Any]
_TONES = {Health.OK: "ok", Health.WARNING: "warn", Health.ERROR: "err"}


def handlers(cockpit: Cockpit) -> dict[str, Handler]:
    """Every verb that can be clicked, by its word."""
    found: dict[str, Handler] = {
        operation.value: _operation(cockpit, operation) for operation in Operation
    }
    verbs = (
        _run, _stop, _start, _remove, _send, _failures, _record, _replay, _check, _export, _open
    )  # fmt: skip
    found |= resource_handlers(cockpit)
    return found | {verb.__name__.removeprefix("_"): partial(verb, cockpit) for verb in verbs}


def _operation(cockpit: Cockpit, operation: Operation) -> Handler:
    def handler(values: Values) -> str:
        return cockpit.operations.carry_out(operation, cockpit.flow(), values)

    return handler


def _run(cockpit: Cockpit, values: Values) -> Said:
    flow, where = cockpit.flow(), {"host": values["host"], "port": values["port"]}
    tone = "ok"
    if flow.handle is None or not flow.handle.running:
        found = flow.check(timeout=CHECK_S, start=True, **where)
        bad = [finding for finding in found if finding.health is not Health.OK]
        if bad:
            tone = _TONES[worst(bad)]
            cockpit.show(Findings(bad, "before the run"))
    handle = flow.run(
        block=False,
        serve_host=values["host"],
        serve_port=values["port"],
        engine=values["engine"],
        address=values["address"],
    )
    serving = f", serving {handle.address}" if handle.address else ""
    return Said(f"flow {flow.flow_id} runs{serving}", tone)


def _stop(cockpit: Cockpit, values: Values) -> str:
    flow = cockpit.flow()
    if flow.handle is None or not flow.handle.running:
        msg = f"flow {flow.flow_id!r} does not run"
        raise UsageError(msg)
    return ended(flow.handle, values, cockpit.clicks.say)


def _start(cockpit: Cockpit, values: Values) -> str:
    flow = cockpit.flow()
    if flow.handle is None or not flow.handle.running:
        flow.run(block=False)
        return f"flow {flow.flow_id} runs"
    flow.handle.start(values["ids"] or None)
    return f"started {', '.join(values['ids']) or 'all'}"


def _remove(cockpit: Cockpit, values: Values) -> str:
    return removed(cockpit.flow(), values["ids"])


def _send(cockpit: Cockpit, values: Values) -> Said:
    flow, chosen = cockpit.flow(), values["id"]
    try:
        results = sent(flow, chosen, json.loads(values["element"]))
    except Exception as error:  # noqa: BLE001  (whatever the user's code raises)
        said = str(error) if isinstance(error, BuildFlowError) else describe(error)
        cockpit.results[chosen] = f"✕ {said}"
        return Said(f"{chosen}: {said}", "err")
    shown = "\n".join(map(formats.shown, results))
    cockpit.results[chosen] = f"→ {shown or 'nothing: it is dropped'}"
    return Said(f"{chosen} gave {len(results)} result{'' if len(results) == 1 else 's'}")


def _failures(cockpit: Cockpit, values: Values) -> Said:
    number = values["number"]
    flow = cockpit.flow()
    found = [f for f in flow.failures(values["id"]) if number is None or f.number == number]
    chosen = matching(found, values["type"], values["at"])
    if values["attempt"]:
        deals = tried(flow, chosen)
    else:
        deals = discarded(chosen) if values["discard"] else retried(chosen)
    well = sum(deal.went in WELL for deal in deals)
    tone = "ok" if well == len(deals) else "warn"
    if len(deals) == 1:
        return Said(f"no. {deals[0].failure.number}: {deals[0].went}, {deals[0].said}", tone)
    if well < len(deals):
        cockpit.show(Dealt(deals, values["id"]))
    word = "discarded" if values["discard"] else "passed"
    return Said(f"{values['id']}: {well:,} of {len(deals):,} {word}", tone)


def _replay(cockpit: Cockpit, values: Values) -> str:
    found = SideBySide(cockpit.flow().replay(values["id"], values["file"]))
    cockpit.show(found)
    return found.title


def _record(cockpit: Cockpit, values: Values) -> str:
    flow = cockpit.flow()
    if values["end"]:
        end_recording(flow, values["id"])
        return ""  # the recording itself says what came
    path = flow.record(values["id"], values["count"], to=values["to"], timeout=values["timeout"])
    return f"recorded into {_near(path)}; %buildflow replay {values['id']} runs the code on it"


def _open(cockpit: Cockpit, values: Values) -> str:
    link = cockpit.open(values["port"])
    cockpit.show(link)
    return "a page of its own is served"


def _check(cockpit: Cockpit, values: Values) -> Said:
    found = Findings(cockpit.flow().check(values["ids"] or None), "check")
    cockpit.show(found)
    tone = _TONES[worst(found)]
    return Said("all is well" if tone == "ok" else counted(found), tone)


def _near(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _export(cockpit: Cockpit, values: Values) -> str:
    if cockpit.export is None:
        msg = "there are no cells here to export; buildflow export NOTEBOOK FOLDER does"
        raise UsageError(msg)
    found = cockpit.export(values)
    cockpit.show(found)
    return found.title
