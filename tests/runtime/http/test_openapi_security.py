"""Credentials that dependencies read are in the document."""

from openapi_spec_validator import validate

from buildflow_nb.core.declaring.declare import endpoint_spec
from buildflow_nb.core.declaring.flow_spec import ServiceSpec
from buildflow_nb.core.options import ServiceOptions
from buildflow_nb.dependencies import Scope, dependency
from buildflow_nb.dependencies.auth import AuthenticatedGoogleUserDepBuilder
from buildflow_nb.dependencies.headers import BearerCredentials, SecurityHeader
from buildflow_nb.runtime.http.openapi import describe_api
from tests.runtime.http.shop import Order

User = AuthenticatedGoogleUserDepBuilder()


@dependency(Scope.PROCESS)
class Key(SecurityHeader):
    """A header of its own."""

    @classmethod
    def service_auth_info(cls):
        return {"Key": {"type": "apiKey", "in": "header", "name": "X-Key"}}

    @classmethod
    def endpoint_auth_info(cls):
        return {"Key": []}


def plain(order: Order) -> int:
    return order.id


def with_bearer(order: Order, who: BearerCredentials) -> int:
    return order.id


def with_user(order: Order, who: User, key: Key) -> int:
    return order.id


class _Route:
    def __init__(self, function):
        service = ServiceSpec("shop", "/", ServiceOptions())
        self.spec = endpoint_spec(function, f"/{function.__name__}", "POST", service)


def test_credentials_are_schemes_and_operations_ask_for_them():
    document = describe_api("shop", [_Route(one) for one in (plain, with_bearer, with_user)])
    validate(document)
    assert document["components"]["securitySchemes"] == {
        "Auth": {"type": "http", "scheme": "bearer"},
        "Key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    }
    operations = {path: one["post"] for path, one in document["paths"].items()}
    assert "security" not in operations["/plain"]
    assert operations["/with_bearer"]["security"] == [{"Auth": []}]
    assert operations["/with_user"]["security"] == [{"Auth": [], "Key": []}]
    assert "401" in operations["/with_user"]["responses"]


def test_without_any_there_are_no_schemes():
    document = describe_api("shop", [_Route(plain)])
    assert "securitySchemes" not in document["components"]
