"""What the code of a processor with secret fields prints, logs and raises shows none of them."""

# ruff: noqa: T201, TRY301  (printing is what these processors are for)

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.observability.logs import captured
from tests.fakes import FakeSink, FakeSource
from tests.flow.failing import until

WORD = "sk-Wq7!é \\x"
LOG = logging.getLogger("tests.secrets")


@dataclass
class Plain:
    user: str
    key: Annotated[str, Secret]


@dataclass(frozen=True, slots=True)
class Frozen:
    user: str
    key: Annotated[str, Secret]


class Model(pydantic.BaseModel):
    user: str
    key: Annotated[str, Secret]


class Struct(msgspec.Struct):
    user: str
    key: Annotated[str, Secret]


class Named(NamedTuple):
    user: str
    key: Annotated[str, Secret]


class Typed(TypedDict):
    user: str
    key: Annotated[str, Secret]


class Hard(pydantic.BaseModel):
    user: str
    key: pydantic.SecretStr


@dataclass
class Ours:
    user: str
    key: Secret


def key_of(login):
    key = login["key"] if isinstance(login, dict) else login.key
    if isinstance(key, Secret):
        return key.reveal()
    return key if isinstance(key, str) else key.get_secret_value()


def logs_of(app, code, *, kind=Plain, count=1):
    """The lines of a processor that gets `count` elements with the secret."""

    def work(login):
        code(login)

    work.__annotations__ = {"login": kind}
    raws = [json.dumps({"user": "ann", "key": WORD})] * count
    source = FakeSource([raws], endless=True, source_wire=Wire.TEXT)
    app.consumer(source=source, sink=FakeSink(), retries=0)(work)
    with captured():
        app.run(block=False)
        until(lambda: sum("done" in line.text for line in app.logs("work")) >= count)
    return "\n".join(line.text for line in app.logs("work"))


@pytest.mark.parametrize("kind", [Plain, Frozen, Model, Struct, Named, Typed, Hard, Ours])
def test_a_record_that_is_printed(app, kind):
    def code(login):
        print(login)
        print("it is", key_of(login))
        print(repr(key_of(login)), json.dumps(key_of(login)))
        print("done")

    said = logs_of(app, code, kind=kind)
    assert "ann" in said
    assert "it is ****\n" in said
    for quoted in (WORD, repr(WORD)[1:-1], json.dumps(WORD)[1:-1], "Wq7"):
        assert quoted not in said


def in_pieces(login):
    print("it is ", end="")
    print(login.key[:4], end="")
    print(login.key[4:])


def in_a_thread(login):
    thread = threading.Thread(target=print, args=(login,))
    thread.start()
    thread.join()


def in_a_pool(login):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(print, login).result()


def by_logging(login):
    LOG.warning("no %s", login)
    try:
        raise ValueError(login.key)
    except ValueError:
        LOG.exception("failed", stack_info=True)


def on_stderr(login):
    sys.stderr.writelines([f"no {login}\n", "and"])
    sys.stderr.write(f" so {login}\n\n{login}\n")


def by_a_traceback(login):
    try:
        raise KeyError(login.key)
    except KeyError:
        traceback.print_exc()


def in_a_loop(login):
    async def inner():
        print(login)

    asyncio.run(inner())


@pytest.mark.parametrize(
    "code",
    [in_pieces, in_a_thread, in_a_pool, by_logging, on_stderr, by_a_traceback, in_a_loop],
)
def test_by_whatever_way_it_is_said(app, code):
    def work(login):
        code(login)
        print("done")

    said = logs_of(app, work)
    assert "****" in said
    assert "Wq7" not in said


def test_a_secret_of_an_earlier_element(app):
    kept = []

    def code(login):
        kept.append(login.key)
        print("done", *kept)

    assert "Wq7" not in logs_of(app, code, count=3)


def test_a_log_file_of_the_users_own(app, tmp_path):
    handler = logging.FileHandler(tmp_path / "own.log", encoding="utf-8")

    def code(login):
        LOG.addHandler(handler)
        by_logging(login)
        print("done")

    try:
        logs_of(app, code)
    finally:
        LOG.removeHandler(handler)
        handler.close()
    text = (tmp_path / "own.log").read_text("utf-8")
    assert "no Plain(user='ann', key='****')" in text
    assert "ValueError: ****" in text
    assert "Wq7" not in text


def test_a_validator_prints_before_there_is_an_element(app):
    class Loud(pydantic.BaseModel):
        key: Annotated[str, Secret]

        @pydantic.field_validator("key")
        @classmethod
        def said(cls, value):
            print("checks", value)
            return value

    said = logs_of(app, lambda _: print("done"), kind=Loud)
    assert "checks ****" in said


def test_an_async_processor_and_one_without_an_annotation(app):
    async def slow(login: Plain) -> None:
        await asyncio.sleep(0)
        print("slow", login)

    def free(login):
        print("free", login)

    login = Plain("ann", WORD)
    for code in (slow, free):
        source = FakeSource([[login]], endless=True, source_wire=Wire.OBJECT)
        app.consumer(source=source, sink=FakeSink(), retries=0)(code)
    with captured():
        app.run(block=False)
        until(lambda: len(app.logs()) == 2)
    assert sorted(line.text for line in app.logs()) == [
        "free Plain(user='ann', key='****')",
        "slow Plain(user='ann', key='****')",
    ]


def test_a_secret_that_the_code_makes(app):
    def make(number: int) -> Plain:
        made = Plain("ann", f"sk-Wq7-{number}")
        print("made", made)
        return made

    source = FakeSource([[1, 2]], endless=True, source_wire=Wire.OBJECT)
    app.consumer(source=source, sink=FakeSink(), retries=0)(make)
    with captured():
        app.run(block=False)
        until(lambda: len(app.peek("make")) == 2)
    assert [line.text for line in app.logs()] == ["made Plain(user='ann', key='****')"] * 2


def test_what_is_sent_and_retried_prints_into_no_cell(app, capsys):
    with captured():
        sent_and_retried(app)
    said = capsys.readouterr()
    assert "slow Plain(user='bob', key='****')\n" in said.out  # of what does not run
    assert "Wq7" not in said.out + said.err + repr(app.logs()) + repr(app.peek("slow"))


def sent_and_retried(app):
    async def slow(login: Plain) -> str:
        print("slow", login)
        if login.user == "bob":
            msg = f"no {login}"
            raise LookupError(msg)
        return f"got {login.key}"

    with pytest.raises(LookupError, match=r"no Plain\(user='bob', key='\*\*\*\*'\)"):
        app_send(app, slow, Plain("bob", WORD))
    source = FakeSource([[Plain("bob", WORD)]], endless=True, source_wire=Wire.OBJECT)
    app.consumer(source=source, sink=FakeSink(), retries=0)(slow)
    app.run(block=False)
    until(lambda: app.failures("slow"))
    (failed,) = app.failures("slow")
    with pytest.raises(LookupError, match=r"key='\*\*\*\*'"):
        failed.retry()
    with pytest.raises(LookupError, match=r"key='\*\*\*\*'"):
        app.send("slow", Plain("bob", WORD))
    assert failed.retry({"user": "ann", "key": WORD}) == ["got ****"]


def app_send(app, code, element):
    """Send to a processor that does not run."""
    app.consumer(source=FakeSource([[]], source_wire=Wire.OBJECT), sink=FakeSink())(code)
    return app.send("slow", element)
