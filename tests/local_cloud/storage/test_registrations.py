"""What the front remembers: whole on disk before it is seen, and never with a number twice."""

from __future__ import annotations

import asyncio
import json
import logging
import threading

import pytest

from buildflow_nb.local_cloud.storage.kept_file import KeptFile
from buildflow_nb.local_cloud.storage.registrations import Registrations
from tests.io.contract import run

WANTED = {"topic": "//pubsub.googleapis.com/projects/p/topics/t", "payload_format": "NONE"}
POLICY = {"bindings": [{"role": "r", "members": ["allUsers"]}]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "storage.json"


def opened(path, now=1000.0):
    return Registrations(KeptFile(path), lambda: now)


def test_what_was_kept_is_there_again(path):
    async def keep(kept):
        await kept.change_metadata("b", lambda _: {"location": "EU"})
        await kept.set_policy("b", POLICY)
        return await kept.add_notification("b", WANTED)

    made = run(keep(opened(path)))
    again = opened(path, now=9999.0)
    assert again.metadata("b") == {"location": "EU"}
    assert again.notifications("b") == [made]
    assert again.notification("b", made["id"]) == made
    assert again.policy("b")["bindings"] == POLICY["bindings"]
    assert again.notification("b", "1") is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["storage.json"]


def test_nothing_is_known_at_first(path):
    kept = opened(path)
    assert kept.metadata("b") is None
    assert kept.notifications("b") == []
    assert kept.policy("b") == {
        "kind": "storage#policy", "version": 1, "bindings": [], "etag": "CAE=",
    }  # fmt: skip
    assert not path.exists(), "reading writes nothing"


def test_numbers_are_never_used_twice(path):
    async def add(kept):
        return int((await kept.add_notification("b", WANTED))["id"])

    async def add_and_remove(kept):
        number = await add(kept)
        assert await kept.remove_notification("b", str(number))
        assert not await kept.remove_notification("b", str(number))
        return number

    kept = opened(path)
    numbers = [run(add_and_remove(kept)), run(add(kept))]
    run(kept.forget("b"))
    numbers.append(run(add(kept)))
    numbers.append(run(add(opened(path))))
    path.unlink()
    numbers.append(run(add(opened(path, now=2000.0))))
    assert numbers == sorted(set(numbers)), "a lost file does not bring them back either"


def test_changes_at_once_are_all_kept(path):
    async def many():
        kept = opened(path)
        return await asyncio.gather(
            *(kept.add_notification(f"b{number % 3}", WANTED) for number in range(30))
        )

    ids = {one["id"] for one in run(many())}
    again = opened(path)
    assert len(ids) == 30
    assert {one["id"] for number in range(3) for one in again.notifications(f"b{number}")} == ids


def test_a_change_that_nobody_waits_for_any_more_is_whole(path):
    class Slow(KeptFile):
        begun, go = threading.Event(), threading.Event()

        def write(self, whole):
            self.begun.set()
            assert self.go.wait(10)
            super().write(whole)

    async def given_up():
        kept = Registrations(Slow(path), lambda: 1000.0)
        adding = asyncio.create_task(kept.add_notification("b", WANTED))
        await asyncio.to_thread(Slow.begun.wait, 10)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        Slow.go.set()
        await kept.add_notification("b", WANTED)
        return kept.notifications("b")

    found = run(given_up())
    assert [one["id"] for one in found] == ["1001", "1002"]
    assert opened(path).notifications("b") == found


def test_what_cannot_be_written_has_not_happened(path):
    class Full(KeptFile):
        def write(self, whole):
            raise OSError(28, "No space left on device")

    kept = opened(path)
    made = run(kept.add_notification("b", WANTED))
    full = Registrations(Full(path))
    for change in (
        full.add_notification("b", WANTED),
        full.remove_notification("b", made["id"]),
        full.set_policy("b", POLICY),
        full.change_metadata("b", lambda _: {}),
        full.forget("b"),
    ):
        with pytest.raises(OSError, match="No space left"):
            run(change)
    assert full.notifications("b") == opened(path).notifications("b") == [made]
    assert full.policy("b")["bindings"] == []
    assert full.metadata("b") is None


@pytest.mark.parametrize("text", ["{ cut sho", "[]", "\x00"])
def test_a_damaged_file_is_put_aside(path, text, caplog):
    for number in (1, 2):
        path.write_text(text)
        with caplog.at_level(logging.ERROR):
            assert opened(path).notifications("b") == []
        assert path.with_suffix(f".damaged-{number}").read_text() == text
        assert f"put aside as {path.with_suffix(f'.damaged-{number}')}" in caplog.text
    assert not path.exists()


def test_a_draft_that_was_left_behind_is_in_nobodys_way(path):
    left = path.with_name(".storage.json.0a1b2c3d.part")
    left.write_text("half of it")
    run(opened(path).change_metadata("b", lambda _: {"location": "EU"}))
    assert json.loads(path.read_text())["buckets"] == {"b": {"metadata": {"location": "EU"}}}
    assert not left.exists()


def test_a_policy_is_set_by_who_knows_its_etag(path):
    kept = opened(path)
    first = run(kept.set_policy("b", {**POLICY, "etag": kept.policy("b")["etag"]}))
    assert run(kept.set_policy("b", {"bindings": [], "etag": "CAE="})) is None
    assert kept.policy("b") == first
    assert run(kept.set_policy("b", {"bindings": []}))["bindings"] == [], "without one it is forced"
    run(kept.forget("b"))
    assert run(kept.set_policy("b", {**POLICY, "etag": first["etag"]})) is None


def test_a_bucket_is_forgotten_with_all_that_it_had(path):
    async def go():
        kept = opened(path)
        for bucket in ("gone", "stays"):
            await kept.change_metadata(bucket, lambda _: {"location": "EU"})
            await kept.add_notification(bucket, WANTED)
            await kept.set_policy(bucket, POLICY)
        await kept.forget("gone")
        await kept.forget("never was")

    run(go())
    again = opened(path)
    assert again.metadata("gone") is None
    assert again.notifications("gone") == []
    assert again.policy("gone")["bindings"] == []
    assert again.metadata("stays") == {"location": "EU"}
    assert len(again.notifications("stays")) == 1
    assert again.policy("stays")["bindings"] == POLICY["bindings"]


def test_a_change_that_is_refused_leaves_everything(path):
    def refuse(metadata):
        metadata["location"] = "US"
        msg = "refused"
        raise ValueError(msg)

    kept = opened(path)
    run(kept.change_metadata("b", lambda _: {"location": "EU"}))
    with pytest.raises(ValueError, match="refused"):
        run(kept.change_metadata("b", refuse))
    assert kept.metadata("b") == opened(path).metadata("b") == {"location": "EU"}
