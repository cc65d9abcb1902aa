"""What a watch does not tell by itself: odd names, moved folders, and what happened meanwhile."""

import errno
import os
import shutil
from contextlib import suppress

import pytest

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env
from tests.io.driving import run
from tests.io.local.test_file_changes import (
    CREATED,
    DELETED,
    MODIFIED,
    collect,
    events,
    stream,
    watched,
)


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


def test_a_name_that_is_not_utf8_is_told_and_stops_nothing(tmp_path):
    odd = os.fsdecode(b"caf\xe9.csv")

    async def during(source):
        (tmp_path / odd).write_text("1")
        (tmp_path / "two.txt").write_text("2")

    found = watched(tmp_path, during, count=2)
    assert sorted(event.file_path for event in found) == sorted(
        str(tmp_path / name) for name in (odd, "two.txt")
    )
    assert all(event.blob in (b"1", b"2") for event in found)


def test_an_odd_name_is_told_by_the_next_run_and_can_be_shown(tmp_path):
    inbox, env = tmp_path / "inbox", Env(positions=tmp_path / "notes")
    inbox.mkdir()
    odd = os.fsdecode(b"caf\xe9.csv")

    async def go(count):
        async with stream(inbox, CREATED, DELETED).source(env) as source:
            batch = await source.pull()
            await source.settle(batch.receipts, ok=True)
            return [batch.origin(i) for i in range(len(batch.items))], events(batch.items)

    assert run(go(0)) == ([], [])
    (inbox / odd).write_text("1")
    assert run(go(1)) == ([r"caf\xe9.csv"], [("CREATED", odd)])
    (inbox / odd).unlink()
    assert run(go(1)) == ([r"caf\xe9.csv"], [("DELETED", odd)])


def test_the_files_of_a_folder_that_is_moved_in_and_out_are_told(tmp_path):
    inbox, outside = tmp_path / "inbox", tmp_path / "outside"
    inbox.mkdir()
    (outside / "sub" / "deep").mkdir(parents=True)
    (outside / "sub" / "a").write_text("a")
    (outside / "sub" / "deep" / "b").write_text("b")

    async def go():
        async with stream(inbox, CREATED, DELETED, MODIFIED).source(Env()) as source:
            shutil.move(outside / "sub", inbox / "sub")
            come = await collect(source, 4)
            shutil.move(inbox / "sub", outside / "sub")
            return come, await collect(source, 4), await source.pull()

    come, gone, empty = run(go())
    names = {"sub", "deep", "a", "b"}
    assert set(events(come)) == {("CREATED", name) for name in names}
    assert set(events(gone)) == {("DELETED", name) for name in names}
    assert empty.items == []


def test_a_folder_that_is_made_and_filled_is_told_once(tmp_path):
    async def go():
        async with stream(tmp_path, CREATED).source(Env()) as source:
            for name in ("one", "two"):
                (tmp_path / name).mkdir()
                for i in range(20):
                    (tmp_path / name / f"{name}{i}").touch()
            found = await collect(source, 42)
            return found, await source.pull()

    found, empty = run(go())
    assert len(set(events(found))) == len(found) == 42
    assert empty.items == []


def test_what_is_there_last_is_told_last(tmp_path):
    replaced, passing = tmp_path / "b", tmp_path / "c"
    replaced.write_text("1")

    async def during(source):
        replaced.unlink()
        replaced.write_text("2")
        passing.write_text("1")
        passing.unlink()

    found = events(watched(tmp_path, during, CREATED, DELETED, MODIFIED, count=4))
    assert [kind for kind, name in found if name == "b"][-1] in ("CREATED", "MODIFIED")
    assert [kind for kind, name in found if name == "c"][-1] == "DELETED"


@pytest.mark.parametrize("how", ["deleted", "moved away"])
def test_a_folder_that_is_made_anew_is_watched_and_told(tmp_path, how):
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "old").write_text("1")

    async def go():
        async with stream(folder, CREATED).source(Env()) as source:
            if how == "deleted":
                shutil.rmtree(folder)
            else:
                folder.rename(tmp_path / "elsewhere")
            folder.mkdir()
            (folder / "old").write_text("another")
            (folder / "new").write_text("1")
            first = await patiently(source, 2)
            (folder / "later").write_text("1")
            return first, await collect(source, 1)

    first, later = run(go())
    assert {name for kind, name in events(first) if kind == "CREATED"} >= {"old", "new"}
    assert events(later) == [("CREATED", "later")]


async def patiently(source, count):
    """The same as `collect`, where the folder may be missing for a moment."""
    found = []
    while len({event.file_path for event in found}) < count:
        with suppress(TemporaryError):
            found += await collect(source, 1)
    return found


def test_a_folder_that_comes_with_its_files_is_told_of_them(tmp_path):
    folder = tmp_path / "inbox"
    ready = tmp_path / "ready"
    ready.mkdir()
    (ready / "a").write_text("1")

    async def go():
        async with stream(folder).source(Env(positions=tmp_path / "notes")) as source:
            ready.rename(folder)
            return await patiently(source, 1)

    assert events(run(go())) == [("CREATED", "a")]


def test_a_run_that_is_killed_has_lost_nothing(tmp_path):
    inbox, env = tmp_path / "inbox", Env(positions=tmp_path / "notes")
    inbox.mkdir()
    told = []

    async def killed(settled):
        """A run that is never closed: what it knew is gone, but for what it has written."""
        context = stream(inbox, CREATED).source(env)
        source = await context.__aenter__()
        (inbox / f"seen{settled}").touch()
        (inbox / f"unsettled{settled}").touch()
        batch, receipts = [], []
        while len(batch) < 2:
            pulled = await source.pull()
            batch += pulled.items
            receipts += pulled.receipts
        told.extend(events(batch)[:settled])
        await source.settle(receipts[:settled], ok=True)
        await source._watch.end()

    for settled in (1, 2, 0):
        run(killed(settled))
        (inbox / f"down{settled}").touch()

    async def last():
        async with stream(inbox, CREATED).source(env) as source:
            while batch := (await source.pull()).items:
                told.extend(events(batch))

    run(last())
    assert {name for _, name in told} == {path.name for path in inbox.iterdir()}


def test_a_damaged_position_counts_as_none(tmp_path):
    inbox, notes = tmp_path / "inbox", tmp_path / "notes"
    inbox.mkdir()
    env = Env(positions=notes)

    async def opened():
        async with stream(inbox).source(env):
            pass

    async def found():
        async with stream(inbox).source(env) as source:
            (inbox / "new").touch()
            return await collect(source, 1)

    for damage in ("{", "[1]", '{"a": 1}', '{"a": ["x"]}'):
        run(opened())
        (position,) = notes.iterdir()
        position.write_text(damage)
        assert events(run(found())) == [("CREATED", "new")]
        (inbox / "new").unlink()
        position.unlink()


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (OSError(errno.ENOSPC, "OS file watch limit reached"), TemporaryError, "watches too much"),
        (PermissionError(errno.EACCES, "Permission denied"), PermanentError, "make it readable"),
        (RuntimeError("watch thread unexpectedly received a signal"), TemporaryError, "for now: w"),
    ],
)
def test_errors_of_the_watch_are_told_in_a_plain_line(
    tmp_path, monkeypatch, error, expected, words
):
    async def broken(*_, **__):
        msg = "unhandled errors in a TaskGroup"
        raise ExceptionGroup(msg, [error])
        yield

    monkeypatch.setattr("watchfiles.awatch", broken)

    async def go():
        async with stream(tmp_path).source(Env()) as source:
            await source.pull()

    with pytest.raises(expected, match=words) as caught:
        run(go())
    assert "TaskGroup" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_one_that_comes_after_nothing_is_kept(tmp_path):
    async def go():
        async with stream(tmp_path).source(Env()):
            pass
        (tmp_path / "a.txt").write_text("1")
        async with stream(tmp_path).source(Env()) as source:
            (tmp_path / "b.txt").write_text("1")
            return await collect(source, 1)

    assert paths(run(go())) == [("CREATED", "b.txt")]
