"""Tags of AWS resources: the program's own over the provider's default ones.

`tags` are those of the program, `tagsAll` those that the resource has. Tags are authoritative: one
that somebody added behind the program's back is drift. A default tag counts as the program's only
if the program gives it too.
"""

from __future__ import annotations

from collections.abc import Mapping

from buildflow_nb.infra.local_cloud.provider.aws.cloud import AWSCloud
from buildflow_nb.infra.local_cloud.provider.codec import Plain
from buildflow_nb.infra.local_cloud.provider.properties import Properties

__all__ = ("tag_properties", "wanted_tags")


def wanted_tags(cloud: AWSCloud, inputs: Properties) -> dict[str, str]:
    """The tags that a resource should have."""
    return {name: str(tag) for name, tag in cloud.default_tags.items()} | inputs.table("tags")


def tag_properties(cloud: AWSCloud, known: Properties, live: Mapping[str, str]) -> dict[str, Plain]:
    """The outputs `tags` and `tagsAll` of a resource that has the tags `live`."""
    defaults, own = cloud.default_tags, known.table("tags")
    tags = {n: tag for n, tag in live.items() if n in own or defaults.get(n) != tag}
    return {"tags": dict[str, Plain](tags) or None, "tagsAll": dict[str, Plain](live)}
