"""Which annotations are classes of the web: told by their modules, so that these stay unloaded."""

from __future__ import annotations

__all__ = ("is_starlette_class", "is_upload", "is_web_class")


def is_web_class(hint: object) -> bool:
    """Whether it is one of aiohttp's or starlette's classes."""
    return isinstance(hint, type) and any(
        base.__module__.partition(".")[0] in ("aiohttp", "starlette") for base in hint.__mro__
    )


def is_starlette_class(hint: object) -> bool:
    """Whether it is one of starlette's classes."""
    return isinstance(hint, type) and any(
        base.__module__.partition(".")[0] == "starlette" for base in hint.__mro__
    )


def is_upload(hint: object) -> bool:
    """Whether it is `UploadFile`."""
    return isinstance(hint, type) and any(
        base.__module__ == "starlette.datastructures" and base.__name__ == "UploadFile"
        for base in hint.__mro__
    )
