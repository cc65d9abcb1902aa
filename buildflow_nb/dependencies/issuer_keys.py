"""The public keys of an issuer of tokens: fetched once, kept as long as the issuer says.

* Keys are used for as long as `Cache-Control: max-age` allows (RFC 9111 section 5.2.2.1), and no
  longer. When a fifth of that is left they are fetched anew, with nobody waiting, so that an issuer
  that is out of reach for a moment is not noticed.
* A token that names a key which is not there has them fetched, too, since issuers change their
  keys; not more often than every 30 seconds, since anybody can name any key.
* There is one fetch at a time, for all who wait, on a thread of its own. It has a deadline, and
  after one that failed there is a pause.

What is fetched are certificates by key id, as Google gives them at `/oauth2/v1/certs`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from buildflow_nb.core.errors import DeclarationError, TemporaryError, told
from buildflow_nb.dependencies.daemon_thread import begin

__all__ = ("PAUSE_S", "IssuerKeys", "KeySet")

FETCH_S = 5.0  # for an answer: it takes 0.1 s, and a request waits for it
PAUSE_S = 5.0  # after a fetch that failed
ANEW_S = 30.0  # between fetches for keys that are not there
LIFE_S = (60.0, 86_400.0)  # that keys are kept, at least and at most
SPARE = 0.2  # of that, when they are fetched anew
LONGEST = 1024 * 1024  # bytes of an answer; Google's has 3 KiB
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_MAX_AGE = re.compile(r"\bmax-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeySet:
    """Certificates by key id, as JSON; times are of a monotonic clock."""

    body: bytes
    ids: frozenset[str]
    since: float
    until: float

    def spent(self, now: float) -> bool:
        """Whether they should be fetched anew while they still count."""
        return now > self.until - (self.until - self.since) * SPARE


class IssuerKeys:
    """The keys at `url`; used by any number of loops.

    Raises:
        DeclarationError: `url` is neither https nor an address of this machine.
    """

    def __init__(self, url: str, now: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        self._local = parts.hostname in LOOPBACK
        if parts.scheme != "https" and not (parts.scheme == "http" and self._local):
            msg = f"the keys of an issuer must come over https, got {url!r}"
            raise DeclarationError(msg)
        self._url = url
        self._now = now
        self._lock = threading.Lock()
        self._kept: KeySet | None = None
        self._fetching: Future[KeySet | Exception] | None = None
        self._begun = self._failed = float("-inf")

    async def having(self, key_id: object) -> KeySet:
        """Keys that count, fetched anew for a `key_id` that is not among them, where that is due.

        Raises:
            TemporaryError: they cannot be had for now.
        """
        kept, now = self._kept, self._now()
        if kept is None or now >= kept.until:
            return await self._wait(now)
        if isinstance(key_id, str) and key_id not in kept.ids and now - kept.since >= ANEW_S:
            return await self._wait(now)
        if kept.spent(now):
            self._fetch(now)
        return kept

    async def _wait(self, now: float) -> KeySet:
        fetching = self._fetch(now)
        if fetching is None:
            msg = "the keys of the issuer could not be fetched a moment ago"
            raise TemporaryError(msg)
        waiting = asyncio.wrap_future(fetching)
        done, _ = await asyncio.wait({waiting}, timeout=FETCH_S)
        found = waiting.result() if done else TimeoutError(f"no answer within {FETCH_S:g} s")
        if isinstance(found, Exception):
            msg = f"the keys of the issuer cannot be fetched from {self._url}: {told(found)}"
            raise TemporaryError(msg) from found
        return found

    def _fetch(self, now: float) -> Future[KeySet | Exception] | None:
        """The fetch that is under way, begun if need be; None during the pause after a failure."""
        with self._lock:
            under_way = self._fetching is not None and not self._fetching.done()
            if under_way and now - self._begun < FETCH_S:
                return self._fetching
            if now - self._failed < PAUSE_S:
                return None
            self._begun = now
            self._fetching = begin(self._fetched, "issuer keys")
            return self._fetching

    def _fetched(self) -> KeySet | Exception:
        """Fetch; what fails is given, not raised, since perhaps nobody waits any more."""
        try:
            headers, body = _get(self._url, direct=self._local)
            now = self._now()
            kept = KeySet(body, _ids_in(body), now, now + _life(headers))
        except Exception as error:  # noqa: BLE001  (network, TLS, JSON: all mean the same)
            with self._lock:
                self._failed = self._now()
            _log.warning("the keys of %s cannot be fetched: %s", self._url, told(error))
            return error
        with self._lock:
            self._kept = kept
        return kept


def _get(url: str, *, direct: bool) -> tuple[Mapping[str, str], bytes]:
    """Headers and body of an answer; `direct` goes by no proxy."""
    import google.oauth2.id_token  # noqa: F401  (loaded here, since the loop must not wait for it)
    import requests
    from google.auth.transport.requests import Request

    with requests.Session() as session:
        session.trust_env = not direct
        transport: Any = Request(session)
        answer = transport(url, method="GET", timeout=FETCH_S)
        if answer.status != requests.codes.ok:
            msg = f"it answers {answer.status}"
            raise ValueError(msg)
        return answer.headers, answer.data


def _ids_in(body: bytes) -> frozenset[str]:
    """The ids of the keys.

    Raises:
        ValueError: these are no certificates by key id.
    """
    if len(body) > LONGEST:
        msg = f"it answers with more than {LONGEST} bytes"
        raise ValueError(msg)
    found = json.loads(body)
    if not isinstance(found, dict) or not found:
        msg = "it does not answer with certificates by key id"
        raise ValueError(msg)
    if not all(isinstance(value, str) for value in found.values()):
        msg = "it answers with a JWK set; name the address of its PEM certificates"
        raise ValueError(msg)
    return frozenset(found)


def _life(headers: Mapping[str, str]) -> float:
    """Seconds that an answer may be used for."""
    least, most = LIFE_S
    found = _MAX_AGE.search(headers.get("Cache-Control", ""))
    age = headers.get("Age", "")
    seconds = (int(found[1]) if found else 0) - (int(age) if age.isdecimal() else 0)
    return float(min(max(seconds, least), most))
