"""Changes of local files."""

import asyncio
import shutil
from pathlib import Path

import pytest

from buildflow_nb.core.errors import DeclarationError, TemporaryError
from buildflow_nb.core.primitive import Env, Wire
from buildflow_nb.io.local import LocalFileChangeStream
from buildflow_nb.io.local import file_changes as module
from buildflow_nb.types.local import FileChangeStreamEventType, LocalFileChangeEvent
from buildflow_nb.types.portable import FileChangeEvent
from tests.io.contract import ConfigContract, run

CREATED, DELETED, MODIFIED = (
    FileChangeStreamEventType.CREATED,
    FileChangeStreamEventType.DELETED,
    FileChangeStreamEventType.MODIFIED,
)


class TestConfig(ConfigContract):
    def make(self, folder):
        return LocalFileChangeStream(folder / "inbox", event_types=[CREATED, "deleted"])


def stream(folder, *types):
    return LocalFileChangeStream(str(folder), types or (CREATED,))


def watched(folder, during, *types, count=1):
    """The events that `during` (given the source) leads to; pulls until there are `count`."""

    async def go():
        async with stream(folder, *types).source(Env()) as source:
            await during(source)
            return await collect(source, count)

    return run(go())


async def collect(source, count):
    found = []
    while len(found) < count:
        batch = await source.pull()
        assert batch.receipts is not None
        assert len(batch.receipts) == len(batch.items)
        found += batch.items
        await source.settle(batch.receipts, ok=True)
    return found


def events(found):
    return [(event.event_type.name, Path(event.file_path).name) for event in found]


def test_a_file_that_comes_between_opening_and_pulling_is_seen(tmp_path):
    async def during(source):
        (tmp_path / "a.txt").write_text("hello")

    (event,) = watched(tmp_path, during)
    assert isinstance(event, LocalFileChangeEvent)
    assert isinstance(event, FileChangeEvent)
    assert event.file_path == str(tmp_path / "a.txt")
    assert event.event_type is CREATED
    assert event.metadata["src_path"] == event.file_path
    assert event.metadata["event_type"].name == "added"
    assert event.blob == b"hello"


def test_files_that_come_between_pulls_are_seen(tmp_path):
    async def during(source):
        (tmp_path / "a").touch()
        await collect(source, 1)
        (tmp_path / "b").touch()
        (tmp_path / "sub").mkdir()

    names = {event.file_path for event in watched(tmp_path, during, count=2)}
    assert names == {str(tmp_path / "b"), str(tmp_path / "sub")}


def test_only_the_wanted_types_come(tmp_path):
    (tmp_path / "old").touch()

    async def during(source):
        (tmp_path / "new").touch()
        (tmp_path / "old").unlink()

    (event,) = watched(tmp_path, during, DELETED)
    assert (event.file_path, event.event_type) == (str(tmp_path / "old"), DELETED)
    with pytest.raises(ValueError, match="Can't fetch blob for `delete` event"):
        _ = event.blob


def test_modifications(tmp_path):
    path = tmp_path / "old"
    path.touch()

    async def during(source):
        path.write_text("more")

    (event,) = watched(tmp_path, during, MODIFIED)
    assert (event.event_type, event.blob) == (MODIFIED, b"more")


def test_a_cancelled_pull_loses_nothing(tmp_path):
    async def during(source):
        for _ in range(3):
            pull = asyncio.ensure_future(source.pull())
            await asyncio.sleep(0)
            pull.cancel()
            await asyncio.gather(pull, return_exceptions=True)
        (tmp_path / "a").touch()
        pull = asyncio.ensure_future(source.pull())
        await asyncio.sleep(0)
        pull.cancel()
        await asyncio.gather(pull, return_exceptions=True)

    assert len(watched(tmp_path, during)) == 1


def test_what_failed_comes_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REDELIVERY_S", 0.0)

    async def go():
        async with stream(tmp_path).source(Env()) as source:
            (tmp_path / "a").touch()
            first = await source.pull()
            waiting = asyncio.ensure_future(source.pull())
            await source.settle(first.receipts, ok=False)
            second = await waiting
            await source.settle(second.receipts, ok=True)
            assert await source.backlog() == 0
            return first.items, second.items

    first, second = run(go())
    assert first == second


def test_a_missing_folder_is_waited_for(tmp_path):
    folder = tmp_path / "inbox"

    async def go():
        async with stream(folder).source(Env()) as source:
            with pytest.raises(TemporaryError, match=r"inbox does not exist \(yet\)"):
                await source.pull()
            folder.mkdir()
            pull = asyncio.ensure_future(source.pull())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            (folder / "a").touch()
            return (await pull).items

    (event,) = run(go())
    assert event.file_path == str(folder / "a")


def test_a_folder_that_goes_is_waited_for(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()

    async def go():
        async with stream(folder).source(Env()) as source:
            shutil.rmtree(folder)
            with pytest.raises(TemporaryError, match=r"inbox does not exist \(yet\)"):
                await source.pull()

    run(go())


def test_opening_and_closing_without_a_pull(tmp_path):
    async def go():
        for _ in range(3):
            async with stream(tmp_path).source(Env()):
                pass

    run(go())


def test_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    primitive = LocalFileChangeStream("inbox")
    assert primitive.file_path == str(tmp_path / "inbox")
    assert primitive.event_types == (CREATED,)
    assert primitive.label == "inbox/"
    assert primitive.source_wire is Wire.OBJECT
    assert LocalFileChangeStream("inbox", DELETED).event_types == (DELETED,)
    assert LocalFileChangeStream("inbox", ["created", "DELETED"]).event_types == (CREATED, DELETED)
    with pytest.raises(DeclarationError, match="must be of CREATED, DELETED, MODIFIED, got"):
        LocalFileChangeStream("inbox", ["moved"])
    for nothing in ((), [], set()):
        assert LocalFileChangeStream("inbox", nothing).event_types == (CREATED, DELETED, MODIFIED)


def test_a_pull_without_events_comes_back_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "IDLE_S", 0.0)

    async def go():
        async with stream(tmp_path).source(Env()) as source:
            batch = await source.pull()
            return batch.items, batch.receipts, await source.backlog()

    assert run(go()) == ([], [], 0)


def test_what_fails_again_waits_longer_and_counts_as_backlog(tmp_path, monkeypatch):
    pauses = []

    async def go():
        loop = asyncio.get_running_loop()
        later = loop.call_later

        def soon(delay, *call):
            if call[0].__name__ != "_redeliver":
                return later(delay, *call)
            pauses.append(delay)
            return later(0, *call)

        monkeypatch.setattr(loop, "call_later", soon)
        async with stream(tmp_path).source(Env()) as source:
            (tmp_path / "a").touch()
            for _ in range(8):
                batch = await source.pull()
                await source.settle(batch.receipts, ok=False)
                assert await source.backlog() == 1
            batch = await source.pull()
            await source.release(batch.receipts)
            assert await source.backlog() == 1
            return await collect(source, 1)

    assert events(run(go())) == [("CREATED", "a")]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
