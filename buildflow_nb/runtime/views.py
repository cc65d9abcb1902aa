"""How elements of one processor may be shown: as they are, or with their secrets masked."""

from __future__ import annotations

__all__ = ("OPEN", "Views")


class Views:
    """Elements without secrets: everything is shown as it is."""

    secret = False

    def element(self, value: object) -> object:
        """An input of the declared type."""
        return value

    def raw(self, value: object) -> object:
        """An input as its source gave it."""
        return value

    def result(self, value: object) -> object:
        """A result."""
        return value

    def text(self, text: str, value: object) -> str:  # noqa: ARG002
        """A text that may quote the input `value`."""
        return text

    def restored(self, shown: object, raw: object) -> object:  # noqa: ARG002
        """What a person made of a shown input, with the secrets that it had."""
        return shown


OPEN = Views()
