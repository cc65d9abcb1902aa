"""What Pub/Sub lets topics and subscriptions be called.

Pub/Sub documentation, "Create a topic", section "Resource names".
"""

from __future__ import annotations

import re

from buildflow_nb.core.errors import DeclarationError

__all__ = ("check_name",)

LEGAL_NAME = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


def check_name(owner: str, name: str) -> None:
    """Raises a `DeclarationError` for a name that Pub/Sub has not; `owner` opens the message."""
    if not LEGAL_NAME.fullmatch(name):
        msg = (
            f"{owner} {name!r}: a name has 3 to 255 letters, digits and '-._~+%', begins with a "
            "letter, and not with 'goog'"
        )
        raise DeclarationError(msg)
