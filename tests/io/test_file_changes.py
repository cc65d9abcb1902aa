"""Changes of local files."""

import asyncio
import shutil

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
    with pytest.raises(DeclarationError, match="event_types is empty; give some of CREATED"):
        LocalFileChangeStream("inbox", ())


def paths(events):
    return sorted((event.event_type.name, event.file_path.rpartition("/")[2]) for event in events)


def test_the_process_that_comes_after_is_told_what_happened_in_between(tmp_path):
    inbox, notes = tmp_path / "inbox", tmp_path / "notes"
    inbox.mkdir()
    notes.mkdir()
    for name in ("old.txt", "gone.txt", "new.txt.later"):
        (inbox / name).write_text(name)
    every = stream(inbox, CREATED, DELETED, MODIFIED)
    env = Env(positions=notes)

    async def first():
        async with every.source(env) as source:
            (inbox / "first.txt").write_text("1")
            return await collect(source, 1)

    async def second():
        async with every.source(env) as source:
            found = await collect(source, 3)
            (inbox / "last.txt").write_text("1")
            return found, await collect(source, 1)

    assert paths(run(first())) == [("CREATED", "first.txt")]
    (inbox / "between.txt").write_text("1")
    (inbox / "old.txt").write_text("another text")
    (inbox / "gone.txt").unlink()
    between, after = run(second())
    assert paths(between) == [
        ("CREATED", "between.txt"),
        ("DELETED", "gone.txt"),
        ("MODIFIED", "old.txt"),
    ]
    assert paths(after) == [("CREATED", "last.txt")]


def test_events_that_were_given_back_are_told_by_the_next_process_as_they_were(tmp_path):
    inbox, notes = tmp_path / "inbox", tmp_path / "notes"
    inbox.mkdir()
    notes.mkdir()
    for name in ("changed.txt", "gone.txt"):
        (inbox / name).write_text(name)
    every, env = stream(inbox, CREATED, DELETED, MODIFIED), Env(positions=notes)

    async def first():
        async with every.source(env) as source:
            (inbox / "a.txt").write_text("1")
            (inbox / "changed.txt").write_text("another")
            (inbox / "gone.txt").unlink()
            found = []
            while len(paths(found)) < 3:
                batch = await source.pull()
                found += batch.items
                await source.settle(batch.receipts, ok=False)

    async def second():
        async with every.source(env) as source:
            return await collect(source, 3)

    run(first())
    told = [("CREATED", "a.txt"), ("DELETED", "gone.txt"), ("MODIFIED", "changed.txt")]
    assert paths(run(second())) == told


def test_folders_come_and_go_once(tmp_path):
    inbox, notes = tmp_path / "inbox", tmp_path / "notes"
    inbox.mkdir()
    notes.mkdir()
    every, env = stream(inbox, CREATED, DELETED), Env(positions=notes)

    async def first():
        async with every.source(env) as source:
            (inbox / "folder").mkdir()
            return await collect(source, 1)

    async def second():
        async with every.source(env) as source:
            (inbox / "last.txt").write_text("1")
            return await collect(source, 2)

    assert paths(run(first())) == [("CREATED", "folder")]
    (inbox / "between").mkdir()
    assert paths(run(second())) == [("CREATED", "between"), ("CREATED", "last.txt")]


def test_without_one_that_comes_after_nothing_is_kept(tmp_path):
    async def go():
        async with stream(tmp_path).source(Env()):
            pass
        (tmp_path / "a.txt").write_text("1")
        async with stream(tmp_path).source(Env()) as source:
            (tmp_path / "b.txt").write_text("1")
            return await collect(source, 1)

    assert paths(run(go())) == [("CREATED", "b.txt")]
