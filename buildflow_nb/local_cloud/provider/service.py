"""The provider protocol: one servicer for a package, for all of its provider instances at once.

The engine dials one connection for every provider instance of a program, configures it, and then
sends requests that do not name the instance, so the connection (`context.peer()`) tells whose
configuration applies. `Cancel` comes whenever an engine closes and therefore ends nothing.

Requests run on many threads at once. A refusal by the cloud is answered with UNKNOWN and a message
that names the deed, the type and the resource, and holds no secret of the request.

Source: pulumi, proto/pulumi/provider.proto, version 3.259.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Collection
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as proto
from pulumi.runtime.proto import provider_pb2_grpc as protocol
from typing_extensions import override

from buildflow_nb.core.errors import BuildFlowError, InfraError
from buildflow_nb.core.primitive import Services
from buildflow_nb.local_cloud.provider import state
from buildflow_nb.local_cloud.provider.check import checked
from buildflow_nb.local_cloud.provider.clients import Pool
from buildflow_nb.local_cloud.provider.codec import Bag, Plain, decode, encode
from buildflow_nb.local_cloud.provider.diff import changed, difference
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.refusal import Refusals, refuse
from buildflow_nb.local_cloud.provider.resource import (
    Cloud,
    IncompleteError,
    Package,
    Resource,
)

__all__ = ("ProviderService",)

INSTANCES = 256  # provider instances whose configuration is kept; a program has a handful

CloudT = TypeVar("CloudT", bound=Cloud)


class ProviderService(protocol.ResourceProviderServicer, Generic[CloudT]):
    """Serves the resource types and functions of a package."""

    def __init__(self, package: Package[CloudT], services: Services | None = None) -> None:
        self._package = package
        self._services = services
        self._version = importlib.metadata.version(f"pulumi_{package.name}")
        self._clouds: Pool[CloudT] = Pool(INSTANCES)
        self._faults: tuple[type[Exception], ...] = (BuildFlowError, *package.refusals)
        self._resources = {each.schema.token: each for each in package.resources}
        self._functions = {each.token: each for each in package.functions}

    # The instance: attach, describe, configure.

    @override
    def Handshake(
        self, request: proto.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> proto.ProviderHandshakeResponse:
        """Tell which features of the protocol are served."""
        return proto.ProviderHandshakeResponse(
            accept_secrets=True, supports_autonaming_configuration=True
        )

    @override
    def Attach(
        self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Take note of an engine; without an answer it would not use a provider that it found."""
        return empty_pb2.Empty()

    @override
    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """End nothing: calls have deadlines, and other engines use this server too."""
        return empty_pb2.Empty()

    @override
    def GetPluginInfo(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        """Give the version of the SDK whose provider this one stands for."""
        return plugin_pb2.PluginInfo(version=self._version)

    @override
    def GetSchema(
        self, request: proto.GetSchemaRequest, context: grpc.ServicerContext
    ) -> proto.GetSchemaResponse:
        """Give a schema without types: programs bring theirs with the SDK."""
        schema = {"name": self._package.name, "version": self._version}
        return proto.GetSchemaResponse(schema=json.dumps(schema))

    @override
    def CheckConfig(
        self, request: proto.CheckRequest, context: grpc.ServicerContext
    ) -> proto.CheckResponse:
        """Refuse endpoints that are not of this machine."""
        try:
            self._connect(arguments(request.news, self._package.structured))
        except InfraError as error:
            failure = proto.CheckFailure(reason=str(error))
            return proto.CheckResponse(inputs=request.news, failures=[failure])
        return proto.CheckResponse(inputs=request.news)

    @override
    def DiffConfig(
        self, request: proto.DiffRequest, context: grpc.ServicerContext
    ) -> proto.DiffResponse:
        """Compare two configurations; another region means other resources."""
        olds, news = decode(request.old_inputs).values, decode(request.news).values
        names = sorted(n for n in olds.keys() | news.keys() if olds.get(n) != news.get(n))
        return proto.DiffResponse(
            changes=proto.DiffResponse.DIFF_SOME if names else proto.DiffResponse.DIFF_NONE,
            diffs=names,
            replaces=[name for name in names if name in self._package.replaces],
        )

    @override
    def Configure(
        self, request: proto.ConfigureRequest, context: grpc.ServicerContext
    ) -> proto.ConfigureResponse:
        """Keep a configuration for all further requests of this connection."""
        given = arguments(request.args, self._package.structured)
        with self._refusals(context, f"configuring the provider {self._package.name}", given):
            self._clouds.put(context.peer(), self._connect(given))
        return proto.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    def _connect(self, given: Bag) -> CloudT:
        return self._package.connect(given.values, self._services)

    # Resources: check and diff touch no cloud; create, read, update and delete do.

    @override
    def Check(
        self, request: proto.CheckRequest, context: grpc.ServicerContext
    ) -> proto.CheckResponse:
        """Complete and judge the inputs of a resource."""
        resource = self._resource(request, context)
        return checked(resource, request, self._cloud(context))

    @override
    def Diff(self, request: proto.DiffRequest, context: grpc.ServicerContext) -> proto.DiffResponse:
        """Tell what new inputs change, and whether in place."""
        return difference(
            self._resource(request, context).schema,
            decode(request.old_inputs).values,
            decode(request.olds).values,
            decode(request.news).values,
            request.ignoreChanges,
        ).response()

    @override
    def Create(
        self, request: proto.CreateRequest, context: grpc.ServicerContext
    ) -> proto.CreateResponse:
        """Make a resource, or in a preview tell what would be known of it."""
        resource = self._resource(request, context)
        inputs = decode(request.properties)
        if request.preview:
            return proto.CreateResponse(
                properties=_struct(state.planned_create(resource.schema, inputs))
            )
        with self._refusals(context, _deed("creating", request), inputs):
            resource_id, outputs = self._create(resource, self._cloud(context), inputs)
        return proto.CreateResponse(id=resource_id, properties=_struct(outputs))

    @override
    def Update(
        self, request: proto.UpdateRequest, context: grpc.ServicerContext
    ) -> proto.UpdateResponse:
        """Change a resource in place, or in a preview tell what would be known of it."""
        resource = self._resource(request, context)
        inputs, olds, old_inputs = map(decode, (request.news, request.olds, request.old_inputs))
        schema = resource.schema
        if request.preview:
            changes = changed(schema, old_inputs.values, olds.values, inputs.values)
            planned = state.planned_update(schema, inputs, olds, changes)
            return proto.UpdateResponse(properties=_struct(planned))
        before, after = Properties(old_inputs.values), Properties(inputs.values)
        known = Properties(state.known_after(schema, inputs, olds))
        with self._refusals(context, _deed("updating", request), inputs):
            cloud = self._cloud(context)
            resource.update(cloud, request.id, before, after)
            live = resource.read(cloud, request.id, known)
            if live is None:
                msg = "it is not there any more; refresh the stack, and apply it again"
                raise InfraError(msg)
        return proto.UpdateResponse(properties=_struct(state.made(schema, inputs, live)))

    @override
    def Read(self, request: proto.ReadRequest, context: grpc.ServicerContext) -> proto.ReadResponse:
        """Look at a resource, for a refresh or an import; an empty answer says that it is gone."""
        resource = self._resource(request, context)
        inputs, olds = decode(request.inputs), decode(request.properties)
        with self._refusals(context, _deed("reading", request), inputs):
            cloud = self._cloud(context)
            resource_id = resource.identify(cloud, request.id)
            if resource_id is None:
                return proto.ReadResponse()
            live = resource.read(cloud, resource_id, Properties(olds.values or inputs.values))
            if live is None:
                return proto.ReadResponse()
        if inputs.values:
            found = state.found_inputs(resource.schema, inputs, live)
        else:
            found = state.imported_inputs(resource.schema, live)
        struct = _struct(found)
        for name, value in inputs.values.items():  # what is as it was keeps its finer secrets
            if found.values.get(name) == value:
                struct.fields[name].CopyFrom(request.inputs.fields[name])
        outputs = state.made(resource.schema, found, live, olds.secrets)
        return proto.ReadResponse(id=resource_id, inputs=struct, properties=_struct(outputs))

    @override
    def Delete(
        self, request: proto.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Remove a resource."""
        resource = self._resource(request, context)
        olds = decode(request.properties)
        with self._refusals(context, _deed("deleting", request), olds):
            resource.delete(self._cloud(context), request.id, Properties(olds.values))
        return empty_pb2.Empty()

    @override
    def Invoke(
        self, request: proto.InvokeRequest, context: grpc.ServicerContext
    ) -> proto.InvokeResponse:
        """Call a function."""
        function = self._functions.get(request.tok)
        if function is None:
            refuse(context, grpc.StatusCode.UNIMPLEMENTED, self._not_served(request.tok))
        given = decode(request.args)
        with self._refusals(context, f"calling {request.tok}", given):
            result = function.call(self._cloud(context), Properties(given.values))
        secrets = result.keys() if given.secrets else ()
        return proto.InvokeResponse(**{"return": encode(result, secrets)})

    def _create(self, resource: Resource[CloudT], cloud: CloudT, inputs: Bag) -> tuple[str, Bag]:
        """Make a resource and look at it.

        Raises:
            IncompleteError: it is made, but does not show itself.
        """
        given = Properties(inputs.values)
        resource_id = resource.create(cloud, given)
        try:
            live = resource.read(cloud, resource_id, given)
        except self._faults as error:
            raise IncompleteError(str(error), resource_id) from error
        if live is None:
            msg = "it was made, but is gone already"
            raise IncompleteError(msg, resource_id)
        return resource_id, state.made(resource.schema, inputs, live)

    def _resource(self, request: Any, context: grpc.ServicerContext) -> Resource[CloudT]:
        token = request.type or request.urn.split("::")[2].rpartition("$")[2]
        resource = self._resources.get(token)
        if resource is None:
            refuse(context, grpc.StatusCode.UNIMPLEMENTED, self._not_served(token))
        return resource

    def _cloud(self, context: grpc.ServicerContext) -> CloudT:
        """The cloud of this connection's provider instance."""
        cloud = self._clouds.find(context.peer())
        if cloud is None:
            msg = f"this connection's provider {self._package.name} is not configured; run it again"
            refuse(context, grpc.StatusCode.FAILED_PRECONDITION, msg)
        return cloud

    def _refusals(self, context: grpc.ServicerContext, deed: str, given: Bag) -> Refusals:
        return Refusals(context, deed, given, self._faults)

    def _not_served(self, token: str) -> str:
        served = ", ".join([*self._resources, *self._functions])
        return f"the local cloud does not serve {token}; of {self._package.name} it serves {served}"


def _struct(bag: Bag) -> Any:
    return encode(bag.values, bag.secrets)


def _deed(verb: str, request: Any) -> str:
    _, _, kind, name = request.urn.split("::", 3)
    return f"{verb} {kind.rpartition('$')[2]} {name!r}"


# A provider's configuration as the engine hands it over.
# The SDKs write every argument that is not a text as JSON into a text, so such arguments are
# parsed here. In a preview an argument may be unknown; then it stays so.


def arguments(struct: struct_pb2.Struct, structured: Collection[str]) -> Bag:
    """Read a configuration, in which the arguments named in `structured` are JSON."""
    bag = decode(struct)
    values = {n: _parsed(v) if n in structured else v for n, v in bag.values.items()}
    return Bag(values, bag.secrets)


def _parsed(value: Plain) -> Plain:
    if not isinstance(value, str):
        return value
    try:
        parsed: Plain = json.loads(value)
    except ValueError:
        return value
    return parsed
