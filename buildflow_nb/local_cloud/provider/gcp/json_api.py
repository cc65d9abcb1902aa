"""The JSON APIs of Google's services, as far as resources need them.

Calls go straight to the endpoint: no proxy of the environment, no redirect, a deadline each. They
carry no credentials of the user's; a server of the local cloud that has a password gets that.

Source: Cloud Storage JSON API v1 reference; BigQuery REST reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError

__all__ = ("JsonAPI", "ServiceRefusedError")

CALL_S = 10.0  # an emulator answers in milliseconds; only a hanging one reaches it
CONNECTIONS = 16  # as many as the server has threads
ERROR = 400  # HTTP statuses from here on are refusals
NOT_FOUND = 404
SHOWN = 200  # characters of an answer that is not JSON


class ServiceRefusedError(InfraError):
    """A service answered with an error status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class JsonAPI:
    """The API of a service at a base URL such as `http://127.0.0.1:4443/storage/v1/`."""

    def __init__(self, base: str, service: str, password: Secret | None = None) -> None:
        self._base = base.rstrip("/")
        self._service = service
        self._password = password
        self._http = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            block=False,
            timeout=urllib3.Timeout(CALL_S),
            retries=urllib3.Retry(total=1, redirect=0, status=0, raise_on_redirect=False),
        )

    def get(self, *path: str, **query: str) -> dict[str, Any] | None:
        """A resource, or `None` where there is none.

        Raises:
            ServiceRefusedError: it cannot be had, but not because it is not there.
            InfraError: no answer came.
        """
        try:
            return self.call("GET", *path, query=query)
        except ServiceRefusedError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def delete(self, *path: str, **query: str) -> None:
        """Delete a resource; one that is not there is no error.

        Raises:
            ServiceRefusedError: it cannot be deleted.
            InfraError: no answer came.
        """
        try:
            self.call("DELETE", *path, query=query)
        except ServiceRefusedError as error:
            if error.status != NOT_FOUND:
                raise

    def call(
        self,
        method: str,
        *path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request, give the JSON of the answer (empty where there is none).

        Raises:
            ServiceRefusedError: the answer is an error.
            InfraError: no answer came.
        """
        url = "/".join([self._base, *(quote(part, safe="") for part in path)])
        if query:
            url = f"{url}?{urlencode(query)}"
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"} if data is not None else {}
        if self._password is not None:
            headers["Authorization"] = f"Bearer {self._password.reveal()}"
        try:
            answer = self._http.request(method, url, body=data, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            msg = f"{self._service} at {self._base} did not answer ({error}); start the local cloud"
            raise InfraError(msg) from error
        if answer.status >= ERROR:
            raise ServiceRefusedError(self._message(answer.status, answer.data), answer.status)
        found = json.loads(answer.data) if answer.data.strip() else None
        return found if isinstance(found, dict) else {}

    def _message(self, status: int, data: bytes) -> str:
        """The message of an error answer, which is JSON unless a server says less than Google's."""
        try:
            said = json.loads(data)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            said = data.decode(errors="replace").strip()[:SHOWN]
        return f"{self._service} answered {status}: {said}"
