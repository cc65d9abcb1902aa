"""`gcp:storage/bucket:Bucket`: a bucket of Cloud Storage.

Its id is its name. It is deleted only when it is empty, or when `forceDestroy` was applied before;
then all generations of all objects go first, page by page, until `EMPTYING_S` is over.

Google's answers always hold `iamConfiguration`. A server that leaves it out keeps no more of a
bucket than its name, whatever it says of location, class and labels. For those the declared values
stand, and an import tells none of them; otherwise every refresh would find drift that is none.

Source: Cloud Storage JSON API v1, Buckets; Cloud Storage documentation, "Bucket naming".
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import (
    LABEL_OUTPUTS,
    GCPCloud,
    label_properties,
    next_labels,
    wanted_labels,
)
from buildflow_nb.local_cloud.provider.gcp.json_api import JsonAPI, ServiceRefusedError
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("Bucket",)

EMPTYING_S = 120.0  # some 100 000 objects; a writer that goes on for longer would make it endless
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*)[a-z0-9]")
SHORTEST, LONGEST, LONGEST_DOTTED = 3, 63, 222  # characters; between two dots LONGEST at most
CONFLICTS = frozenset({409, 412})  # HTTP statuses by which servers say "not empty"
CHANGING = ("labels", "storageClass", "uniformBucketLevelAccess", "publicAccessPrevention")


class Bucket(Resource[GCPCloud]):
    """A bucket of Cloud Storage."""

    service = "storage"
    schema: ClassVar[Schema] = Schema(
        "gcp:storage/bucket:Bucket",
        inputs={
            "forceDestroy": Input(Kind.FLAG, default=False),
            "labels": Input(Kind.TABLE),
            "location": Input(Kind.CASELESS, required=True, replaces=True),
            "name": Input(replaces=True, computed=True),
            "project": Input(replaces=True, computed=True),
            "publicAccessPrevention": Input(computed=True, choices=("inherited", "enforced")),
            "storageClass": Input(Kind.CASELESS, default="STANDARD"),
            "uniformBucketLevelAccess": Input(Kind.FLAG, computed=True),
        },
        outputs={
            "projectNumber": (),
            "selfLink": (),
            "timeCreated": (),
            "updated": CHANGING,
            "url": (),
            **LABEL_OUTPUTS,
        },
        name=AutoName("name", LONGEST, lower=True),
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that Cloud Storage would reject."""
        name = inputs.text("name")
        if name is not None and not _is_name(name):
            reason = (
                f"bucket name {name!r}: Cloud Storage takes 3 to 63 lower-case letters, digits, "
                "dashes, underscores and dots (222 with dots, 63 between them), beginning and "
                "ending with a letter or digit, no IP address, and neither 'goog' in front nor "
                "'google' inside"
            )
            yield Failure("name", reason)

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Make the bucket, in one call."""
        name = inputs.must("name")
        body = {
            "name": name,
            "location": inputs.must("location").upper(),
            "labels": wanted_labels(cloud, inputs),
            **_settings(inputs),
        }
        cloud.storage.call("POST", "b", body=body, query={"project": cloud.project(inputs)})
        return name

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the bucket's metadata."""
        live = cloud.storage.get("b", resource_id)
        if live is None:
            return None
        properties: dict[str, Plain] = {
            "name": resource_id,
            "url": f"gs://{resource_id}",
            "project": cloud.project(known),
            "projectNumber": int(live.get("projectNumber") or 0),
            "selfLink": live.get("selfLink"),
            "timeCreated": live.get("timeCreated"),
            "updated": live.get("updated"),
        }
        access = live.get("iamConfiguration")
        if access is None:
            declared = {name: known.get(name) for name in (*CHANGING, "location")}
            labels = wanted_labels(cloud, known)
            return properties | declared | label_properties(cloud, known, labels)
        return {
            **properties,
            "location": live.get("location"),
            "storageClass": live.get("storageClass"),
            **_access(access),
            **label_properties(cloud, known, live.get("labels") or {}),
        }

    def update(self, cloud: GCPCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Patch the bucket's metadata; `forceDestroy` is a matter of the state alone."""
        live = (cloud.storage.get("b", resource_id) or {}).get("labels") or {}
        labels: dict[str, str | None] = dict.fromkeys(live)  # null takes a label away
        labels |= next_labels(cloud, live, olds, news)
        body = {"labels": labels, **_settings(news)}
        cloud.storage.call("PATCH", "b", resource_id, body=body)

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Delete the bucket, with all that is in it if `forceDestroy` says so."""
        storage = cloud.storage
        if known.flag("forceDestroy"):
            _empty(storage, resource_id)
        try:
            storage.delete("b", resource_id)
        except ServiceRefusedError as error:
            if error.status not in CONFLICTS:
                raise
            msg = (
                f"The bucket you tried to delete is not empty. ({error}); delete the objects of "
                f"{resource_id!r}, or apply it with .options(force_destroy=True) first"
            )
            raise InfraError(msg) from error


def _is_name(name: str) -> bool:
    longest = LONGEST_DOTTED if "." in name else LONGEST
    if not SHORTEST <= len(name) <= longest or NAME.fullmatch(name) is None:
        return False
    if name.startswith("goog") or "google" in name:
        return False
    if not all(0 < len(part) <= LONGEST for part in name.split(".")):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


def _settings(inputs: Properties) -> dict[str, Any]:
    """What can be changed of a bucket but its labels, as the API wants it."""
    access: dict[str, Any] = {}
    if inputs.get("uniformBucketLevelAccess") is not None:
        access["uniformBucketLevelAccess"] = {"enabled": inputs.flag("uniformBucketLevelAccess")}
    if inputs.text("publicAccessPrevention"):
        access["publicAccessPrevention"] = inputs.text("publicAccessPrevention")
    found: dict[str, Any] = {"storageClass": inputs.must("storageClass").upper()}
    return found | ({"iamConfiguration": access} if access else {})


def _access(live: Mapping[str, Any]) -> dict[str, Plain]:
    uniform = live.get("uniformBucketLevelAccess") or {}
    return {
        "uniformBucketLevelAccess": bool(uniform.get("enabled")),
        "publicAccessPrevention": live.get("publicAccessPrevention"),
    }


def _empty(storage: JsonAPI, name: str) -> None:
    """Delete all objects, with all their generations."""
    end = time.monotonic() + EMPTYING_S
    while page := (storage.get("b", name, "o", versions="true") or {}).get("items"):
        for item in page:
            storage.delete("b", name, "o", item["name"], generation=str(item["generation"]))
            if time.monotonic() > end:
                msg = f"bucket {name!r} is not empty after {EMPTYING_S:g} s; stop its writers"
                raise InfraError(msg)
