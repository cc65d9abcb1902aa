"""The last elements of a processor, fields as columns, with what became of each, failed or not."""

from __future__ import annotations

from collections.abc import Sequence

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.element_fields import cells_of, fields_of_element, heads_of
from buildflow_nb.cockpit.views.icons import icon
from buildflow_nb.cockpit.views.markup import Cell, quote
from buildflow_nb.core.status.snapshot import Passage
from buildflow_nb.runtime.observability.failures import FailureRecord

__all__ = ("WHICH", "elements_html")

WHICH = ("all", "written", "failed", "dropped")
Shown = Passage | FailureRecord


def elements_html(
    label: str, found: Sequence[Shown], which: str, query: str, *, sinks: bool
) -> str:
    """A bar to choose by, and a row for each element, the newest first.

    `label` names the processor, and what is injected into it; `which` is one of `WHICH`, `query` a
    text that the element or its results hold; `sinks` says that results are written somewhere.
    """
    kept = [
        each
        for each in reversed(found)
        if which in ("all", _which(each)) and query.casefold() in _text(each).casefold()
    ]
    bar = _bar(which, query)
    if not kept:
        said = "nothing of that kind among the last elements" if found else "nothing passed yet"
        return f'{bar}<p class="mute">{said}</p>'
    elements = [fields_of_element(_element(each)) for each in kept]
    heads = heads_of(elements)
    rows: list[list[Cell]] = []
    for each, element in zip(kept, elements, strict=True):
        rows.append([(_when(each), "l"), *cells_of(element, heads), *_became(each, sinks=sinks)])
    kinds = [kind for _, kind in rows[0][1 : 1 + len(heads)]]
    top: list[Cell] = [("at", "l")]
    top += [(quote(h, 40) or "element", kind) for h, kind in zip(heads, kinds, strict=True)]
    top += [("gave", "l"), ("fate", "l"), ("in code", "h7")]
    made = markup.table(f"last elements of {label}", top, rows)
    said = f"{len(kept):,} of the last {len(found):,}; failed ones included."
    return (
        f'{bar}<div class="inset scroll" tabindex="0">{made}</div><p class="mute small">{said}</p>'
    )


def _when(each: Shown) -> str:
    """When it passed; where it is traced, a way to its trace."""
    at = formats.clock(each.at)
    if not each.trace_id:
        return at
    return markup.button(
        at, "trace", f" {each.trace_id}", class_="text link", title="where its time went",
        aria_label=f"{at}, its trace",
    )  # fmt: skip


def _bar(which: str, query: str) -> str:
    buttons = "".join(
        markup.button(
            each.capitalize(), "which", each, aria_pressed=str(each == which).lower()
        )
        for each in WHICH
    )  # fmt: skip
    field = markup.attributes(
        class_="field s", type="search", value=query, data_act="find", placeholder="find …",
        aria_label="text that the element holds",
    )  # fmt: skip
    return (
        f'<div class="row tools"><span class="grp s" role="group" aria-label="which">{buttons}'
        f'</span><span class="search"><input{field}></span></div>'
    )


def _which(each: Shown) -> str:
    if isinstance(each, FailureRecord):
        return "failed"
    return "written" if each.results else "dropped"


def _element(each: Shown) -> object:
    return each.input if isinstance(each, FailureRecord) else each.element


def _text(each: Shown) -> str:
    said = each.error if isinstance(each, FailureRecord) else formats.shown(each.results)
    return f"{formats.shown(_element(each))} {said}"


def _became(each: Shown, *, sinks: bool) -> list[Cell]:
    """What it gave, its fate, and the time of the call."""
    if isinstance(each, FailureRecord):
        said = f'<span class="err">{quote(each.error, 160)}</span>'
        fate = f'<span class="st err">{icon("fail", "err")}{quote(each.fate)}</span>'
        return [(said, "w"), (fate, "l"), ("", "h7")]
    if each.results:
        gave = ", ".join(formats.shown(result) for result in each.results)
        word = "written" if sinks else "answered"
        fate = f'<span class="st ok">{icon("done", "ok")}{word}</span>'
    else:
        gave, fate = "None", f'<span class="st mute">{icon("drop", "mute")}dropped</span>'
    return [
        (f"<code>{quote(gave, formats.LONGEST)}</code>", "w"),
        (fate, "l"),
        (formats.latency(each.seconds), "h7"),
    ]
