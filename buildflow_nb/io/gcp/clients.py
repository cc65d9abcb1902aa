"""Where clients of Google Cloud connect, with which credentials, and for which project.

A stack's `Env` says it; nothing here knows which endpoints are emulators. An endpoint of one's own
is spoken to without credentials, in clear, since it is one of this machine. What these functions
give is kept for the life of the process: finding credentials may ask a metadata server, and making
a client costs some 30 ms.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError, PermanentError
from buildflow_nb.core.primitive import Env

__all__ = (
    "console_url",
    "credentials",
    "default_project",
    "default_region",
    "own_name",
    "resolved_project",
    "storage_client",
)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
HASH_LENGTH = 8  # as in BuildFlow, so that what it has made is found again

_lock = threading.Lock()
_credentials: dict[Secret | None, Any] = {}
_clients: dict[tuple[str | None, str | None, Secret | None, str | None], Any] = {}


def credentials(env: Env) -> Any:
    """The stack's credentials, of `google.auth`; blocks where they have to be found.

    Raises:
        PermanentError: the service account's JSON is none.
        google.auth.exceptions.DefaultCredentialsError: there are no credentials.
    """
    with _lock:
        return _found(env.gcp.service_account_info)


def storage_client(env: Env, project: str | None, quota_project: str | None = None) -> Any:
    """The client of Cloud Storage; blocks where it has to be made. Raises as `credentials`.

    `quota_project` is billed for its calls, in place of the credentials' own.
    """
    endpoint = env.endpoints.get("storage")
    key = (endpoint, project or env.gcp_project, env.gcp.service_account_info, quota_project)
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


def _made(
    endpoint: str | None, project: str | None, account: Secret | None, quota_project: str | None
) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    if endpoint is None:
        billed = {"quota_project_id": quota_project} if quota_project else None
        return storage.Client(project, credentials=_found(account), client_options=billed)
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    options = {"api_endpoint": endpoint}
    return storage.Client(project, credentials=nobody, client_options=options)


def _found(account: Secret | None) -> Any:
    if account not in _credentials:
        _credentials[account] = _default() if account is None else _of_account(account)
    return _credentials[account]


def _default() -> Any:
    import google.auth

    found, _project = google.auth.default(scopes=[SCOPE])
    return found


def _of_account(account: Secret) -> Any:
    from google.oauth2 import service_account

    try:
        info = json.loads(account.reveal())
        kind: Any = service_account.Credentials
        return kind.from_service_account_info(info, scopes=[SCOPE])
    except (ValueError, TypeError, AttributeError, RecursionError):
        msg = "gcp_service_account_info is not the JSON of a service account's key; renew it"
        raise PermanentError(msg) from None  # the cause holds the key


def own_name(owner: str, prefix: str, project: str | None) -> str:
    """A name that a project has for itself: the same in every run, and another in every project.

    Raises:
        DeclarationError: no project is known; `owner` opens the message.
    """
    if project is None:
        msg = (
            f"{owner}: a default name is made from the project, and the options name none; "
            "give the name, or default_project_id"
        )
        raise DeclarationError(msg)
    return f"{prefix}_{hashlib.sha256(project.encode()).hexdigest()[:HASH_LENGTH]}"


def console_url(page: str, project: str | None) -> str:
    """A page of Google's console; without a project, in the one that was last looked at."""
    url = f"https://console.cloud.google.com/{page}"
    return f"{url}?project={project}" if project else url
