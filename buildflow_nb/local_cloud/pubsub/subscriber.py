"""The unary calls of google.pubsub.v1.Subscriber that concern subscriptions."""

from __future__ import annotations

from collections.abc import Collection

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.calls import Calls
from buildflow_nb.local_cloud.pubsub.names import check_name, check_project, in_project
from buildflow_nb.local_cloud.pubsub.paging import page
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.status import already_exists, invalid, invalid_ack_ids
from buildflow_nb.local_cloud.pubsub.subscription import Subscription
from buildflow_nb.local_cloud.pubsub.subscription_config import (
    IMMUTABLE_FIELDS,
    LONGEST_ACK_DEADLINE_S,
    check_config,
    fill_defaults,
)
from buildflow_nb.local_cloud.pubsub.update import updated

__all__ = ("Subscriber",)


class Subscriber:
    """Subscriptions: made, listed, acknowledged to, deleted. All calls raise `StatusError`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def calls(self) -> Calls:
        """Give the calls of the service with the messages that they take."""
        return {
            "CreateSubscription": (proto.Subscription, self.create),
            "GetSubscription": (proto.GetSubscriptionRequest, self.get),
            "UpdateSubscription": (proto.UpdateSubscriptionRequest, self.update),
            "ListSubscriptions": (proto.ListSubscriptionsRequest, self.list),
            "DeleteSubscription": (proto.DeleteSubscriptionRequest, self.delete),
            "ModifyPushConfig": (proto.ModifyPushConfigRequest, self.modify_push_config),
            "ModifyAckDeadline": (proto.ModifyAckDeadlineRequest, self.modify_ack_deadline),
            "Acknowledge": (proto.AcknowledgeRequest, self.acknowledge),
        }

    def create(self, request: Pb) -> Pb:
        """Make a subscription; it receives what is published from now on."""
        check_name(request.name, "subscriptions")
        check_name(request.topic, "topics")
        request.detached = False
        fill_defaults(request)
        check_config(request)
        if request.name in self._broker.subscriptions:
            raise already_exists(request.name)
        self._broker.topic(request.topic)
        self._check_dead_letter_topic(request)
        return self._shown(self._broker.add_subscription(request))

    def get(self, request: Pb) -> Pb:
        """Give a subscription."""
        return self._shown(self._broker.subscription(request.subscription))

    def update(self, request: Pb) -> Pb:
        """Change the fields of a subscription that the mask names."""
        subscription = self._broker.subscription(request.subscription.name)
        current, mask = subscription.config, request.update_mask
        config = updated(current, request.subscription, mask, IMMUTABLE_FIELDS)
        fill_defaults(config)
        check_config(config)
        self._check_dead_letter_topic(config)
        subscription.configure(config)
        self._broker.update_retention(config.topic)
        return self._shown(subscription)

    def list(self, request: Pb) -> Pb:
        """List the subscriptions of a project."""
        check_project(request.project)
        found = {
            name: subscription
            for name, subscription in self._broker.subscriptions.items()
            if in_project(name, request.project)
        }
        chosen, token = page(found, request.page_size, request.page_token)
        shown = [self._shown(subscription) for subscription in chosen]
        return proto.ListSubscriptionsResponse(subscriptions=shown, next_page_token=token)

    def delete(self, request: Pb) -> Pb:
        """Delete a subscription with its messages."""
        self._broker.remove_subscription(request.subscription)
        return proto.Empty()

    def modify_push_config(self, request: Pb) -> Pb:
        """Change between push and pull, or push elsewhere."""
        subscription = self._broker.subscription(request.subscription)
        config = proto.Subscription()
        config.CopyFrom(subscription.config)
        config.push_config.CopyFrom(request.push_config)
        check_config(config)
        subscription.configure(config)
        return proto.Empty()

    def modify_ack_deadline(self, request: Pb) -> Pb:
        """Extend leases, or end them with a deadline of 0 so that their messages come back."""
        subscription = self._broker.subscription(request.subscription)
        deadline_s = request.ack_deadline_seconds
        if not request.ack_ids:
            message = "No ack ids specified; give at least one in ack_ids."
            raise invalid(message)
        if not 0 <= deadline_s <= LONGEST_ACK_DEADLINE_S:
            message = (
                f"Invalid ack deadline given (value={deadline_s}). It must be from 0 to "
                f"{LONGEST_ACK_DEADLINE_S} seconds."
            )
            raise invalid(message)
        _check_exactly_once(subscription, request.ack_ids)
        if deadline_s == 0:
            subscription.give_back(request.ack_ids)
        else:
            subscription.extend(request.ack_ids, deadline_s)
        return proto.Empty()

    def acknowledge(self, request: Pb) -> Pb:
        """Remove messages for good."""
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            message = "No ack ids specified; give at least one in ack_ids."
            raise invalid(message)
        _check_exactly_once(subscription, request.ack_ids)
        subscription.acknowledge(request.ack_ids)
        return proto.Empty()

    def _check_dead_letter_topic(self, config: Pb) -> None:
        if config.HasField("dead_letter_policy"):
            self._broker.topic(config.dead_letter_policy.dead_letter_topic)

    def _shown(self, subscription: Subscription) -> Pb:
        """Give a configuration with what only answers carry."""
        topic = self._broker.topics.get(subscription.config.topic)
        if topic is None or not topic.retention_s:
            return subscription.config
        shown = proto.Subscription()
        shown.CopyFrom(subscription.config)
        duration = topic.config.message_retention_duration
        shown.topic_message_retention_duration.CopyFrom(duration)
        return shown


def _check_exactly_once(subscription: Subscription, ack_ids: Collection[str]) -> None:
    """Refuse a request with late ids as a whole, where the subscription promises to tell.

    Clients take a refusal for the fate of every id that it does not name, so nothing of the
    request is applied, and it names the ids that are still good as to be tried again.
    """
    if not subscription.config.enable_exactly_once_delivery:
        return
    gone = set(subscription.not_leased(ack_ids))
    if gone:
        raise invalid_ack_ids(gone, [ack_id for ack_id in ack_ids if ack_id not in gone])
