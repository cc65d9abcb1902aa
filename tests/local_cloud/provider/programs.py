"""The programs that these tests give to the engine: all types of a cloud, tied to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws
import pulumi_gcp

__all__ = ("AWSProgram", "GCPProgram")

AWS_KEY, GCP_ACCOUNT = "a-secret-key", "a-secret-account"
Words = Mapping[str, Any]


@dataclass(frozen=True)
class Program:
    """Names to give, and ids to import, by resource name; and further arguments of some types."""

    names: Words = field(default_factory=dict)
    imports: Words = field(default_factory=dict)
    bucket: Words = field(default_factory=dict)

    def options(self, provider, name, *after):
        return pulumi.ResourceOptions(
            provider=provider, import_=self.imports.get(name), depends_on=list(after)
        )


@dataclass(frozen=True)
class AWSProgram(Program):
    """A bucket whose changes go to a queue, a dead letter queue, and a policy."""

    ALL = ("Lake", "dead", "queue", "policy", "notification")

    url: str = ""
    queue: Words = field(default_factory=dict)
    suffix: str = ".csv"

    def __call__(self):
        provider = pulumi_aws.Provider(
            "local",
            region="us-east-1",
            access_key="test",
            secret_key=pulumi.Output.secret(AWS_KEY),
            endpoints=[pulumi_aws.ProviderEndpointArgs(s3=self.url, sqs=self.url)],
        )
        words = {"bucket": self.names.get("Lake"), "tags": {"team": "core"}, **self.bucket}
        lake = pulumi_aws.s3.Bucket("Lake", **words, opts=self.options(provider, "Lake"))
        queue = self.queues(provider)
        policy = self.policy(provider, queue)
        self.notification(provider, lake, queue, policy)
        pulumi.export("bucket", lake.bucket)
        pulumi.export("tags", lake.tags_all)

    def queues(self, provider):
        dead = pulumi_aws.sqs.Queue(
            "dead", name=self.names.get("dead"), opts=self.options(provider, "dead")
        )
        redrive = pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3})
        words = {"name": self.names.get("queue"), "redrive_policy": redrive, **self.queue}
        queue = pulumi_aws.sqs.Queue("queue", **words, opts=self.options(provider, "queue"))
        pulumi.export("queue", queue.url)
        pulumi.export("dead", dead.url)
        return queue

    def policy(self, provider, queue):
        statement = {
            "actions": ["sqs:SendMessage"],
            "resources": [queue.arn],
            "principals": [{"type": "Service", "identifiers": ["s3.amazonaws.com"]}],
        }
        document = pulumi_aws.iam.get_policy_document_output(
            statements=[statement], opts=pulumi.InvokeOutputOptions(provider=provider)
        )
        return pulumi_aws.sqs.QueuePolicy(
            "policy",
            queue_url=queue.url,
            policy=document.json,
            opts=self.options(provider, "policy"),
        )

    def notification(self, provider, lake, queue, policy):
        configuration = {
            "queue_arn": queue.arn,
            "events": ["s3:ObjectCreated:*"],
            "filter_suffix": self.suffix,
        }
        pulumi_aws.s3.BucketNotification(
            "notification",
            bucket=lake.bucket,
            queues=[configuration],
            opts=self.options(provider, "notification", policy),
        )


@dataclass(frozen=True)
class GCPProgram(Program):
    """A bucket whose changes go to a topic with a subscription, a dead letter topic, policies."""

    ALL = (
        "Lake",
        "topic",
        "dead",
        "subscription",
        "publisher",
        "reader",
        "viewer",
        "notification",
    )

    storage_url: str = ""
    pubsub_url: str = ""
    topic: Words = field(default_factory=dict)
    subscription: Words = field(default_factory=dict)

    def __call__(self):
        provider = pulumi_gcp.Provider(
            "local",
            project="proj",
            credentials=pulumi.Output.secret(GCP_ACCOUNT),
            storage_custom_endpoint=self.storage_url,
            pubsub_custom_endpoint=self.pubsub_url,
        )
        words = {"name": self.names.get("Lake"), "location": "us", "labels": {"team": "core"}}
        lake = pulumi_gcp.storage.Bucket(
            "Lake", **{**words, **self.bucket}, opts=self.options(provider, "Lake")
        )
        topic, subscription = self.pubsub(provider)
        publisher = self.members(provider, lake, topic, subscription)
        self.notification(provider, lake, topic, publisher)
        pulumi.export("Lake", lake.name)
        pulumi.export("topic", topic.id)
        pulumi.export("subscription", subscription.id)
        pulumi.export("publisher", publisher.id)

    def pubsub(self, provider):
        topic, dead = (
            pulumi_gcp.pubsub.Topic(
                name, name=self.names.get(name), **words, opts=self.options(provider, name)
            )
            for name, words in (("topic", self.topic), ("dead", {"labels": {"a": "b"}}))
        )
        words = {
            "ack_deadline_seconds": 20,
            "retry_policy": {"minimum_backoff": "10s"},
            "expiration_policy": {"ttl": ""},
            "dead_letter_policy": {"dead_letter_topic": dead.id, "max_delivery_attempts": 7},
        }
        subscription = pulumi_gcp.pubsub.Subscription(
            "subscription",
            name=self.names.get("subscription"),
            topic=topic.name,
            filter='attributes.kind = "order"',
            **{**words, **self.subscription},
            opts=self.options(provider, "subscription"),
        )
        pulumi.export("dead", dead.id)
        return topic, subscription

    def members(self, provider, lake, topic, subscription):
        account = pulumi_gcp.storage.get_project_service_account_output(
            opts=pulumi.InvokeOutputOptions(provider=provider)
        )
        pulumi_gcp.pubsub.SubscriptionIAMMember(
            "reader",
            subscription=subscription.name,
            role="roles/pubsub.subscriber",
            member="user:a@example.com",
            opts=self.options(provider, "reader"),
        )
        pulumi_gcp.storage.BucketIAMMember(
            "viewer",
            bucket=lake.name,
            role="roles/storage.objectViewer",
            member="allUsers",
            opts=self.options(provider, "viewer"),
        )
        return pulumi_gcp.pubsub.TopicIAMMember(
            "publisher",
            topic=topic.id,
            role="roles/pubsub.publisher",
            member=account.member,
            opts=self.options(provider, "publisher"),
        )

    def notification(self, provider, lake, topic, publisher):
        notification = pulumi_gcp.storage.Notification(
            "notification",
            bucket=lake.name,
            topic=topic.id,
            payload_format="JSON_API_V1",
            event_types=["OBJECT_FINALIZE", "OBJECT_DELETE"],
            opts=self.options(provider, "notification", publisher),
        )
        pulumi.export("notification", notification.id)
