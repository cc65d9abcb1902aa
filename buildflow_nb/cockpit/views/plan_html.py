"""Changes of primitives as a table: what would be lost above them, what they cost below.

A change is told by a sign and a word as well as by its colour and its shape: a filled square goes,
an outlined one changes, a round one comes. Cloud resources and their properties are folded beneath.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.status.operations import Op
from buildflow_nb.core.status.plan import ORDER, Change, Review
from buildflow_nb.infra.report import SIGNS, changed, loss_of, lost, monthly_of, price_said

__all__ = ("counts_html", "plan_html")

_SHAPES = {
    Op.DELETE: ("d", "\N{MINUS SIGN}", "err"),
    Op.REPLACE: ("d", "±", "err"),
    Op.UPDATE: ("c", "~", "warn"),
    Op.READ: ("c", "?", "mute"),
    Op.CREATE: ("a", "+", "ok"),
}
_STATES = {"failed": "err", "…": "info", "interrupted": "warn"}
MOST_OPEN = 3  # properties that stand in the row itself


def plan_html(
    label: str,
    changes: Sequence[Change],
    review: Review | None,
    warned: Sequence[str] = (),
    states: Mapping[str, str] | None = None,
) -> str:
    """The changes; with `states`, by primitive, how far each is."""
    bands = [
        f'<div class="band err" role="alert"><i class="shape" aria-hidden="true">▲</i> '
        f"{quote(one.removeprefix('! '))}</div>"
        for one in lost(review)
    ]
    bands += [f'<div class="err pad">{quote(one)}</div>' for one in warned]
    priced = any(monthly_of(review, change) for change in changes)
    heads: list[markup.Cell] = [("change", "l"), ("resource", "l"), ("what happens", "l")]
    heads += [("a month", "")] if priced else []
    heads += [("state", "")] if states is not None else []
    rows = [_row(change, review, states, priced=priced) for change in changes]
    table = markup.table(label, heads, rows) if rows else ""
    said = price_said(review)
    sources = (
        ""
        if review is None
        else "".join(f"<li>{quote(source)}</li>" for source in review.price.sources)
    )
    foot = ""
    if said:
        more = f"<details><summary>where from</summary><ul>{sources}</ul></details>"
        foot = f"<footer><span>{quote(said)}</span>{more if sources else ''}</footer>"
    return "".join([*bands, table, foot])


def counts_html(counts: Mapping[Op, int]) -> str:
    """The counts as signs: -2 ~1 +4, said in words for those who do not see them."""
    counts = {op: counts[op] for op in ORDER if counts.get(op)}
    label = ", ".join(f"{count} to {op.value}" for op, count in counts.items())
    parts = "".join(
        f'<span class="{_SHAPES[op][2]}">{_SHAPES[op][1]}{count}</span>'
        for op, count in counts.items()
    )
    return f'<span class="counts" role="img" aria-label="{quote(label)}">{parts}</span>'


def _row(
    change: Change, review: Review | None, states: Mapping[str, str] | None, *, priced: bool
) -> list[markup.Cell]:
    shape, sign, tone = _SHAPES.get(change.op, ("c", SIGNS.get(change.op, ""), "mute"))
    first = (
        f'<span class="sg {shape}" aria-hidden="true">{sign}</span>'
        f'<span class="{tone}">{change.op.value}</span>'
    )
    name = f'<b>{quote(change.name)}</b> <span class="mute">{quote(change.kind)}</span>'
    cells: list[markup.Cell] = [(first, "l"), (name, "w"), ("".join(_happens(change, review)), "w")]
    if priced:
        basis = ""
        if review is not None and change.owner in review.price.by_owner:
            basis = review.price.by_owner[change.owner].basis
        monthly = quote(monthly_of(review, change))
        cells.append((f'<span title="{quote(basis)}">{monthly}</span>', ""))
    if states is not None:
        state = states.get(change.owner, "")
        cells.append((quote(state), _STATES.get(state, "mute")))
    return cells


def _happens(change: Change, review: Review | None) -> Iterator[str]:
    """What is lost, the properties that change, and the cloud resources, folded."""
    loss = loss_of(review, change)
    if loss:
        yield f'<b class="err">{quote(loss)}</b>'
    changing = [one for step in change.steps for one in step.changes if one.old is not None]
    for one in changing[:MOST_OPEN]:
        yield f'<div class="warn">{quote(changed(one))}</div>'
    yield _folded(change)


def _folded(change: Change) -> str:
    count = len(change.steps)
    kinds = ", ".join(step.type.rpartition(":")[2] for step in change.steps[:4])
    more = f" and {count - 4} more" if count > 4 else ""  # noqa: PLR2004  (as many as are named)
    noun = "cloud object" if count == 1 else "cloud objects"
    rows = "".join(
        f"<div>{quote(_sign(step.op, change.op))}{quote(step.type)} {quote(step.name)}</div>"
        + "".join(f"<div>&emsp;<code>{quote(changed(one))}</code></div>" for one in step.changes)
        for step in change.steps
    )
    head = f'<summary class="mute small">{count} {noun}: {quote(kinds)}{more}</summary>'
    return f"<details>{head}{rows}</details>"


def _sign(op: Op, of: Op) -> str:
    return "" if op is of else f"{SIGNS.get(op, '')} {op.value} "
