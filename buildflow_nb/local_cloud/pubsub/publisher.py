"""The service google.pubsub.v1.Publisher."""

from __future__ import annotations

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.calls import Calls
from buildflow_nb.local_cloud.pubsub.message import check_messages
from buildflow_nb.local_cloud.pubsub.names import check_name, check_project, in_project
from buildflow_nb.local_cloud.pubsub.paging import page
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.status import already_exists
from buildflow_nb.local_cloud.pubsub.topic import IMMUTABLE_FIELDS, check_topic
from buildflow_nb.local_cloud.pubsub.update import updated

__all__ = ("Publisher",)


class Publisher:
    """Topics: made, listed, published to, deleted. All calls raise `StatusError`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def calls(self) -> Calls:
        """Give the calls of the service with the messages that they take."""
        return {
            "CreateTopic": (proto.Topic, self.create),
            "UpdateTopic": (proto.UpdateTopicRequest, self.update),
            "Publish": (proto.PublishRequest, self.publish),
            "GetTopic": (proto.GetTopicRequest, self.get),
            "ListTopics": (proto.ListTopicsRequest, self.list),
            "ListTopicSubscriptions": (
                proto.ListTopicSubscriptionsRequest,
                self.list_subscriptions,
            ),
            "ListTopicSnapshots": (proto.ListTopicSnapshotsRequest, self.list_snapshots),
            "DeleteTopic": (proto.DeleteTopicRequest, self.delete),
            "DetachSubscription": (proto.DetachSubscriptionRequest, self.detach),
        }

    def create(self, request: Pb) -> Pb:
        """Make a topic."""
        check_name(request.name, "topics")
        check_topic(request)
        if request.name in self._broker.topics:
            raise already_exists(request.name)
        request.state = proto.Topic.State.Value("ACTIVE")
        return self._broker.add_topic(request).config

    def update(self, request: Pb) -> Pb:
        """Change the fields of a topic that the mask names."""
        topic = self._broker.topic(request.topic.name)
        config = updated(topic.config, request.topic, request.update_mask, IMMUTABLE_FIELDS)
        check_topic(config)
        topic.config = config
        self._broker.update_retention(topic.name)
        return config

    def publish(self, request: Pb) -> Pb:
        """Deliver messages, and give their ids."""
        check_messages(request)
        messages = self._broker.publish(request.topic, request.messages)
        return proto.PublishResponse(message_ids=[str(message.seq) for message in messages])

    def get(self, request: Pb) -> Pb:
        """Give a topic."""
        return self._broker.topic(request.topic).config

    def list(self, request: Pb) -> Pb:
        """List the topics of a project."""
        check_project(request.project)
        found = {
            name: topic.config
            for name, topic in self._broker.topics.items()
            if in_project(name, request.project)
        }
        topics, token = page(found, request.page_size, request.page_token)
        return proto.ListTopicsResponse(topics=topics, next_page_token=token)

    def list_subscriptions(self, request: Pb) -> Pb:
        """List the names of the subscriptions that receive from a topic."""
        topic = self._broker.topic(request.topic)
        found = {subscription.name: subscription.name for subscription in topic.subscriptions}
        names, token = page(found, request.page_size, request.page_token)
        return proto.ListTopicSubscriptionsResponse(subscriptions=names, next_page_token=token)

    def list_snapshots(self, request: Pb) -> Pb:
        """List the names of the snapshots of a topic's subscriptions."""
        topic = self._broker.topic(request.topic)
        found = {
            name: name
            for name, snapshot in self._broker.snapshots.items()
            if snapshot.config.topic == topic.name
        }
        names, token = page(found, request.page_size, request.page_token)
        return proto.ListTopicSnapshotsResponse(snapshots=names, next_page_token=token)

    def delete(self, request: Pb) -> Pb:
        """Delete a topic."""
        self._broker.remove_topic(request.topic)
        return proto.Empty()

    def detach(self, request: Pb) -> Pb:
        """Cut a subscription from its topic, and drop its messages."""
        subscription = self._broker.subscription(request.subscription)
        self._broker.detach(subscription)
        subscription.config.detached = True
        subscription.reset(())
        subscription.news.set()
        return proto.DetachSubscriptionResponse()
