"""The servers under test, one a process: `python -m tests.benchmarks.http_servers NAME PORT`."""

from __future__ import annotations

import asyncio
import sys

from tests.benchmarks.http_shapes import Order, Priced, price

HOST = "127.0.0.1"


async def price_async(order: Order) -> Priced:
    return price(order)


def price_sync(order: Order) -> Priced:
    return price(order)


async def ours(port: int, function=price_async) -> None:
    from buildflow_nb.core.flow_spec import ServiceSpec, endpoint_spec
    from buildflow_nb.core.options import ServiceOptions
    from buildflow_nb.core.primitive import Env
    from buildflow_nb.runtime.clock import SYSTEM
    from buildflow_nb.runtime.http import HttpRoute, Server
    from buildflow_nb.runtime.ledger import Ledger

    server = Server(HOST, port)
    await server.start()
    service = ServiceSpec("bench", "/", ServiceOptions())
    spec = endpoint_spec(function, "/price", "POST", service)
    await HttpRoute(spec, Env(), server, Ledger(spec.id, SYSTEM)).start()
    await asyncio.Event().wait()


async def ours_sync(port: int) -> None:
    await ours(port, price_sync)


async def aiohttp_msgspec(port: int) -> None:
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


async def fastapi(port: int) -> None:
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    app.post("/price")(price_async)
    config = uvicorn.Config(app, HOST, port, loop="asyncio", access_log=False, log_level="warning")
    await uvicorn.Server(config).serve()


async def fastapi_sync(port: int) -> None:
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    app.post("/price")(price_sync)
    config = uvicorn.Config(app, HOST, port, loop="asyncio", access_log=False, log_level="warning")
    await uvicorn.Server(config).serve()


SERVERS = {
    "ours": ours,
    "aiohttp+msgspec": aiohttp_msgspec,
    "fastapi": fastapi,
    "ours sync": ours_sync,
    "fastapi sync": fastapi_sync,
}

if __name__ == "__main__":
    asyncio.run(SERVERS[sys.argv[1]](int(sys.argv[2])))
