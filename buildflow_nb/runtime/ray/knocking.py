"""Whether the head of a cluster listens at an address; Ray itself takes half a minute to say no.

A head speaks HTTP/2, so it answers the preface of a connection with its settings. What answers
otherwise is another server, such as the page that a cluster has for people.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

__all__ = ("knock",)

EMPTY_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + EMPTY_SETTINGS
SETTINGS = b"\x04"  # the kind of a frame, its fourth byte


async def knock(host: str, port: int, environ: Mapping[str, str] = os.environ) -> str:
    """What is wrong with what listens there; "" if it may be a head.

    Raises:
        OSError: nothing listens there.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        if environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return ""
        writer.write(PREFACE)
        frame = await reader.readexactly(len(EMPTY_SETTINGS))
    except (asyncio.IncompleteReadError, ConnectionError):
        frame = b""
    finally:
        writer.close()
    return "" if frame[3:4] == SETTINGS else "what listens there is none"
