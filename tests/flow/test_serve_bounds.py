"""What `app.run` bounds of its server."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from buildflow_nb.core.errors import UsageError
from tests.fakes import PATIENCE_S


def post(address: str, body: bytes) -> tuple[int, str | None]:
    """The status, and when to try again."""
    place = urlsplit(address)
    line = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
    try:
        line.request("POST", "/raw", body)
        answer = line.getresponse()
        answer.read()
        return answer.status, answer.headers["Retry-After"]
    finally:
        line.close()


@pytest.mark.parametrize(("bound", "status"), [(None, 200), (9_000, 200), (1_000, 503)])
def test_the_bytes_of_bodies_are_bounded(app, bound, status):
    @app.endpoint("/raw", method="POST")
    def raw(body: bytes) -> int:
        return len(body)

    handle = app.run(block=False, serve_port=0, serve_body_bytes=bound)
    assert post(handle.address, bytes(5_000)) == (status, "1" if status == 503 else None)


def test_a_bound_is_a_number_of_bytes(app):
    with pytest.raises(UsageError, match="serve_body_bytes must be at least 1, got 0"):
        app.run(block=False, serve_body_bytes=0)
