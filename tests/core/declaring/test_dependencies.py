"""What is marked as a dependency, what that stands on, and in which order it may."""

from __future__ import annotations

from typing import Annotated

import pytest
from starlette.requests import Request

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.declaring.dependencies import (
    Dependency,
    current,
    dependency,
    dependency_of,
    provider_of,
)
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.core.errors import DeclarationError, InvalidDependencyHierarchyOrder
from buildflow_nb.core.primitive import Env
from tests.fakes import FakeSource


@dependency(Scope.GLOBAL)
class Settings:
    pass


@dependency("replica")
class DB:
    def __init__(self, settings: Settings):
        self.settings = settings


@dependency(1)
def session(db: "DB"):  # noqa: UP037  (a string within strings resolves, too)
    yield db


def consumer(code):
    return consumer_spec(code, FakeSource([]), None, {})


def test_what_is_marked_stays_what_it_is():
    assert isinstance(DB(Settings()), DB)
    assert next(session(1)) == 1


@pytest.mark.parametrize(
    ("written", "scope"),
    [
        (Scope.REPLICA, Scope.REPLICA),
        ("replica", Scope.REPLICA),
        ("Global", Scope.GLOBAL),
        ("no_scope", Scope.NO_SCOPE),
        (1, Scope.PROCESS),
    ],
)
def test_a_scope_is_named_in_any_way(written, scope):
    @dependency(written)
    class One:
        pass

    assert dependency_of(One).scope is scope


@pytest.mark.parametrize("written", ["replika", 7, None])
def test_an_unknown_scope_is_refused(written):
    with pytest.raises(DeclarationError, match="scope must be one of PROCESS, REPLICA"):
        dependency(written)


def test_a_mark_without_its_scope_says_how_it_is_written():
    def make():
        return 1

    for target in (make, type("Pool", (), {})):
        said = (
            rf"^write @dependency\(Scope\.PROCESS\), or another scope, above '{target.__name__}'$"
        )
        with pytest.raises(DeclarationError, match=said):
            dependency(target)


def test_a_misspelt_scope_is_corrected():
    with pytest.raises(DeclarationError, match="did you mean 'REPLICA'"):
        dependency("replika")


def test_only_what_can_be_called_is_marked():
    with pytest.raises(DeclarationError, match="got int"):
        dependency(Scope.REPLICA)(3)


def test_what_it_stands_on_is_found():
    provider = provider_of(dependency_of(session))
    assert [one.name for one in provider.walk()] == ["Settings", "DB", "session"]


def test_parameters_that_are_injected_are_no_elements():
    def price(order: int, db: DB, s: Annotated[DB, session]) -> int:
        return order

    spec = consumer(price)
    assert [one.name for one in spec.processor.parameters] == ["order"]
    assert spec.input_type is int
    names = [one.name for one in spec.processor.providers]
    assert names == ["Settings", "DB", "session"]


def test_an_optional_dependency_is_injected():
    def price(order: int, db: DB | None = None) -> int:
        return order

    assert [one.name for one in consumer(price).processor.arguments] == ["db"]


def test_two_plans_of_one_dependency_are_equal():
    assert provider_of(dependency_of(session)) == provider_of(dependency_of(session))


def test_a_class_below_a_dependency_is_none_itself():
    class Below(DB):
        pass

    assert dependency_of(Below) is None


@pytest.mark.parametrize("outer", [Scope.REPLICA, Scope.GLOBAL, Scope.NO_SCOPE])
def test_nothing_stands_on_what_ends_before_it(outer):
    with pytest.raises(InvalidDependencyHierarchyOrder, match=r"Late.*→ session \(PROCESS\)"):

        @dependency(outer)
        class Late:
            def __init__(self, s: Annotated[DB, session]):
                pass


def test_what_has_no_scope_may_be_used_by_all():
    @dependency(Scope.NO_SCOPE)
    class Loose:
        pass

    @dependency(Scope.GLOBAL)
    class Held:
        def __init__(self, loose: Loose):
            pass

    assert provider_of(dependency_of(Held)).arguments[0].source.scope is Scope.NO_SCOPE


def test_a_circle_is_told_as_one():
    @dependency(Scope.REPLICA)
    class A:
        pass

    made = dependency_of(A)
    made._asks = (("b", made),)
    with pytest.raises(DeclarationError, match="stand on each other: A → A"):
        provider_of(made)


@dependency(Scope.REPLICA)
class Chicken:
    def __init__(self, egg: Egg):
        pass


@dependency(Scope.REPLICA)
class Egg:
    def __init__(self, chicken: Chicken):
        pass


def test_a_circle_of_classes_is_refused_where_it_is_used():
    def price(order: int, egg: Egg) -> int:
        return order

    with pytest.raises(DeclarationError, match="Egg → Chicken → Egg"):
        consumer(price)


def test_a_parameter_that_nothing_gives_is_refused_at_once():
    with pytest.raises(DeclarationError, match=r"dependency 'Client'.*parameter 'url'"):

        @dependency(Scope.REPLICA)
        class Client:
            def __init__(self, url: str):
                pass


def test_a_default_is_left_alone():
    @dependency(Scope.REPLICA)
    class Client:
        def __init__(self, url: str = "x", *more: int, **words: int):
            pass

    assert provider_of(dependency_of(Client)).arguments == ()


def test_where_clients_connect_can_be_asked_for():
    @dependency(Scope.REPLICA)
    class Client:
        def __init__(self, env: Env):
            pass

    assert len(provider_of(dependency_of(Client)).arguments) == 1


def test_what_lasts_is_not_made_of_a_request():
    with pytest.raises(DeclarationError, match=r"takes the request.*give it Scope.PROCESS"):

        @dependency(Scope.REPLICA)
        class User:
            def __init__(self, request: Request):
                pass


def test_a_consumer_has_no_request():
    @dependency(Scope.PROCESS)
    class User:
        def __init__(self, request: Request):
            pass

    def price(order: int, user: User) -> int:
        return order

    price.__annotations__["user"] = User
    with pytest.raises(DeclarationError, match="elements of a source come without one"):
        consumer(price)


def test_the_name_at_the_top_of_a_module_stands_for_the_latest():
    def of_module(version):
        class Named:
            pass

        Named.__qualname__, Named.__module__ = "Named", "some.module"
        Named.version = version
        return dependency(Scope.REPLICA)(Named)

    first = dependency_of(of_module(1))
    second = dependency_of(of_module(2))
    assert current(first) is second
    assert provider_of(first).dependency is second


def test_a_dependency_is_an_annotation_itself():
    made = Dependency(lambda: 3, Scope.REPLICA)

    def price(order: int, three: made) -> int:
        return order

    price.__annotations__["three"] = made
    assert consumer(price).processor.arguments[0].source.dependency is made
