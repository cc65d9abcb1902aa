"""boto3 clients: one for each service, region, endpoint and set of credentials, made when needed.

Making a client costs some 50 ms, and a client may be used by many threads, so they are kept for the
life of the process and shared. A stack's `Env` says where they connect; nothing here knows which
endpoints are emulators, and which keys count is `core.aws_session`'s matter.

`access` says how a service is reached by who speaks to it without its client: as that one would,
by the same endpoint, keys, proxy and certificates.
"""

from __future__ import annotations

import os
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any

from buildflow_nb.core.aws_session import aws_session
from buildflow_nb.core.credentials import AWSCredentials
from buildflow_nb.core.primitive import Env

__all__ = (
    "ATTEMPTS",
    "CONNECT_S",
    "READ_S",
    "Access",
    "access",
    "bucket_resource",
    "connect",
    "default_region",
)

CONNECT_S = 5
READ_S = 30  # a long poll takes 20 s; anything else that takes longer is dead
ATTEMPTS = 2  # the pipeline tries again too, and shows that it does
CONNECTIONS = 32  # kept open: the threads of a busy queue, and some of a quiet one

_lock = threading.Lock()  # neither a boto3 session nor these dicts are safe without it
_sessions: dict[AWSCredentials, Any] = {}
_clients: dict[tuple[str, str | None, str | None, AWSCredentials], Any] = {}
_resources: dict[tuple[str | None, str | None, AWSCredentials], Any] = {}


def connect(env: Env, service: str, region: str | None) -> Any:
    """The client of a service ("sqs", "s3"); blocks where it has to be made.

    Raises:
        botocore.exceptions.BotoCoreError: no region is known.
    """
    key = (service, region or env.aws_region, env.endpoints.get(service), env.aws)
    with _lock:
        if key not in _clients:
            _clients[key] = _make(*key)
        return _clients[key]


@dataclass(frozen=True, slots=True)
class Access:
    """How a service is reached: its `endpoint` (a URL), and what requests are signed with.

    `credentials` are botocore's, which may want to be renewed. `tls` is for an HTTPS endpoint.
    """

    service: str
    endpoint: str
    region: str
    credentials: Any = field(repr=False)
    proxy: str | None = field(default=None, repr=False)  # it may hold a password
    tls: ssl.SSLContext | None = None


def access(env: Env, service: str, region: str | None) -> Access:
    """How a service is reached; blocks as `connect`, and where keys have to be fetched.

    Raises:
        botocore.exceptions.BotoCoreError: no region is known, or there are no keys.
    """
    from botocore.exceptions import NoCredentialsError
    from botocore.httpsession import ProxyConfiguration, get_cert_path
    from botocore.utils import get_environ_proxies

    meta = connect(env, service, region).meta
    with _lock:
        session = _session(env.aws)
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    url, tls = meta.endpoint_url, None
    if url.startswith("https:"):
        bundle = session._session.get_config_variable("ca_bundle")  # noqa: SLF001  (boto3 hides it)
        trusted = bundle or os.environ.get("REQUESTS_CA_BUNDLE") or True
        tls = ssl.create_default_context(cafile=get_cert_path(trusted))
    proxy = ProxyConfiguration(get_environ_proxies(url)).proxy_url_for(url)
    return Access(service, url, meta.region_name, credentials, proxy, tls)


def bucket_resource(env: Env, region: str | None, name: str) -> Any:
    """boto3's `s3.Bucket` for one caller; the client behind it is shared, as threads may.

    Raises as `connect`.
    """
    key = (region or env.aws_region, env.endpoints.get("s3"), env.aws)
    with _lock:
        if key not in _resources:
            _resources[key] = _s3_resource(*key)
        return _resources[key].Bucket(name)


def _s3_resource(region: str | None, endpoint: str | None, keys: AWSCredentials) -> Any:
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path"} if endpoint else None,  # as for other clients
    )
    return _session(keys).resource("s3", region_name=region, endpoint_url=endpoint, config=config)


def _make(service: str, region: str | None, endpoint: str | None, keys: AWSCredentials) -> Any:
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        max_pool_connections=CONNECTIONS,
        # What follows saves a sixth of a call's CPU: the requests are our own and well formed, and
        # boto3 would put its long name together anew for each.
        parameter_validation=False,
        user_agent="buildflow_nb boto3",
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # Another host has no name for each bucket.
        s3={"addressing_style": "path"} if endpoint else None,
    )
    session = _session(keys)
    return session.client(service, region_name=region, endpoint_url=endpoint, config=config)


def _session(keys: AWSCredentials) -> Any:
    if keys not in _sessions:
        _sessions[keys] = aws_session(keys)
    return _sessions[keys]


def default_region(options: object) -> str | None:
    """The region that options of a cloud provider name: ours, or anything with `default_region`."""
    found = getattr(options, "default_region", None) or getattr(options, "aws_region", None)
    return found if isinstance(found, str) else None
