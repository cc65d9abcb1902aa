"""Push delivery: messages are posted to the endpoint that a subscription names.

The body, the headers of unwrapped messages and the statuses that acknowledge are those of the
Pub/Sub documentation, "Push subscriptions" (sections "Receive messages" and "Payload
unwrapping"); while an endpoint fails, pauses double from 100 ms to 60 s ("Push backoff"). No
identity token is sent: a local cloud has no identity to prove.

Only this machine is posted to, unless the server was told of other hosts: a flow on the local
cloud must not reach an endpoint of the real one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from urllib.parse import urlsplit

import aiohttp

from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.delivery import Delivery
from buildflow_nb.local_cloud.pubsub.options import is_loopback
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.pull import RESPONSE_BYTES
from buildflow_nb.local_cloud.pubsub.subscription import Subscription

__all__ = ("Pushers", "body", "headers")

MOST_POSTS = 32  # of one subscription at a time
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 60.0
IDLE_S = 1.0  # how long a pusher waits for news before it looks at its endpoint again
ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})
METADATA_PREFIX = "x-goog-pubsub-"

logger = logging.getLogger(__name__)


def body(message: Pb, subscription: str) -> dict[str, object]:
    """Give the JSON body of a wrapped message."""
    published = message.publish_time.ToJsonString()
    wrapped: dict[str, object] = {
        "attributes": dict(message.attributes),
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if message.data:
        wrapped["data"] = base64.b64encode(message.data).decode()
    if message.ordering_key:
        wrapped["orderingKey"] = message.ordering_key
    return {"message": wrapped, "subscription": subscription}


def headers(message: Pb, subscription: str) -> dict[str, str]:
    """Give the headers of an unwrapped message, where its metadata is asked for."""
    found = {
        f"{METADATA_PREFIX}subscription-name": subscription,
        f"{METADATA_PREFIX}message-id": message.message_id,
        f"{METADATA_PREFIX}publish-time": message.publish_time.ToJsonString(),
        **message.attributes,
    }
    if message.ordering_key:
        found[f"{METADATA_PREFIX}ordering-key"] = message.ordering_key
    return found


class _Pusher:
    """Posts the messages of one subscription to one endpoint."""

    def __init__(self, subscription: Subscription, session: aiohttp.ClientSession) -> None:
        self._subscription = subscription
        self._session = session
        self._posts: set[asyncio.Task[None]] = set()
        self._failed = False
        self._pause_s = 0.0
        self.endpoint = str(subscription.config.push_config.push_endpoint)

    async def run(self) -> None:
        """Post until cancelled."""
        try:
            while True:
                await self._rest()
                self._subscription.news.clear()
                most = 1 if self._pause_s else MOST_POSTS
                while len(self._posts) < most and self._start_post():
                    pass
                await self._wait()
        finally:
            for post in self._posts:
                post.cancel()
            await asyncio.gather(*self._posts, return_exceptions=True)

    async def _rest(self) -> None:
        if self._failed:
            self._pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self._pause_s))
            await asyncio.sleep(self._pause_s)
            self._failed = False  # what failed meanwhile failed for the same reason

    async def _wait(self) -> None:
        news = asyncio.ensure_future(self._subscription.news.wait())
        try:
            await asyncio.wait(
                {news, *self._posts}, timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            news.cancel()

    def _start_post(self) -> bool:
        """Take one message, so that the next of its key stays until it is acknowledged."""
        deadline_s = self._subscription.config.ack_deadline_seconds
        delivery = self._subscription.take(1, RESPONSE_BYTES, deadline_s)
        if not delivery:
            return False
        post = asyncio.create_task(self._deliver(delivery, deadline_s))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        return True

    async def _deliver(self, delivery: Delivery, deadline_s: float) -> None:
        message = delivery.messages[0].decode()
        if await self._post(message, deadline_s):
            self._pause_s = 0.0
            self._subscription.acknowledge(delivery.ack_ids)
        else:
            self._failed = True
            self._subscription.give_back(delivery.ack_ids)

    async def _post(self, message: Pb, deadline_s: float) -> bool:
        content, fields = self._request(message)
        try:
            async with self._session.post(
                self.endpoint,
                data=content,
                headers=fields,
                timeout=aiohttp.ClientTimeout(total=deadline_s),
                allow_redirects=False,
            ) as response:
                return response.status in ACKNOWLEDGING
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            logger.info("push to %s failed: %s", self.endpoint, error or type(error).__name__)
            return False

    def _request(self, message: Pb) -> tuple[bytes, dict[str, str]]:
        config, name = self._subscription.config.push_config, self._subscription.name
        if not config.HasField("no_wrapper"):
            content = json.dumps(body(message, name)).encode()
            return content, {"Content-Type": "application/json"}
        return message.data, headers(message, name) if config.no_wrapper.write_metadata else {}


class Pushers:
    """One pusher for each subscription that asks for push, kept up to date by `reconcile`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._session: aiohttp.ClientSession | None = None
        self._running: dict[Subscription, tuple[str, asyncio.Task[None]]] = {}
        self._refused: set[str] = set()

    def reconcile(self) -> None:
        """Start and end pushers as the subscriptions' configurations ask."""
        for subscription, (endpoint, task) in list(self._running.items()):
            if endpoint != self._endpoint(subscription) or task.done():
                task.cancel()
                del self._running[subscription]
        for subscription in self._broker.subscriptions.values():
            endpoint = self._endpoint(subscription)
            if endpoint and subscription not in self._running and self._may_reach(endpoint):
                task = asyncio.create_task(_Pusher(subscription, self._http()).run())
                self._running[subscription] = (endpoint, task)

    async def close(self) -> None:
        """End all pushers."""
        tasks = [task for _, task in self._running.values()]
        self._running.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    @staticmethod
    def _endpoint(subscription: Subscription) -> str:
        config = subscription.config
        if subscription.deleted or config.detached:
            return ""
        return str(config.push_config.push_endpoint)

    def _may_reach(self, endpoint: str) -> bool:
        host = urlsplit(endpoint).hostname or ""
        if is_loopback(host) or host in self._broker.options.push_hosts:
            return True
        if endpoint not in self._refused:
            self._refused.add(endpoint)
            logger.warning(
                "messages for %s wait: it is not on this machine; allow its host with "
                "--push-host %s",
                endpoint,
                host,
            )
        return False
