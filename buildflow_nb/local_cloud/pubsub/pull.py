"""The call Pull of google.pubsub.v1.Subscriber: it waits until there is something to give.

What a client was to be given that is gone meanwhile waits for others at once, not until the lease
of nobody runs out.
"""

from __future__ import annotations

import asyncio

import grpc

from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.calls import Context
from buildflow_nb.local_cloud.pubsub.delivery import Delivery
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.status import StatusError, failed_precondition, invalid
from buildflow_nb.local_cloud.pubsub.subscription import Subscription

__all__ = ("RESPONSE_BYTES", "RESPONSE_MESSAGES", "Pull", "check_pullable")

RESPONSE_MESSAGES = 1_000  # Google's maximum for a pull
RESPONSE_BYTES = 3_000_000  # clients of an emulator refuse answers beyond gRPC's 4 MiB
LONGEST_WAIT_S = 60.0  # then the answer is empty, and the client asks again
MARGIN_S = 0.1  # an empty answer just before the client's deadline is kinder than a late one


def _take_back(call: Context, subscription: Subscription, delivery: Delivery) -> None:
    if call.cancelled():
        subscription.give_back(delivery.ack_ids)


def check_pullable(broker: Broker, subscription: Subscription) -> None:
    """Refuse to deliver from a subscription that cannot be delivered from (any more)."""
    if broker.closing:
        message = "The local Pub/Sub server is stopping."
        raise StatusError(grpc.StatusCode.UNAVAILABLE, message)
    if subscription.deleted:
        message = f"Subscription does not exist: {subscription.name} was deleted."
        raise StatusError(grpc.StatusCode.NOT_FOUND, message)
    if subscription.config.detached:
        message = f"Subscription {subscription.name} is detached from its topic."
        raise failed_precondition(message)


class Pull:
    """Unary pulls of a broker's subscriptions."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def pull(self, request: Pb, context: Context) -> bytes:
        """Answer with messages, or with none when the client's deadline is near.

        Raises:
            StatusError: NOT_FOUND without the subscription, FAILED_PRECONDITION if it is
                detached, INVALID_ARGUMENT for less than one message, UNAVAILABLE at the end.
        """
        subscription = self._broker.subscription(request.subscription)
        if request.max_messages < 1:
            message = f"Invalid max_messages given (value={request.max_messages}); give 1 or more."
            raise invalid(message)
        limit = min(request.max_messages, RESPONSE_MESSAGES)
        delivery = self._take(subscription, limit)
        if not delivery and not request.return_immediately:
            left = context.time_remaining()
            wait_s = LONGEST_WAIT_S if left is None else min(LONGEST_WAIT_S, left - MARGIN_S)
            delivery = await self._wait(subscription, limit, wait_s)
        context.add_done_callback(lambda call: _take_back(call, subscription, delivery))
        return delivery.encode()

    async def _wait(self, subscription: Subscription, limit: int, wait_s: float) -> Delivery:
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    # Nobody else runs between these two lines, so no news is lost.
                    subscription.news.clear()
                    if delivery := self._take(subscription, limit):
                        return delivery
                    await subscription.news.wait()
        except TimeoutError:
            return Delivery()

    def _take(self, subscription: Subscription, limit: int) -> Delivery:
        check_pullable(self._broker, subscription)
        deadline_s = subscription.config.ack_deadline_seconds
        return subscription.take(limit, RESPONSE_BYTES, deadline_s)
