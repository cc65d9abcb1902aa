"""A look at a resource as plain text: for a terminal, and as the twin of its page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildflow_nb.cockpit.views.resource_values import figure_said, is_number, stands, value_said
from buildflow_nb.core.resource_look import Content, ResourceLook, size_said

__all__ = ("resource_text",)

WIDEST = 32  # letters of a column
MOST_ROWS = 200
MOST_COLUMNS = 12


def resource_text(look: ResourceLook) -> str:
    """Figures, content, what to know, and the lines of what can be done."""
    return "\n".join(_lines(look))


def _lines(look: ResourceLook) -> Iterator[str]:
    shape, _ = stands(look)
    roles = f" · {', '.join(look.roles)}" if look.roles else ""
    where = f" · {look.place}" if look.place else ""
    yield f"{shape} {look.kind} {look.name}{roles}{where}"
    if not look.there or look.said:
        yield f"  {look.said or look.standing.value}{f' → {look.cure}' if look.cure else ''}"
    if look.figures:
        yield "  " + "   ".join(f"{one.label} {figure_said(one)}" for one in look.figures)
    for content in look.contents:
        yield ""
        yield from _content(content)
    if look.next_page:
        yield f"  there is more: --page {look.next_page}"
    for note in look.notes:
        yield f"  {note}"
    if look.actions:
        yield ""
        wide = max(len(one.label) for one in look.actions)
        yield from (f"  {one.label:<{wide}}  {one.line}" for one in look.actions)


def _content(content: Content) -> Iterator[str]:
    shown = content.columns[:MOST_COLUMNS]
    if content.rows and shown:
        heads = [column.name for column in shown]
        rows = [
            [_cell(column.type, v) for column, v in zip(shown, row, strict=False)]
            for row in content.rows[:MOST_ROWS]
        ]
        right = [
            all(is_number(row[i]) or row[i] is None for row in content.rows)
            for i in range(len(shown))
        ]
        yield f"  {content.title}"
        yield from _table([heads, *rows], right)
    more = len(content.rows) - MOST_ROWS
    columns = len(content.columns) - MOST_COLUMNS
    said = [content.said] if content.said else []
    said += [f"{more:,} more rows"] if more > 0 else []
    said += [f"{columns} more columns"] if columns > 0 and content.rows else []
    if said or not content.rows:
        yield f"  {content.title}: {'; '.join(said) or 'nothing'}"


def _cell(kind: str, value: object) -> str:
    if kind == "bytes" and isinstance(value, int):
        return size_said(value)
    text = value_said(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _table(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    wide = [max(len(row[i]) for row in rows) for i in range(len(right))]
    for row in rows:
        cells = (
            text.rjust(wide[i]) if right[i] else text.ljust(wide[i]) for i, text in enumerate(row)
        )
        yield f"    {'  '.join(cells)}".rstrip()
