"""Sessions: signed cookies, and where the key to sign them comes from."""

from __future__ import annotations

import pytest

from buildflow_nb import middleware
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import UsageError
from buildflow_nb.middleware import SessionMiddleware
from buildflow_nb.requests import Request
from tests.runtime.http.site import serve
from tests.runtime.http.test_middleware import declared

KEY = "a key of sixteen characters"
VARIABLE = "BUILDFLOW_SESSION_SECRET"


def count(request: Request) -> int:
    request.session["n"] = request.session.get("n", 0) + 1
    return request.session["n"]


def leave(request: Request) -> str:
    request.session.clear()
    return "bye"


async def counted(site, cookie=None):
    headers = {} if cookie is None else {"Cookie": f"session={cookie}"}
    reply = await site.get(headers=headers)
    found = reply.headers.get("set-cookie", "").partition("session=")[2].partition(";")[0]
    return reply.json, found


def test_a_session_is_kept_in_a_cookie():
    async def scenario(site):
        await site.endpoint(count, method="GET")
        first, cookie = await counted(site)
        second, cookie = await counted(site, cookie)
        third, _ = await counted(site, cookie)
        assert [first, second, third] == [1, 2, 3]
        assert (await counted(site))[0] == 1

    serve(scenario, hooks=declared((SessionMiddleware, {"secret_key": KEY})))


def test_the_cookie_is_for_browsers_alone_and_ends_with_the_session():
    async def scenario(site):
        await site.endpoint(count, method="GET")
        await site.endpoint(leave, "/leave", "GET")
        reply = await site.get()
        assert "httponly; samesite=lax" in reply.headers["set-cookie"]
        assert KEY not in reply.headers["set-cookie"]
        _, cookie = await counted(site)
        reply = await site.get("/leave", headers={"Cookie": f"session={cookie}"})
        assert "session=null" in reply.headers["set-cookie"]

    serve(scenario, hooks=declared((SessionMiddleware, {"secret_key": KEY})))


@pytest.mark.parametrize("forged", ["abc", "e30=.x.y", "", "eyJuIjogOTl9.aaaa.bbbb"])
def test_a_cookie_that_others_have_made_is_none(forged):
    async def scenario(site):
        unit = await site.endpoint(count, method="GET")
        assert (await counted(site, forged))[0] == 1
        assert not unit.ledger.failures

    serve(scenario, hooks=declared((SessionMiddleware, {"secret_key": KEY})))


def signed_by(**words):
    """A cookie of a server with such a key."""
    found = []

    async def scenario(site):
        await site.endpoint(count, method="GET")
        found.append((await counted(site))[1])

    serve(scenario, hooks=declared((SessionMiddleware, words)))
    return found[0]


def goes_on(cookie, **words):
    found = []

    async def scenario(site):
        await site.endpoint(count, method="GET")
        found.append((await counted(site, cookie))[0])

    serve(scenario, hooks=declared((SessionMiddleware, words)))
    return found[0] == 2


def test_the_key_may_be_a_secret_or_come_from_the_environment(monkeypatch):
    cookie = signed_by(secret_key=KEY)
    assert goes_on(cookie, secret_key=Secret(KEY))
    assert not goes_on(cookie, secret_key=f"{KEY}, but another")
    monkeypatch.setenv(VARIABLE, KEY)
    assert goes_on(cookie)
    assert not goes_on(cookie, secret_key=f"{KEY}, but another")


def test_other_words_are_starlettes():
    async def scenario(site):
        await site.endpoint(count, method="GET")
        assert "; secure" in (await site.get()).headers["set-cookie"]

    serve(scenario, hooks=declared((SessionMiddleware, {"secret_key": KEY, "https_only": True})))


async def nothing(site): ...


@pytest.mark.parametrize("key", ["short", Secret("short")])
def test_a_key_that_can_be_guessed_is_taken_and_told(key, caplog):
    serve(nothing, hooks=declared((SessionMiddleware, {"secret_key": key})))
    assert "fewer than 16 characters" in caplog.text
    assert "short" not in caplog.text


@pytest.mark.parametrize("key", [None, "", Secret("")])
def test_without_a_key_it_says_how_to_make_one(key, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UsageError, match=f"set {VARIABLE} to what python -c 'import secrets"):
        serve(nothing, hooks=declared((SessionMiddleware, {"secret_key": key})))


def test_a_kernel_makes_one_for_as_long_as_it_lives_and_says_so(monkeypatch, caplog):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(middleware, "kernel", object)
    middleware._key_of_kernel.cache_clear()
    cookie = signed_by()
    assert goes_on(cookie)
    assert caplog.text.count("signed with a key of this kernel alone") == 1
    middleware._key_of_kernel.cache_clear()
    assert not goes_on(cookie)
    middleware._key_of_kernel.cache_clear()


def test_a_key_is_shown_nowhere():
    hooks = declared((SessionMiddleware, {"secret_key": KEY}))()
    assert KEY not in repr(hooks)
