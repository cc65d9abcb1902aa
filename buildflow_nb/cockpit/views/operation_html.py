"""How an operation of a button looks: the plan as a diff, the question, a bar, the end.

A change is told by a sign and a word as well as by its colour.
"""

from __future__ import annotations

from buildflow_nb.cockpit.panel.operation_box import OperationBox
from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.operation_view import OperationView
from buildflow_nb.cockpit.views.plan_html import counts_html
from buildflow_nb.core.status.operations import Op, Operation, Outcome
from buildflow_nb.infra.report import headline

__all__ = ("operation_html",)


def operation_html(box: OperationBox) -> str:
    """The box, "" where there is nothing to show."""
    view = box.view
    if view is None:
        return ""
    shown = view
    if box.plan is not None and (box.asking or not view.has_steps):
        shown = OperationView(Operation.PREVIEW, view.stack)
        shown.take(box.plan, show=False)
    body = f'<div class="tall" tabindex="0">{shown.body()}</div>'
    return f'<div class="box" data-form>{_header(box, view)}{_progress(box)}{body}</div>'


def _header(box: OperationBox, view: OperationView) -> str:
    said, tone = (headline(box.plan), "mute") if box.asking and box.plan else view.stands()
    if box.ending:
        said, tone = "ends after the step under way …", "warn"
    shown = box.plan.summary.counts if box.asking and box.plan else {}
    counted = counts_html(shown) if shown else ""
    end = f'<span class="grow"></span><span class="bar">{_buttons(box, view)}</span>'
    asked = f'<span class="{tone}" role="status">{quote(said, 300)}</span>'
    return f"<header><b>{quote(view.title)}</b>{counted}{asked}{end}</header>{_question(box)}"


def _buttons(box: OperationBox, view: OperationView) -> str:
    if box.asking and box.plan is not None:
        no = markup.button("Cancel", "no", data_focus=True)
        deletes = box.plan.summary.counts.get(Op.DELETE, 0)
        kind = "danger default" if deletes else "primary default"
        return no + markup.button(_label(box.plan), "yes", class_=kind)
    if box.stop is not None:
        return markup.button("Cancel", "cancel", off="it is ending" if box.ending else "")
    return markup.button("Close", "close-operation", aria_label=f"close {view.title}")


def _label(plan: Outcome) -> str:
    """What the button does, with the deletions counted."""
    counts = plan.summary.counts
    count, gone = sum(counts.values()), counts.get(Op.DELETE, 0)
    noun = "resource" if gone == count else "change"
    label = f"{'Delete' if gone == count else 'Apply'} {count} {noun}{'s' if count != 1 else ''}"
    return f"{label}, delete {gone}" if 0 < gone < count else label


def _question(box: OperationBox) -> str:
    if not (box.asking and box.must_type):
        return ""
    wrong = f' <span class="err">✕ {quote(box.typed_wrong)}</span>' if box.typed_wrong else ""
    field = markup.attributes(name="typed", type="text", autocomplete="off")
    typed = box.plan is not None and box.plan.deletions.must_type
    why = "to do it" if typed else "(the stack's name) to do it"
    return (
        f'<div class="row pad"><label>type <b>{quote(box.must_type)}</b> {why}'
        f"<input{field}></label>{wrong}</div>"
    )


def _progress(box: OperationBox) -> str:
    if box.stop is None or box.asking:
        return ""
    done, total, now = (0, 0, "") if box.view is None else box.view.progress()
    total = max(total, sum(box.plan.summary.counts.values()) if box.plan else 0)
    said = f"{done} of {total}" if total else f"{done} done"
    bar = markup.attributes(
        role="progressbar",
        aria_label="progress",
        aria_valuemin=0,
        aria_valuemax=total or None,
        aria_valuenow=done if total else None,
        aria_valuetext=said,
    )
    share = 100 * done / total if total else 0
    meter = f'<div class="meter"{bar}><b style="width:{share:.0f}%"></b></div>'
    now = quote(f"{said} · {now}" if now else said)
    return f'<div class="pad">{meter}<div class="mute">{now}</div>{_kill(box)}</div>'


def _kill(box: OperationBox) -> str:
    """What ends it at once: away from Cancel, so that a double click does not."""
    if not box.ending:
        return ""
    kill = markup.button("Kill", "kill", class_="danger")
    why = "ends it in the middle of a step; the next operation finds out how that step went"
    return f'<div class="row">{kill}<span class="mute">{why}</span></div>'
