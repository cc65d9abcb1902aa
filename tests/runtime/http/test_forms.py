"""Forms with files: what comes of them, their bounds, and that nothing of them is left behind."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import Annotated

import httpx
import pytest

from buildflow_nb.requests import ClientDisconnect, File, Form, Request, UploadFile
from buildflow_nb.runtime.http import body_stream, forms, listener
from buildflow_nb.runtime.http.forms import bare_name
from tests.fakes import FakeSink
from tests.runtime.http.site import Site, serve, until
from tests.runtime.http.test_asgi import opened


async def one(photo: UploadFile) -> list[object]:
    data = await photo.read()
    await photo.seek(0)
    assert await photo.read() == data
    return [photo.filename, photo.content_type, photo.size, data.decode()]


async def maybe(photo: UploadFile | None = None) -> str:
    return "none" if photo is None else str(photo.filename)


async def many(photos: list[UploadFile]) -> list[str]:
    return [f"{photo.filename}: {(await photo.read()).decode()}" for photo in photos]


async def small(photo: bytes = File(), more: Annotated[list[bytes], File()] = []) -> list[str]:  # noqa: B006
    return [photo.decode(), *[one.decode() for one in more]]


def sync(photo: UploadFile, title: str = Form(), stars: int = Form(3)) -> str:
    return f"{title} {stars} {photo.file.read().decode()}"


async def own(request: Request) -> list[object]:
    async with request.form() as form:
        assert await request.form() is form
        names = [getattr(value, "filename", value) for _, value in form.multi_items()]
    return [sorted(form), names]


def client(site: Site) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=site.server.address, trust_env=False)


NAMED = ("a.txt", b"abc", "text/plain")


@pytest.mark.parametrize(
    ("function", "words", "expected"),
    [
        (one, {"files": {"photo": NAMED}}, ["a.txt", "text/plain", 3, "abc"]),
        (maybe, {"files": {"photo": NAMED}}, "a.txt"),
        (maybe, {"files": {"other": NAMED}}, "none"),
        (maybe, {}, "none"),
        (many, {"files": [("photos", NAMED), ("photos", ("b", b"2"))]}, ["a.txt: abc", "b: 2"]),
        (small, {"files": [("photo", NAMED), ("more", ("b", b"2"))]}, ["abc", "2"]),
        (small, {"data": {"photo": "text"}}, ["text"]),
        (sync, {"files": {"photo": NAMED}, "data": {"title": "é"}}, "é 3 abc"),
        (
            own,
            {"files": {"photo": ("../a", b"")}, "data": {"t": "1"}},
            [["photo", "t"], ["1", "a"]],
        ),
        (own, {"data": {"t": ["1", "2"]}}, [["t"], ["1", "2"]]),
        (own, {"json": {"t": 1}}, [[], []]),
    ],
)
def test_a_form_and_its_files_are_taken(function, words, expected):
    async def scenario(site: Site):
        await site.endpoint(function)
        async with client(site) as asking:
            reply = await asking.post("/x", **words)
        assert (reply.status_code, reply.json()) == (200, expected)
        assert site.held == 0

    serve(scenario)


@pytest.mark.parametrize(
    ("function", "words", "expected"),
    [
        (one, {}, [(["body", "photo"], "missing")]),
        (one, {"data": {"photo": "text"}}, [(["body", "photo"], "value_error")]),
        (many, {"data": {"photos": "text"}}, [(["body", "photos", 0], "value_error")]),
        (many, {}, [(["body", "photos"], "missing")]),
        (
            sync,
            {"files": {"title": NAMED}, "data": {"stars": "x"}},
            [
                (["body", "photo"], "missing"),
                (["body", "title"], "string_type"),
                (["body", "stars"], "int_parsing"),
            ],
        ),
    ],
)
def test_faults_of_a_form_are_told_together(function, words, expected):
    async def scenario(site: Site):
        unit = await site.endpoint(function)
        async with client(site) as asking:
            reply = await asking.post("/x", **words)
        assert reply.status_code == 422
        assert [(fault["loc"], fault["type"]) for fault in reply.json()["detail"]] == expected
        assert unit.snapshot().failed == 0

    serve(scenario)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\a.txt", "a.txt"),
        ("C:a.txt", "a.txt"),
        ("/", ""),
        ("..", ""),
        (".", ""),
        ("a\0b\n.txt", "ab.txt"),
        ("é ü.txt", "é ü.txt"),
        ("a\u202etxt.exe", "atxt.exe"),
        (".bashrc", ".bashrc"),
    ],
)
def test_the_name_of_a_file_is_no_path(sent, name):
    assert bare_name(sent) == name


@pytest.mark.parametrize("fails", [False, True])
def test_every_file_is_closed_at_the_end_of_the_call(fails):
    seen = []

    async def keep(photo: UploadFile, photos: list[UploadFile] = []) -> str:  # noqa: B006
        seen.extend([photo, *photos])
        assert not any(file.file.closed for file in seen)
        if fails:
            raise ValueError
        return ""

    async def scenario(site: Site):
        unit = await site.endpoint(keep)
        async with client(site) as asking:
            long = ("b", b"x" * 3_000_000)
            reply = await asking.post("/x", files=[("photo", NAMED), ("photos", long)])
        assert reply.status_code == (500 if fails else 200)
        assert len(seen) == 2
        assert all(file.file.closed for file in seen)
        if fails:
            shown = unit.ledger.failures[0].element
            assert shown == {
                "photo": "file 'a.txt', 3 bytes",
                "photos": ["file 'b', 3000000 bytes"],
            }

    serve(scenario)


MULTIPART = b"Content-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nabc\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\nabc\r\n'


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        (MULTIPART, FILE, "its end is missing"),
        (MULTIPART, FILE + b"--b", "its end is missing"),
        (MULTIPART, b"", "its end is missing"),
        (MULTIPART, FILE[:-5] + b"--c--\r\n", "its end is missing"),
        (MULTIPART, b"garbage", "Invalid multipart data"),
        (MULTIPART, PART.replace(b'; name="title"', b"") + b"--b--\r\n", '"name" must be provided'),
        (MULTIPART, b"--b\r\n\r\nabc\r\n--b--\r\n", '"name" must be provided'),
        (MULTIPART, PART.replace(b"abc", b"x" * 2_000_000) + b"--b--\r\n", "exceeded maximum size"),
        (MULTIPART, PART * 1_001 + b"--b--\r\n", "Too many fields"),
        (MULTIPART, FILE * 1_001 + b"--b--\r\n", "Too many files"),
        (MULTIPART, PART.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 9_000 + b"\r\n\r\n"), "Invalid"),
        (MULTIPART.replace(b"; boundary=b", b""), PART, "Missing boundary"),
        (MULTIPART.replace(b"=b", b"=" + b"b" * 300), PART, "the form is broken"),
        (
            MULTIPART.replace(b"=b\r\n", b"=b; charset=undefined\r\n"),
            PART + b"--b--\r\n",
            "the form is broken",
        ),
        (
            b"Content-Type: application/x-www-form-urlencoded\r\n",
            b"&".join([b"a=1"] * 10_000),
            "Too many fields",
        ),
    ],
)
@pytest.mark.parametrize("function", [sync, own])
def test_a_broken_form_is_the_clients_to_mend(function, kind, body, says):
    async def scenario(site: Site):
        unit = await site.endpoint(function)
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(body)
        found = await site.raw(head + kind + b"Connection: close\r\n\r\n" + body)
        assert found.startswith(b"HTTP/1.1 400 "), found
        assert says.encode() in found.replace(b'\\"', b'"')
        assert (unit.snapshot().failed, site.held) == (0, 0)

    serve(scenario)


@pytest.fixture
def short(monkeypatch):
    """A client that goes on sending gets its answer, and is left soon."""
    monkeypatch.setattr(listener, "LINGER_S", 0.1)


def test_a_form_that_says_it_is_too_long_is_refused_before_it_is_read(short):
    async def scenario(site: Site):
        await site.endpoint(one)
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10737418240\r\n"
        found = await site.raw(head + MULTIPART + b"Expect: 100-continue\r\n\r\n")
        assert found.startswith(b"HTTP/1.1 413 ")

    serve(scenario)


@pytest.mark.parametrize("function", [one, own])
def test_a_form_that_turns_out_to_be_too_long_is_refused_at_the_limit(function, short, monkeypatch):
    monkeypatch.setattr(forms, "UPLOAD_LIMIT", 5_000_000)
    sent = 0

    async def endless():
        nonlocal sent
        yield FILE
        while True:
            sent += 65_536
            yield b"x" * 65_536

    async def scenario(site: Site):
        unit = await site.endpoint(function)
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        async with client(site) as asking:
            try:
                reply = await asking.post("/x", content=endless(), headers=kind)
            except httpx.TransportError:
                pass
            else:
                assert reply.status_code == 413
        await until(lambda: bool(unit.snapshot().codes) and not site.held)
        assert dict(unit.snapshot().codes) == {413: 1}

    serve(scenario)


def test_a_form_that_never_ends_is_given_up(short, monkeypatch):
    monkeypatch.setattr(body_stream, "IDLE_S", 0.05)

    async def scenario(site: Site):
        await site.endpoint(one)
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
        found = await site.raw(head + MULTIPART + b"\r\n" + FILE)
        assert found.startswith(b"HTTP/1.1 408 ")
        assert site.held == 0

    serve(scenario)


def test_long_forms_go_to_disk_and_are_counted_while_they_do_not(monkeypatch):
    """A hundred files of half a mebibyte are far more than the server may hold."""
    most = 0

    async def keep(photos: list[UploadFile]) -> list[int]:
        return [len(photos), sum([len(await photo.read()) for photo in photos])]

    async def scenario(site: Site):
        nonlocal most
        await site.endpoint(keep)

        async def body():
            nonlocal most
            for _ in range(100):
                yield FILE.replace(b"photo", b"photos").replace(b"abc", b"x" * 2**19)
                most = max(most, site.held)
            yield b"--b--\r\n"

        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        async with client(site) as asking:
            reply = await asking.post("/x", content=body(), headers=kind)
        assert reply.json() == [100, 100 * 2**19]
        assert 0 < most <= forms.FORM_MEMORY
        assert site.held == 0

    serve(scenario, body_bytes=12 * 2**20)


def test_small_forms_together_are_bounded_like_other_bodies():
    async def scenario(site: Site):
        await site.endpoint(one)
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n" + MULTIPART
        sent = FILE.replace(b"abc", b"x" * 80_000)[:-2]
        _, writer = await opened(site, head + b"\r\n" + sent)
        await until(lambda: site.held > 80_000)
        async with client(site) as asking:
            reply = await asking.post("/x", files={"photo": ("a", b"x" * 40_000)})
        assert reply.status_code == 503
        writer.close()
        await until(lambda: not site.held)

    serve(scenario, body_bytes=100_000)


def test_a_client_that_leaves_amid_a_form_is_no_failure():
    async def scenario(site: Site):
        unit = await site.endpoint(one)
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n" + MULTIPART
        _, writer = await opened(site, head + b"\r\n" + FILE)
        await until(lambda: bool(site.held))
        writer.close()
        await until(lambda: unit.drained)
        shot = unit.snapshot()
        assert (shot.failed, dict(shot.codes), site.held) == (0, {499: 1}, 0)

    serve(scenario)


@dataclass
class Photo:
    title: str
    size: int


def test_a_collector_takes_a_form_and_stores_what_it_makes_of_it():
    async def keep(photo: UploadFile, title: Annotated[str, Form()]) -> Photo:
        return Photo(title, len(await photo.read()))

    async def scenario(site: Site):
        sink = FakeSink()
        await site.collector(keep, sink, "/x")
        async with client(site) as asking:
            reply = await asking.post("/x", files={"photo": NAMED}, data={"title": "t"})
        assert (reply.status_code, reply.json()) == (200, {"success": True})
        assert sink.tape.pushed == [Photo("t", 3)]

    serve(scenario)


def test_a_call_without_a_request_takes_files_as_bytes():
    async def scenario(site: Site):
        unit = await site.endpoint(sync)
        assert await unit.send({"photo": b"abc", "title": "t"}) == ["t 3 abc"]

    serve(scenario)


def test_a_long_stream_goes_through_in_flat_memory():
    async def count(request: Request) -> list[int]:
        size = most = 0
        async for piece in request.stream():
            size, most = size + len(piece), max(most, len(piece))
        return [size, most < 2**20]

    async def scenario(site: Site):
        await site.endpoint(count)

        async def body():
            for _ in range(512):
                yield b"x" * 65_536
                assert site.held == 0

        async with client(site) as asking:
            reply = await asking.post("/x", content=body())
        assert reply.json() == [2**25, True]

    serve(scenario)


def test_a_whole_body_is_bounded_and_counted():
    async def whole(request: Request) -> int:
        return len(await request.body())

    async def scenario(site: Site):
        await site.endpoint(whole)
        assert (await site.ask("POST", data=b"x" * 1_000)).json == 1_000
        reply = await site.ask("POST", data=io.BytesIO(b"x" * 17_000_000))
        assert reply.status == 413
        assert site.held == 0

    serve(scenario)


def test_a_client_that_leaves_is_told_to_the_function():
    seen = []

    async def whole(request: Request) -> int:
        try:
            return len(await request.body())
        except ClientDisconnect as error:
            seen.append(error)
            raise

    async def scenario(site: Site):
        unit = await site.endpoint(whole)
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\nabc"
        _, writer = await opened(site, head)
        await until(lambda: bool(site.held))
        writer.close()
        await until(lambda: bool(seen) and unit.drained)
        assert (unit.snapshot().failed, dict(unit.snapshot().codes)) == (0, {499: 1})
        await asyncio.sleep(0)

    serve(scenario)
