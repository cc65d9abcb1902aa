"""The front as a proxy: what it passes, what it keeps to itself, and what happens on bad days."""

from __future__ import annotations

import asyncio
import gzip
from io import BytesIO

import pytest
from aiohttp import ClientPayloadError, web

from tests.io.contract import run
from tests.local_cloud.storage.stub import always_there, before, port_of, said, serving

MB = 1 << 20
UPLOAD = "/upload/storage/v1/b/b/o?uploadType=media&name=o"
DOWNLOAD = "/download/storage/v1/b/b/o/o?alt=media"
EVENT_S = 10.0  # for what happens at once
CODED = b'--B\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n{"name": "=2E=2E/x"}\r\n--B--'


def test_requests_and_answers_pass_as_they_are(tmp_path):
    packed = gzip.compress(b"content")

    async def compressed(request):
        headers = {"Content-Encoding": "gzip", "X-Goog-Hash": "md5=x", "Connection": "close"}
        return web.Response(status=206, body=packed, headers=headers)

    async def go():
        async with before(compressed, tmp_path) as here:
            wanted = {
                "Range": "bytes=1-2",
                "Keep-Alive": "5",
                "Connection": "X-Hop",
                "X-Hop": "1",
            }
            path = "/download/storage/v1/b/b/o/a%2Fb%20%C3%BC+%25%41?alt=media&x=%2B"
            raw = f"GET {path} HTTP/1.1\r\nHost: localhost:1\r\n"
            raw += "".join(f"{name}: {value}\r\n" for name, value in wanted.items())
            head, _, body = (await here.raw(f"{raw}Connection: close\r\n\r\n".encode())).partition(
                b"\r\n\r\n"
            )
            assert (head.split()[1], body) == (b"206", packed)
            assert b"X-Goog-Hash: md5=x" in head
            (asked,) = here.asked
            assert asked.path == path
            assert asked.headers == {"Host": "127.0.0.1:4443", "Range": "bytes=1-2"}

    run(go())


def test_a_compressed_body_passes_as_it_is(tmp_path):
    async def go():
        async with before(always_there, tmp_path) as here:
            packed = gzip.compress(b"content")
            headers = {"Content-Encoding": "gzip"}
            async with here.call("POST", UPLOAD, data=packed, headers=headers) as answer:
                assert answer.status == 200
            (asked,) = here.asked
            assert (asked.body, asked.headers["Content-Encoding"]) == (packed, "gzip")
            assert "Accept-Encoding" not in asked.headers, "the answer is looked at"

    run(go())


def test_metadata_may_be_compressed(tmp_path):
    async def go():
        async with before(always_there, tmp_path) as here:
            for path, text, status in [
                ("/storage/v1/b/b", b'{"labels": {"a": "1"}}', 200),
                ("/storage/v1/b/b/o/o", b'{"contentType": "x"}', 200),
                ("/storage/v1/b/b/o/o", b'{"name": "../x"}', 400),
                ("/storage/v1/b/b/o/o", b" " * 2 * MB, 400),
            ]:
                headers = {"Content-Encoding": "gzip"}
                body = gzip.compress(text)
                async with here.call("PATCH", path, data=body, headers=headers) as answer:
                    assert answer.status == status, text
            for body in (b"no gzip at all", gzip.compress(b"cut")[:-1]):
                path = "/storage/v1/b/b"
                async with here.call("PATCH", path, data=body, headers=headers) as answer:
                    assert "is not gzip" in (await said(answer))[1]
            assert here.kept.metadata("b")["labels"] == {"a": "1"}
            assert [one.method for one in here.asked] == ["GET", "PATCH", "GET", "GET"]

    run(go())


def test_a_method_may_come_as_a_header(tmp_path):
    async def go():
        async with before(always_there, tmp_path) as here:
            path, headers = "/storage/v1/b/b/o/o", {"X-HTTP-Method-Override": "PATCH"}
            async with here.call("POST", path, json={"metadata": {}}, headers=headers):
                pass
            assert [(one.method, one.path) for one in here.asked] == [("PATCH", path)]
            for other, wanted in (("/storage/v1/b/b", "PATCH"), (path, "GET / HTTP/1.1")):
                headers = {"X-HTTP-Method-Override": wanted}
                async with here.call("POST", other, json={}, headers=headers) as answer:
                    assert answer.status == 501
            assert len(here.asked) == 1

    run(go())


def test_nothing_but_the_emulator_is_dialled(tmp_path):
    async def go():
        reached = []

        async def other(request):
            reached.append(request.raw_path)
            return web.Response()

        elsewhere = web.Application()
        elsewhere.router.add_route("*", "/{path:.*}", other)

        async def redirecting(request):
            return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{port}/"})

        async with serving(elsewhere) as runner, before(redirecting, tmp_path) as here:
            port = port_of(runner)
            async with here.call("GET", DOWNLOAD) as answer:
                assert answer.status == 307
            async with here.call("POST", UPLOAD, data=b"x") as answer:
                assert answer.status == 307
            target = f"127.0.0.1:{port}"
            for path in (f"@{target}/", f"http://{target}/x", f"//{target}/", f":1@{target}/"):
                for method in ("GET", "POST"):
                    text = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    answer = await here.raw(f"{text}Content-Length: 0\r\n\r\n".encode())
                    assert answer.split()[1] in (b"307", b"400"), answer
        assert reached == []

    run(go())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:9"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Origin": "http://localhost:8888"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "evil.example@127.0.0.1:x"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_only_this_machine_is_answered(tmp_path, headers, status):
    async def go():
        async with before(always_there, tmp_path) as here:
            for path in (DOWNLOAD, "/storage/v1/b/b/iam"):
                async with here.call("GET", path, headers=headers) as answer:
                    assert answer.status == status
            assert bool(here.asked) == (status == 200)

    run(go())


@pytest.mark.parametrize("path", ["/wipe", "/_internal/config", "/b/b/o/o", "//wipe", "/%77ipe"])
def test_what_would_wipe_or_change_the_emulator_is_closed(tmp_path, path):
    async def go():
        async with before(always_there, tmp_path) as here:
            answer = await here.raw(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            assert answer.split()[1] == b"404"
            assert here.asked == []

    run(go())


def test_forms_and_unreadable_metadata_are_refused(tmp_path):
    multipart = "/upload/storage/v1/b/b/o?uploadType=multipart"
    kind = {"Content-Type": "multipart/related; boundary=B"}

    async def go():
        async with before(always_there, tmp_path) as here:
            form = {"Content-Type": "multipart/form-data; boundary=B"}
            for path, headers, body, status, words in [
                ("/b-b", form, b"--B--", 501, "no HTML forms"),
                (multipart, {"Content-Type": "multipart/related"}, b"x", 400, "a boundary"),
                (multipart, {"Content-Type": "text/plain"}, b"x", 400, "a boundary"),
                (multipart, kind, b"no part", 400, "begins with the object's metadata"),
                (multipart, kind, b"--B\n\n{}\n--B\n\n--B--", 400, "a part of its own"),
                (multipart, kind, b"--B\r\n\r\n{\r\n--B\r\n\r\n--B--", 400, "not JSON"),
                (multipart, kind, b"--B\r\n\r\n" + b" " * 2 * MB, 400, "up to 1 MiB"),
                (multipart, kind, CODED, 400, "a part of its own"),
                (f"{UPLOAD[:-1]}..%2Fx", {}, b"x", 400, "use another name"),
                ("/storage/v1/b/b/o/o/compose", {}, b"{", 400, "not JSON"),
                ("/storage/v1/b/b/o/o", {}, b" " * 2 * MB, 400, "1048576 bytes at most"),
                ("/storage/v1/b", {}, b" " * 11 * MB, 413, "Too Large"),
                ("/batch/storage/v1", {}, b"x", 400, "a batch is multipart/mixed"),
            ]:
                async with here.call("POST", path, headers=headers, data=BytesIO(body)) as answer:
                    status_said, message = await said(answer)
                    assert (status_said, words in message) == (status, True), (path, message)
            assert here.asked == []

    run(go())


def test_a_multipart_upload_passes_byte_for_byte(tmp_path):
    body = b'--B\r\nA: b\r\n\r\n{"name": "o"}\r\n--B\r\n\r\n' + bytes(3 * MB) + b"\r\n--B--"

    async def go():
        async with before(always_there, tmp_path) as here:
            headers = {"Content-Type": 'multipart/related; boundary="B"'}
            path = "/upload/storage/v1/b/b/o?uploadType=multipart"
            async with here.call("POST", path, headers=headers, data=BytesIO(body)) as answer:
                assert answer.status == 200
            (asked,) = here.asked
            assert asked.body == body
            assert asked.headers["Content-Length"] == str(len(body))

    run(go())


@pytest.mark.parametrize("chunked", [False, True])
def test_half_an_upload_is_no_object(tmp_path, chunked):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def reading(request):
        begun.set()
        try:
            await request.read()
        except ConnectionError:
            ended.set()
            raise
        pytest.fail("the upload seemed to be complete")

    async def go():
        async with before(reading, tmp_path, reading=False) as here:
            _, writer = await asyncio.open_connection("127.0.0.1", here.port)
            size = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000"
            piece = b"3\r\nabc\r\n" if chunked else b"abc"
            writer.write(f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\n{size}\r\n\r\n".encode())
            writer.write(piece)
            await asyncio.wait_for(begun.wait(), EVENT_S)
            writer.transport.abort()
            await asyncio.wait_for(ended.wait(), EVENT_S)

    run(go())


def test_a_client_that_hangs_up_ends_the_download(tmp_path):
    ended = asyncio.Event()

    async def endless(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(bytes(MB))
        except ConnectionError:
            ended.set()
            raise

    async def go():
        async with before(endless, tmp_path) as here:
            async with here.call("GET", DOWNLOAD) as answer:
                assert len(await answer.content.readexactly(MB)) == MB
                answer.close()
            await asyncio.wait_for(ended.wait(), EVENT_S)

    run(go())


def test_an_answer_cut_short_is_not_taken_for_a_whole_one(tmp_path):
    async def cut(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"half")
        request.transport.abort()
        return answer

    async def go():
        async with before(cut, tmp_path) as here, here.call("GET", DOWNLOAD) as answer:
            assert answer.status == 200
            with pytest.raises(ClientPayloadError):
                await answer.read()

    run(go())


@pytest.mark.parametrize(("observe", "status"), [(False, 503), (True, 501)])
def test_an_emulator_that_ends_the_connection(tmp_path, observe, status):
    async def fall_over(request):
        request.transport.abort()
        return web.Response()

    async def go():
        async with before(fall_over, tmp_path, observe=observe) as here:
            for method, path in (("GET", DOWNLOAD), ("POST", UPLOAD), ("GET", "/storage/v1/b")):
                async with here.call(method, path) as answer:
                    assert answer.status == status, (method, path)

    run(go())


def test_an_emulator_that_is_away_is_worth_another_try(tmp_path):
    async def go():
        async with before(always_there, tmp_path) as here:
            await here.stop_emulator()
            for method, path in (
                ("GET", DOWNLOAD),
                ("POST", UPLOAD),
                ("DELETE", "/storage/v1/b/b"),
            ):
                async with here.call(method, path) as answer:
                    status, message = await said(answer)
                    assert (status, "does not answer" in message) == (503, True)

    run(go())
