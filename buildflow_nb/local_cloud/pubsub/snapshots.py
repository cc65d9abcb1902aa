"""The calls of google.pubsub.v1.Subscriber that concern snapshots and seeking."""

from __future__ import annotations

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.calls import Calls
from buildflow_nb.local_cloud.pubsub.message import MICROS
from buildflow_nb.local_cloud.pubsub.names import (
    check_labels,
    check_name,
    check_project,
    in_project,
)
from buildflow_nb.local_cloud.pubsub.paging import page
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.snapshot import (
    Snapshot,
    seek_to_snapshot,
    seek_to_time,
    take_snapshot,
)
from buildflow_nb.local_cloud.pubsub.status import (
    already_exists,
    failed_precondition,
    invalid,
)
from buildflow_nb.local_cloud.pubsub.update import updated

__all__ = ("Snapshots",)

_IMMUTABLE_FIELDS = frozenset({"name", "topic"})


class Snapshots:
    """Snapshots: made, listed, sought, deleted. All calls raise `StatusError`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def calls(self) -> Calls:
        """Give the calls of the service with the messages that they take."""
        return {
            "CreateSnapshot": (proto.CreateSnapshotRequest, self.create),
            "GetSnapshot": (proto.GetSnapshotRequest, self.get),
            "UpdateSnapshot": (proto.UpdateSnapshotRequest, self.update),
            "ListSnapshots": (proto.ListSnapshotsRequest, self.list),
            "DeleteSnapshot": (proto.DeleteSnapshotRequest, self.delete),
            "Seek": (proto.SeekRequest, self.seek),
        }

    def create(self, request: Pb) -> Pb:
        """Keep the state of a subscription."""
        check_name(request.name, "snapshots")
        check_labels(request.labels)
        if request.name in self._broker.snapshots:
            raise already_exists(request.name)
        broker = self._broker
        subscription = broker.subscription(request.subscription)
        topic = subscription.config.topic
        config = proto.Snapshot(name=request.name, topic=topic, labels=request.labels)
        snapshot = take_snapshot(config, subscription, broker.last_seq, broker.clock.wall())
        broker.snapshots[request.name] = snapshot
        broker.update_retention(topic)
        return snapshot.config

    def get(self, request: Pb) -> Pb:
        """Give a snapshot."""
        return self._broker.snapshot(request.snapshot).config

    def update(self, request: Pb) -> Pb:
        """Change the fields of a snapshot that the mask names."""
        old = self._broker.snapshot(request.snapshot.name)
        config = updated(old.config, request.snapshot, request.update_mask, _IMMUTABLE_FIELDS)
        check_labels(config.labels)
        new = Snapshot(config, old.unacknowledged, old.last_seq, old.history)
        self._broker.snapshots[config.name] = new
        return config

    def list(self, request: Pb) -> Pb:
        """List the snapshots of a project."""
        check_project(request.project)
        found = {
            name: snapshot.config
            for name, snapshot in self._broker.snapshots.items()
            if in_project(name, request.project)
        }
        snapshots, token = page(found, request.page_size, request.page_token)
        return proto.ListSnapshotsResponse(snapshots=snapshots, next_page_token=token)

    def delete(self, request: Pb) -> Pb:
        """Delete a snapshot."""
        self._broker.remove_snapshot(request.snapshot)
        return proto.Empty()

    def seek(self, request: Pb) -> Pb:
        """Give a subscription an earlier or later state."""
        subscription = self._broker.subscription(request.subscription)
        if subscription.config.detached:
            message = f"Subscription {subscription.name} is detached from its topic."
            raise failed_precondition(message)
        target = request.WhichOneof("target")
        if target == "time":
            topic = self._broker.topics.get(subscription.config.topic)
            retention_s = topic.retention_s if topic is not None else 0.0
            since = request.time.ToMicroseconds() / MICROS
            seek_to_time(subscription, since, self._broker.clock.wall(), retention_s)
        elif target == "snapshot":
            snapshot = self._broker.snapshot(request.snapshot)
            if snapshot.history is not subscription.history:
                message = (
                    f"Snapshot {snapshot.config.name} is of topic {snapshot.config.topic}, not of "
                    f"{subscription.config.topic}; seek to one of the subscription's own topic."
                )
                raise failed_precondition(message)
            seek_to_snapshot(subscription, snapshot)
        else:
            message = "No seek target given; set time or snapshot."
            raise invalid(message)
        return proto.SeekResponse()
