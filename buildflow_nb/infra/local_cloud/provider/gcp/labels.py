"""Labels of Google Cloud resources: the program's own over the provider's default ones.

Unlike AWS's tags they are not authoritative: a program manages the labels that it names, and leaves
alone what others have put on the same resource. `labels` are the program's, `pulumiLabels` those
with the provider's, `effectiveLabels` all that the resource has.
"""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.infra.local_cloud.provider.codec import Plain
from buildflow_nb.infra.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.infra.local_cloud.provider.properties import Properties

__all__ = ("LABEL_OUTPUTS", "label_properties", "next_labels", "wanted_labels")

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
