"""What host and driver say to each other, over a pair of sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine

import pytest

from buildflow_nb.runtime.ray.conversation import Conversation
from buildflow_nb.runtime.ray.messages import (
    Answer,
    Call,
    Channel,
    Drop,
    FromDriver,
    FromHost,
    Look,
    Lost,
    Processes,
    Spawn,
    Waits,
)
from buildflow_nb.runtime.replicas.host import GoneError


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20.0))


async def pair() -> tuple[Channel, Channel]:
    sides = [await asyncio.open_connection(sock=side) for side in socket.socketpair()]
    return Channel(*sides[0], FromDriver), Channel(*sides[1], FromHost)


class TestChannels:
    def test_records_and_payloads_arrive_as_they_were_sent(self):
        async def main() -> None:
            host, driver = await pair()
            payload = bytes(range(256)) * 40_000
            call = Call(7, 3, "echo", 1.5)
            sending = asyncio.create_task(host.send(call, payload))
            assert await driver.receive() == (call, payload)
            await sending
            await driver.send(Answer(7))
            assert await host.receive() == (Answer(7), b"")
            host.close()
            with pytest.raises(ConnectionResetError):
                await driver.receive()
            driver.close()

        run(main())

    def test_whoever_does_not_listen_holds_up_the_other(self):
        async def main() -> None:
            host, driver = await pair()

            async def send_for_ever() -> None:
                while True:
                    await host.send(Look(1), bytes(2**20))

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(send_for_ever(), 0.2)
            host.close()
            driver.close()

        run(main())

    @pytest.mark.parametrize(
        "said", [b"\xff" * 8, b"\0\0\0\1\0\0\0\0\xc1", b"\0\0\0\1\0\0\0\0\x01"]
    )
    def test_what_is_no_message_ends_it(self, said):
        async def main() -> None:
            ours, theirs = socket.socketpair()
            channel = Channel(*await asyncio.open_connection(sock=ours), FromHost)
            theirs.sendall(said)
            with pytest.raises(ConnectionAbortedError):
                await channel.receive()
            channel.close()
            theirs.close()

        run(main())

    def test_what_is_too_long_is_refused_before_it_is_sent(self, monkeypatch):
        monkeypatch.setattr("buildflow_nb.runtime.ray.messages.LONGEST_PAYLOAD", 10)

        async def main() -> None:
            host, driver = await pair()
            with pytest.raises(ValueError, match="a payload of 11 bytes; the longest has 10"):
                await host.send(Look(1), bytes(11))
            await host.send(Look(2), bytes(10))
            assert await driver.receive() == (Look(2), bytes(10))
            host.close()
            driver.close()

        run(main())


class TestConversations:
    def test_answers_find_their_questions_in_any_order(self):
        async def main() -> None:
            host, driver = await pair()
            told: list[object] = []
            talk = Conversation(host, told.append)
            listening = asyncio.create_task(talk.listen())
            asked = [asyncio.create_task(talk.ask(Look(talk.number()))) for _ in range(3)]
            numbers = [(await driver.receive())[0].number for _ in range(3)]
            await driver.send(Processes([(1, 2.0)]))
            for number in reversed(numbers):
                await driver.send(Answer(number), str(number).encode())
            answers = await asyncio.gather(*asked)
            assert answers == [(Answer(number), str(number).encode()) for number in numbers]
            assert told == [[(1, 2.0)]]
            await driver.send(Lost("no head"))
            assert await listening == "no head"
            host.close()
            driver.close()

        run(main())

    def test_the_driver_hears_that_nobody_waits_any_more(self):
        async def main() -> None:
            host, driver = await pair()
            talk = Conversation(host, print)
            spawn = Spawn(talk.number(), "a", 1.0, 0.0, 0, here=False)
            waits: asyncio.Queue[str] = asyncio.Queue()
            listening = asyncio.create_task(talk.listen())
            asked = asyncio.create_task(talk.ask(spawn, on_wait=waits.put_nowait))
            assert (await driver.receive())[0] == spawn
            await driver.send(Waits(spawn.number, "needs 1 CPU"))
            assert await waits.get() == "needs 1 CPU"
            asked.cancel()
            assert (await driver.receive())[0] == Drop(spawn.number)
            await driver.send(Answer(spawn.number))  # it was on its way
            driver.close()
            assert await listening == ""
            host.close()

        run(main())

    def test_at_its_end_all_who_wait_hear_why(self):
        async def main() -> None:
            host, driver = await pair()
            talk = Conversation(host, print)
            asked = [asyncio.create_task(talk.ask(Look(talk.number()))) for _ in range(3)]
            for _ in asked:
                await driver.receive()
            talk.end("the driver ended")
            for one in asked:
                with pytest.raises(GoneError, match="the driver ended"):
                    await one
            with pytest.raises(GoneError, match="the driver ended"):
                await talk.ask(Look(9))
            host.close()
            driver.close()

        run(main())
