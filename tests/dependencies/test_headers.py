"""Bearer tokens as the RFCs write them, and what the OpenAPI document is told of them."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.dependencies import Scope, dependency
from buildflow_nb.dependencies.headers import (
    BearerCredentials,
    OpenAPISecurityWrapper,
    SecurityHeader,
    parse_credentials,
    security_dependencies,
)
from tests.dependencies.making import made, request_with
from tests.fakes import FakeSource

BEARER = OpenAPISecurityWrapper({"Auth": {"type": "http", "scheme": "bearer"}}, {"Auth": []})


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqM"),  # RFC 6750 section 2.1
        ("bearer abc", "abc"),  # RFC 9110 section 11.1: the scheme in any case
        ("BEARER abc==", "abc=="),
        ("Bearer   abc", "abc"),
        ("  Bearer abc\t", "abc"),
        ("Bearer a/b+c~", "a/b+c~"),
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearerabc", None),
        ("Basic YWRhOnNlY3JldA==", None),
        ("abc", None),
        ("Bearer abc def", None),
        ("Bearer abc, Bearer def", None),
        ("Bearer =abc", None),
        ("Bearer äbc", None),
        ("Bearer abc\n", None),
        ("Bearer realm=x", None),
    ],
)
def test_a_token_is_what_stands_behind_bearer(header, token):
    assert parse_credentials(header) == token


def token_of(*headers):
    return asyncio.run(made(BearerCredentials, request=request_with(*headers))).token


def test_the_header_of_a_request_is_read():
    assert token_of(("Authorization", "Bearer abc")) == "abc"
    assert token_of(("authorization", "bearer abc")) == "abc"
    assert token_of(("X-Other", "Bearer abc")) is None


def test_of_two_headers_none_counts():
    assert token_of(("Authorization", "Bearer abc"), ("Authorization", "Bearer def")) is None


def test_a_consumer_has_no_credentials():
    def code(element: int, who: BearerCredentials) -> int:
        return element

    with pytest.raises(DeclarationError, match="takes the request, and elements of a source"):
        consumer_spec(code, FakeSource([]), None, {})


@dependency(Scope.PROCESS)
class Caller:
    def __init__(self, credentials: BearerCredentials):
        self.name = credentials.token


@dependency(Scope.PROCESS)
class ApiKey(SecurityHeader):
    @classmethod
    def service_auth_info(cls):
        return {"Key": {"type": "apiKey", "in": "header", "name": "X-Key"}}

    @classmethod
    def endpoint_auth_info(cls):
        return {"Key": []}


def test_credentials_are_found_below_what_stands_on_them_and_once():
    assert security_dependencies([BearerCredentials]) == [BEARER]
    assert security_dependencies([Caller, BearerCredentials, Caller]) == [BEARER]
    both = security_dependencies([ApiKey, Annotated[object, Caller], int])
    assert [list(one.endpoint_auth_info) for one in both] == [["Key"], ["Auth"]]


def test_kinds_that_were_visited_are_left_out():
    visited = {BearerCredentials}
    assert security_dependencies([Caller], visited) == []
    assert len(security_dependencies([ApiKey], visited)) == 1
    assert visited == {BearerCredentials, ApiKey}
    assert security_dependencies([Caller]) == [BEARER]  # nothing is remembered between calls


def test_a_kind_of_credentials_must_say_what_the_document_tells():
    class Silent(SecurityHeader):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Silent()
