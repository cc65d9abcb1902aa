"""What a page shows, piece by piece, and what of it is new.

A page is told pieces that changed, and the order where that changed; so an update of a flow with
hundreds of processors holds a few rows, and a page that was told everything once stays true.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ("Pieces",)


class Pieces:
    """The pieces that the pages of one view were told, by name and in order."""

    def __init__(self, parts: Mapping[str, str]) -> None:
        self.told = dict(parts)
        self.label = ""

    def whole(self) -> dict[str, Any]:
        """The message that tells everything."""
        return {"put": dict(self.told), "order": list(self.told), "label": self.label}

    def news(self, label: str, parts: Mapping[str, str]) -> dict[str, Any] | None:
        """The message that makes of what was told what is to be shown; None where nothing is new.

        `told` is changed in place, since it is a widget's state, too.
        """
        put = {name: html for name, html in parts.items() if self.told.get(name) != html}
        order = list(parts) if list(parts) != list(self.told) else None
        if not put and order is None and label == self.label:
            return None
        self.label = label
        if order is None:
            self.told.update(put)
        else:
            self.told.clear()
            self.told.update(parts)
        message: dict[str, Any] = {"put": put}
        if order is not None:
            message["order"] = order
        return message | {"label": label}
