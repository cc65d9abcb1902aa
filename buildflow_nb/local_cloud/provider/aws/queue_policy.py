"""`aws:sqs/queuePolicy:QueuePolicy`: who may do what with a queue.

Its id is the queue's URL. The policy is an attribute of the queue; deleting this resource takes the
attribute away and leaves the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from botocore.exceptions import ClientError

from buildflow_nb.local_cloud.provider.aws.cloud import AWSCloud, is_gone
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Input, Schema

__all__ = ("QueuePolicy",)

ATTRIBUTE = "Policy"


class QueuePolicy(Resource[AWSCloud]):
    """The access policy of a queue."""

    service = "sqs"
    schema: ClassVar[Schema] = Schema(
        "aws:sqs/queuePolicy:QueuePolicy",
        inputs={
            "policy": Input(Kind.JSON, required=True),
            "queueUrl": Input(required=True, replaces=True),
            "region": Input(replaces=True, computed=True),
        },
    )

    def create(self, cloud: AWSCloud, inputs: Properties) -> str:
        """Set the policy."""
        url = inputs.must("queueUrl")
        self.update(cloud, url, inputs, inputs)
        return url

    def read(
        self, cloud: AWSCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the queue's policy; a queue without one has none to manage."""
        region = known.text("region") or cloud.region
        try:
            got = cloud.sqs(region).get_queue_attributes(
                QueueUrl=resource_id, AttributeNames=[ATTRIBUTE]
            )
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        policy = got.get("Attributes", {}).get(ATTRIBUTE)
        return {"policy": policy, "queueUrl": resource_id, "region": region} if policy else None

    def update(self, cloud: AWSCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Set the policy."""
        del olds
        attributes = {ATTRIBUTE: news.must("policy")}
        cloud.sqs(news.text("region")).set_queue_attributes(
            QueueUrl=resource_id, Attributes=attributes
        )

    def delete(self, cloud: AWSCloud, resource_id: str, known: Properties) -> None:
        """Take the policy away."""
        try:
            cloud.sqs(known.text("region")).set_queue_attributes(
                QueueUrl=resource_id, Attributes={ATTRIBUTE: ""}
            )
        except ClientError as error:
            if not is_gone(error):
                raise
