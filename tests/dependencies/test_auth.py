"""Who a request is from: tokens of a real issuer on loopback, good ones and all kinds of bad."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time

import pytest
from google.auth import crypt, jwt

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.dependencies import Scope, dependency, issuer_keys
from buildflow_nb.dependencies.auth import AuthenticatedGoogleUserDepBuilder, GoogleUser
from buildflow_nb.exceptions import HTTPException
from notebooks.issuer import ADA, Issuer
from tests.dependencies.making import made, request_with

KEY = "id_token"  # in the session
USER = GoogleUser("1815", "ada@example.com", email_verified=True, name="Ada")


@pytest.fixture(scope="module")
def shared():
    with Issuer() as running:
        yield running


@pytest.fixture
def issuer(shared):
    """The issuer, as it was when it was started."""
    shared.requests.clear()
    shared.headers = {"Cache-Control": "public, max-age=3600"}
    shared.fault = 0
    return shared


def dep_of(issuer, **words):
    words = {"audience": "shop", "issuer": issuer.url, "certs_url": issuer.certs_url, **words}
    return AuthenticatedGoogleUserDepBuilder(**words)


async def user_of(dep, token=None, session=None):
    headers = [] if token is None else [("Authorization", f"Bearer {token}")]
    request = request_with(*headers, session=session)
    return (await made(dep, request=request)).google_user


def refusal(dep, token=None, session=None):
    with pytest.raises(HTTPException) as caught:
        asyncio.run(user_of(dep, token, session))
    return caught.value


def test_a_token_says_who_the_user_is(issuer):
    assert asyncio.run(user_of(dep_of(issuer), issuer.signed())) == USER


def test_a_user_may_have_no_name(issuer):
    user = asyncio.run(user_of(dep_of(issuer), issuer.signed(name=None)))
    assert user.name is None


def test_without_a_token_the_answer_is_403(issuer):
    error = refusal(dep_of(issuer))
    assert (error.status_code, error.detail) == (403, "request is not authenticated")
    assert error.headers == {"WWW-Authenticate": "Bearer"}
    assert issuer.requests == {}


def test_without_a_token_there_is_no_user_where_that_is_allowed(issuer):
    assert asyncio.run(user_of(dep_of(issuer, raise_on_unauthenticated=False))) is None


def unsigned(issuer):
    parts = [{"alg": "none", "typ": "JWT"}, {"iss": issuer.url, "aud": "shop", **ADA}]
    parts[1] |= {"iat": int(time.time()), "exp": int(time.time()) + 60}
    texts = [base64.urlsafe_b64encode(json.dumps(one).encode()).decode() for one in parts]
    return ".".join([*(text.rstrip("=") for text in texts), ""])


def of_another_key(issuer):
    """A token that names the issuer's key and is signed by a stranger's."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    stranger = rsa.generate_private_key(65537, 2048)
    pem = stranger.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    signer = crypt.RSASigner.from_string(pem, next(iter(issuer.certs())))
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": "shop", "iat": now, "exp": now + 60, **ADA}
    return jwt.encode(signer, claims).decode()


def tampered(token):
    head, claims, signature = token.split(".")
    found = json.loads(base64.urlsafe_b64decode(claims + "=="))
    more = base64.urlsafe_b64encode(json.dumps({**found, "sub": "1"}).encode()).decode()
    return ".".join([head, more.rstrip("="), signature])


BAD = {
    "no token at all": lambda issuer: "abc",
    "dots alone": lambda issuer: "..",
    "three times nothing": lambda issuer: "a.b.c",
    "no base64": lambda issuer: "~~.~~.~~",
    "no JSON": lambda issuer: "YWJj.YWJj.YWJj",
    "JSON that is no object": lambda issuer: "W10.W10.YWJj",
    "JSON nested too deeply": lambda issuer: f"{'W1tb' * 3000}.W10.YWJj",
    "too long": lambda issuer: "a" * 20_000,
    "not signed": unsigned,
    "signed by another": of_another_key,
    "tampered with": lambda issuer: tampered(issuer.signed()),
    "another algorithm": lambda issuer: issuer.signed(header={"alg": "HS256"}),
    "an algorithm of another key": lambda issuer: issuer.signed(header={"alg": "ES256"}),
    "an algorithm that is none": lambda issuer: issuer.signed(header={"alg": ["RS256"]}),
    "another issuer": lambda issuer: issuer.signed(iss="https://accounts.example.com"),
    "no issuer": lambda issuer: issuer.signed(iss=None),
    "another audience": lambda issuer: issuer.signed("bank"),
    "no audience": lambda issuer: issuer.signed(aud=None),
    "several audiences": lambda issuer: issuer.signed(aud=["shop", "bank"]),
    "nobody": lambda issuer: issuer.signed(sub=None),
    "a number for somebody": lambda issuer: issuer.signed(sub=1815),
    "issued in a minute": lambda issuer: issuer.signed(iat=int(time.time()) + 60),
    "issued at a word": lambda issuer: issuer.signed(iat="now"),
    "without an end": lambda issuer: issuer.signed(exp=None),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_is_answered_with_401(issuer, kind):
    error = refusal(dep_of(issuer), BAD[kind](issuer))
    assert (error.status_code, error.detail) == (401, "the token is not valid")
    challenge = 'Bearer error="invalid_token", error_description="the token is not valid"'
    assert error.headers == {"WWW-Authenticate": challenge}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_is_nobody_where_that_is_allowed(issuer, kind):
    dep = dep_of(issuer, raise_on_unauthenticated=False)
    assert asyncio.run(user_of(dep, BAD[kind](issuer))) is None


def test_an_expired_token_says_that_it_is(issuer):
    error = refusal(dep_of(issuer), issuer.signed(exp=int(time.time()) - 1))
    assert (error.status_code, error.detail) == (401, "the token has expired")


def test_why_a_token_was_refused_is_logged_without_the_token(issuer, caplog):
    caplog.set_level(logging.INFO, "buildflow_nb")
    refusal(dep_of(issuer), issuer.signed("bank"))
    refusal(dep_of(issuer), "very.secret")
    assert "wrong audience bank" in caplog.text
    assert "Wrong number of segments" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("verified", [False, None, "false", 1.5])
def test_an_address_that_is_not_verified_is_answered_with_403(issuer, verified):
    token = issuer.signed(email_verified=verified)
    error = refusal(dep_of(issuer), token)
    assert (error.status_code, error.detail) == (403, "email is not verified")
    user = asyncio.run(user_of(dep_of(issuer, raise_on_unauthenticated=False), token))
    assert (user.email, user.email_verified) == ("ada@example.com", False)


def test_a_token_without_an_address_is_of_nobody_verified(issuer):
    token = issuer.signed(email=None)
    assert refusal(dep_of(issuer), token).status_code == 403
    user = asyncio.run(user_of(dep_of(issuer, raise_on_unauthenticated=False), token))
    assert (user.email, user.email_verified) == ("", False)


class TestSession:
    def test_the_token_of_the_session_counts_before_that_of_the_header(self, issuer):
        dep = dep_of(issuer, session_id_token=KEY)
        session = {KEY: issuer.signed(sub="2")}
        user = asyncio.run(user_of(dep, issuer.signed(), session))
        assert user.google_account_id == "2"
        assert asyncio.run(user_of(dep, issuer.signed(), {})) == USER

    def test_a_session_holds_whatever_it_holds(self, issuer):
        dep = dep_of(issuer, session_id_token=KEY)
        assert refusal(dep, None, {KEY: 3}).status_code == 401
        assert refusal(dep, None, {KEY: "ä"}).status_code == 401
        assert refusal(dep, None, {"other": issuer.signed()}).status_code == 403

    def test_without_sessions_it_says_how_to_have_some(self, issuer):
        dep = dep_of(issuer, session_id_token=KEY)
        with pytest.raises(DeclarationError, match=r"add_middleware\(SessionMiddleware"):
            asyncio.run(user_of(dep, issuer.signed()))


def test_credentials_may_come_from_elsewhere(issuer):
    @dependency(Scope.PROCESS)
    class Fixed:
        def __init__(self):
            self.token = issuer.signed()

    dep = dep_of(issuer, bearer_credentials_dependency=Fixed)
    assert asyncio.run(user_of(dep)) == USER


class TestKeys:
    def test_they_are_fetched_once(self, issuer):
        dep = dep_of(issuer)

        async def ask():
            token = issuer.signed()
            return await asyncio.gather(*(user_of(dep, token) for _ in range(50)))

        assert asyncio.run(ask()) == [USER] * 50
        assert asyncio.run(user_of(dep, issuer.signed())) == USER  # on another loop
        assert issuer.requests == {"/certs": 1}

    def test_a_new_key_is_fetched_but_not_for_everybody(self, issuer, monkeypatch):
        monkeypatch.setattr(issuer_keys, "ANEW_S", 0.0)
        dep = dep_of(issuer)
        asyncio.run(user_of(dep, issuer.signed()))
        old = issuer.signed()
        issuer.renew()
        assert asyncio.run(user_of(dep, issuer.signed())) == USER
        assert issuer.requests == {"/certs": 2}
        monkeypatch.setattr(issuer_keys, "ANEW_S", 30.0)
        assert refusal(dep, old).status_code == 401
        assert issuer.requests == {"/certs": 2}

    def test_without_them_the_answer_is_503_and_soon_it_is_not_asked_again(self, issuer, caplog):
        issuer.fault = 500
        dep = dep_of(issuer)
        for _ in range(3):
            error = refusal(dep, issuer.signed())
            assert (error.status_code, error.headers) == (503, {"Retry-After": "5"})
        assert issuer.requests == {"/certs": 1}
        assert "it answers 500" in caplog.text

    def test_an_issuer_that_comes_back_is_asked_again(self, issuer, monkeypatch):
        issuer.fault = 500
        dep = dep_of(issuer)
        assert refusal(dep, issuer.signed()).status_code == 503
        issuer.fault = 0
        monkeypatch.setattr(issuer_keys, "PAUSE_S", 0.0)
        assert asyncio.run(user_of(dep, issuer.signed())) == USER

    def test_nobody_there_is_the_same(self):
        with Issuer() as gone:
            token = gone.signed()
        error = refusal(dep_of(gone), token)
        assert error.status_code == 503
        assert "cannot be fetched" in str(error.__cause__)

    def test_they_do_not_outlive_what_the_issuer_says(self, issuer, monkeypatch):
        now = [0.0]
        keys = issuer_keys.IssuerKeys(issuer.certs_url, lambda: now[0])
        first = asyncio.run(keys.having(None))
        assert first.until == 3600.0
        now[0] = 2879.0
        assert asyncio.run(keys.having(None)) is first
        assert issuer.requests == {"/certs": 1}
        issuer.fault = 500
        now[0] = 2881.0  # the last fifth: fetched anew, with nobody waiting
        assert asyncio.run(keys.having(None)) is first
        keys._fetching.result(10)
        assert issuer.requests == {"/certs": 2}
        now[0] = 3600.0
        issuer.fault = 0
        assert asyncio.run(keys.having(None)).since == 3600.0

    def test_a_fetch_that_hangs_is_given_up(self, issuer, monkeypatch):
        monkeypatch.setattr(issuer_keys, "FETCH_S", 0.05)
        monkeypatch.setattr(issuer_keys, "_get", lambda *_, **__: time.sleep(0.5))
        keys = issuer_keys.IssuerKeys(issuer.certs_url)
        with pytest.raises(Exception, match="no answer within"):
            asyncio.run(keys.having(None))

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Cache-Control": "public, max-age=19000, must-revalidate"}, 19_000),
            ({"Cache-Control": "max-age=19000", "Age": "9000"}, 10_000),
            ({"Cache-Control": "no-store"}, 60),
            ({}, 60),
            ({"Cache-Control": "max-age=999999999"}, 86_400),
            ({"Cache-Control": "max-age=100", "Age": "nonsense"}, 100),
        ],
    )
    def test_how_long_they_are_kept(self, headers, seconds):
        assert issuer_keys._life(headers) == seconds

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", "Expecting value"),
            (b"[]", "not answer with certificates"),
            (b"{}", "not answer with certificates"),
            (b'{"keys": []}', "a JWK set"),
            (b'"' + b"a" * 2**21, "more than 1048576 bytes"),
        ],
    )
    def test_what_is_no_set_of_keys_is_none(self, body, said):
        with pytest.raises(ValueError, match=said):
            issuer_keys._ids_in(body)

    @pytest.mark.parametrize("url", ["http://example.com/certs", "file:///etc/keys", "certs"])
    def test_they_come_safely_or_not_at_all(self, url):
        with pytest.raises(DeclarationError, match="must come over https"):
            AuthenticatedGoogleUserDepBuilder(certs_url=url)


def test_the_environment_says_whom_to_believe(issuer, monkeypatch):
    monkeypatch.setenv("BUILDFLOW_ID_TOKEN_AUDIENCE", "shop")
    monkeypatch.setenv("BUILDFLOW_ID_TOKEN_ISSUER", issuer.url)
    monkeypatch.setenv("BUILDFLOW_ID_TOKEN_CERTS_URL", issuer.certs_url)
    dep = AuthenticatedGoogleUserDepBuilder()
    assert asyncio.run(user_of(dep, issuer.signed())) == USER
    assert refusal(dep, issuer.signed("bank")).status_code == 401


def test_whoever_names_no_audience_is_told_once(issuer, caplog):
    dep = dep_of(issuer, audience=[])
    for _ in range(2):
        assert asyncio.run(user_of(dep, issuer.signed("bank"))) == USER
    assert caplog.text.count("made for any application") == 1
