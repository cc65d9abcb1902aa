"""The graph of a flow as data: what feeds what, in lanes, laid out in columns from left to right.

A lane holds what is joined; what is shared by two flows of elements joins their lanes. A primitive
that one processor writes and another reads is one node between them, and one that is shared stands
once. What is injected and is no primitive is a word under its processor. What is managed but
neither read nor written stands in a last lane. Cycles are allowed: an edge that would lead back is
drawn, but moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from buildflow_nb.core.declaring.dependencies import Ambient, PrimitiveDependency, Provider
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, FlowSpec, ProcessorSpec
from buildflow_nb.core.portable import declared_as
from buildflow_nb.core.primitive import Managed, label_of, owned_by, parents_of
from buildflow_nb.core.resource_look import Lookable

__all__ = ("Edge", "Graph", "Lane", "Node", "graph_of")

LOOSE_ACROSS = 5  # nodes that nothing joins stand beside one another, this many at most


@dataclass(slots=True)
class Node:
    """One box, of `kind` "primitive", "route" or "processor"; where it stands in its lane.

    `note` is what kind of thing it is, a class or "consumer"; `declared` as what portable one it
    was declared. One that `looks` can be looked into. `uses` are names of what is injected into it.
    """

    key: str
    kind: str
    title: str
    note: str
    managed: bool = False
    looks: bool = False
    declared: str = ""
    uses: tuple[str, ...] = ()
    column: int = 0
    row: int = 0


@dataclass(slots=True)
class Lane:
    """Nodes that are joined, in order of declaration, with the edges between them."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return 1 + max((node.column for node in self.nodes), default=-1)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return 1 + max((node.row for node in self.nodes), default=-1)

    @property
    def processors(self) -> list[str]:
        """Ids of its processors."""
        return [node.title for node in self.nodes if node.kind == "processor"]

    @property
    def name(self) -> str:
        """What it is called: by the first thing that is in it and is no pulse."""
        named = [node.title for node in self.nodes if node.kind == "primitive" and node.managed]
        return next(iter((*named, *self.processors, *(node.title for node in self.nodes))), "")


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow between two nodes.

    `processor` and `side` ("in", "out", "failed") say whose numbers stand on it; an edge without a
    processor only says that one primitive delivers to another.
    """

    start: str
    end: str
    processor: str = ""
    side: str = ""


@dataclass(slots=True)
class Graph:
    """Nodes by key, in order of declaration, the edges between them, and both by lanes."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)

    def join(self, start: str, end: str) -> None:
        """Draw an edge of no processor's, once."""
        edge = Edge(start, end)
        if edge not in self.edges:
            self.edges.append(edge)


def graph_of(spec: FlowSpec) -> Graph:
    """The graph of everything that a flow declares."""
    graph = Graph()
    managed = {_key(primitive) for primitive in _managed(spec.managed)}
    for processor in spec.processors.values():
        _add_processor(graph, processor, managed)
    for primitive in _managed(spec.managed):
        _add_primitive(graph, primitive, managed)
    for primitive in _managed(spec.managed):
        for feeder in (*parents_of(primitive), *owned_by(primitive)):
            start = _add_primitive(graph, feeder, managed)
            graph.edges.append(Edge(start, _key(primitive)))
    graph.lanes = _lanes(graph)
    return graph


def _managed(primitives: Sequence[object]) -> Iterator[Managed]:
    """What is managed, with what comes along with it."""
    for primitive in primitives:
        if isinstance(primitive, Managed):
            yield primitive
            yield from _managed(owned_by(primitive))


def _key(primitive: object) -> str:
    return f"{type(primitive).__name__} {getattr(primitive, 'primitive_id', id(primitive))}"


def _add_primitive(graph: Graph, primitive: object, managed: set[str]) -> str:
    key = _key(primitive)
    if key not in graph.nodes:
        kind = type(primitive).__name__
        title = label_of(primitive).removeprefix(kind).strip() or kind
        declared = declared_as(primitive) or ""
        looks = isinstance(primitive, Lookable)
        graph.nodes[key] = Node(key, "primitive", title, kind, key in managed, looks, declared)
    return key


def _add_processor(graph: Graph, spec: ProcessorSpec, managed: set[str]) -> None:
    key = f"processor {spec.id}"
    if isinstance(spec, ConsumerSpec):
        start = _add_primitive(graph, spec.source, managed)
    else:
        start = f"{spec.method} {spec.route}"
        graph.nodes[start] = Node(start, "route", start, "")
    graph.nodes[key] = Node(key, "processor", spec.id, spec.kind)
    graph.edges.append(Edge(start, key, spec.id, "in"))
    for primitive, side in ((getattr(spec, "sink", None), "out"), (_dead(spec), "failed")):
        if primitive is not None:
            end = _add_primitive(graph, primitive, managed)
            graph.edges.append(Edge(key, end, spec.id, side))
    _add_dependencies(graph, spec, managed)


def _add_dependencies(graph: Graph, spec: ProcessorSpec, managed: set[str]) -> None:
    """What is injected: primitives are joined to it, the rest are words below it."""
    key, uses = f"processor {spec.id}", list[str]()
    for provider in spec.processor.providers:
        primitive = provider.dependency.primitive
        if not isinstance(provider.dependency, PrimitiveDependency):
            uses.append(provider.name)
        if primitive is None or (provider.given is not None and not _own(provider)):
            continue
        other = _add_primitive(graph, primitive, managed)
        graph.join(*((key, other) if provider.needs(Ambient.SINK) else (other, key)))
    graph.nodes[key].uses = tuple(uses)


def _own(provider: Provider) -> bool:
    return isinstance(provider.dependency, PrimitiveDependency)


def _dead(spec: ProcessorSpec) -> object | None:
    found: object | None = getattr(spec.options, "dead_letter", None)
    return found


def _lanes(graph: Graph) -> list[Lane]:
    """Lanes in order of declaration; what nothing joins stands in the last one."""
    parent = {key: key for key in graph.nodes}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for edge in graph.edges:
        parent[root(edge.end)] = root(edge.start)
    joined = {key for edge in graph.edges for key in (edge.start, edge.end)}
    lanes: dict[str, Lane] = {}
    loose = Lane()
    for key, node in graph.nodes.items():
        known = key in joined or node.kind == "processor"
        (lanes.setdefault(root(key), Lane()) if known else loose).nodes.append(node)
    for edge in graph.edges:
        lanes[root(edge.start)].edges.append(edge)
    for lane in lanes.values():
        _place(lane)
    for i, node in enumerate(loose.nodes):
        node.column, node.row = i % LOOSE_ACROSS, i // LOOSE_ACROSS
    return [*lanes.values(), *([loose] if loose.nodes else [])]


def _place(lane: Lane) -> None:
    """Columns by the longest way to a node, rows so that what is joined stands close together."""
    nodes = {node.key: node for node in lane.nodes}
    after: dict[str, list[str]] = {key: [] for key in nodes}
    for edge in lane.edges:
        after[edge.start].append(edge.end)
    order = _topological(after)
    for key in order:
        for end in after[key]:
            if order[end] > order[key]:
                nodes[end].column = max(nodes[end].column, nodes[key].column + 1)
    _rows(nodes, after)


def _topological(after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Every node before those that it leads to, as far as cycles allow; with its position."""
    seen: set[str] = set()
    finished: list[str] = []
    for root in reversed(list(after)):
        stack: list[tuple[str, Iterator[str]]] = []
        if root not in seen:
            seen.add(root)
            stack.append((root, iter(reversed(after[root]))))
        while stack:  # not by recursion: a chain may be longer than Python's stack
            key, rest = stack[-1]
            following = next((end for end in rest if end not in seen), None)
            if following is None:
                finished.append(key)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(reversed(after[following]))))
    return {key: i for i, key in enumerate(reversed(finished))}


def _rows(nodes: Mapping[str, Node], after: Mapping[str, Sequence[str]]) -> None:
    """Each node in the row of what leads to it, or in the next that is free in its column."""
    taken: set[tuple[int, int]] = set()
    free: dict[int, int] = {}  # the first row of each column that nothing has asked for
    wanted: dict[str, int] = {}
    for node in sorted(nodes.values(), key=lambda node: node.column):
        row = wanted.get(node.key, 0)
        if (node.column, row) in taken:
            row = max(row, free.get(node.column, 0))
        while (node.column, row) in taken:
            row += 1
        node.row = row
        taken.add((node.column, row))
        free[node.column] = max(free.get(node.column, 0), row + 1)
        for end in after[node.key]:
            wanted.setdefault(end, row)
