"""The graph of a flow as data: what feeds what, laid out in columns from left to right.

A primitive that one processor writes and another reads is one node between them, and one that is
shared stands once. What is managed but neither read nor written stands below the rest. Cycles are
allowed: an edge that would lead back is drawn, but moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from buildflow_nb.core.declaring.dependencies import Ambient, PrimitiveDependency, Provider
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, FlowSpec, ProcessorSpec
from buildflow_nb.core.portable import declared_as
from buildflow_nb.core.primitive import Managed, label_of, owned_by, parents_of

__all__ = ("Edge", "Graph", "Node", "graph_of")

LOOSE_ACROSS = 3  # nodes that nothing joins stand beside one another, this many at least


@dataclass(slots=True)
class Node:
    """One box, of `kind` "primitive", "route", "processor" or "dependency"; where it stands."""

    key: str
    kind: str
    title: str
    note: str
    managed: bool = False
    column: int = 0
    row: int = 0


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
    """Nodes by key, in order of declaration, and the edges between them."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def join(self, start: str, end: str) -> None:
        """Draw an edge of no processor's, once."""
        edge = Edge(start, end)
        if edge not in self.edges:
            self.edges.append(edge)

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return 1 + max((node.column for node in self.nodes.values()), default=-1)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return 1 + max((node.row for node in self.nodes.values()), default=-1)


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
    _place(graph)
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
        note = kind if title != kind else ""
        if declared := declared_as(primitive):
            note = f"{note}, declared as {declared}"
        graph.nodes[key] = Node(key, "primitive", title, note, key in managed)
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
    """What is injected: from what it stands on to the processor, and on to what it pushes to."""
    for provider in spec.processor.providers:
        key = _dependency(graph, provider, managed)
        for argument in provider.arguments:
            if isinstance(argument.source, Provider):
                graph.join(_dependency(graph, argument.source, managed), key)
    for argument in spec.processor.arguments:
        if not isinstance(argument.source, Provider):
            continue
        key, processor = _dependency(graph, argument.source, managed), f"processor {spec.id}"
        if argument.source.needs(Ambient.SINK):
            graph.join(processor, key)
        else:
            graph.join(key, processor)


def _dependency(graph: Graph, provider: Provider, managed: set[str]) -> str:
    """The node of a dependency; of one that is nothing but a primitive, that primitive's."""
    made, primitive = provider.dependency, provider.dependency.primitive
    if isinstance(made, PrimitiveDependency):
        return _add_primitive(graph, primitive, managed)
    key = f"dependency {provider.name} {id(made)}"
    if key not in graph.nodes:
        note = f"dependency · {made.scope.name.lower()}"
        graph.nodes[key] = Node(key, "dependency", provider.name, note)
        if primitive is not None and provider.given is None:
            other = _add_primitive(graph, primitive, managed)
            ends = (key, other) if provider.needs(Ambient.SINK) else (other, key)
            graph.join(*ends)
    return key


def _dead(spec: ProcessorSpec) -> object | None:
    found: object | None = getattr(spec.options, "dead_letter", None)
    return found


def _place(graph: Graph) -> None:
    """Columns by the longest way to a node, rows so that what is joined stands close together."""
    after: dict[str, list[str]] = {key: [] for key in graph.nodes}
    for edge in graph.edges:
        after[edge.start].append(edge.end)
    order = _topological(after)
    for key in order:
        for end in after[key]:
            if order[end] > order[key]:
                graph.nodes[end].column = max(graph.nodes[end].column, graph.nodes[key].column + 1)
    _rows(graph, after)


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


def _rows(graph: Graph, after: Mapping[str, Sequence[str]]) -> None:
    """Each node in the row of what leads to it, or in the next that is free in its column."""
    joined = {key for edge in graph.edges for key in (edge.start, edge.end)}
    taken: set[tuple[int, int]] = set()
    wanted: dict[str, int] = {}
    for node in sorted(graph.nodes.values(), key=lambda node: node.column):
        if node.key not in joined:
            continue
        row = wanted.get(node.key, 0)
        while (node.column, row) in taken:
            row += 1
        node.row = row
        taken.add((node.column, row))
        for end in after[node.key]:
            wanted.setdefault(end, row)
    below = 1 + max((row for _, row in taken), default=-1)
    across = max(graph.columns, LOOSE_ACROSS)
    for i, node in enumerate(node for node in graph.nodes.values() if node.key not in joined):
        node.column, node.row = i % across, below + i // across
