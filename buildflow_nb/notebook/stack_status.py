"""`%buildflow status`: the run's snapshot, and the stack as it is, which outlives the kernel."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from buildflow_nb.cockpit.views import formats, markup, snapshot_view
from buildflow_nb.cockpit.views.markup import Cell, quote
from buildflow_nb.core.status.health import HealthLine
from buildflow_nb.core.status.snapshot import FlowSnapshot
from buildflow_nb.core.status.stack_view import StackResource, StackView
from buildflow_nb.infra.stack_text import stack_facts, stack_text

__all__ = ("Status",)


@dataclass(frozen=True, slots=True)
class Status(FlowSnapshot):
    """A snapshot with what the stack holds; shows both."""

    resources: StackView
    health: HealthLine | None = None

    @classmethod
    def of(cls, snapshot: FlowSnapshot, view: StackView, health: HealthLine | None = None) -> Self:
        """The two together, with how the run is."""
        known = {field.name: getattr(snapshot, field.name) for field in fields(FlowSnapshot)}
        return cls(**known, resources=view, health=health)

    def text(self) -> str:
        """Both as text."""
        return f"{snapshot_view.text(self, self.health)}\n\n{stack_text(self.resources)}"

    def html(self) -> str:
        """Both as cards."""
        return f"{snapshot_view.html(self, health=self.health)}{_card(self.resources)}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display({"text/plain": self.text(), "text/html": self.html()}, raw=True)  # type: ignore[no-untyped-call]


def _card(view: StackView) -> str:
    title = f"Stack {view.stack}"
    heads: list[Cell] = [("primitive", "l"), ("resource", "l"), ("id", "l")]
    rows = [_row(resource) for resource in view.resources]
    body = markup.table(title, heads, rows) if rows else ""
    notes = [line.strip() for line in stack_text(view).splitlines() if "▲" in line]
    foot = "".join(f'<div class="warn">{quote(note)}</div>' for note in notes)
    return markup.card(title, f"<b>{quote(stack_facts(view))}</b>", body, foot)


def _row(one: StackResource) -> list[Cell]:
    owner = quote(one.owner or formats.NOTHING)
    if one.url.startswith("https://"):
        owner = f'<a href="{quote(one.url)}" target="_blank" rel="noreferrer">{owner}</a>'
    named = f"{quote(one.type)}<div>{quote(one.name)}</div>"
    return [(owner, "w"), (named, "w"), (f"<code>{quote(one.id)}</code>", "w")]
