"""Which functions may be called around a run or for an error, and which one is for which error."""

from __future__ import annotations

import functools

import pytest
from aiohttp import web
from starlette.requests import Request

from buildflow_nb.core.declaring.hooks import (
    SHUTDOWN,
    STARTUP,
    exception_hook,
    handler_for,
    lifespan_hook,
)
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.exceptions import HTTPException


def connect(): ...


def answer(request, error): ...


class GeneralError(Exception):
    """A class at the top of a module."""


class CloserError(GeneralError):
    """One below it."""


def handlers(*kinds):
    made = [exception_hook(kind, answer) for kind in kinds]
    return {hook.key: hook for hook in made}


def found(hooks, error, status=None):
    hook = handler_for(hooks, error, status)
    return None if hook is None else hook.key[1]


def test_a_hook_has_a_name_and_is_shown_by_it():
    hook = lifespan_hook(STARTUP, connect)
    assert (hook.name, str(hook), hook.is_async) == ("connect", "on_startup 'connect'", False)

    async def leave(): ...

    assert lifespan_hook(SHUTDOWN, leave).is_async


@pytest.mark.parametrize("what", [3, "connect", GeneralError, functools.partial(connect), None])
@pytest.mark.parametrize(
    "make", [functools.partial(lifespan_hook, STARTUP), functools.partial(exception_hook, 404)]
)
def test_what_is_no_function_is_refused(make, what):
    with pytest.raises(DeclarationError, match="takes a function, got"):
        make(what)


def test_a_function_that_needs_something_is_refused():
    with pytest.raises(DeclarationError, match="'answer' is called without arguments, but needs"):
        lifespan_hook(STARTUP, answer)
    assert lifespan_hook(STARTUP, lambda *args, x=3, **words: None)


def test_a_handler_takes_the_request_and_the_error():
    for wrong in (connect, lambda request: 3, lambda a, b, c: 3, lambda *, request, error: 3):
        with pytest.raises(DeclarationError, match="is called with the request and the error"):
            exception_hook(GeneralError, wrong)
    assert exception_hook(GeneralError, lambda request, error, more=3: 3)


@pytest.mark.parametrize("kind", [200, 399, 600, True, "404", int, GeneralError(), None])
def test_what_is_no_error_is_refused(kind):
    with pytest.raises(DeclarationError, match="exception_handler"):
        exception_hook(kind, answer)


def test_whose_request_a_handler_takes():
    def theirs(request: web.Request, error): ...

    def starlettes(request: Request, error): ...

    assert exception_hook(GeneralError, theirs).takes_aiohttp
    assert not exception_hook(GeneralError, starlettes).takes_aiohttp
    assert not exception_hook(GeneralError, answer).takes_aiohttp


def test_the_closest_class_wins():
    assert found(handlers(Exception, GeneralError), CloserError()) is GeneralError
    assert found(handlers(Exception, GeneralError, CloserError), CloserError()) is CloserError
    assert found(handlers(Exception, GeneralError), ValueError()) is Exception
    assert found(handlers(GeneralError), ValueError()) is None
    assert found(handlers(BaseException), SystemExit()) is BaseException


def test_an_error_that_nobody_knows_stands_for_500():
    assert found(handlers(500), ValueError()) == 500
    assert found(handlers(500, ValueError), ValueError()) is ValueError
    assert found(handlers(404), ValueError()) is None


def test_an_answer_is_handled_by_its_status_then_by_its_class():
    error = HTTPException(404)
    assert found(handlers(404, HTTPException), error, 404) == 404
    assert found(handlers(400, HTTPException), error, 404) is HTTPException
    assert found(handlers(Exception, BaseException, 500), error, 404) is None
    assert found(handlers(500), HTTPException(500), 500) == 500


def test_a_class_of_a_notebook_is_known_by_its_name():
    def defined():
        return type("Oops", (Exception,), {"__module__": "__main__"})

    first, second = defined(), defined()
    hooks = handlers(first)
    assert handler_for(hooks, second(), None) is hooks["exception_handler", "__main__.Oops"]
    second.__qualname__ = "make.<locals>.Oops"
    assert handler_for(hooks, second(), None) is None
