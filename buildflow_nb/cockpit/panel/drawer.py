"""The drawer: what opens under the row of a processor, a tab for each way of looking into it.

Every tab names the line that shows the same in a cell. What is shown holds still while numbers
move: each tab is a piece of its own, drawn again when its own facts are new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.chart_tab import ChartTab
from buildflow_nb.cockpit.panel.trace_tab import TraceTab
from buildflow_nb.cockpit.panel.view_state import ALL, ViewState
from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.code_view import code_html, source_of
from buildflow_nb.cockpit.views.elements_view import elements_html
from buildflow_nb.cockpit.views.failures_view import Told, failures_html
from buildflow_nb.cockpit.views.form import form_html, samples_of
from buildflow_nb.cockpit.views.listings import passed
from buildflow_nb.cockpit.views.log_view import LogView
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.profile import profile_html
from buildflow_nb.cockpit.views.trace import numbered
from buildflow_nb.core.declaring.flow_spec import EndpointSpec, ProcessorSpec
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import label_of
from buildflow_nb.core.status.snapshot import ProcessorSnapshot
from buildflow_nb.flow import Flow

__all__ = ("Drawer",)

ROWS = 20  # elements on the page
_TABS = {
    "failures": "Failures",
    "elements": "Elements",
    "trace": "Trace",
    "chart": "Chart",
    "code": "Code",
    "log": "Log",
    "try": "Try",
    "profile": "Profile",
}
_SAID = {  # of a tab, in its foot
    "trace": "the last, failed and sampled elements",
    "code": "a cell that is run again takes over between elements",
    "log": "the last 2,000 lines are kept",
    "try": "through the code that runs now; writes nothing",
    "profile": "of the last minute, means of one element",
}


@dataclass
class Drawer:
    """The open drawer of a panel."""

    cockpit: Cockpit
    _log: LogView = field(default_factory=LogView)
    _chart: ChartTab = field(default_factory=ChartTab)
    _traces: TraceTab = field(default_factory=TraceTab)
    _samples: tuple[object, list[str]] | None = None
    _code: dict[str, tuple[str, str]] = field(default_factory=dict)  # now and before, by processor

    def log_of_all(self, flow: Flow, state: ViewState) -> str:
        """The log of all processors, "" where it is not open."""
        if state.selected != ALL:
            return ""
        close = markup.button("✕", "close", class_="s quiet", aria_label="close the log")
        foot = _foot("what all processors print and log", _log_line("", state), "log")
        return (
            f'<div class="box"><div class="row dhead"><b>Log</b><span class="grow"></span>{close}'
            f'</div><div class="tabpanel">{self._log.html(flow, state)}{foot}</div></div>'
        )

    def parts(
        self, flow: Flow, spec: ProcessorSpec, state: ViewState, shot: ProcessorSnapshot | None
    ) -> dict[str, str]:
        """The head with the tabs, and the open tab."""
        body, said = self._body(flow, spec, state, shot)
        named = markup.attributes(
            role="tabpanel", class_="tabpanel", aria_label=f"{spec.id}: {_TABS[state.tab]}",
            data_key=f"{spec.id} {state.tab}", tabindex=0,
        )  # fmt: skip
        return {
            "drawer/head": self._head(spec, state, shot),
            "drawer/body": f"<div{named}>{body}</div>",
            "drawer/foot": _foot(said, _line(spec, state), _TABS[state.tab]),
        }

    def _head(self, spec: ProcessorSpec, state: ViewState, shot: ProcessorSnapshot | None) -> str:
        ended = shot is None or shot.state.ended
        record = f"%buildflow record {spec.id} 100"
        if self.cockpit.clicks.off(record):
            made = markup.button(
                "End the recording", "do", f"%buildflow record {spec.id} --end", class_="s quiet",
                title=f"%buildflow record {spec.id} --end",
            )  # fmt: skip
        else:
            made = "" if ended else self._do("Record 100", record)
        steer = ("Start", "start") if ended else ("Stop", "stop")
        made += self._do(steer[0], f"%buildflow {steer[1]} {spec.id}")
        made += self._do("Replay", f"%buildflow replay {spec.id}")
        made += self._do("Remove", f"%buildflow remove {spec.id}")
        close = markup.button("✕", "close", class_="s quiet", aria_label="close the drawer")
        return (
            f'<div class="row dhead" data-key="head">{_tabs(spec.id, state, shot)}'
            f'<span class="grow"></span><span class="row deeds">{made}{close}</span></div>'
        )

    def _do(self, label: str, line: str) -> str:
        """A button that is a line."""
        off = self.cockpit.clicks.off(line)
        return markup.button(label, "do", line, title=line, off=off, class_="s quiet")

    def _body(
        self, flow: Flow, spec: ProcessorSpec, state: ViewState, shot: ProcessorSnapshot | None
    ) -> tuple[str, str]:
        """A tab, and a word about it for the foot."""
        bodies: Mapping[str, Callable[[], str]] = {
            "failures": lambda: self._failures(flow, spec, state, shot),
            "elements": lambda: self._elements(flow, spec, state),
            "trace": lambda: self._traces.html(flow, spec.id, state),
            "chart": lambda: self._chart.html(flow, spec.id, state.span),
            "code": lambda: self._code_of(spec, shot),
            "log": lambda: self._log.html(flow, state),
            "try": lambda: self._try(flow, spec, state),
            "profile": lambda: _profile(flow, spec),
        }
        return bodies[state.tab](), _SAID.get(state.tab, "")

    def _failures(
        self, flow: Flow, spec: ProcessorSpec, state: ViewState, shot: ProcessorSnapshot | None
    ) -> str:
        told = Told(shot.failed if shot else 0, _sink(spec))
        found, off = flow.failures(spec.id), self.cockpit.clicks.off
        return failures_html(spec.id, found, told, state.group, off)

    def _elements(self, flow: Flow, spec: ProcessorSpec, state: ViewState) -> str:
        label = f"{spec.id} {spec.processor.needs_said}".strip()
        last = passed(flow, spec.id, ROWS)
        return elements_html(label, last, state.which, state.find, sinks=bool(_sink(spec)))

    def _code_of(self, spec: ProcessorSpec, shot: ProcessorSnapshot | None) -> str:
        source = source_of(spec)
        now, before = self._code.setdefault(spec.id, (source, ""))
        if source != now:
            self._code[spec.id] = now, before = source, now
        version = shot.version if shot else 1
        return code_html(now, self.cockpit.cell_of(spec.id), version, before)

    def note_code(self, flow: Flow) -> None:
        """Remember what a processor's code was, so that a swap can be shown as a difference."""
        for name, spec in flow.processors.items():
            if name not in self._code:
                self._code[name] = (source_of(spec), "")

    def _try(self, flow: Flow, spec: ProcessorSpec, state: ViewState) -> str:
        given = self.cockpit.results.get(spec.id)
        said = f'<pre class="inset wrap">{quote(given)}</pre>' if given else ""
        busy = self.cockpit.clicks.sending(spec.id)
        samples, (name, wrong) = self._samples_of(flow, spec, state), state.wrong
        form = form_html(spec, samples, state.fill, busy, {name: wrong})
        tried = f'<div role="status"><p class="mute small">what it gave</p>{said}</div>'
        return f'<div class="cols2">{form}{tried if given else "<div></div>"}</div>'

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


def _profile(flow: Flow, spec: ProcessorSpec) -> str:
    try:
        return profile_html(flow.profile(spec.id))
    except UsageError as error:  # it has not run
        return f'<p class="mute">{quote(str(error))}</p>'


def _sink(spec: ProcessorSpec) -> str:
    """Where results are written to, "" for nowhere."""
    if isinstance(spec, EndpointSpec) or spec.sink is None:
        return ""
    return label_of(spec.sink)


def _foot(said: str, line: str, tab: str) -> str:
    copy = markup.live(f"copy the line for {tab}", line)
    return (
        f'<div class="row says" data-key="foot"><span>{quote(said)}</span>'
        f'<span class="grow"></span>{copy}</div>'
    )


def _log_line(processor_id: str, state: ViewState) -> str:
    words = [f"%buildflow logs {processor_id}".rstrip()]
    words += [f"--level {state.level}"] if state.level else []
    words += [f"--grep {state.text!r}"] if state.text else []
    return " ".join(words)


def _line(spec: ProcessorSpec, state: ViewState) -> str:
    """The line that shows in a cell what a tab shows."""
    lines = {
        "elements": f"%buildflow peek {spec.id}",
        "failures": f"%buildflow failures {spec.id}",
        "trace": _trace_line(spec, state),
        "chart": f"%buildflow chart {spec.id} --span {state.span}",
        "log": _log_line(spec.id, state),
        "code": f"{spec.id}??",
        "try": f"%buildflow send {spec.id}",
        "profile": f"%buildflow profile {spec.id}",
    }
    return lines[state.tab]


def _trace_line(spec: ProcessorSpec, state: ViewState) -> str:
    if isinstance(numbered(state.trace), int):
        return f"%buildflow trace {spec.id} --failure {state.trace}"
    return f"%buildflow trace {state.trace or spec.id}"


def _tabs(processor_id: str, state: ViewState, shot: ProcessorSnapshot | None) -> str:
    failed = shot.failed if shot is not None else 0
    counted = f"<sup>{formats.brief(failed)}</sup>" if failed else ""
    made = "".join(
        markup.button(
            label,
            "tab",
            tab,
            role="tab",
            aria_selected=str(tab == state.tab).lower(),
            tabindex=0 if tab == state.tab else -1,
            html=label + counted if tab == "failures" else "",
        )
        for tab, label in _TABS.items()
    )
    label = quote(f"what to look at in {processor_id}")
    return f'<div class="tabs" role="tablist" aria-label="{label}">{made}</div>'
