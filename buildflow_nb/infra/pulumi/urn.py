"""What a resource's URN says: `urn:pulumi:STACK::PROJECT::TYPE::NAME`, where NAME may hold colons.

Pulumi documentation, "Resource names", section "Resource URNs".
"""

from __future__ import annotations

__all__ = ("APPLIED_BY", "COMPONENT", "name_of", "owner_of")

COMPONENT = "buildflow:"  # begins the type of a primitive's own node
APPLIED_BY = "applied_by"  # the output of that node which says who applied it last


def name_of(urn: str) -> str:
    """The name in the program."""
    return urn.split("::", 3)[-1]


def owner_of(urn: str) -> str:
    """The primitive whose component a URN names, as `CLASS ID`, or "" if it names another."""
    kind = urn.split("::", 3)[2:3]
    if not kind or "$" in kind[0] or not kind[0].startswith(COMPONENT):
        return ""
    return f"{kind[0].removeprefix(COMPONENT)} {name_of(urn)}"
