"""Methods of HTTP, for those who do not write them as text."""

from __future__ import annotations

from enum import Enum

__all__ = ("Method",)


class Method(Enum):
    """What a collector or an endpoint answers to; its value, as text, is as good.

    Methods: RFC 9110, section 9.3, and RFC 5789 (PATCH). A WebSocket (RFC 6455) begins with a GET
    that asks for one; only endpoints have them.
    """

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    WEBSOCKET = "WEBSOCKET"
