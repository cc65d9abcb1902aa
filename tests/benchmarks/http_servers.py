"""The servers under test, one a process: `python -m tests.benchmarks.http_servers NAME PORT`.

Ours is a whole Flow, as a user runs it, with its metrics and its peek window on.
"""

from __future__ import annotations

import asyncio
import sys

from tests.benchmarks.http_shapes import Order, Priced, price

HOST = "127.0.0.1"
ON_UVLOOP = "+uvloop"  # at the end of a server's name


async def price_async(order: Order) -> Priced:
    return price(order)


def price_sync(order: Order) -> Priced:
    return price(order)


def ours(port: int, function=price_async) -> None:
    from buildflow_nb.flow import Flow

    app = Flow("bench")
    app.endpoint("/price", method="POST")(function)
    app.run(block=True, serve_host=HOST, serve_port=port)


def ours_dependency(port: int) -> None:
    """With a dependency that lives as long as the replica."""
    from buildflow_nb.dependencies import Scope, dependency

    @dependency(Scope.REPLICA)
    class Factor:
        value = 1

    async def price_with(order: Order, factor: Factor) -> Priced:
        return price(order)

    price_with.__annotations__["factor"] = Factor  # no text: it is a local name
    ours(port, price_with)


async def seen(request, call_next):
    response = await call_next(request)
    response.headers["X-Seen"] = "1"
    return response


class User:
    """Who asks, made for each request."""

    def __init__(self) -> None:
        self.name = "ada"


def ours_surrounded(port: int) -> None:
    from buildflow_nb.dependencies import Scope, dependency
    from buildflow_nb.flow import Flow

    app = Flow("bench")

    async def price_for(order: Order, user: User) -> Priced:
        return price(order)

    price_for.__annotations__ = {"order": Order, "user": User, "return": Priced}
    dependency(Scope.PROCESS)(User)
    app.add_middleware(seen)
    app.endpoint("/price", method="POST")(price_for)
    app.run(block=True, serve_host=HOST, serve_port=port)


def ours_websocket(port: int) -> None:
    from buildflow_nb.flow import Flow
    from buildflow_nb.requests import WebSocket

    app = Flow("bench")

    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        async for text in ws.iter_text():
            await ws.send_text(text)

    echo.__annotations__["ws"] = WebSocket  # no text: it is a local name
    app.endpoint("/echo", method="WEBSOCKET")(echo)
    app.run(block=True, serve_host=HOST, serve_port=port)


def ours_sync(port: int) -> None:
    ours(port, price_sync)


def aiohttp_msgspec(port: int) -> None:
    asyncio.run(_aiohttp_msgspec(port))


def aiohttp_websocket(port: int) -> None:
    asyncio.run(_aiohttp_websocket(port))


async def _aiohttp_websocket(port: int) -> None:
    from aiohttp import WSMsgType, web

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/echo", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await asyncio.Event().wait()


async def _aiohttp_msgspec(port: int) -> None:
    import msgspec
    from aiohttp import web

    decode = msgspec.json.Decoder(Order).decode
    encode = msgspec.json.Encoder().encode

    async def handle(request: web.Request) -> web.Response:
        order = decode(await request.read())
        return web.Response(body=encode(price(order)), content_type="application/json")

    app = web.Application()
    app.router.add_post("/price", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await asyncio.Event().wait()


def fastapi(port: int, function=price_async) -> None:
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    app.post("/price")(function)
    uvicorn.run(app, host=HOST, port=port, loop="asyncio", access_log=False, log_level="warning")


def fastapi_surrounded(port: int) -> None:
    import uvicorn
    from fastapi import Depends, FastAPI

    app = FastAPI()

    async def price_for(order: Order, user: User = Depends(User)) -> Priced:  # noqa: B008
        return price(order)

    price_for.__annotations__ = {"order": Order, "user": User, "return": Priced}
    app.middleware("http")(seen)
    app.post("/price")(price_for)
    uvicorn.run(app, host=HOST, port=port, loop="asyncio", access_log=False, log_level="warning")


def fastapi_sync(port: int) -> None:
    fastapi(port, price_sync)


def blacksheep(port: int) -> None:
    """Decodes and encodes by hand, as fast as it can be told to; on uvicorn with httptools."""
    import msgspec
    import uvicorn
    from blacksheep import Application, Content, Request, Response

    app = Application()
    decode = msgspec.json.Decoder(Order).decode
    encode = msgspec.json.Encoder().encode

    async def handle(request):
        order = decode(await request.read())
        return Response(200, content=Content(b"application/json", encode(price(order))))

    handle.__annotations__ = {"request": Request, "return": Response}  # no text: it is a local name
    app.router.add_post("/price", handle)
    uvicorn.run(
        app,
        host=HOST,
        port=port,
        loop="auto",
        http="httptools",
        access_log=False,
        log_level="warning",
        lifespan="on",
    )


SERVERS = {
    "ours": ours,
    "aiohttp+msgspec": aiohttp_msgspec,
    "blacksheep": blacksheep,
    "fastapi": fastapi,
    "ours, dependency": ours_dependency,
    "ours, WebSocket": ours_websocket,
    "aiohttp, WebSocket": aiohttp_websocket,
    "ours sync": ours_sync,
    "fastapi sync": fastapi_sync,
    "ours, surrounded": ours_surrounded,
    "fastapi, surrounded": fastapi_surrounded,
}

if __name__ == "__main__":
    name, found, _ = sys.argv[1].partition(ON_UVLOOP)
    if found:
        del sys.modules["uvloop"]  # hidden by the package
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    SERVERS[name](int(sys.argv[2]))
