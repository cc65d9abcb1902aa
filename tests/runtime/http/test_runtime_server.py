"""The runtime server's bearer token, as bytes on the wire, and its page."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import UsageError
from buildflow_nb.runtime.plan import RuntimeServerPlan
from tests.runtime.http.site import Site, controlled, serve

TOKEN = "open s\u00e9same"  # noqa: S105  (of this test)
GOOD = TOKEN.encode()


async def said(address: str, lines: bytes) -> bytes:
    """The status of a request with these lines in its head."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"GET /runtime/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    writer.write(head + lines + b"\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"WWW-Authenticate: Bearer\r\n" in answer or b" 401 " not in answer
    return answer.split(b" ", 2)[1]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"Authorization: Bearer %s\r\n" % GOOD, b"200"),
        (b"authorization: bearer %s\r\n" % GOOD, b"200"),
        (b"Authorization: BEARER %s\r\n" % GOOD, b"200"),
        (b"Authorization:  bEaReR   %s  \r\n" % GOOD, b"200"),
        (b"", b"401"),
        (b"Authorization:\r\n", b"401"),
        (b"Authorization: Bearer\r\n", b"401"),
        (b"Authorization: Bearer \r\n", b"401"),
        (b"Authorization: Bearer \xff\r\n", b"401"),
        (b"Authorization: \xff\xfe \xff\r\n", b"401"),
        (b"Authorization: Bearer \xed\xb3\xbf\r\n", b"401"),
        (b"Authorization: Bearer " + TOKEN.encode("latin-1") + b"\r\n", b"401"),
        (b"Authorization: Bearer%s\r\n" % GOOD, b"401"),
        (b"Authorization: Bearer\t%s\r\n" % GOOD, b"401"),
        (b"Authorization: Bearer %s, Bearer x\r\n" % GOOD, b"401"),
        (b"Authorization: Basic %s\r\n" % GOOD, b"401"),
        (b"Authorization: %s\r\n" % GOOD, b"401"),
        (b"Authorization: Bearer %s\r\n" % GOOD[:-1], b"401"),
        (b"Authorization: Bearer %sx\r\n" % GOOD, b"401"),
        (b"Authorization: Bearer %s\r\n" % GOOD.upper(), b"401"),
        (b"Authorization: Bearer x\r\nAuthorization: Bearer %s\r\n" % GOOD, b"401"),
        (b"Authorization: Bearer %s\r\nAuthorization: Bearer x\r\n" % GOOD, b"401"),
    ],
)
def test_a_token_is_read_as_it_was_sent(lines, status, caplog):
    async def scenario(_site: Site):
        async with controlled(TOKEN) as (_run, address):
            assert await said(address, lines) == status

    serve(scenario)
    assert not caplog.records


@pytest.mark.parametrize("token", ["\udcff", "a\udc80b", " padded ", "of a file\n"])
def test_any_token_of_the_environment_can_be_said(token):
    async def scenario(_site: Site):
        async with controlled(token) as (_run, address):
            line = (
                b"Authorization: Bearer " + token.encode(errors="surrogateescape").strip() + b"\r\n"
            )
            assert await said(address, line) == b"200"
            assert await said(address, b"Authorization: Bearer x\r\n") == b"401"

    serve(scenario)


@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_an_empty_token_is_none_that_anybody_could_say(token):
    with pytest.raises(UsageError, match="token is empty; set a longer one in BUILDFLOW_RUNTIME"):
        RuntimeServerPlan(dict, token=Secret(token))


def test_no_page_frames_the_page_of_a_run():
    async def scenario(_site: Site):
        async with controlled() as (_run, address), ClientSession() as session:
            answer = await session.get(address)
            policy = answer.headers["Content-Security-Policy"].split("; ")
            assert {"frame-ancestors 'none'", "form-action 'self'", "default-src 'none'"} < set(
                policy
            )
            assert 'action="/runtime/drain"' in await answer.text()

    serve(scenario)
