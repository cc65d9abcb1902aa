"""Cells that declare a part of the flow, and failed: the program would lack it without a word.

What such a cell declared is not in the flow either, since a cell's declarations hold only when all
of it has run. Another cell that declares the same is its mended version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from buildflow_nb.export.cells.matching import defined_in
from buildflow_nb.export.findings import Findings

__all__ = ("refuse_failed",)

_DECLARES = re.compile(
    r"^[ \t]*(?:%%buildflow\b|@?app\.(?:consumer|collector|endpoint|service|manage|add_\w+)\b)",
    re.M,
)
_ADDED = re.compile(r"\bapp\.(?:manage|add_\w+)\s*\(\s*(\w+)")


def refuse_failed(
    failed: Iterable[tuple[str, str]], exported: Sequence[tuple[str, str]], findings: Findings
) -> None:
    """Refuse cells, told by label and source, that failed and declare what no other one does."""
    for label, source in failed:
        others = [_declared(other) for name, other in exported if name != label]
        found, declared = _DECLARES.search(source), _declared(source)
        if found is None or (declared and declared <= frozenset().union(*others)):
            continue
        line = source.count("\n", 0, found.start()) + 1
        findings.refuse(
            f"{label} line {line}: the cell declares a part of the flow and failed when it ran "
            "last, so that part is not there; mend it and run it, or delete it"
        )


def _declared(source: str) -> frozenset[str]:
    """What a cell that declares defines, or hands to the flow."""
    if _DECLARES.search(source) is None:
        return frozenset()
    return defined_in(source) | frozenset(_ADDED.findall(source))
