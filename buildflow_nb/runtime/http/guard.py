"""Keeps strange pages away from a server on a loopback address.

Such a server is reachable by every page that the browser on this machine shows, so it asks three
questions, each of another header:

* `Host` (RFC 9110 section 7.2) is the name that was called. It must be one of this machine's: an IP
  address, `localhost` or one of `allowed_hosts`. That ends DNS rebinding, since no name resolves to
  a number.
* `Origin` (RFC 6454 section 7) is the site whose page calls. It must be a loopback one or the
  server's own, which is the site that `Host` names, or one of `allowed_hosts`. An IP address alone
  says nothing here: anybody may have a page on one.
* `Sec-Fetch-Site` (W3C Fetch Metadata, section 2.3) tells that the page is of another site where
  browsers send no `Origin`: for images, frames, scripts and links. Such a request never writes:
  no method but GET and HEAD passes, and neither reaches a collector. An endpoint is reached by a
  link that a person follows, and from pages whose `Referer` is a loopback one; `/docs`, which
  changes nothing, always is.

Where a browser sends neither of the last two, a `Referer` (RFC 9110 section 10.1.3) that it does
send must be a known one for what writes. A client that is no browser sends none of the three. A
server bound to another address leaves all this to whatever stands before it; so does one on a
JupyterHub, where no browser runs on this machine and the hub's proxy sends its own name.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiohttp import hdrs, web
from multidict import istr

from buildflow_nb.runtime.http.response import error_response
from buildflow_nb.runtime.plan import is_loopback

__all__ = ("SAFE_METHODS", "Guard")

CACHED_HOSTS = 64  # Host values remembered as good
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")  # RFC 9110 section 9.2.1; TRACE is not served
_SITE = istr("Sec-Fetch-Site")
_NAME = r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])"
_HOST = re.compile(rf"{_NAME}(?::(?P<port>[0-9]*))?", re.IGNORECASE | re.ASCII)
_ORIGIN = re.compile(
    rf"(?P<scheme>https?)://{_NAME}(?::(?P<port>[0-9]{{1,5}}))?", re.IGNORECASE | re.ASCII
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class _Origin(NamedTuple):
    scheme: str
    name: str
    port: str


class Guard:
    """Knows who is a stranger to a server on `host`.

    `allowed_hosts` are further names of that server; "*" allows everybody.
    """

    def __init__(self, host: str, allowed_hosts: Sequence[str] = ()) -> None:
        on_hub = "JUPYTERHUB_SERVICE_PREFIX" in os.environ
        self._on = is_loopback(host) and not on_hub and "*" not in allowed_hosts
        self._allowed = {name.lower() for name in allowed_hosts}
        self._good_hosts: set[str | None] = {None}  # HTTP/1.0 has no Host, and no browser

    def refusal(
        self,
        request: web.BaseRequest,
        admits: Callable[[web.BaseRequest, str], bool] | None = None,
    ) -> web.Response | None:
        """The answer to a stranger, or None; with it the connection is closed, unread.

        `admits` says whether pages of an origin that is strange are let in all the same.
        """
        headers = request.headers
        host = headers.get(hdrs.HOST)
        plain = hdrs.ORIGIN not in headers and _SITE not in headers and hdrs.REFERER not in headers
        if not self._on or (plain and host in self._good_hosts):
            return None
        for name in headers.getall(hdrs.HOST, ()):
            if not self._is_here(name):
                msg = f"the name {name[:100]!r} is not served; add it to allowed_hosts to allow it"
                return error_response(403, msg, close=True)
        if len(self._good_hosts) < CACHED_HOSTS:
            self._good_hosts.add(host)
        origins = headers.getall(hdrs.ORIGIN, ())
        if origins:
            known = len(origins) == 1 and (
                self._is_known(origins[0], host)
                or (admits is not None and admits(request, origins[0]))
            )
        elif request.method in SAFE_METHODS:
            known = True
        elif _SITE not in headers and hdrs.REFERER in headers:
            known = self._referred(request)
        else:
            known = not self._from_elsewhere(request)
        return None if known else _strange_page()

    def reading_refusal(self, request: web.BaseRequest, *, writes: bool) -> web.Response | None:
        """The answer to a GET or HEAD of a strange page's that `refusal` could not tell.

        `writes` is whether what it asks for writes, whatever its method.
        """
        headers = request.headers
        if not self._on or hdrs.ORIGIN in headers:
            return None
        if not self._from_elsewhere(request):
            referrer = headers.get(hdrs.REFERER)  # of a browser that sends no Sec-Fetch-Site
            if not writes or _SITE in headers or referrer is None or self._referred(request):
                return None
            return _strange_page()
        if not writes and (_is_followed(request) or self._referred(request)):
            return None
        return _strange_page()

    def _is_here(self, host: str) -> bool:
        """Whether a `Host` names this machine."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = _plain(found["name"])
        return _is_local_name(name) or name in self._allowed or _address(name) is not None

    def _is_known(self, origin: str, host: str | None) -> bool:
        """Whether an `Origin` is a loopback one or the server's own."""
        found = _parse_origin(origin)
        if found is None:
            return False
        if _is_loopback_name(found.name) or found.name in self._allowed:
            return True
        own = _HOST.fullmatch(host or "")
        if own is None:
            return False
        port = own["port"] or _DEFAULT_PORTS[found.scheme]
        return (found.name, found.port) == (_plain(own["name"]), port)

    def _from_elsewhere(self, request: web.BaseRequest) -> bool:
        """Whether the browser says that the page is of a site that is neither here nor loopback."""
        said = ",".join(request.headers.getall(_SITE, ())).lower()
        if "same-site" in said:  # the same machine by another port: fine where that is loopback
            found = _HOST.fullmatch(request.headers.get(hdrs.HOST, ""))
            return found is None or not _is_loopback_name(_plain(found["name"]))
        return "cross-site" in said

    def _referred(self, request: web.BaseRequest) -> bool:
        """Whether the page says itself that it is a known one."""
        said = request.headers.getall(hdrs.REFERER, ())
        site = "/".join(said[0].split("/", 3)[:3]) if len(said) == 1 else ""
        return self._is_known(site, request.headers.get(hdrs.HOST))


def _strange_page() -> web.Response:
    return error_response(403, "pages of other sites may not call this server", close=True)


def _is_followed(request: web.BaseRequest) -> bool:
    """Whether a person sees where it leads: a link, not an image or a hidden frame."""
    headers = request.headers
    modes = headers.getall("Sec-Fetch-Mode", ()), headers.getall("Sec-Fetch-Dest", ())
    return modes == (["navigate"], ["document"])


def _parse_origin(origin: str) -> _Origin | None:
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    return _Origin(scheme, _plain(found["name"]), found["port"] or _DEFAULT_PORTS[scheme])


def _plain(name: str) -> str:
    """A name without its brackets and the dot of the root."""
    return name.lower().strip("[]").removesuffix(".")


def _is_local_name(name: str) -> bool:
    """Whether browsers take a name for this machine without asking DNS (RFC 6761 section 6.3)."""
    return name == "localhost" or name.endswith(".localhost")


def _is_loopback_name(name: str) -> bool:
    address = _address(name)
    if address is None:
        return _is_local_name(name)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
