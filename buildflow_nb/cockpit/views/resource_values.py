"""How figures and values of a look are said, the same in HTML and in plain text."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from decimal import Decimal

from buildflow_nb.cockpit.views import formats
from buildflow_nb.core.resource_look import Binary, Figure, ResourceLook, Standing, size_said

__all__ = ("STANDINGS", "age", "figure_said", "is_number", "stands", "value_said")

STANDINGS = {
    Standing.THERE: ("●", "ok"),
    Standing.ABSENT: ("✕", "err"),
    Standing.ASLEEP: ("■", "mute"),
    Standing.REFUSED: ("▲", "err"),
    Standing.UNREACHED: ("▲", "warn"),
}
UNKNOWN = "not known"
LONGEST = 300  # characters of a value in a table
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def stands(look: ResourceLook) -> tuple[str, str]:
    """Shape and tone of how it stands."""
    return STANDINGS[look.standing]


def figure_said(figure: Figure) -> str:
    """A figure as a person reads it, with what is not exact said."""
    value = figure.value
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        return formats.clean(value, LONGEST)
    if figure.unit == "bytes":
        said = size_said(value)
    elif figure.unit == "s":
        said = age(value)
    elif figure.unit == "/s":
        said = f"{formats.rate(value)}/s"
    else:
        said = f"{value:,.0f}"
    return f"{figure.about} {said}".strip()


def age(seconds: float) -> str:
    """A time in one unit: "13 min"."""
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    if seconds < 2 * DAY_S:
        return f"{seconds / HOUR_S:.0f} h"
    return f"{seconds / DAY_S:.0f} days"


def is_number(value: object) -> bool:
    """Whether a value stands at the right of its column."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def value_said(value: object) -> str:
    """A value in one line; nothing is said for no value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple)):
        value = _json(value)
    if isinstance(value, (str, int, Binary, datetime, date, time)):
        return formats.clean(str(value), LONGEST).replace("\n", " ")
    return formats.shown(value, LONGEST)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return formats.shown(value)
