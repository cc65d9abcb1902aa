"""The HTTP front of Cloud Storage: what the emulators lack is answered here, the rest passed on.

Answered here are calls on buckets, notifications and policies, the project's service account, and
batches. A browser lets any page talk to this machine, and the emulators answer every page; so only
requests that name this machine as host are taken, and of pages only this machine's own. The calls
by which an emulator is wiped or set up are not passed.

Source: Cloud Storage JSON API v1.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from yarl import URL

from buildflow_nb.local_cloud.ports import HOST
from buildflow_nb.local_cloud.storage.batch import Batch
from buildflow_nb.local_cloud.storage.buckets import Buckets
from buildflow_nb.local_cloud.storage.emulator import Emulator
from buildflow_nb.local_cloud.storage.fan_out import FanOut
from buildflow_nb.local_cloud.storage.notifications import Notifications
from buildflow_nb.local_cloud.storage.objects import Objects
from buildflow_nb.local_cloud.storage.observer import Observer
from buildflow_nb.local_cloud.storage.policies import Policies
from buildflow_nb.local_cloud.storage.refusal import RefusedError, not_found, refusal
from buildflow_nb.local_cloud.storage.registrations import Registrations

__all__ = ("front",)

METADATA_BYTES = 10 << 20  # of a body that is read here; a batch may have 10 MB
LOCAL = frozenset({HOST, "localhost", "::1"})
# `/b` is `/storage/v1/b` to gcp-storage-emulator, and would pass by what is answered here.
CLOSED = frozenset({"_internal", "b", "wipe"})

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def front(
    emulator: int, outside: int, registrations: Registrations, fan_out: FanOut, *, observe: bool
) -> web.Application:
    """The front as an application, to be served at port `outside` before that of the emulator.

    `observe` says that the emulator tells no events, so that they are made here. Serve it with
    `auto_decompress=False`, or what clients compress would reach the emulator in another form.
    """
    behind = Emulator(emulator, f"{HOST}:{outside}", frail=observe)
    objects = Objects(behind, Observer(behind, fan_out) if observe else None)
    buckets = Buckets(behind, registrations)
    app = web.Application(middlewares=[_refusing, _guarding], client_max_size=METADATA_BYTES)
    app.cleanup_ctx.append(behind.session)
    app.add_routes(Notifications(buckets, registrations).routes())
    app.add_routes(Policies(buckets, registrations).routes())
    app.add_routes(buckets.routes())
    app.add_routes(Batch(objects).routes())
    app.router.add_route("*", "/{path:.*}", objects.on)
    return app


@web.middleware
async def _refusing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what was raised into an answer that Google's clients understand."""
    try:
        return await handler(request)
    except RefusedError as error:
        return refusal(error.status, error.reason, str(error))
    except web.HTTPException as error:
        return refusal(error.status, "invalid", error.reason)
    except OSError as error:
        if request.transport is None or request.transport.is_closing():
            raise  # the client went away
        logger.error("%s %s: %s", request.method, request.path, error)  # noqa: TRY400  (one line)
        text = f"the local Cloud Storage cannot keep this: {error}"
        return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "backendError", text)


@web.middleware
async def _guarding(request: web.Request, handler: Handler) -> web.StreamResponse:
    origin = request.headers.get("Origin")
    for url in (f"http://{request.host}", origin or f"http://{HOST}"):
        if not _is_local(url):
            text = f"the local Cloud Storage is for this machine alone, not for {url}"
            raise RefusedError(HTTPStatus.FORBIDDEN, "forbidden", text)
    if request.path.lstrip("/").partition("/")[0] in CLOSED:
        msg = "Not Found"
        raise not_found(msg)
    return await handler(request)


def _is_local(url: str) -> bool:
    try:
        return URL(url).host in LOCAL
    except ValueError:
        return False
