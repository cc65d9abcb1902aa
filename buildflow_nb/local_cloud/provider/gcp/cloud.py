"""The way from a provider instance of the `gcp` package to Cloud Storage, Pub/Sub and Cloud SQL.

The endpoints are those arguments of the published provider that replace Google's addresses. Pub/Sub
is spoken over gRPC, so of its endpoint only host and port count. Credentials are not used at all.

Labels, unlike AWS's tags, are not authoritative: a program manages those that it names, and leaves
alone what others have put on the same resource. `labels` are the program's, `pulumiLabels` those
with the provider's, `effectiveLabels` all that the resource has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import grpc
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.primitive import Services
from buildflow_nb.local_cloud.provider.clients import Pool, loopback
from buildflow_nb.local_cloud.provider.codec import Plain, Unknown
from buildflow_nb.local_cloud.provider.gcp.json_api import JsonAPI
from buildflow_nb.local_cloud.provider.gcp.sql_cluster import SqlCluster
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.schema import Failure

__all__ = (
    "AUTO_NAME",
    "CALL_S",
    "LABEL_OUTPUTS",
    "GCPCloud",
    "PubSub",
    "label_properties",
    "name_failures",
    "next_labels",
    "wanted_labels",
)

CALL_S = 10.0  # an emulator answers in milliseconds; only a hanging one reaches it
ENDPOINTS = {
    "bigquery": "bigQueryCustomEndpoint",
    "sql": "sqlCustomEndpoint",
    "storage": "storageCustomEndpoint",
    "pubsub": "pubsubCustomEndpoint",
}
POSTGRES = "postgres"  # the store that Cloud SQL's databases are in
BIGQUERY = "bigquery"  # the store that datasets are in
CLIENTS = 16  # endpoints of each service; a local cloud has one
CHANNEL = (("grpc.enable_http_proxy", 0),)  # what the environment says must not lead elsewhere


@dataclass(frozen=True, slots=True)
class PubSub:
    """The clients of a Pub/Sub endpoint, over one channel."""

    publisher: PublisherClient
    subscriber: SubscriberClient


_storage: Pool[JsonAPI] = Pool(CLIENTS)
_bigquery: Pool[JsonAPI] = Pool(CLIENTS)
_pubsub: Pool[PubSub] = Pool(CLIENTS)


class GCPCloud:
    """Endpoints, project and default labels of a provider instance."""

    def __init__(self, arguments: Mapping[str, Plain], services: Services | None = None) -> None:
        """Read a configuration.

        Raises:
            InfraError: an endpoint is not of this machine.
        """
        self._arguments = arguments
        self._services = services
        self.default_labels = Properties(arguments).table("defaultLabels")
        for argument in ENDPOINTS.values():
            endpoint = arguments.get(argument)
            if isinstance(endpoint, str) and endpoint:
                loopback(endpoint, f"{argument} of the provider gcp")

    def project(self, inputs: Properties) -> str:
        """The project of a resource: its own, or else the provider's.

        Raises:
            InfraError: neither names one.
        """
        project = inputs.text("project") or self._arguments.get("project")
        if not isinstance(project, str) or not project:
            msg = "no project: give the resource one, or the provider gcp"
            raise InfraError(msg)
        return project

    def path(self, collection: str, name: str, inputs: Properties) -> str:
        """The full path of a topic or subscription that is given by name or path.

        Raises:
            InfraError: it is given by name, and there is no project.
        """
        full = name.removeprefix("//pubsub.googleapis.com/")
        if full.startswith("projects/"):
            return full
        project, slash, last = full.rpartition("/")
        return f"projects/{project if slash else self.project(inputs)}/{collection}/{last}"

    def require(self, service: str) -> None:
        """Make sure that a service may be called.

        Raises:
            InfraError: the provider was given no endpoint for it.
        """
        if not isinstance(self._arguments.get(ENDPOINTS[service]), Unknown):
            self._endpoint(service)

    @property
    def storage(self) -> JsonAPI:
        """Cloud Storage."""
        base = self._endpoint("storage")
        return _storage.get(base, lambda: JsonAPI(base, "Cloud Storage"))

    @property
    def bigquery(self) -> JsonAPI:
        """BigQuery, which is started when a call is made.

        Raises:
            InfraError: this provider was started without the stores of a local cloud.
        """
        base = self._endpoint("bigquery")
        if self._services is None:
            msg = "the local cloud's BigQuery needs its stores; apply by way of a local stack"
            raise InfraError(msg)
        self._services.wake(BIGQUERY)
        password = self._services.password(BIGQUERY)
        return _bigquery.get((base, password), lambda: JsonAPI(base, "BigQuery", password))

    @property
    def pubsub(self) -> PubSub:
        """Pub/Sub."""
        target = loopback(self._endpoint("pubsub"), "Pub/Sub").netloc
        return _pubsub.get(target, lambda: _dial(target))

    @property
    def sql(self) -> SqlCluster:
        """Cloud SQL, whose Postgres is started when a call is made.

        Raises:
            InfraError: this provider was started without the stores of a local cloud.
        """
        services = self._services
        self._endpoint("sql")
        if services is None:
            msg = "the local cloud's Cloud SQL needs its stores; apply by way of a local stack"
            raise InfraError(msg)
        return SqlCluster(lambda: services.wake(POSTGRES), lambda: services.password(POSTGRES))

    def _endpoint(self, service: str) -> str:
        argument = ENDPOINTS[service]
        endpoint = self._arguments.get(argument)
        if not isinstance(endpoint, str) or not endpoint:
            msg = (
                f"the provider gcp has no endpoint for {service}, and the local cloud's provider "
                f"dials no other than this machine's; give it {argument}, like "
                "http://127.0.0.1:8085/v1/"
            )
            raise InfraError(msg)
        return endpoint


def _dial(target: str) -> PubSub:
    channel = grpc.insecure_channel(target, options=CHANNEL)
    return PubSub(
        PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
        SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
    )


LABEL_OUTPUTS = {"effectiveLabels": ("labels",), "pulumiLabels": ("labels",)}


def wanted_labels(cloud: GCPCloud, inputs: Properties) -> dict[str, str]:
    """The labels that a new resource gets."""
    return cloud.default_labels | inputs.table("labels")


def next_labels(
    cloud: GCPCloud, live: Mapping[str, str], olds: Properties, news: Properties
) -> dict[str, str]:
    """All labels of a resource after an update: those of others stay."""
    dropped = olds.table("labels").keys() - news.table("labels").keys()
    others = {name: label for name, label in live.items() if name not in dropped}
    return others | wanted_labels(cloud, news)


def label_properties(
    cloud: GCPCloud, known: Properties, live: Mapping[str, str]
) -> dict[str, Plain]:
    """The outputs of a resource that has the labels `live`; all are its own in an import."""
    own = known.table("labels").keys() if known else live.keys()
    labels = {name: label for name, label in live.items() if name in own}
    managed = {n: label for n, label in live.items() if n in own or n in cloud.default_labels}
    return {
        "labels": dict[str, Plain](labels) or None,
        "pulumiLabels": dict[str, Plain](managed),
        "effectiveLabels": dict[str, Plain](live),
    }


# Names of topics and subscriptions, and the error by which Pub/Sub says that there is none.
# Source: Pub/Sub documentation, "Guidelines to name a topic, subscription, schema, or snapshot".

AUTO_NAME = AutoName("name", 255)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


def name_failures(what: str, inputs: Properties) -> Iterator[Failure]:
    """Names that Pub/Sub would reject."""
    name = inputs.text("name")
    if name is not None and (NAME.fullmatch(name) is None or name.startswith("goog")):
        reason = (
            f"{what} name {name!r}: Pub/Sub takes 3 to 255 letters, digits and any of -._~+%, "
            "beginning with a letter, but not with 'goog'"
        )
        yield Failure("name", reason)
