"""A flow's graph as SVG, made in Python: each node's state and the rates on its edges.

It is an image with a name and a description for screen readers, whose facts the table beside it
repeats. In a live view the nodes of processors can be clicked.
"""

from __future__ import annotations

from collections.abc import Callable

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.graph import Edge, Graph, Node
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot

__all__ = ("Badge", "drawn")

Badge = Callable[[Node], tuple[str, str]]  # of a managed node: what is said of it, and its tone

WIDE, HIGH = 168, 46  # pixels of a node
ACROSS, DOWN = 78, 14  # pixels between columns, which hold a rate, and between rows
PAD = 2
UNDER = 8  # pixels below the last row, for the third line of an edge
LONGEST = 24  # characters of a title that fit
SMALLEST = 0.8  # below this the text is no longer legible, and the graph scrolls


def drawn(graph: Graph, snapshot: FlowSnapshot, badge: Badge, *, live: bool = False) -> str:
    """The graph with the numbers of a snapshot; "" where there is nothing to draw."""
    if not graph.nodes:
        return ""
    width = graph.columns * (WIDE + ACROSS) - ACROSS + 2 * PAD
    height = graph.rows * (HIGH + DOWN) - DOWN + 2 * PAD + UNDER
    found = {p.processor_id: p for p in snapshot.processors}
    edges = "".join(_edge(graph, edge, found.get(edge.processor)) for edge in graph.edges)
    nodes = "".join(_node(node, found, badge, live=live) for node in graph.nodes.values())
    said = _described(graph)
    fit = f"width:100%;max-width:{width}px;min-width:{width * SMALLEST:.0f}px"
    return (
        f'<svg viewBox="0 0 {width} {height}" style="{fit}"'
        f"{markup.attributes(role='img', aria_label=said)}>{edges}{nodes}</svg>"
    )


def _described(graph: Graph) -> str:
    """What the picture shows, in words."""
    titles = {key: node.title for key, node in graph.nodes.items()}
    joined = [f"{titles[edge.start]} to {titles[edge.end]}" for edge in graph.edges]
    text = "; ".join(joined) or ", ".join(titles.values())
    return f"graph of the flow: {text}"


def _corner(node: Node) -> tuple[int, int]:
    return PAD + node.column * (WIDE + ACROSS), PAD + node.row * (HIGH + DOWN)


def _node(node: Node, found: dict[str, ProcessorSnapshot], badge: Badge, *, live: bool) -> str:
    x, y = _corner(node)
    title, note, tone = quote(node.title, LONGEST), quote(node.note, LONGEST + 8), ""
    act: dict[str, object] = {}
    if node.kind == "processor":
        shot = found.get(node.title)
        if shot is not None:
            mark, tone = formats.mark(shot.state, formats.bad(shot))
            title = f'<tspan class="{tone}">{mark}</tspan> {title}'
            note = quote(f"{node.note} · {shot.state.value} · v{shot.version}", LONGEST + 8)
        if live:
            act = {"data_act": "select", "data_arg": node.title}
    elif node.managed:
        said, mark_tone = badge(node)
        note = f'{note} <tspan class="{mark_tone}">· {quote(said, 16)}</tspan>'
    whole = markup.attributes(**act)
    return (
        f'<g class="node {tone}"{whole}><title>{quote(node.title)} {quote(node.note)}</title>'
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="6"/>'
        f'<text x="{x + 11}" y="{y + 19}">{title}</text>'
        f'<text class="s" x="{x + 11}" y="{y + 36}">{note}</text></g>'
    )


def _edge(graph: Graph, edge: Edge, shot: ProcessorSnapshot | None) -> str:
    (x1, y1), (x2, y2) = _corner(graph.nodes[edge.start]), _corner(graph.nodes[edge.end])
    x1, y1, y2 = x1 + WIDE, y1 + HIGH // 2, y2 + HIGH // 2
    if x2 < x1:  # leads back, or straight down
        path = f"M{x1} {y1}C{x1 + 40} {y1} {x1 + 40} {y2} {x2 + WIDE} {y2}"
    else:
        bend = (x2 - x1) // 2
        path = f"M{x1} {y1}C{x1 + bend} {y1} {x1 + bend} {y2} {x2} {y2}"
    soft = " soft" if edge.side in ("", "failed") else ""
    # Numbers stand beside their processor, which has its row for itself, however many edges meet.
    at = (x2 - ACROSS // 2, y2) if edge.side == "in" else (x1 + ACROSS // 2, y1)
    return f'<path class="flow{soft}" d="{path}"/>{_labels(edge, shot, *at)}'


def _labels(edge: Edge, shot: ProcessorSnapshot | None, x: int, y: int) -> str:
    """The rate above the edge; below it the rows that passed, and those that did not."""
    if shot is None or edge.side == "failed":  # it stands where they came in
        return ""
    lines = zip(_numbers(edge.side, shot), (y - 5, y + 14, y + 27), strict=True)
    return "".join(
        f'<text class="rate" x="{x}" y="{at}" text-anchor="middle">{text}</text>'
        for text, at in lines
        if text
    )


def _numbers(side: str, shot: ProcessorSnapshot) -> tuple[str, str, str]:
    lost = f'<tspan class="err">{formats.brief(shot.failed)} failed</tspan>' if shot.failed else ""
    if side == "in":
        return f"{formats.rate(shot.in_per_s)}/s", f"{formats.brief(shot.elements_in)} in", lost
    dropped = f"{formats.brief(shot.dropped)} dropped" if shot.dropped else ""
    return f"{formats.rate(shot.out_per_s)}/s", f"{formats.brief(shot.elements_out)} out", dropped
