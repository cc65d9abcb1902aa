"""What all of a graph's picture shares: the snapshot, what is folded, and how a node looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from buildflow_nb.cockpit.views import formats
from buildflow_nb.cockpit.views.graph import Node
from buildflow_nb.cockpit.views.icons import icon, kind_of, symbol
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.processor_words import left, word_of
from buildflow_nb.core.status.snapshot import ProcessorSnapshot, State

__all__ = (
    "LONGEST",
    "Badge",
    "Drawing",
    "Folds",
    "face",
    "processor_face",
    "resource_face",
    "wide",
)

LONGEST = 40  # characters of a name that are sent; the style sheet cuts what does not fit
_WIDEST = 10.0  # pixels of an edge

Badge = Callable[[Node], tuple[str, str]]  # of a managed node: what is said of it, and its tone


@dataclass(frozen=True, slots=True)
class Folds:
    """What a person has folded or unfolded: lanes by name, and whether groups are open.

    `query` is what the search holds, whose finds are framed; `selected` the open processor.
    """

    lanes: frozenset[str] = frozenset()
    unfolded: bool = False
    query: str = ""
    selected: str = ""


@dataclass(slots=True)
class Drawing:
    """What all parts of one picture share."""

    found: Mapping[str, ProcessorSnapshot]
    badge: Badge
    live: bool
    folds: Folds
    counts: Mapping[str, str]


def wide(per_s: float) -> float:
    """Pixels of an edge over which so many elements go in a second."""
    return min(1.5 + 2.0 * math.log10(1 + per_s), _WIDEST)


def processor_face(node: Node, drawing: Drawing) -> tuple[str, str]:
    """How a processor looks: its HTML, and the classes of its box."""
    shot = drawing.found.get(node.title)
    if shot is None:
        return face(icon("none", "mute"), node.title, node.note), ""
    word = word_of(shot)
    version = f"<em>v{shot.version}</em>"
    if shot.failed and word.shape == "fail":
        sub = f"{word.text} · {formats.brief(shot.failed)}"
    elif shot.state is State.WAITING or shot.state is State.FAILED:
        sub = shot.reason or word.text
    elif shot.state is State.RUNNING:
        time_ = formats.latency(shot.p50_s) if shot.p50_s is not None else ""
        sub = " · ".join(filter(None, (node.note, left(shot) or time_)))
    else:
        sub = f"{node.note} · {word.text}"
    tone = {"err": "bad", "warn": "wait"}.get(word.tone, "")
    return face(word.icon, node.title, sub, version), tone


def resource_face(node: Node, drawing: Drawing) -> tuple[str, str]:
    """How a primitive looks: its HTML, and the classes of its box."""
    picture, called = kind_of(node.note)
    count, classes, mark = drawing.counts.get(node.key, ""), "res", symbol(picture)
    sub = " · ".join(filter(None, (called, count)))
    if node.managed:
        said, tone = drawing.badge(node)
        if tone == "warn":
            classes, mark = "res new", icon("none", "mute")
            sub = f"{called} · {said}"
        elif not count:
            sub = f"{called} · {said}"
    return face(mark, node.title, sub), classes


def face(mark: str, title: str, sub: str, end: str = "") -> str:
    """Two lines of a node: a mark with its name, and what is said of it."""
    return (
        f'<span class="t">{mark}<span class="cut">{quote(title, LONGEST)}</span>{end}</span>'
        f'<span class="s cut">{quote(sub, 60)}</span>'
    )
