"""What a terminal shows in colours: findings as a table, a flow's state as a tree.

Each has a plain twin (`core/findings.py`, `state_text.py`), which says the same to a pipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from buildflow_nb.cli.output.state_text import headline, primitive_facts, processor_line
from buildflow_nb.cli.output.terminal import as_typed_here
from buildflow_nb.core.findings import SHAPES, Finding, Health, counted

__all__ = ("findings_table", "state_tree")

_STYLES = {Health.OK: "green", Health.WARNING: "yellow", Health.ERROR: "bold red"}


def findings_table(findings: Iterable[Finding]) -> Table:
    """One row for each, with what to do about it below."""
    found = list(findings)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, caption_justify="left")
    for one in found:
        style = _STYLES[one.health]
        said = Text(as_typed_here(one.said))
        if one.cure:
            said.append(f"\n→ {as_typed_here(one.cure)}", "dim")
        health = Text(f"{SHAPES[one.health]} {one.health.value}", style)
        table.add_row(health, Text(one.subject, "bold"), said)
    table.caption = Text(counted(found))
    return table


def state_tree(state: Mapping[str, Any], cloud: str = "") -> Tree:
    """Processors in their groups, then primitives."""
    tree = Tree(Text(headline(state, cloud), "bold"))
    processors = tree.add(Text("processors", "cyan"))
    for group in state["processor_group_states"]:
        base = group["group_info"].get("base_route", "")
        branch, route = processors, base
        if group["processor_group_type"] == "service":
            name = f"service {group['processor_group_id']}  {base or '/'}"
            branch, route = processors.add(Text(name)), ""
        for one in group["processor_states"]:
            branch.add(Text(processor_line(one, route)))
    primitives = tree.add(Text("primitives", "cyan"))
    for one in state["primitive_states"]:
        shown = Text(f"{one['primitive_name']} {one['primitive_id']}  ")
        primitives.add(shown.append(primitive_facts(one), "dim"))
    return tree
