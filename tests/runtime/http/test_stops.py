"""What is answered, and how long it takes, while routes and the server stop."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from buildflow_nb.requests import WebSocket
from tests.runtime.http.bodies import open_body, take
from tests.runtime.http.site import Site, serve


def test_new_requests_to_what_stops_are_told_to_come_again():
    async def scenario(site: Site):
        entered, door = asyncio.Event(), asyncio.Event()

        async def waits() -> str:
            entered.set()
            await door.wait()
            return "done"

        async def chat(websocket: WebSocket) -> None:
            await websocket.accept()

        unit = await site.endpoint(waits, "/x", "GET")
        talks = await site.endpoint(chat, "/chat", "WEBSOCKET")
        asked = asyncio.create_task(site.get())
        await entered.wait()
        stopping = asyncio.create_task(unit.stop(drain=True, timeout_s=10))
        await talks.stop(drain=True, timeout_s=1)
        refused = await site.get()
        assert (refused.status, refused.detail) == (503, "stopping")
        assert (refused.headers["Retry-After"], refused.headers["Connection"]) == ("5", "close")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await site.session.ws_connect("/chat")
        door.set()
        assert (await asked).json == "done"
        await stopping

    serve(scenario)


@pytest.mark.parametrize("drain", [True, False])
def test_a_stop_does_not_wait_for_bodies_that_do_not_come(drain):
    async def scenario(site: Site):
        unit = await site.endpoint(take, "/x")
        reader, writer = await open_body(site, 1, 100)
        async with asyncio.timeout(0.9):  # the second that it has for its answer is not used up
            await unit.stop(drain=drain, timeout_s=0.1)
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()

    serve(scenario)
