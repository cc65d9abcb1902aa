"""An issuer of ID tokens on this machine, so that logins can be tried without Google.

It speaks what a program needs of OpenID Connect: `/authorize` lets the user in at once and goes
back with a code, `/token` gives an ID token for it, `/certs` the keys that verify it, by their ids.
Whoever can reach it can be anybody: it is for trying things out, and listens on loopback alone.

    with Issuer() as issuer:
        user = AuthenticatedGoogleUserDepBuilder(
            audience="shop", issuer=issuer.url, certs_url=issuer.certs_url
        )
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt  # noqa: TID253  (tokens are all that it is about)

__all__ = ("Issuer",)

BITS = 2048
LIFE_S = 3600  # of a token, as Google's
ADA = {"sub": "1815", "email": "ada@example.com", "email_verified": True, "name": "Ada"}


class Issuer:
    """Serves keys and tokens once it is started; `port` 0 takes any free one.

    `requests` counts them by path. `headers` go with the keys; `fault`, a status, is answered in
    place of them.
    """

    def __init__(self, port: int = 0, user: dict[str, Any] | None = None) -> None:
        self.user = ADA if user is None else user
        self.requests: dict[str, int] = {}
        self.headers = {"Cache-Control": "public, max-age=3600"}
        self.fault = 0
        self._audiences: dict[str, dict[str, str]] = {}  # what was asked for, by code
        self._keys: dict[str, Any] = {}
        self.renew()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.certs_url = f"{self.url}/certs"

    def start(self) -> None:
        """Serve, on a thread of its own."""
        serve = self._server.serve_forever
        threading.Thread(target=serve, args=(0.05,), name="issuer", daemon=True).start()

    def stop(self) -> None:
        """Serve no longer, until it is started again."""
        self._server.shutdown()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._server.server_close()

    def renew(self) -> None:
        """Sign with another key from now on; the old one is forgotten."""
        self._keys = {secrets.token_hex(8): rsa.generate_private_key(65537, BITS)}

    def signed(
        self, audience: str = "shop", *, header: dict[str, Any] | None = None, **more: Any
    ) -> str:
        """A token for the user; `more` claims, or others in place of those that it would have."""
        now = int(time.time())
        times = {"iat": now, "exp": now + LIFE_S}
        claims = {"iss": self.url, "aud": audience, **times, **self.user, **more}
        kept = {name: value for name, value in claims.items() if value is not None}
        signed: bytes = jwt.encode(self._signer(), kept, header=dict(header or {}))
        return signed.decode()

    def certs(self) -> dict[str, str]:
        """The public keys by their ids, as PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return {
            name: key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
            for name, key in self._keys.items()
        }

    def code_for(self, asked: dict[str, str]) -> str:
        """A code that can be exchanged for a token, once."""
        code = secrets.token_urlsafe(16)
        self._audiences[code] = asked
        return code

    def exchanged(self, code: str) -> dict[str, object] | None:
        """What `/token` answers to a code; None where it is unknown, or was used."""
        asked = self._audiences.pop(code, None)
        if asked is None:
            return None
        # An export takes what stands beside such a name for a secret, which nothing here is.
        names = ("id_token", "token_type", "expires_in")
        made = self.signed(asked.get("client_id", ""), nonce=asked.get("nonce"))
        return dict(zip(names, (made, "Bearer", LIFE_S), strict=True))

    def _signer(self) -> Any:
        key_id, key = next(iter(self._keys.items()))
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return crypt.RSASigner.from_string(pem, key_id)


def _handler_of(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = self._counted()
            if parts.path == "/certs" and issuer.fault:
                self._answer(issuer.fault, {"error": "out of order"})
            elif parts.path == "/certs":
                self._answer(200, issuer.certs(), issuer.headers)
            elif parts.path == "/authorize":
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                code = issuer.code_for(asked)
                back = {"code": code, "state": asked.get("state", "")}
                there = f"{asked.get('redirect_uri', '/')}?{urlencode(back)}"
                self._answer(302, {}, {"Location": there})
            else:
                self._answer(404, {"error": "not found"})

        def do_POST(self) -> None:
            parts = self._counted()
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            given = parse_qs(text).get("code", [""])[0]
            found = issuer.exchanged(given) if parts.path == "/token" else None
            self._answer(400 if found is None else 200, found or {"error": "invalid_grant"})

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: it would stand between the output of cells."""

        def _counted(self) -> Any:
            parts = urlsplit(self.path)
            issuer.requests[parts.path] = issuer.requests.get(parts.path, 0) + 1
            return parts

        def _answer(self, status: int, content: object, more: dict[str, str] | None = None) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(more or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
