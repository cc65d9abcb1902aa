"""All resources that a flow knows, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.flow.resources import ResourceState

__all__ = ("ResourceList",)

_HEADS: list[markup.Cell] = [("name", "l"), ("what it is", "l"), ("used as", "l"), ("state", "l")]
_TONES = {"applied": "ok", "not applied": "warn", "not declared": "err"}


class ResourceList(Sequence[ResourceState]):
    """A list that shows itself as a table."""

    def __init__(self, found: Sequence[ResourceState], title: str) -> None:
        self._found = found
        self._title = title

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, index: Any) -> Any:
        return self._found[index]

    def __repr__(self) -> str:
        lines = [f"resources · {self._title}"]
        for one in self._found:
            roles = ", ".join(one.roles)
            lines.append("  " + "  ".join(filter(None, (one.name, one.key, roles, one.state))))
        return "\n".join([*lines, "%buildflow look NAME shows one"])

    def _repr_html_(self) -> str:
        rows: list[list[markup.Cell]] = [
            [
                (f"<b>{quote(one.name)}</b>", "l"),
                (quote(one.key), "w"),
                (quote(", ".join(one.roles)), "w"),
                (f'<span class="{_TONES.get(one.state, "mute")}">{quote(one.state)}</span>', "l"),
            ]
            for one in self._found
        ]
        foot = markup.live("copy as cell", "%buildflow look NAME")
        body = markup.table(self._title, _HEADS, rows)
        return markup.card(f"resources · {self._title}", f"<b>{quote(self._title)}</b>", body, foot)
