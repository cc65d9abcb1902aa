"""From where on a flow is not well: `health:` in buildflow.yaml, or `FlowOptions(health=...)`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite

from buildflow_nb.core.errors import ConfigError

__all__ = ("FAILED_SHARE", "Thresholds")

FAILED_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is an error, and of what a person is to be warned.

    A share of elements (0..1) that fail, above which it is an error; below, it is a warning.
    Warnings beyond that: more than `backlog` elements wait at a source; 99 of 100 elements take up
    to more than `p99_s` seconds; nothing has come for `silence_s` seconds. None: whatever it is.

    Raises:
        ConfigError: a field is no number, or out of range; the message names it.
    """

    failed_share: float = FAILED_SHARE
    backlog: int | None = None
    p99_s: float | None = None
    silence_s: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name != "failed_share":
                continue
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not isfinite(value) or value < 0:
                msg = f"Thresholds: {field.name} must be a number of at least 0, got {value!r}"
                raise ConfigError(msg)
        if self.failed_share > 1:
            msg = f"Thresholds: failed_share is from 0 to 1, got {self.failed_share!r}"
            raise ConfigError(msg)
