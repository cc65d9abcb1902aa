"""SQS's JSON protocol over HTTP connections of one loop, sent by aiohttp.

A call through boto3's client costs three times the CPU and a thread. So only what the client knows
is used: endpoint, keys that renew themselves, proxy and certificates (`clients.access`), its parser
of errors, and its classes of errors, so that `errors.Target` tells them as those of S3.
Every call is tried as often as the client tries (retry mode "standard": AWS SDKs and Tools
Reference Guide, "Retry behavior"), and ends: by an answer, or by a deadline.

Protocol: AWS JSON 1.0 (Smithy, "AWS JSON 1.0 protocol"; Amazon SQS Developer Guide, "Making
requests to SQS using AWS JSON protocol").
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from buildflow_nb.io.aws.clients import ATTEMPTS, CONNECT_S, READ_S, Access
from buildflow_nb.io.aws.errors import THROTTLED
from buildflow_nb.io.aws.sqs.signature import Signer
from buildflow_nb.io.checks import on_thread

__all__ = ("Connection",)

KEEP_S = 50.0  # for which an unused connection stays open
RETRY_S = 1.0  # before the second try, at most; chance keeps callers apart
TOTAL_S = READ_S + 2 * CONNECT_S  # for a call, whatever its answer trickles
LARGE = 1 << 16  # bytes of a request that takes long enough to be in others' way
TRANSIENT = frozenset({500, 502, 503, 504})
OK = 300  # the first HTTP status that is none of a success
_HEADERS = {
    "content-type": "application/x-amz-json-1.0",
    "x-amzn-query-mode": "true",  # codes of errors as SQS has always had them
}
_UNSIGNED = {"Accept-Encoding": "identity", "User-Agent": "buildflow_nb boto3"}
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(dict[str, Any])


class Connection:
    """Calls to SQS at one endpoint; belongs to the loop in which it is made."""

    def __init__(self, access: Access) -> None:
        self._access = access
        url = f"{access.endpoint.rstrip('/')}/"
        self._target = URL(url, encoded=True)
        self._signer = Signer(access.service, access.region, url, _HEADERS)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # who calls bounds that
                ssl=access.tls or True,
                keepalive_timeout=KEEP_S,
                resolver=aiohttp.ThreadedResolver(),  # the system's, as boto3's
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S, sock_read=READ_S),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def call(self, operation: str, words: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an operation ("ReceiveMessage").

        Raises:
            botocore.exceptions.ClientError: SQS refuses it.
            botocore.exceptions.BotoCoreError: SQS cannot be reached, or answers nonsense.
        """
        from botocore import exceptions as boto

        body = _ENCODER.encode(words)
        for _ in range(1, ATTEMPTS):
            try:
                return await self._once(operation, body)
            except (boto.ConnectionError, boto.HTTPClientError):
                pass
            except boto.ClientError as error:
                if not _may_pass(error):
                    raise
            await asyncio.sleep(random.random() * RETRY_S)  # noqa: S311  (no secret)
        return await self._once(operation, body)

    async def _once(self, operation: str, body: bytes) -> dict[str, Any]:
        headers = await self._signed(operation, body)
        try:
            async with self._session.post(
                self._target,
                data=body if len(body) <= LARGE else io.BytesIO(body),  # in pieces
                headers=headers,
                proxy=self._access.proxy,
                allow_redirects=False,
            ) as reply:
                data = await reply.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreached(error) from error
        if reply.status >= OK:
            raise _refusal(operation, reply, data)
        try:
            return _DECODER.decode(data)
        except msgspec.DecodeError as error:
            from botocore.parsers import ResponseParserError

            msg = f"the answer to {operation} is no JSON object: {error}"
            raise ResponseParserError(msg) from error

    async def _signed(self, operation: str, body: bytes) -> dict[str, str]:
        credentials = self._access.credentials
        renewing = getattr(credentials, "refresh_needed", None)
        if renewing is not None and renewing():  # which asks a service, and waits for it
            keys = await on_thread(credentials.get_frozen_credentials)
        else:
            keys = credentials.get_frozen_credentials()
        target = f"AmazonSQS.{operation}"
        if len(body) > LARGE:
            signed = await asyncio.to_thread(self._signer.headers, keys, target, body)
        else:
            signed = self._signer.headers(keys, target, body)
        return {**signed, **_UNSIGNED}

    def _unreached(self, error: Exception) -> Exception:
        """What boto3's client raises in such a case."""
        from botocore import exceptions as boto

        url, proxy = self._access.endpoint, _shown(self._access.proxy)
        found: Exception = boto.HTTPClientError(error=error)
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            found = boto.ProxyConnectionError(proxy_url=proxy, error=error)
        elif isinstance(error, aiohttp.ClientSSLError):
            found = boto.SSLError(endpoint_url=url, error=error)
        elif isinstance(error, aiohttp.ConnectionTimeoutError):
            found = boto.ConnectTimeoutError(endpoint_url=url, error=error)
        elif isinstance(error, TimeoutError):
            found = boto.ReadTimeoutError(endpoint_url=url, error=error)
        elif isinstance(error, aiohttp.ClientConnectorError):
            found = boto.EndpointConnectionError(endpoint_url=url, error=error)
        elif isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)):
            found = boto.ConnectionClosedError(endpoint_url=url, error=error)
        return found


def _shown(proxy: str | None) -> str:
    """A proxy without the password that may be in its URL."""
    return str(URL(proxy).with_user(None)) if proxy else ""


def _refusal(operation: str, reply: aiohttp.ClientResponse, data: bytes) -> Exception:
    from botocore.exceptions import ClientError
    from botocore.parsers import JSONParser

    answer = {"status_code": reply.status, "headers": reply.headers, "body": data}
    refused: Exception = ClientError(JSONParser().parse(answer, None), operation)
    return refused


def _may_pass(error: Any) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in TRANSIENT or error.response.get("Error", {}).get("Code") in THROTTLED
