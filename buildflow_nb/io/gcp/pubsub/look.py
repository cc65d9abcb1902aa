"""Looks into subscriptions and topics of Pub/Sub, without taking a message.

Pub/Sub shows messages to subscribers alone: a pull leases them, and giving them back is counted as
a failed delivery, which delays them, and of which a dead letter policy allows so many. So messages
are shown only on the local cloud, whose server tells what waits without a delivery. On Google's,
Cloud Monitoring says how much waits and since when, as it was some minutes ago; to see messages, a
subscription of one's own to the topic gets what is published from then on.

Sources: Pub/Sub documentation, "Handle message failures"; Cloud Monitoring API,
"projects.timeSeries.list"; Google Cloud metrics, "pubsub".
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.resource_look import Asked, Column, Content, Figure, Held, ResourceLook
from buildflow_nb.io.checks import on_thread
from buildflow_nb.io.gcp.clients import credentials
from buildflow_nb.io.gcp.pubsub.client import PubSubClient, messages
from buildflow_nb.io.looks import TAKES_NOTHING, message_content, rows_asked

__all__ = ("look_into_subscription", "look_into_topic", "purge_subscription")

DELETED = "_deleted-topic_"  # RPC reference, "Subscription.topic"
CALL_S = 4.0
MOST_SHOWN = 200  # messages; they may have 10 MB each
MOST_LISTED = 1_000  # subscriptions of a topic
LOCAL_LOOK = "/buildflow.local.Looks/Subscription"
MONITORING = "https://monitoring.googleapis.com"
LAG_S = 600  # metrics come a minute or some late
NOT_SHOWN = (
    "Messages are not shown: Pub/Sub shows them to subscribers alone, and a pull that gives them "
    "back counts as a failed delivery. %buildflow failures and peek show what the flow has seen."
)
LATE = "How much waits is told by Cloud Monitoring, as it was some minutes ago."
UNTOLD = "How much waits is not known: Cloud Monitoring does not say; allow monitoring.viewer."


async def look_into_subscription(
    client: PubSubClient, env: Env, empty: ResourceLook, asked: Asked
) -> ResourceLook:
    """Look, through the client of one subscription.

    Raises:
        TemporaryError: it is missing or out of reach.
        PermanentError: it refuses us, or its topic was deleted.
    """
    known = messages()
    request = known.GetSubscriptionRequest(subscription=client.name)
    found = await client.look(
        "Subscriber/GetSubscription", request, known.Subscription, asked.within_s
    )
    if found.topic == DELETED:
        msg = f"{client.target} belongs to a topic that was deleted; %buildflow apply"
        raise PermanentError(msg)
    named = replace(empty, place=client.name)
    most = rows_asked(asked, MOST_SHOWN)
    told = await _told_by_the_emulator(client, most) if "pubsub" in env.endpoints else None
    if told is not None:
        return _local(named, told, most)
    return await _real(named, client.name, env, most)


def _local(empty: ResourceLook, told: Mapping[str, Any], most: int) -> ResourceLook:
    waiting, out = int(told["waiting"]), int(told["out"])
    figures = [Figure("waiting", waiting), Figure("in flight", out)]
    if told["oldest"] is not None:
        figures.append(Figure("oldest", max(0.0, time.time() - told["oldest"]), "s"))
    rows = [_told(row) for row in told["messages"]][:most]
    said = f"{len(rows):,} of {waiting + out:,}, oldest first" if waiting + out > len(rows) else ""
    return replace(
        empty,
        figures=tuple(figures),
        contents=(message_content(rows, said),) if most else (),
        notes=(TAKES_NOTHING,),
        held=Held("messages", waiting + out),
    )


def _told(row: Mapping[str, Any]) -> tuple[dict[str, object], bytes]:
    published = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["published"]))
    known: dict[str, object] = {"published": published}
    if row["key"]:
        known["ordering key"] = row["key"]
    if row["attributes"]:
        known["attributes"] = row["attributes"]
    return known, base64.b64decode(row["data"])


async def _told_by_the_emulator(client: PubSubClient, most: int) -> Mapping[str, Any] | None:
    """What waits; None where it is no emulator of ours."""
    words = msgspec.json.encode({"subscription": client.name, "most": most})
    answer = await client.raw(LOCAL_LOOK, words, CALL_S)
    return None if answer is None else msgspec.json.decode(answer, type=dict[str, Any])


async def _real(empty: ResourceLook, name: str, env: Env, most: int) -> ResourceLook:
    _, project, _, subscription = name.split("/")
    notes = [TAKES_NOTHING]
    if most:
        notes.append(NOT_SHOWN)
    metrics: Mapping[str, float] = {}
    if "pubsub" not in env.endpoints:
        with suppress(Exception):  # nothing that is wrong there is wrong with the subscription
            metrics = await on_thread(lambda: _metrics(env, project, subscription))
    waiting = metrics.get("num_undelivered_messages")
    figures = [Figure("waiting", waiting, about="" if waiting is None else "about")]
    if "oldest_unacked_message_age" in metrics:
        figures.append(Figure("oldest", metrics["oldest_unacked_message_age"], "s", "about"))
    return replace(
        empty,
        figures=tuple(figures),
        notes=(*notes, LATE if waiting is not None else UNTOLD),
        held=Held("messages", None if waiting is None else int(waiting), "about"),
    )


def _metrics(env: Env, project: str, subscription: str) -> dict[str, float]:
    """The latest values of two metrics; blocks."""
    from google.auth.transport.requests import AuthorizedSession

    base = env.endpoints.get("monitoring", MONITORING)
    now = time.time()
    found: dict[str, float] = {}
    session = AuthorizedSession(credentials(env))  # type: ignore[no-untyped-call]
    with session:
        for metric in ("num_undelivered_messages", "oldest_unacked_message_age"):
            words = {
                "filter": f'metric.type="pubsub.googleapis.com/subscription/{metric}" AND '
                f'resource.labels.subscription_id="{subscription}"',
                "interval.startTime": _rfc3339(now - LAG_S),
                "interval.endTime": _rfc3339(now),
            }
            url = f"{base}/v3/projects/{project}/timeSeries"
            answer = session.get(url, params=words, timeout=CALL_S)
            answer.raise_for_status()
            for series in answer.json().get("timeSeries") or ():
                value = series["points"][0]["value"]  # the latest comes first
                found[metric] = float(value.get("int64Value", value.get("doubleValue", 0)))
    return found


def _rfc3339(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


async def look_into_topic(client: PubSubClient, empty: ResourceLook, asked: Asked) -> ResourceLook:
    """Look, through the client of one topic, which keeps nothing: its subscriptions do.

    Raises:
        TemporaryError: it is missing or out of reach.
        PermanentError: it refuses us.
    """
    known = messages()
    request = known.GetTopicRequest(topic=client.name)
    await client.look("Publisher/GetTopic", request, known.Topic, asked.within_s)
    listing = known.ListTopicSubscriptionsRequest(topic=client.name, page_size=MOST_LISTED)
    listed = await client.look(
        "Publisher/ListTopicSubscriptions",
        listing,
        known.ListTopicSubscriptionsResponse,
        asked.within_s,
    )
    names = [one.rpartition("/")[2] for one in listed.subscriptions]
    about = "at least" if listed.next_page_token else ""
    rows = tuple((name,) for name in sorted(names)[: rows_asked(asked, MOST_LISTED)])
    said = "" if names else "What is published now is lost: nobody has subscribed."
    content = Content("Subscriptions", (Column("subscription"),), rows, said, elements=False)
    return replace(
        empty,
        place=client.name,
        figures=(Figure("subscriptions", len(names), about=about),),
        contents=(content,) if asked.rows else (),
        notes=(TAKES_NOTHING,),
    )


async def purge_subscription(client: PubSubClient) -> None:
    """Acknowledge all that was published until now, by seeking there. Raises as a look."""
    known = messages()
    request = known.SeekRequest(subscription=client.name)
    request.time.FromNanoseconds(time.time_ns())
    await client.look("Subscriber/Seek", request, known.SeekResponse, CALL_S)
