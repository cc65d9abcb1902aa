"""Makes a dependency and what it stands on, as a call of a processor would, and requests for it."""

from __future__ import annotations

import inspect

from starlette.requests import Request

from buildflow_nb.core.declaring.dependencies import Ambient, dependency_of, provider_of
from buildflow_nb.core.primitive import Env

__all__ = ("made", "request_with")


def request_with(*headers: tuple[str, str], session: dict | None = None) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw}
    return Request(scope if session is None else {**scope, "session": session})


async def made(asked, *, request=None, env=None, kept=None):
    """An instance; `kept` holds those that were made before, by dependency, and gets the new."""
    kept = {} if kept is None else kept

    async def make(provider):
        found = kept.get(provider.dependency)
        if found is None:
            surroundings = {
                Ambient.REQUEST: request,
                Ambient.WEBSOCKET: None,
                Ambient.ENV: env or Env(),
            }
            words = {
                one.name: surroundings[one.source]
                if isinstance(one.source, Ambient)
                else await make(one.source)
                for one in provider.arguments
            }
            kind = provider.dependency.dependency_fn
            found = kept[provider.dependency] = kind.__new__(kind)
            waiting = found.__init__(**words)
            if inspect.isawaitable(waiting):
                await waiting
        return found

    return await make(provider_of(dependency_of(asked)))
