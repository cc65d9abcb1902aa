"""Completes and judges the inputs of a resource before anything is planned.

What is added (a name, defaults) is written into the inputs and listed in `__defaults`, so that it
is kept, compared and shown like anything that the program said itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from pulumi.runtime.proto import provider_pb2 as proto

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain, Unknown, decode, encoded
from buildflow_nb.local_cloud.provider.names import DEFAULTS
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Cloud, CloudT, Resource
from buildflow_nb.local_cloud.provider.schema import Failure

__all__ = ("checked",)


def checked(
    resource: Resource[CloudT], request: proto.CheckRequest, cloud: CloudT
) -> proto.CheckResponse:
    """Answer with the completed inputs, and with everything that is wrong with them."""
    schema = resource.schema
    news, olds = decode(request.news), decode(request.olds)
    news.values.pop(DEFAULTS, None)
    added = schema.defaults(news.values)
    name = schema.name.choose(request, news, olds) if schema.name else None
    if schema.name and name is not None:
        added[schema.name.name] = name
    inputs = type(request.news)()
    inputs.CopyFrom(request.news)
    for key, value in added.items():
        inputs.fields[key].CopyFrom(encoded(value))
    inputs.fields[DEFAULTS].CopyFrom(encoded(list[Plain](sorted(added))))
    failures = [
        proto.CheckFailure(property=each.path, reason=each.reason)
        for each in _failures(resource, {**news.values, **added}, cloud)
    ]
    return proto.CheckResponse(inputs=inputs, failures=failures)


def _failures(
    resource: Resource[CloudT], values: dict[str, Plain], cloud: Cloud
) -> Iterator[Failure]:
    try:
        cloud.require(resource.service)
    except InfraError as error:
        yield Failure("", str(error))
    wrong = list(resource.schema.failures(values))
    yield from wrong
    if not wrong:
        known = {n: v for n, v in values.items() if not isinstance(v, Unknown)}
        yield from resource.failures(Properties(known))
