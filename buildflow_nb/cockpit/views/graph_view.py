"""A flow's graph as HTML: a lane for what is joined, words that are never scaled, edges behind.

Words are HTML, placed by per cent, so that they are cut by the style sheet and stay legible at any
width; edges are one SVG that is stretched behind them. From ten processors on a lane is folded to
groups by name, with a mark for each processor. The table repeats every fact for screen readers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.graph import Edge, Graph, Lane, Node
from buildflow_nb.cockpit.views.graph_drawing import (
    LONGEST,
    Badge,
    Drawing,
    Folds,
    face,
    processor_face,
    resource_face,
    wide,
)
from buildflow_nb.cockpit.views.graph_groups import groups_html
from buildflow_nb.cockpit.views.icons import symbol
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.processor_words import badness, word_of
from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot

__all__ = ("FOLDS_AT", "graph_html")

FOLDS_AT = 10  # processors, from which on they are grouped by name
_WIDTHS = {3: 20.0, 4: 17.0, 5: 14.4}  # per cent of a lane that a node takes, by its columns
FIVE = 5
HIGH, DOWN = 44, 64  # pixels of a node, and from one row to the next
MOST_LANES = 15  # that are drawn; a search brings the others


def graph_html(
    graph: Graph,
    snapshot: FlowSnapshot,
    badge: Badge,
    *,
    folds: Folds | None = None,
) -> str:
    """The graph with the numbers of a snapshot; "" where there is nothing to draw.

    With `folds` it is live: nodes can be clicked.
    """
    if not graph.nodes:
        return ""
    found = {p.processor_id: p for p in snapshot.processors}
    drawing = Drawing(found, badge, folds is not None, folds or Folds(), _counts(graph, found))
    folds = drawing.folds
    many = sum(len(lane.processors) for lane in graph.lanes)
    grouped = many >= FOLDS_AT and not folds.unfolded
    lanes = groups_html(graph, drawing) if grouped else _lanes(graph.lanes, drawing)
    joined = [f"{_title(graph, edge.start)} to {_title(graph, edge.end)}" for edge in graph.edges]
    said = f"graph of the flow: {'; '.join(joined[:40]) or ', '.join(map(_name, graph.lanes))}"
    named = markup.attributes(class_="graph", role="group", tabindex=0, aria_label=said)
    return f"<div{named}>{''.join(lanes)}</div>"


def _counts(graph: Graph, found: Mapping[str, ProcessorSnapshot]) -> dict[str, str]:
    """How much waits in each primitive that is read, and how much was written to the others."""
    waiting, written = dict[str, int](), dict[str, int]()
    for edge in graph.edges:
        shot = found.get(edge.processor)
        if shot is None:
            continue
        if edge.side == "in" and shot.backlog is not None and not shot.ends:
            waiting[edge.start] = max(waiting.get(edge.start, 0), shot.backlog)
        elif edge.side == "out" and shot.elements_out:
            written[edge.end] = written.get(edge.end, 0) + shot.elements_out
    said = {key: f"{formats.brief(count)} written" for key, count in written.items()}
    return said | {key: f"{formats.brief(count)} waiting" for key, count in waiting.items()}


def _lanes(lanes: Sequence[Lane], drawing: Drawing) -> list[str]:
    """Those that hold what is searched for first, and no more than can be looked at."""
    query = drawing.folds.query.casefold()
    if query and len(lanes) > MOST_LANES:
        lanes = [
            lane for lane in lanes if any(query in node.title.casefold() for node in lane.nodes)
        ]
    made = [_lane(lane, drawing) for lane in lanes[:MOST_LANES]]
    if len(lanes) > MOST_LANES:
        more = f"{len(lanes) - MOST_LANES:,} more lanes; a search brings those that you look for"
        made.append(f'<div class="lane more mute">{more}</div>')
    return made


def _title(graph: Graph, key: str) -> str:
    return graph.nodes[key].title


def _name(lane: Lane) -> str:
    return lane.name


# -- a lane --------------------------------------------------------------------------------------


def _lane(lane: Lane, drawing: Drawing) -> str:
    name = lane.name
    folded = name in drawing.folds.lanes
    fold = ""
    if drawing.live:
        mark = symbol("open" if folded else "fold")
        opens = markup.attributes(
            type="button", class_="fold text", data_act="lane", data_arg=name,
            aria_expanded=str(not folded).lower(), aria_label=f"lane {name}",
        )  # fmt: skip
        fold = f'<button{opens}>{mark}<span class="cut">{quote(name, LONGEST)}</span></button>'
    else:
        fold = f'<span class="fold"><span class="cut">{quote(name, LONGEST)}</span></span>'
    worst = _worst(lane, drawing)
    map_ = "" if folded else _map(lane, drawing)
    classes = "lane" + (" folded" if folded else "") + (" bad" if worst == "err" else "")
    classes += "" if lane.processors else " loose"
    key = markup.attributes(class_=classes, data_key=f"lane {name}" if drawing.live else None)
    return f"<div{key}>{fold}{_summary(lane, drawing)}{map_}</div>"


def _worst(lane: Lane, drawing: Drawing) -> str:
    shots = [drawing.found[name] for name in lane.processors if name in drawing.found]
    return word_of(min(shots, key=badness)).tone if shots else "mute"


def _summary(lane: Lane, drawing: Drawing) -> str:
    """The facts of a lane in one line, which stands where it is folded or the page is narrow."""
    shots = [drawing.found[name] for name in lane.processors if name in drawing.found]
    way = " → ".join(node.title for node in sorted(lane.nodes, key=lambda n: (n.column, n.row))[:6])
    if not shots:
        return f'<div class="sum"><span class="mute cut">{quote(way, 120)}</span></div>'
    worst = min(shots, key=badness)
    word = word_of(worst)
    said = (
        ""
        if word.tone in ("ok", "mute")
        else f' <span class="{word.tone}">{quote(word.text)}</span>'
    )
    rate = formats.rate(sum(p.in_per_s for p in shots))
    return (
        f'<div class="sum">{word.icon}<b>{quote(worst.processor_id, LONGEST)}</b>{said}'
        f'<span class="mute cut">{quote(way, 120)}</span><span class="grow"></span>'
        f"<span>{rate}/s</span></div>"
    )


def _map(lane: Lane, drawing: Drawing) -> str:
    width = _WIDTHS[max(lane.columns, 3)] if lane.columns <= FIVE else 72 / lane.columns
    step = (100 - width) / (max(lane.columns, 3) - 1)
    nodes = {node.key: node for node in lane.nodes}
    taken = {(node.column, node.row) for node in lane.nodes}
    height = lane.rows * DOWN - (DOWN - HIGH)
    paths, labels = "", ""
    uses = any(node.uses for node in lane.nodes if node.row == lane.rows - 1)
    bends = False
    for edge in lane.edges:
        start, end = nodes[edge.start], nodes[edge.end]
        bend = _blocked(start, end, taken)
        bends |= bend and max(start.row, end.row) == lane.rows - 1
        path, x, y = _path(start, end, width, step, bend=bend)
        shot = drawing.found.get(edge.processor)
        paths += _edge(path, edge, shot)
        labels += _label(edge, shot, x, y)
    height += 20 if uses or bends else 0
    boxes = "".join(_node(node, node.column * step, drawing, lane) for node in lane.nodes)
    least = "" if lane.columns <= FIVE else f";min-width:{lane.columns * 168}px"
    style = f"--h:{height};--nw:{width:.2f}%{least}"
    svg = (
        f'<svg class="edges" viewBox="0 0 1000 {height}" preserveAspectRatio="none" '
        f'aria-hidden="true">{paths}</svg>'
    )
    return f'<div class="map" style="{style}">{svg}{labels}{boxes}</div>'


def _blocked(start: Node, end: Node, taken: Collection[tuple[int, int]]) -> bool:
    """Whether the straight way leads through another node, or back."""
    if end.column <= start.column:
        return True
    row = end.row if start.row == end.row else start.row
    return any((column, row) in taken for column in range(start.column + 1, end.column))


def _path(
    start: Node, end: Node, width: float, step: float, *, bend: bool
) -> tuple[str, float, float]:
    """The way of an edge (x in thousandths, y in pixels), and where its label stands."""
    x1, x2 = (start.column * step + width) * 10, end.column * step * 10
    y1, y2 = start.row * DOWN + 22, end.row * DOWN + 22
    if bend:  # below the nodes in between
        low = max(start.row, end.row) * DOWN + HIGH + 10
        near = 40
        path = (
            f"M{x1:.0f} {y1}C{x1 + near:.0f} {y1} {x1 + near:.0f} {low} {x1 + near / 2:.0f} {low}"
            f"L{x2 - near / 2:.0f} {low}C{x2 - near:.0f} {low} {x2 - near:.0f} {y2} {x2:.0f} {y2}"
        )
        return path, (x1 + x2) / 20, low
    if y1 == y2:
        return f"M{x1:.0f} {y1}H{x2:.0f}", (x1 + x2) / 20, y1
    half = (x2 - x1) / 2
    path = f"M{x1:.0f} {y1}C{x1 + half:.0f} {y1} {x1 + half:.0f} {y2} {x2:.0f} {y2}"
    return path, (x1 + x2) / 20, (y1 + y2) / 2


def _edge(path: str, edge: Edge, shot: ProcessorSnapshot | None) -> str:
    if edge.side == "failed":
        return f'<path class="bad" stroke-width="2" d="{path}"/>'
    per_s = _per_s(edge, shot)
    if per_s <= 0:
        return f'<path class="idle" stroke-width="1.5" d="{path}"/>'
    pace = max(0.6, 3.0 - 0.6 * math.log10(1 + per_s))
    return (
        f'<path stroke-width="{wide(per_s):.0f}" d="{path}"/>'
        f'<path class="mv" style="--d:{pace:.1f}s" d="{path}"/>'
    )


def _per_s(edge: Edge, shot: ProcessorSnapshot | None) -> float:
    if shot is None:
        return 0.0
    return shot.in_per_s if edge.side == "in" else shot.out_per_s


def _label(edge: Edge, shot: ProcessorSnapshot | None, x: float, y: float) -> str:
    """The rate on its edge; on that of dead letters how many failed."""
    if shot is None or not edge.side:
        return ""
    place = f'style="--x:{x:.1f};--y:{y:.0f}"'
    if edge.side == "failed":
        if not shot.failed:
            return ""
        return f'<span class="lab err" {place}>{formats.brief(shot.failed)}</span>'
    per_s = _per_s(edge, shot)
    total = shot.elements_in if edge.side == "in" else shot.elements_out
    title = markup.attributes(title=f"{formats.count(total)} {edge.side} since it was started")
    tone = "" if per_s else " mute"
    return f'<span class="lab{tone}" {place}{title}>{formats.rate(per_s)}/s</span>'


def _node(node: Node, x: float, drawing: Drawing, lane: Lane) -> str:
    if node.kind == "processor":
        inside, classes = processor_face(node, drawing)
    elif node.kind == "route":
        inside, classes = face(symbol("route"), node.title, "route"), "res"
    else:
        inside, classes = resource_face(node, drawing)
    ends = {edge.end for edge in lane.edges}
    dead = {edge.end for edge in lane.edges if edge.side == "failed"}
    classes += " to" if node.key in ends else ""
    classes += " deadto" if node.key in dead else ""
    act: dict[str, object] = {}
    if drawing.live and node.kind == "processor":
        act = {"data_act": "select", "data_arg": node.title}
        classes += " on" if node.title == drawing.folds.selected else ""
    elif drawing.live and node.looks:
        act = {"data_act": "look", "data_arg": node.key}
    tag = "button" if act else "span"
    titled = f"{node.title} · {node.note}"
    titled += f", declared as {node.declared}" if node.declared else ""
    place = f"--x:{x:.2f};--y:{node.row * DOWN}"
    words = markup.attributes(
        class_=f"n {classes}", style=place, title=titled,
        data_key=f"node {node.key}" if drawing.live else None,
        type="button" if act else None, **act,
    )  # fmt: skip
    box = f"<{tag}{words}>{inside}</{tag}>"
    if not node.uses:
        return box
    below = f"--x:{x:.2f};--y:{node.row * DOWN + HIGH + 3}"
    names = " ".join(f"<span>{quote(name, 24)}</span>" for name in node.uses[:4])
    return f'{box}<span class="uses" style="{below}">uses {names}</span>'
