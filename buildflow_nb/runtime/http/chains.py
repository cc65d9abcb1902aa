"""The middleware of a flow, ready to be asked: one chain for each service, made when it changes.

Where nothing is declared nothing is loaded, and a server asks its routes directly. CORS that is
declared also lets the origins in that it names, which the guard would keep away: those of a service
to that service alone. It is said whom.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from buildflow_nb.core.declaring.flow_spec import CollectorSpec, EndpointSpec
from buildflow_nb.core.declaring.hooks import Hooks, MiddlewareHook, middleware_for

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from buildflow_nb.runtime.http.asgi import Handle
    from buildflow_nb.runtime.http.request import BoundedRequest

__all__ = ("Chain", "Chains")

_LOGGER = logging.getLogger("buildflow_nb.run")


class Chain:
    """Middleware in order, around whatever a request is for."""

    def __init__(self, declared: list[MiddlewareHook]) -> None:
        """Make it.

        Raises:
            DeclarationError: a class cannot be made with its options.
            UsageError: what it needs of the environment is missing.
        """
        from buildflow_nb.runtime.http.middleware import answered_through, surrounded

        self._answered = answered_through
        self._outermost = surrounded(_Innermost(), declared)
        self._origins = [policy for hook in declared for policy in _policies(hook)]

    def admits(self, origin: str) -> bool:
        """Whether CORS lets pages of this origin in."""
        return any(admits(origin) for admits in self._origins)

    async def answer(
        self, handle: Handle, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """The answer to a request, of which the innermost layer asks `handle`.

        Raises:
            ConnectionError: the client has left.
            Exception: whatever middleware raised.
        """
        from buildflow_nb.runtime.http.asgi import connection_of

        connection_of(request, values).handle = handle
        return await self._answered(self._outermost, request, values)

    async def open(
        self, handle: Handle, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """The answer to a request for a WebSocket, which classes may deny, or add to its scope.

        They see it opened; its messages are between the client and the route.

        Raises:
            Exception: whatever middleware raised.
        """
        from buildflow_nb.runtime.http.websocket_door import WebSocketDoor

        return await WebSocketDoor(handle, request, values).opened(self._outermost.pass_on)


class Chains:
    """All chains of a flow; `hooks` gives what is declared at a time."""

    def __init__(self, hooks: Callable[[], Hooks]) -> None:
        self._hooks = hooks
        self._of_flow: Chain | None = None
        self._of_services: dict[str, Chain] = {}
        self._bases: list[tuple[str, str]] = []  # of services that have one, the longest first
        self.declared = False
        """Whether there is any."""

    def refresh(self) -> None:
        """Make what is declared now; where that fails, everything stays as it was.

        Raises:
            DeclarationError: a class cannot be made with its options.
            UsageError: what it needs of the environment is missing.
        """
        hooks = self._hooks()
        found = [hook for hook in hooks.values() if isinstance(hook, MiddlewareHook)]
        bases = {hook.service_id: hook.base_route for hook in found if hook.service_id is not None}
        general = middleware_for(hooks, None)
        of_flow = Chain(general) if general else None
        of_services = {name: Chain(middleware_for(hooks, name)) for name in bases}
        self._of_flow, self._of_services = of_flow, of_services
        self._bases = sorted(
            ((base.rstrip("/"), name) for name, base in bases.items()),
            key=lambda pair: -len(pair[0]),
        )
        self.declared = bool(found)
        for hook in found:
            _say_whom_it_lets_in(hook)

    def of(self, spec: CollectorSpec | EndpointSpec) -> Chain | None:
        """The chain around a route."""
        service = spec.service_id if isinstance(spec, EndpointSpec) else ""
        return self._of_services.get(service, self._of_flow)

    def at(self, path: str) -> Chain | None:
        """The chain at a path where no route is: of the service whose base route it begins with."""
        for base, name in self._bases:
            if path == base or path.startswith(f"{base}/"):
                return self._of_services[name]
        return self._of_flow


class _Innermost:
    """What is behind all middleware: whatever the request is for."""

    async def answer(
        self, bounded: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        from buildflow_nb.runtime.http.asgi import connection_of

        handle = connection_of(bounded, values).handle
        if handle is None:
            msg = "nothing is behind the middleware"
            raise RuntimeError(msg)
        return await handle(bounded, values)

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        from buildflow_nb.runtime.http.websocket_door import enter

        await enter(scope)


def _policies(hook: MiddlewareHook) -> list[Callable[[str], bool]]:
    """Which origins middleware lets in, if it is CORS."""
    if not _is_cors(hook):
        return []
    options: dict[str, Any] = dict(hook.options)
    made: Any = hook.target(None, **options)
    return [made.is_allowed_origin]


def _is_cors(hook: MiddlewareHook) -> bool:
    """Whether it is starlette's CORS, or a class made from it (told without importing that)."""
    return isinstance(hook.target, type) and any(
        base.__module__ == "starlette.middleware.cors" for base in hook.target.__mro__
    )


def _say_whom_it_lets_in(hook: MiddlewareHook) -> None:
    if not _is_cors(hook):
        return
    named: Any = hook.options.get("allow_origins", ())
    pattern = hook.options.get("allow_origin_regex")
    whom = [str(one) for one in named] + ([f"those like {pattern}"] if pattern else [])
    what = f"service {hook.service_id!r}" if hook.service_id else "this flow"
    if "*" in whom:
        _LOGGER.warning("CORS: pages of any site may call %s", what)
    else:
        _LOGGER.info("CORS: pages of %s may call %s", ", ".join(whom) or "no other site", what)
