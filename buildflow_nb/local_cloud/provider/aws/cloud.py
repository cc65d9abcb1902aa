"""The way from a provider instance of the `aws` package to the emulator: boto3 clients.

Clients are shared by all instances of the same endpoint, region and keys. Every call has a
deadline, no proxy or profile of the environment is asked, and without keys in the configuration
dummy ones sign: the SDK's own chain, which could find real ones, is never asked.

Tags are authoritative: `tags` are the program's, `tagsAll` those that the resource has, and one
that somebody added behind the program's back is drift. A default tag of the provider counts as the
program's only if the program gives it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from buildflow_nb.core.aws_session import bare_session
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.primitive import Services
from buildflow_nb.local_cloud.provider.clients import Pool, loopback
from buildflow_nb.local_cloud.provider.codec import UNKNOWN, Plain, Unknown
from buildflow_nb.local_cloud.provider.properties import Properties

__all__ = ("REFUSALS", "REGION", "AWSCloud", "code_of", "is_gone", "tag_properties", "wanted_tags")

CALL_S = 10.0  # an emulator answers in milliseconds; only a hanging one reaches it
ATTEMPTS = 2  # the second for a connection that the emulator had closed in the meantime
CLIENTS = 64  # a program needs two for each region
REGION = "us-east-1"  # where neither the program nor the provider names one
DUMMY_KEY = "test"

CONFIG = Config(
    connect_timeout=CALL_S,
    read_timeout=CALL_S,
    retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    proxies={},
    s3={"addressing_style": "path"},
)
_clients: Pool[Any] = Pool(CLIENTS)


class AWSCloud:
    """Endpoints, region, keys and default tags of a provider instance."""

    def __init__(self, arguments: Mapping[str, Plain], services: Services | None = None) -> None:
        """Read a configuration.

        Raises:
            InfraError: an endpoint is not of this machine.
        """
        del services  # no store is Amazon's
        self._arguments = arguments
        self._endpoints = _endpoints(arguments.get("endpoints"))
        tags = arguments.get("defaultTags")
        given = tags.get("tags") if isinstance(tags, dict) else None
        self.default_tags = given if isinstance(given, dict) else {}

    @property
    def region(self) -> str:
        """The region of resources that name none."""
        return self._text("region") or REGION

    def require(self, service: str) -> None:
        """Make sure that a service may be called.

        Raises:
            InfraError: the provider was given no endpoint for it.
        """
        if self._endpoints is not UNKNOWN:
            self._endpoint(service)

    def s3(self, region: str | None = None) -> Any:
        """A client of S3."""
        return self._client("s3", region)

    def sqs(self, region: str | None = None) -> Any:
        """A client of SQS."""
        return self._client("sqs", region)

    def _client(self, service: str, region: str | None) -> Any:
        where = {
            "service_name": service,
            "region_name": region or self.region,
            "endpoint_url": self._endpoint(service),
            "aws_access_key_id": self._text("accessKey") or DUMMY_KEY,
            "aws_secret_access_key": self._text("secretKey") or DUMMY_KEY,
            "aws_session_token": self._text("token"),
        }
        return _clients.get(
            tuple(where.values()), lambda: _session().client(**where, config=CONFIG)
        )

    def _endpoint(self, service: str) -> str:
        endpoints = {} if isinstance(self._endpoints, Unknown) else self._endpoints
        if service not in endpoints:
            msg = (
                f"the provider aws has no endpoint for {service}, and the local cloud's provider "
                f"dials no other than this machine's; give it endpoints=[{{{service!r}: "
                "'http://127.0.0.1:…'}]"
            )
            raise InfraError(msg)
        return endpoints[service]

    def _text(self, name: str) -> str | None:
        value = self._arguments.get(name)
        return value if isinstance(value, str) and value else None


def _endpoints(given: Plain) -> dict[str, str] | Unknown:
    if isinstance(given, Unknown):
        return given
    found: dict[str, str] = {}
    for each in given if isinstance(given, list) else []:
        for service, url in each.items() if isinstance(each, dict) else ():
            if isinstance(url, Unknown):
                return url
            if isinstance(url, str) and url:
                loopback(url, f"endpoint {service!r} of the provider aws")
                found[service] = url
    return found


@cache
def _session() -> Any:
    """One session, which keeps what it has loaded of the services; no profile or file counts."""
    return boto3.session.Session(botocore_session=bare_session())


def wanted_tags(cloud: AWSCloud, inputs: Properties) -> dict[str, str]:
    """The tags that a resource should have."""
    return {name: str(tag) for name, tag in cloud.default_tags.items()} | inputs.table("tags")


def tag_properties(cloud: AWSCloud, known: Properties, live: Mapping[str, str]) -> dict[str, Plain]:
    """The outputs `tags` and `tagsAll` of a resource that has the tags `live`."""
    defaults, own = cloud.default_tags, known.table("tags")
    tags = {n: tag for n, tag in live.items() if n in own or defaults.get(n) != tag}
    return {"tags": dict[str, Plain](tags) or None, "tagsAll": dict[str, Plain](live)}


REFUSALS = (ClientError, BotoCoreError)
GONE = frozenset(
    {
        "404",  # HEAD requests have no body and thus no better code
        "NoSuchBucket",
        "NotFound",
        "AWS.SimpleQueueService.NonExistentQueue",  # Amazon SQS API reference, common errors
        "QueueDoesNotExist",
    }
)


def code_of(error: ClientError) -> str:
    """The code of an error answer."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_gone(error: ClientError) -> bool:
    """Whether an error answer says that the resource is not there."""
    return code_of(error) in GONE
