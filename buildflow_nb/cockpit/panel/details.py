"""What stands under the table for the processor that was clicked.

A tab each for its elements, failures, log and code, and a form to send it an element. Every tab
names the line that shows the same in a cell.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.view_state import ALL, ViewState
from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.form import form_html, samples_of
from buildflow_nb.cockpit.views.listings import Passages, passed
from buildflow_nb.cockpit.views.log_view import LogView
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot
from buildflow_nb.flow import Flow
from buildflow_nb.runtime.observability.failures import FailureRecord

__all__ = ("Details",)

ROWS = 20  # elements and failures on the page
MAX_TRACE = 8_000  # characters of a traceback on the page
_TABS = {
    "elements": "Elements",
    "failures": "Failures",
    "log": "Log",
    "code": "Code",
    "send": "Send",
}


@dataclass
class Details:
    """The open details of a panel."""

    cockpit: Cockpit
    _log: LogView = field(default_factory=LogView)
    _samples: tuple[object, list[str]] | None = None

    def html(self, flow: Flow, state: ViewState, snapshot: FlowSnapshot) -> str:
        """The details, "" where none are open."""
        if state.selected == ALL:
            head = _heading("all processors", "log", "%buildflow logs", "")
            return f'<div class="box">{head}{self._log.html(flow, state)}</div>'
        spec = flow.processors.get(state.selected)
        if spec is None:
            return ""
        shot = snapshot.processor(spec.id)
        controls = self._controls(spec, shot)
        body = self._body(flow, spec, state)
        panel = markup.attributes(role="tabpanel", aria_label=f"{spec.id}: {_TABS[state.tab]}")
        return (
            f'<div class="box">{_heading(spec.id, state.tab, _line(spec, state), controls)}'
            f"{_tabs(state, shot)}<div{panel}>{body}</div></div>"
        )

    def _controls(self, spec: ProcessorSpec, shot: ProcessorSnapshot | None) -> str:
        ended = shot is None or shot.state.ended
        steer = ("Start", f"%buildflow start {spec.id}") if ended else (
            "Stop", f"%buildflow stop {spec.id}")  # fmt: skip
        lines = [steer, ("Remove", f"%buildflow remove {spec.id}")]
        lines.insert(1, ("Replay", f"%buildflow replay {spec.id}"))
        made = "".join(self._do(label, line) for label, line in lines)
        record = f"%buildflow record {spec.id} 100"
        if self.cockpit.clicks.off(record):
            return markup.button("End the recording", "end-recording", spec.id) + made
        return made if ended else self._do("Record 100", record) + made

    def _do(self, label: str, line: str) -> str:
        """A button that is a line."""
        return markup.button(label, "do", line, title=line, off=self.cockpit.clicks.off(line))

    def _body(self, flow: Flow, spec: ProcessorSpec, state: ViewState) -> str:
        if state.tab == "log":
            return self._log.html(flow, state)
        if state.tab == "failures":
            return self._failures(flow, spec)
        if state.tab == "code":
            return _code(spec, self.cockpit.cell_of(spec.id))
        if state.tab == "send":
            given = self.cockpit.results.get(spec.id)
            said = f'<pre class="wrap">{quote(given)}</pre>' if given else ""
            busy = self.cockpit.clicks.sending(spec.id)
            samples, (field, wrong) = self._samples_of(flow, spec, state), state.wrong
            return form_html(spec, samples, state.fill, busy, {field: wrong}) + said
        return _elements(flow, spec)

    def _samples_of(self, flow: Flow, spec: ProcessorSpec, state: ViewState) -> list[str]:
        """What the form may be filled with, as it was when it was opened.

        Elements that pass meanwhile must not change what a person is typing.
        """
        sent = self.cockpit.sent.of(spec.id)
        key = (spec, state.opened, tuple(sent))
        if self._samples is None or self._samples[0] != key:
            passed = [passage.element for passage in reversed(flow.peek(spec.id, ROWS))]
            self._samples = (key, samples_of(spec, sent, passed))
        return self._samples[1]

    def _failures(self, flow: Flow, spec: ProcessorSpec) -> str:
        found = flow.failures(spec.id)
        if not found:
            return '<pre class="mute">nothing failed</pre>'
        line = f"%buildflow failures {spec.id}"
        all_of_them = self._do("Send all again", f"{line} --retry") + self._do(
            "Discard all", f"{line} --discard"
        )
        said = f"{len(found):,} kept" + (f", last {ROWS} shown" if len(found) > ROWS else "")
        rows = "".join(self._failure(failure, line) for failure in reversed(found[-ROWS:]))
        return (
            f'<div class="row pad"><span class="mute">{said}</span><span class="grow"></span>'
            f"{all_of_them}</div>{rows}"
        )

    def _failure(self, failed: FailureRecord, line: str) -> str:
        number = f"--number {failed.number}"
        buttons = self._do("Send again", f"{line} --retry {number}") + self._do(
            "Discard", f"{line} --discard {number}"
        )
        found = f'f for f in app.failures("{failed.processor_id}") if f.number == {failed.number}'
        edit = f"f = next({found})"
        copy = markup.attributes(type="button", data_copy=f"{edit}\nf.input", title=edit)
        where = f" · {quote(failed.origin)}" if failed.origin else ""
        tries = f"{failed.tries} {'try' if failed.tries == 1 else 'tries'}"
        return (
            f'<div class="box pad" data-key="failed {failed.number}">'
            f'<div class="row"><b class="err">✕ {quote(failed.error, 200)}</b></div>'
            f'<div class="row"><span class="mute">no. {failed.number} · {tries} · '
            f"{quote(failed.fate)} · {formats.clock(failed.at)}{where}</span>"
            f'<span class="grow"></span><button{copy}>Edit as cell</button>{buttons}</div>'
            f"<code>{quote(formats.shown(failed.input))}</code>"
            f'<details><summary class="mute">traceback</summary>'
            f'<pre class="wrap" tabindex="0">{quote(failed.traceback[-MAX_TRACE:])}</pre>'
            "</details></div>"
        )


def _heading(title: str, tab: str, line: str, controls: str) -> str:
    close = markup.button("✕", "close", aria_label="close the details")
    return (
        f"<header><b>{quote(title, 80)}</b>{markup.live(f'copy the line for {tab}', line)}"
        f'<span class="grow"></span><span class="bar">{controls}{close}</span></header>'
    )


def _line(spec: ProcessorSpec, state: ViewState) -> str:
    """The line that shows in a cell what a tab shows."""
    lines = {
        "elements": f"%buildflow peek {spec.id}",
        "failures": f"%buildflow failures {spec.id}",
        "log": f"%buildflow logs {spec.id}" + (f" --level {state.level}" if state.level else ""),
        "code": f"{spec.id}??",
        "send": f"%buildflow send {spec.id}",
    }
    return lines[state.tab]


def _tabs(state: ViewState, shot: ProcessorSnapshot | None) -> str:
    failed = f" {shot.failed:,}" if shot is not None and shot.failed else ""
    made = "".join(
        markup.button(
            f"{label}{failed if tab == 'failures' else ''}",
            "tab",
            tab,
            role="tab",
            aria_selected=str(tab == state.tab).lower(),
            tabindex=0 if tab == state.tab else -1,
        )
        for tab, label in _TABS.items()
    )
    return f'<div class="bar pad" role="tablist" aria-label="what to look at">{made}</div>'


def _elements(flow: Flow, spec: ProcessorSpec) -> str:
    found = Passages(reversed(passed(flow, spec.id, ROWS)), spec.id)
    if not found:
        return '<pre class="mute">nothing passed yet</pre>'
    rows = [
        [(quote(v), "l") if i < found.left else (f"<code>{quote(v)}</code>", "w")
         for i, v in enumerate(found.row(passage))]
        for passage in found
    ]  # fmt: skip
    heads = [(head, "l") for head in found.heads]
    said = " ".join(("last elements of", spec.id, spec.processor.needs_said)).strip()
    made = markup.table(said, heads, rows)
    return f'<div class="wide" tabindex="0">{made}</div>'


def _code(spec: ProcessorSpec, cell: str) -> str:
    try:
        source = inspect.getsource(inspect.unwrap(spec.processor.target))
    except (OSError, TypeError):
        source = "its source is not at hand"
    where = f'<div class="pad mute">{quote(cell)}</div>' if cell else ""
    return f'{where}<pre tabindex="0">{quote(source)}</pre>'
