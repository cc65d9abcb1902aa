"""A provider instance as the engine sees one: a connection of its own, and requests over it."""

from __future__ import annotations

import json
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as proto
from pulumi.runtime.proto import provider_pb2_grpc as protocol

from buildflow_nb.local_cloud.provider.codec import Bag, decode, encode

DEADLINE_S = 20.0


class Instance:
    """Speaks to a provider server."""

    def __init__(self, port: int) -> None:
        # Without a subchannel pool of its own a channel would share the connection of another.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self.stub = protocol.ResourceProviderStub(self.channel)

    def attach(self) -> None:
        self.stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"), timeout=DEADLINE_S)

    def configure(self, **arguments: Any) -> None:
        texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in arguments.items()}
        request = proto.ConfigureRequest(acceptSecrets=True, args=encode(texts))
        self.stub.Configure(request, timeout=DEADLINE_S)

    def cancel(self) -> None:
        self.stub.Cancel(empty_pb2.Empty(), timeout=DEADLINE_S)

    def check_raw(self, token, news, olds=None, name="thing", secrets=(), **more):
        return self.stub.Check(
            proto.CheckRequest(
                **_who(token, name),
                news=encode(news, secrets),
                olds=encode(olds or {}),
                randomSeed=more.pop("seed", b"\x01" * 32),
                **more,
            ),
            timeout=DEADLINE_S,
        )

    def check(self, token, news, olds=None, **more) -> Bag:
        answer = self.check_raw(token, news, olds, **more)
        assert not answer.failures, answer.failures
        return decode(answer.inputs)

    def failures(self, token, news, **more) -> dict[str, str]:
        return {f.property: f.reason for f in self.check_raw(token, news, **more).failures}

    def create(self, token, inputs: Bag, name="thing", preview=False) -> tuple[str, Bag]:
        answer = self.stub.Create(
            proto.CreateRequest(
                **_who(token, name),
                properties=encode(inputs.values, inputs.secrets),
                preview=preview,
            ),
            timeout=DEADLINE_S,
        )
        return answer.id, decode(answer.properties)

    def diff(self, token, resource_id, olds: Bag, old_inputs: Bag, news: Bag, **more):
        return self.stub.Diff(
            proto.DiffRequest(
                **_who(token, "thing"),
                id=resource_id,
                olds=encode(olds.values, olds.secrets),
                old_inputs=encode(old_inputs.values, old_inputs.secrets),
                news=encode(news.values, news.secrets),
                **more,
            ),
            timeout=DEADLINE_S,
        )

    def update(self, token, resource_id, *bags: Bag, preview=False) -> Bag:
        """Update from the last outputs and inputs to new inputs; gives the new outputs."""
        olds, old_inputs, news = bags
        answer = self.stub.Update(
            proto.UpdateRequest(
                **_who(token, "thing"),
                id=resource_id,
                olds=encode(olds.values, olds.secrets),
                old_inputs=encode(old_inputs.values, old_inputs.secrets),
                news=encode(news.values, news.secrets),
                preview=preview,
            ),
            timeout=DEADLINE_S,
        )
        return decode(answer.properties)

    def read(self, token, resource_id, olds: Bag | None = None, inputs: Bag | None = None):
        """The id (empty if gone), the inputs and the outputs."""
        olds, inputs = olds or Bag({}), inputs or Bag({})
        answer = self.stub.Read(
            proto.ReadRequest(
                **_who(token, "thing"),
                id=resource_id,
                properties=encode(olds.values, olds.secrets),
                inputs=encode(inputs.values, inputs.secrets),
            ),
            timeout=DEADLINE_S,
        )
        return answer.id, decode(answer.inputs), decode(answer.properties)

    def delete(self, token, resource_id, olds: Bag, name="thing") -> None:
        properties = encode(olds.values, olds.secrets)
        request = proto.DeleteRequest(**_who(token, name), id=resource_id, properties=properties)
        self.stub.Delete(request, timeout=DEADLINE_S)

    def invoke(self, token, arguments) -> dict[str, Any]:
        request = proto.InvokeRequest(tok=token, args=encode(arguments))
        return decode(getattr(self.stub.Invoke(request, timeout=DEADLINE_S), "return")).values


def _who(token: str, name: str) -> dict[str, str]:
    return {"urn": f"urn:pulumi:dev::proj::{token}::{name}", "type": token, "name": name}


def kinds(answer: proto.DiffResponse) -> dict[str, str]:
    """The kind of change by path."""
    return {p: proto.PropertyDiff.Kind.Name(d.kind) for p, d in answer.detailedDiff.items()}


def made(instance, token, news):
    """A resource that others need; gives its id, and deletes it afterwards."""
    resource_id, outputs = instance.create(token, instance.check(token, news))
    yield resource_id
    instance.delete(token, resource_id, outputs)
