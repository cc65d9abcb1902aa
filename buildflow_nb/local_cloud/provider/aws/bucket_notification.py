"""`aws:s3/bucketNotification:BucketNotification`: which queues hear of a bucket's changes.

Its id is the bucket's name: a bucket has one notification configuration, which this resource owns
as a whole. S3 checks the queues when it is set, so the queue's policy has to be there first.

Source: Amazon S3 API reference, PutBucketNotificationConfiguration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from buildflow_nb.local_cloud.provider.aws.cloud import AWSCloud, is_gone
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Input, Schema

__all__ = ("BucketNotification",)

FILTERS = {"filterPrefix": "prefix", "filterSuffix": "suffix"}


class BucketNotification(Resource[AWSCloud]):
    """The notification configuration of a bucket."""

    service = "s3"
    schema: ClassVar[Schema] = Schema(
        "aws:s3/bucketNotification:BucketNotification",
        inputs={
            "bucket": Input(required=True, replaces=True),
            "queues": Input(
                Kind.OBJECTS,
                parts={
                    "queueArn": Input(required=True),
                    "events": Input(Kind.CHOICES, required=True),
                    "filterPrefix": Input(),
                    "filterSuffix": Input(),
                    "id": Input(computed=True),
                },
            ),
            "region": Input(replaces=True, computed=True),
        },
    )

    def create(self, cloud: AWSCloud, inputs: Properties) -> str:
        """Set the bucket's notifications."""
        bucket = inputs.must("bucket")
        self.update(cloud, bucket, inputs, inputs)
        return bucket

    def read(
        self, cloud: AWSCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the bucket's notifications; none at all is a resource that is gone."""
        region = known.text("region") or cloud.region
        try:
            got = cloud.s3(region).get_bucket_notification_configuration(Bucket=resource_id)
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        queues = [_properties(each) for each in got.get("QueueConfigurations", ())]
        if not queues:
            return None
        return {"bucket": resource_id, "region": region, "queues": _ordered(queues, known)}

    def update(self, cloud: AWSCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Set the bucket's notifications in place of those that it has."""
        del olds
        queues = [_configuration(queue) for queue in news.parts("queues")]
        cloud.s3(news.text("region")).put_bucket_notification_configuration(
            Bucket=resource_id, NotificationConfiguration={"QueueConfigurations": queues}
        )

    def delete(self, cloud: AWSCloud, resource_id: str, known: Properties) -> None:
        """Take the bucket's notifications away."""
        try:
            cloud.s3(known.text("region")).put_bucket_notification_configuration(
                Bucket=resource_id, NotificationConfiguration={}
            )
        except ClientError as error:
            if not is_gone(error):
                raise


def _configuration(queue: Properties) -> dict[str, Any]:
    """One queue, as S3 wants it."""
    rules = [
        {"Name": rule, "Value": queue.must(name)}
        for name, rule in FILTERS.items()
        if queue.text(name)
    ]
    found: dict[str, Any] = {"QueueArn": queue.must("queueArn"), "Events": queue.texts("events")}
    if queue.text("id"):
        found["Id"] = queue.must("id")
    if rules:
        found["Filter"] = {"Key": {"FilterRules": rules}}
    return found


def _properties(configuration: Mapping[str, Any]) -> dict[str, Plain]:
    """One queue, as a program says it."""
    rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    values = {rule["Name"].lower(): rule["Value"] for rule in rules}
    found: dict[str, Plain] = {
        "id": configuration["Id"],
        "queueArn": configuration["QueueArn"],
        "events": list[Plain](configuration["Events"]),
    }
    filters = {n: values[rule] for n, rule in FILTERS.items() if values.get(rule)}
    return found | filters


def _ordered(queues: list[dict[str, Plain]], known: Properties) -> list[Plain]:
    """The queues in the program's order: S3 promises none, and another is no change."""
    wanted = [queue.must("queueArn") for queue in known.parts("queues")]

    def place(queue: dict[str, Plain]) -> int:
        arn = str(queue["queueArn"])
        return wanted.index(arn) if arn in wanted else len(wanted)

    ordered = sorted(queues, key=place)
    return list[Plain](ordered)
