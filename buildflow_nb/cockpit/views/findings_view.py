"""What a check found, as a list that looks like a table: shape, word and colour, and each cure."""

from __future__ import annotations

from collections.abc import Iterable

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.markup import Cell, quote
from buildflow_nb.core.findings import SHAPES, Finding, Health, counted, told

__all__ = ("Findings", "findings_table", "warn")

_TONES = {Health.OK: "ok", Health.WARNING: "warn", Health.ERROR: "err"}


class Findings(list[Finding]):
    """Findings with a title; `repr` and HTML show each with how to mend it."""

    def __init__(self, findings: Iterable[Finding], title: str) -> None:
        super().__init__(findings)
        self.title = title

    def __repr__(self) -> str:
        return "\n".join(filter(None, (self._head(), formats.clean(told(self)))))

    def _repr_html_(self) -> str:
        body = findings_table(self, self.title) if self else ""
        return markup.card(self.title, f"<b>{quote(self._head())}</b>", body)

    def _head(self) -> str:
        return f"{self.title} · {counted(self)}"


def findings_table(findings: Iterable[Finding], label: str = "check") -> str:
    """A row a finding, as HTML for any card."""
    heads: list[Cell] = [("state", "l"), ("what", "l"), ("how it is, and what to do", "l")]
    return markup.table(label, heads, [_row(finding) for finding in findings])


def warn(findings: Iterable[Finding], title: str = "before the run") -> None:
    """Show what is not well under the cell; nothing where all is."""
    found = Findings([one for one in findings if one.health is not Health.OK], title)
    if found:
        from IPython.display import display

        display(found)  # type: ignore[no-untyped-call]


def _row(finding: Finding) -> list[Cell]:
    shape = f'<i aria-hidden="true">{SHAPES[finding.health]}</i>'
    tone = _TONES[finding.health]
    state = f'<span class="chip {tone}">{shape}{finding.health.value}</span>'
    cure = f"<div><b>{quote(finding.cure)}</b></div>" if finding.cure else ""
    return [(state, "l"), (quote(finding.subject), "w"), (quote(finding.said) + cure, "w")]
