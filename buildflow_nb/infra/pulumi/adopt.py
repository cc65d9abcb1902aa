"""What becomes of a creation that was cut off: nothing orphaned, nothing made twice.

An engine that is killed leaves in its state the creations that it had begun. Whether the cloud
carried them out is not known. Each is therefore put into the state as if it had been, under the
identity that its inputs give it; the refresh that follows reads it through the provider, keeps it
if it is there and drops it if it is not (Pulumi docs, "Interrupted updates").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pulumi.automation import Deployment

from buildflow_nb.core.aws_session import aws_session
from buildflow_nb.core.primitive import Env

__all__ = ("adopted",)

ASK_S = 10  # seconds for a question to a cloud

Inputs = Mapping[str, Any]
State = dict[str, Any]


def adopted(deployment: Deployment, env: Env) -> tuple[Deployment, list[str]]:
    """The deployment without pending operations, and the urns of creations that stay unknown.

    An update or a deletion that was cut off needs nothing: its resource is in the state already.
    """
    state: State = dict(deployment.deployment or {})
    unknown: list[str] = []
    resources = list(state.get("resources") or [])
    known = {resource["urn"] for resource in resources}
    for pending in state.get("pending_operations") or []:
        resource = pending["resource"]
        made = resource.get("custom", False)  # a component is nothing that a cloud has
        if not made or pending["type"] != "creating" or resource["urn"] in known:
            continue
        if resource["type"] not in _IDENTITIES:
            unknown.append(resource["urn"])
            continue
        identity = _IDENTITIES[resource["type"]](
            resource["inputs"], _Whereabouts(env, resource, resources)
        )
        if identity is not None:
            resources.append({**resource, "id": identity, "outputs": resource["inputs"]})
    state.update(resources=resources, pending_operations=[])
    return Deployment(version=deployment.version, deployment=state), unknown


class _Whereabouts:
    """Where a resource was to be made, and who may ask there."""

    def __init__(self, env: Env, resource: State, resources: list[State]) -> None:
        self.env = env
        urn = str(resource.get("provider", "")).rpartition("::")[0]
        found = next((r for r in resources if r["urn"] == urn), {})
        self._provider: Inputs = found.get("inputs") or {}

    @property
    def region(self) -> str | None:
        """The AWS region."""
        return self._provider.get("region") or self.env.aws_region

    @property
    def project(self) -> str | None:
        """The Google Cloud project."""
        return self._provider.get("project") or self.env.gcp_project


def _queue(inputs: Inputs, where: _Whereabouts) -> str | None:
    """The URL of the queue, or None if there is no such queue (SQS API, GetQueueUrl)."""
    from botocore.config import Config
    from botocore.exceptions import ClientError

    client = aws_session(where.env.aws).client(
        "sqs",
        region_name=where.region,
        endpoint_url=where.env.endpoints.get("sqs"),
        config=Config(connect_timeout=ASK_S, read_timeout=ASK_S, retries={"total_max_attempts": 2}),
    )
    try:
        return str(client.get_queue_url(QueueName=inputs["name"])["QueueUrl"])
    except ClientError as error:
        if error.response["Error"]["Code"].endswith(("NonExistentQueue", "QueueDoesNotExist")):
            return None
        raise
    finally:
        client.close()


def _notification(inputs: Inputs, where: _Whereabouts) -> str | None:
    """The id of the bucket's notification to that topic (Cloud Storage API, notifications)."""
    from google.api_core.exceptions import NotFound
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from google.oauth2 import service_account

    endpoint = where.env.endpoints.get("storage")
    account = where.env.gcp.service_account_info
    credentials: Any = None
    if endpoint is not None:
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    elif account is not None:
        import json

        credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            json.loads(account.reveal())
        )
    options = {"api_endpoint": endpoint} if endpoint is not None else None
    client = storage.Client(where.project, credentials=credentials, client_options=options)
    topic = str(inputs["topic"]).rpartition("/")[2]
    try:
        for found in client.bucket(inputs["bucket"]).list_notifications(timeout=ASK_S):
            if found.topic_name == topic:
                return f"{inputs['bucket']}/notificationConfigs/{found.notification_id}"
    except NotFound:
        pass
    finally:
        client.close()
    return None


def _member(of: str) -> Callable[[Inputs, _Whereabouts], str | None]:
    """The id of an IAM member: RESOURCE/ROLE/MEMBER (provider's documents, "Import")."""

    def identity(inputs: Inputs, where: _Whereabouts) -> str:
        project = inputs.get("project") or where.project
        name = str(inputs[of])
        full = name if "/" in name or of == "bucket" else f"projects/{project}/{of}s/{name}"
        return f"{'b/' if of == 'bucket' else ''}{full}/{inputs['role']}/{inputs['member']}"

    return identity


def _in_project(kind: str) -> Callable[[Inputs, _Whereabouts], str | None]:
    def identity(inputs: Inputs, where: _Whereabouts) -> str:
        return f"projects/{inputs.get('project') or where.project}/{kind}/{inputs['name']}"

    return identity


def _input(name: str) -> Callable[[Inputs, _Whereabouts], str | None]:
    return lambda inputs, _: str(inputs[name])


_IDENTITIES: Mapping[str, Callable[[Inputs, _Whereabouts], str | None]] = {
    "aws:s3/bucket:Bucket": _input("bucket"),
    "aws:s3/bucketNotification:BucketNotification": _input("bucket"),
    "aws:sqs/queue:Queue": _queue,
    "aws:sqs/queuePolicy:QueuePolicy": _input("queueUrl"),
    "gcp:storage/bucket:Bucket": _input("name"),
    "gcp:storage/notification:Notification": _notification,
    "gcp:storage/bucketIAMMember:BucketIAMMember": _member("bucket"),
    "gcp:pubsub/topic:Topic": _in_project("topics"),
    "gcp:pubsub/subscription:Subscription": _in_project("subscriptions"),
    "gcp:pubsub/topicIAMMember:TopicIAMMember": _member("topic"),
    "gcp:pubsub/subscriptionIAMMember:SubscriptionIAMMember": _member("subscription"),
}
