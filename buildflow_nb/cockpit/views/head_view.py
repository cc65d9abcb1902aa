"""The head of a panel: what it is of, what can be done, and in one sentence how it is.

Buttons stand in two groups, what is done with the flow and what with its cloud resources, and keep
their places whatever their words are. A toast passes; an error stays until it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.icons import icon
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.findings import Health
from buildflow_nb.core.status.health import HealthLine
from buildflow_nb.core.status.snapshot import FlowSnapshot

__all__ = ("HeadFacts", "Toast", "head_html", "health_html", "health_words", "keys_html")

Off = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Toast:
    """What was said last; `tone` is "ok", "warn", "err" or "mute"."""

    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """What the head says beside the snapshot.

    `owner` is whose the state of the stack is; `folder` where an export goes, ready quoted, ""
    where there is nothing to export; `changes` how many primitives an apply would change, None
    where that is not known; `cell` the one that runs now.
    """

    owner: str
    folder: str
    runs: bool
    changes: int | None
    logs: bool
    cell: str


def head_html(snapshot: FlowSnapshot, facts: HeadFacts, off: Off) -> str:
    """Name, owner, address, buttons; `off` says why a line cannot be clicked now."""
    changes = facts.changes
    flow = _do("Stop", "%buildflow stop", off, icon("stop")) if facts.runs else _do(
        "Run", "%buildflow run", off, icon("run"))  # fmt: skip
    flow += markup.button(
        "Log", "log", aria_pressed=str(facts.logs).lower(), title="%buildflow logs"
    )
    flow += _do("Check", "%buildflow check", off)
    local = f"{snapshot.cloud} cloud" if snapshot.cloud else ""
    which = (
        f'<span class="who"><b>{quote(snapshot.stack, 40)}</b>'
        f'<span class="cut">{quote(local, 60)}</span></span>'
    )
    count = f" {changes:,}" if changes else ""
    apply_ = markup.button(
        f"Apply{count}", "do", "%buildflow apply", off=off("%buildflow apply"),
        class_="primary" if changes else None,
        title=f"%buildflow apply{f': {changes:,} to change' if changes else ''}",
    )  # fmt: skip
    cloud = f"{which}{_do('Preview', '%buildflow preview', off)}{apply_}" + _do(
        "Destroy…", "%buildflow destroy", off, kind="danger"
    )
    groups = (
        f'<span class="groups"><span class="grp" role="group" aria-label="flow">{flow}</span>'
        f'<span class="grp" role="group" aria-label="cloud">{cloud}</span></span>'
    )
    named = markup.attributes(class_="row head", data_cell=facts.cell or None)
    owned = f'<span class="chip cut" title="what the state of the stack belongs to">{quote(facts.owner, 60)}</span>'  # noqa: E501
    return (
        f"<header{named}><h3>{quote(snapshot.flow_id, 80)}</h3>"
        f"{owned if facts.owner not in ('', snapshot.flow_id) else ''}{_address(snapshot)}"
        f'<span class="grow"></span>{groups}{_more(facts.folder, off)}</header>'
    )


def _do(label: str, line: str, off: Off, mark: str = "", kind: str | None = None) -> str:
    html = f"{mark}{label}" if mark else ""
    why = off(line)
    if why.startswith("waits for "):
        html = ""
    return markup.button(label, "do", line, title=line, off=why, html=html, class_=kind)


def _address(snapshot: FlowSnapshot) -> str:
    """Where routes are served, as links."""
    if not snapshot.address or snapshot.state.ended:
        return ""
    shown = snapshot.address.removeprefix("http://")
    rest = markup.attributes(target="_blank", rel="noopener")
    return (
        f'<span class="mono address"><a href="{quote(snapshot.address)}"{rest}>{quote(shown)}</a>'
        f'<a href="{quote(snapshot.address)}/docs"{rest} title="what is served, to be tried">/docs'
        "</a></span>"
    )


def _more(folder: str, off: Off) -> str:
    """What is needed now and then."""
    items = [("Open as a page", "%buildflow open")]
    items += [("Export", f"%buildflow export {folder}")] if folder else []
    made = "".join(
        markup.button(label, "do", line, title=line, off=off(line), role="menuitem")
        for label, line in items
    )
    keys = markup.button("Keys", "keys", role="menuitem", title="?")
    return (
        '<details class="menu"><summary class="btn" aria-label="more">⋯</summary>'
        f'<div role="menu">{made}{keys}</div></details>'
    )


def health_html(
    tone: str, subject: str, said: str, show: tuple[str, str], toast: Toast | None
) -> str:
    """How the flow is, in one sentence, and what was said last.

    `tone` is "ok", "warn", "err" or "mute"; `subject` stands first, `said` is the rest; `show` is
    what a click on Show opens (an act and its argument), ("", "") for nothing.
    """
    shape = {"ok": "run", "warn": "wait", "err": "fail"}.get(tone, "none")
    opens = markup.button("Show", show[0], show[1], class_="text link") if show[0] else ""
    ground = f" {tone}-bg" if tone in ("err", "warn") else ""
    return (
        f'<div class="row health{ground}"><span class="row" role="status" aria-live="polite">'
        f'<span class="st {tone}">{icon(shape, tone)}<b>{quote(subject, 120)}</b></span>'
        f"<span>{quote(said, 300)}</span></span>{opens}"
        f'<span class="grow"></span>{_toast(toast)}</div>'
    )


def _toast(toast: Toast | None) -> str:
    if toast is None or not toast.text:
        return '<span class="toasts" role="status"></span>'
    lines = toast.text.splitlines()
    shape = {"ok": "done", "warn": "fail", "err": "gone"}.get(toast.tone, "busy")
    text = "<br>".join(quote(line, 400) for line in lines[:12])
    kept = toast.tone in ("err", "warn")
    close = (
        markup.button("✕", "close-said", class_="text", aria_label="close this message")
        if kept
        else ""
    )
    role = "alert" if toast.tone == "err" else "status"
    classes = f"toast {toast.tone}" + (" long" if len(toast.text) > 80 or len(lines) > 1 else "")  # noqa: PLR2004
    return (
        f'<span class="toasts" role="{role}"><span class="{classes}">{icon(shape)}'
        f"<span>{text}</span>{close}</span></span>"
    )


def health_words(line: HealthLine) -> tuple[str, str, str, tuple[str, str]]:
    """Tone, subject and rest of a sentence, and what a click on Show opens."""
    tone = {Health.OK: "ok", Health.WARNING: "warn", Health.ERROR: "err"}[line.health]
    if line.health is Health.OK and line.what != "fine":
        tone = "mute"  # green is for what was looked at, and is well
    act = "failures" if line.what.startswith("fail") else "select"
    opens = (act, line.processor_id) if line.processor_id else ("", "")
    return tone, line.title, line.rest, opens


def keys_html(pairs: Sequence[tuple[str, str]]) -> str:
    """What keys do."""
    rows = "".join(f"<dt><kbd>{quote(key)}</kbd></dt><dd>{quote(said)}</dd>" for key, said in pairs)
    close = markup.button("✕", "keys", class_="s quiet", aria_label="close the keys")
    return (
        '<div class="box pad" data-view role="group" aria-label="keys"><div class="row"><b>Keys</b>'
        f'<span class="grow"></span>{close}</div><dl class="keys">{rows}</dl></div>'
    )
