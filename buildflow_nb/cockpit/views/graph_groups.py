"""The lanes of many processors, folded: a group for those whose names begin alike, a mark each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.graph import Graph, Node
from buildflow_nb.cockpit.views.graph_drawing import LONGEST, Drawing, face, resource_face, wide
from buildflow_nb.cockpit.views.icons import icon, kind_of, symbol
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.processor_words import tone_of

__all__ = ("group_of", "groups_html")

MOST_MARKS = 1_000  # of processors in a group
_MARKS = {"err": "f", "warn": "w", "mute": "x", "info": "w"}


def group_of(processor_id: str) -> str:
    """The name of the group of a processor: what stands before its number, or its first word."""
    numbered = re.match(r"^(.*?)[_-]?\d+$", processor_id)
    if numbered and numbered[1]:
        return numbered[1]
    return processor_id.split("_", 1)[0]


def groups_html(graph: Graph, drawing: Drawing) -> list[str]:
    """A lane for each group."""
    groups: dict[str, list[str]] = {}
    for node in graph.nodes.values():
        if node.kind == "processor":
            groups.setdefault(group_of(node.title), []).append(node.title)
    ins, outs = dict[str, list[Node]](), dict[str, list[Node]]()
    for edge in graph.edges:
        if edge.side == "in":
            ins.setdefault(edge.processor, []).append(graph.nodes[edge.start])
        elif edge.side == "out":
            outs.setdefault(edge.processor, []).append(graph.nodes[edge.end])
    made = []
    for name, members in groups.items():
        shots = [drawing.found[m] for m in members if m in drawing.found]
        before = _end([node for m in members for node in ins.get(m, ())], drawing)
        after = _end([node for m in members for node in outs.get(m, ())], drawing, to=True)
        into = _pipe(sum(p.in_per_s for p in shots))
        out = _pipe(sum(p.out_per_s for p in shots))
        box = _group(name, members, drawing)
        key = markup.attributes(class_="ggrid", data_key=f"group {name}" if drawing.live else None)
        made.append(f"<div{key}>{before}{into}{box}{out}{after}</div>")
    return made


def _end(nodes: Sequence[Node], drawing: Drawing, *, to: bool = False) -> str:
    """What a group reads, or writes: the one thing, or how many."""
    each = {node.key: node for node in nodes}
    arrow = " to" if to else ""
    if not each:
        return '<span class="none"></span>'
    if len(each) == 1:
        node = next(iter(each.values()))
        inside, classes = face(symbol("route"), node.title, "route"), "res"
        if node.kind != "route":
            inside, classes = resource_face(node, drawing)
        return f'<span class="n {classes}{arrow}" title="{quote(node.title)}">{inside}</span>'
    kinds = {kind_of(node.note)[1] if node.kind == "primitive" else "route" for node in nodes}
    title = next(iter(kinds)) if len(kinds) == 1 else f"{len(kinds)} kinds"
    return f'<span class="n res{arrow}">{face("", title, f"{len(each):,} of them")}</span>'


def _pipe(per_s: float) -> str:
    said = f"<span>{formats.rate(per_s)}/s</span>"
    return f'<span class="pipe" style="--w:{wide(per_s):.0f}px">{said}</span>'


def _group(name: str, members: Sequence[str], drawing: Drawing) -> str:
    shots = [drawing.found.get(member) for member in members]
    tones = [tone_of(shot) if shot else "" for shot in shots]
    fails, waits = tones.count("err"), tones.count("warn")
    query = drawing.folds.query.casefold()
    marks = "".join(
        _dot(_MARKS.get(tone, ""), hit=bool(query) and query in member.casefold())
        for member, tone in zip(members[:MOST_MARKS], tones, strict=False)
    )
    said = [f"{len(members):,} processor{'' if len(members) == 1 else 's'}"]
    said += [f'<span class="err">{fails:,} fail</span>'] if fails else []
    said += [f'<span class="warn">{waits:,} wait</span>'] if waits else []
    mark = icon("fail", "err") if fails else icon("wait", "warn") if waits else icon("run", "ok")
    called = members[0] if len(members) == 1 else f"{name}*"
    act = {"data_act": "query", "data_value": name} if drawing.live else {}
    tag = "button" if act else "span"
    words_ = markup.attributes(
        class_=f"n to{' bad' if fails else ''}", title=", ".join(members[:20]),
        type="button" if act else None, **act,
    )  # fmt: skip
    return (
        f'<{tag}{words_}><span class="t">{mark}<span class="cut">{quote(called, LONGEST)}</span>'
        f'<em>{" · ".join(said)}</em></span><span class="dots" aria-hidden="true">{marks}</span>'
        f"</{tag}>"
    )


def _dot(kind: str, *, hit: bool) -> str:
    classes = " ".join(filter(None, (kind, "hit" if hit else "")))
    return f'<i class="{classes}"></i>' if classes else "<i></i>"
