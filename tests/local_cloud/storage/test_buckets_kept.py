"""What the front remembers of buckets, and batches of calls."""

from __future__ import annotations

import asyncio
import json

from tests.io.contract import run
from tests.local_cloud.storage.stub import always_there, before, said


def test_a_bucket_that_nobody_remembers_is_shown_without_guesses(tmp_path):
    async def go():
        async with before(always_there, tmp_path) as here:
            async with here.call("GET", "/storage/v1/b/b") as answer:
                assert await answer.json() == {"name": "b", "location": "US"}
            async with here.call("PATCH", "/storage/v1/b/b", json={"labels": {"a": "1"}}) as answer:
                found = await answer.json()
            assert found["labels"] == {"a": "1"}
            assert found["iamConfiguration"]["publicAccessPrevention"] == "inherited"
            assert here.kept.metadata("b")["labels"] == {"a": "1"}

    run(go())


def test_a_deleted_bucket_is_forgotten_at_once(tmp_path):
    async def go():
        async with before(always_there, tmp_path) as here:
            async with here.call("PATCH", "/storage/v1/b/b", json={}) as answer:
                assert answer.status == 200
            assert here.kept.metadata("b") is not None
            async with here.call("DELETE", "/storage/v1/b/b") as answer:
                assert answer.status == 204
            assert here.kept.metadata("b") is None

    run(go())


def test_patches_at_once_are_all_done(tmp_path):
    async def go():
        async with before(always_there, tmp_path) as here:

            async def label(number):
                body = {"labels": {f"l{number}": "x"}}
                async with here.call("PATCH", "/storage/v1/b/b", json=body) as answer:
                    return (await answer.json())["metageneration"]

            found = await asyncio.gather(*map(label, range(10)))
            assert sorted(map(int, found)) == list(range(2, 12))
            assert here.kept.metadata("b")["labels"].keys() == {f"l{n}" for n in range(10)}

    run(go())


def test_a_bucket_has_only_so_many_notifications(tmp_path):
    path = "/storage/v1/b/b/notificationConfigs"
    wanted = {"topic": "//pubsub.googleapis.com/projects/p/topics/t", "payload_format": "NONE"}

    async def go():
        async with before(always_there, tmp_path) as here:
            for _ in range(10):
                body = {**wanted, "event_types": ["OBJECT_DELETE"]}
                async with here.call("POST", path, json=body) as answer:
                    assert answer.status == 200
            async with here.call("POST", path, json=wanted) as answer:
                assert await said(answer) == (
                    400, "a bucket has 10 notifications for OBJECT_DELETE at most",
                )  # fmt: skip
            body = {**wanted, "event_types": ["OBJECT_FINALIZE"]}
            async with here.call("POST", path, json=body) as answer:
                made = await answer.json()
            assert made["selfLink"] == f"http://127.0.0.1:{here.port}{path}/{made['id']}"

    run(go())


def test_what_cannot_be_kept_is_an_error_and_not_there(tmp_path):
    async def go():
        async with before(always_there, tmp_path) as here:
            (tmp_path / "storage.json").mkdir()  # in the place of the file
            async with here.call("PUT", "/storage/v1/b/b/iam", json={"bindings": [1]}) as answer:
                status, message = await said(answer)
                assert (status, "cannot keep this" in message) == (500, True)
            async with here.call("GET", "/storage/v1/b/b/iam") as answer:
                assert (await answer.json())["bindings"] == []

    run(go())


def test_calls_of_a_batch_that_cannot_be_done_are_refused_alone(tmp_path):
    calls = [
        "DELETE /storage/v1/b/b HTTP/1.1",
        "DELETE /storage/v1/b/b/o/..%2Fx HTTP/1.1",
        "nonsense",
        "PATCH http://127.0.0.1:1/storage/v1/b/b/o/o?x=1 HTTP/1.1\r\n\r\n" + json.dumps({"a": 1}),
    ]
    parts = "".join(
        f"--B\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n{call}\r\n"
        for number, call in enumerate(calls)
    )

    async def go():
        async with before(always_there, tmp_path) as here:
            headers = {"Content-Type": 'multipart/mixed; boundary="B"'}
            body = f"{parts}--B--".encode()
            async with here.call("POST", "/batch/storage/v1", headers=headers, data=body) as answer:
                text = await answer.text()
            lines = [line.split()[1] for line in text.splitlines() if line.startswith("HTTP/")]
            assert lines == ["501", "400", "400", "200"]
            assert [number for number in range(4) if f"<response-{number}>" in text] == [0, 1, 2, 3]
            (asked,) = here.asked
            assert (asked.method, asked.path) == ("PATCH", "/storage/v1/b/b/o/o?x=1")
            assert json.loads(asked.body) == {"a": 1}

    run(go())
