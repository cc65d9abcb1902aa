"""Where clients of Google Cloud connect, with which credentials, and for which project.

A stack's `Env` says it; nothing here knows which endpoints are emulators. An endpoint of one's own
is spoken to without credentials, in clear, since it is one of this machine. What these functions
give is kept for the life of the process: finding credentials may ask a metadata server, and making
a client costs some 30 ms.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError, PermanentError
from buildflow_nb.core.primitive import Env
from buildflow_nb.io._pubsub_link import Address

__all__ = (
    "default_project",
    "default_region",
    "pubsub_address",
    "resolved_project",
    "storage_client",
)

PUBSUB = "pubsub.googleapis.com:443"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_lock = threading.Lock()
_credentials: dict[Secret | None, Any] = {}
_clients: dict[tuple[str | None, str | None, Secret | None], Any] = {}


def pubsub_address(env: Env) -> Address:
    """Where Pub/Sub is; blocks where credentials have to be found.

    Raises:
        PermanentError: the service account's JSON is none.
        google.auth.exceptions.DefaultCredentialsError: there are no credentials.
    """
    endpoint = env.endpoints.get("pubsub")
    if endpoint is not None:
        return Address(endpoint.partition("://")[2].rstrip("/"))
    with _lock:
        return Address(PUBSUB, _found(env.gcp.service_account_info))


def storage_client(env: Env, project: str | None) -> Any:
    """The client of Cloud Storage; blocks where it has to be made. Raises as `pubsub_address`."""
    endpoint = env.endpoints.get("storage")
    key = (endpoint, project or env.gcp_project, env.gcp.service_account_info)
    with _lock:
        if key not in _clients:
            _clients[key] = _made(*key)
        return _clients[key]


def resolved_project(project: str | None, env: Env, owner: str) -> str:
    """The project given, else the stack's.

    Raises:
        DeclarationError: there is neither; `owner` opens the message.
    """
    found = project or env.gcp_project
    if found is None:
        msg = (
            f"{owner}: no Google Cloud project is known; give project_id, or "
            "gcp_options.default_project_id in buildflow.yaml"
        )
        raise DeclarationError(msg)
    return found


def default_project(options: object) -> str | None:
    """The project that options of a cloud provider name, ours or others' `default_project_id`."""
    found = getattr(options, "default_project_id", None) or getattr(options, "gcp_project", None)
    return found if isinstance(found, str) else None


def default_region(options: object) -> str | None:
    """The region that options of a cloud provider name, ours or others' `default_region`."""
    found = getattr(options, "default_region", None) or getattr(options, "gcp_region", None)
    return found if isinstance(found, str) else None


def _made(endpoint: str | None, project: str | None, account: Secret | None) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    if endpoint is None:
        return storage.Client(project, credentials=_found(account))
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    options = {"api_endpoint": endpoint}
    return storage.Client(project, credentials=nobody, client_options=options)


def _found(account: Secret | None) -> Any:
    if account not in _credentials:
        _credentials[account] = _default() if account is None else _of_account(account)
    return _credentials[account]


def _default() -> Any:
    import google.auth

    credentials, _project = google.auth.default(scopes=[SCOPE])
    return credentials


def _of_account(account: Secret) -> Any:
    from google.oauth2 import service_account

    try:
        info = json.loads(account.reveal())
        kind: Any = service_account.Credentials
        return kind.from_service_account_info(info, scopes=[SCOPE])
    except (ValueError, TypeError, AttributeError, RecursionError):
        msg = "gcp_service_account_info is not the JSON of a service account's key; renew it"
        raise PermanentError(msg) from None  # the cause holds the key
