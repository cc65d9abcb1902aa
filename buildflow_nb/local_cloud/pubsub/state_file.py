"""The state of a server between a clean stop and the next start, in one file.

`pubsub.jsonl` has one JSON object a line: a head with the format's version, then every message
once, then topics, subscriptions, snapshots and policies, which refer to messages by number, and a
last line with the count of lines, so that a file cut short is known for one. Resources are in
protobuf's own JSON form. The file is written beside its place, synced, and renamed into it; only
its owner may read it.

A file that cannot be read is put aside under another name, and the log says so: nothing is lost
silently, and a damaged file does not keep the server from starting.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from buildflow_nb.core.project_folder import forget_parts, make_private, open_private, replacing
from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.message import Message
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.snapshot import Snapshot
from buildflow_nb.local_cloud.pubsub.status import StatusError

__all__ = ("StateFile",)

FORMAT = "buildflow_nb pubsub"
VERSION = 1
NAME = "pubsub.jsonl"
DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    DecodeError,
    StatusError,
)

logger = logging.getLogger(__name__)

Line = Mapping[str, Any]  # a JSON object, as parsed


class StateFile:
    """The state file in a folder, which is made if it is missing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def save(self, broker: Broker) -> None:
        """Write all that a broker holds.

        Raises:
            OSError: the folder cannot be written; the file is then as it was.
        """
        make_private(self.path.parent)
        with replacing(self.path) as whole:
            file = io.TextIOWrapper(whole, encoding="utf-8")
            count = 0
            for count, line in enumerate(_lines(broker), 1):  # noqa: B007 (used after the loop)
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.write(json.dumps({"end": count}) + "\n")
            file.detach()

    def load(self, make: Callable[[], Broker]) -> Broker:
        """Give a new broker with what was saved, if anything was."""
        broker = make()
        forget_parts(self.path)
        try:
            handle = open_private(self.path, os.O_RDONLY)
            with os.fdopen(handle, encoding="utf-8") as file:
                _restore(file, broker)
        except FileNotFoundError:
            return broker
        except DAMAGED as error:
            self._put_aside(error)
            return make()
        return broker

    def _put_aside(self, error: Exception) -> None:
        aside = next(
            path
            for number in range(1, 1_000_000)
            if not (path := self.path.with_suffix(f".damaged-{number}")).exists()
        )
        self.path.rename(aside)
        logger.error(
            "the saved Pub/Sub state cannot be read (%s: %s); it was put aside as %s and the "
            "server starts empty",
            type(error).__name__,
            error,
            aside,
        )


def _lines(broker: Broker) -> Iterator[Line]:
    yield {"format": FORMAT, "version": VERSION, "last_seq": broker.last_seq}
    for message in broker.messages().values():
        yield {"message": base64.b64encode(message.framed).decode()}
    for topic in broker.topics.values():
        yield {"topic": _dump(topic.config), "history": _seqs(topic.history)}
    for subscription in broker.subscriptions.values():
        yield {
            "subscription": _dump(subscription.config),
            "unacknowledged": _seqs(subscription.unacknowledged()),
            "failures": list(subscription.failures().items()),
        }
    for snapshot in broker.snapshots.values():
        yield {
            "snapshot": _dump(snapshot.config),
            "unacknowledged": _seqs(snapshot.unacknowledged),
            "last_seq": snapshot.last_seq,
        }
    for resource, policy in broker.policies.items():
        yield {"policy": _dump(policy), "resource": resource}


def _restore(file: Iterable[str], broker: Broker) -> None:
    messages: dict[int, Message] = {}
    lines = [json.loads(line) for line in file]
    if not lines or lines[-1].get("end") != len(lines) - 1:
        msg = "the file was cut short"
        raise ValueError(msg)
    head = lines[0]
    if (head.get("format"), head.get("version")) != (FORMAT, VERSION):
        msg = f"expected {FORMAT!r} version {VERSION}, found {head}"
        raise ValueError(msg)
    broker.last_seq = int(head["last_seq"])
    for line in lines[1:-1]:
        if "message" in line:
            message = Message.restore(base64.b64decode(line["message"], validate=True))
            messages[message.seq] = message
        else:
            _restore_resource(line, broker, messages)
    for name in broker.topics:
        broker.update_retention(name)


def _restore_resource(line: Line, broker: Broker, messages: Mapping[int, Message]) -> None:
    if "topic" in line:
        topic = broker.add_topic(_parse(line["topic"], proto.Topic))
        topic.history.restore([messages[seq] for seq in line["history"]])
    elif "subscription" in line:
        subscription = broker.add_subscription(_parse(line["subscription"], proto.Subscription))
        held = [messages[seq] for seq in line["unacknowledged"]]
        subscription.reset(held, {int(seq): int(count) for seq, count in line["failures"]})
    elif "snapshot" in line:
        config = _parse(line["snapshot"], proto.Snapshot)
        held = [messages[seq] for seq in line["unacknowledged"]]
        history = broker.history_of(config.topic)
        broker.snapshots[config.name] = Snapshot(config, tuple(held), line["last_seq"], history)
    else:
        broker.policies[line["resource"]] = _parse(line["policy"], proto.Policy)


def _seqs(messages: Iterable[Message]) -> list[int]:
    return [message.seq for message in messages]


def _dump(message: Pb) -> object:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _parse(value: object, message_class: Pb) -> Pb:
    return json_format.ParseDict(value, message_class())
