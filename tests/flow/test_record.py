"""Inputs recorded with their outputs."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from typing import Annotated

import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import Wire
from tests.fakes import PATIENCE_S
from tests.flow.fed import Fed, price_flow, record_in_background, recorded, texts


def test_a_recording_holds_real_inputs_with_their_outputs(app, tmp_path):
    path = recorded(app, 1, 0, -1)
    assert path.parent == tmp_path / ".buildflow" / "recordings"
    assert path.name.startswith("price-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    head, *lines = map(json.loads, path.read_text().splitlines())
    assert (head["processor"], head["type"], head["wire"]) == ("price", "Order", "text")
    assert (head["inputs"], head["version"], head["shown"]) == (3, 1, False)
    assert lines[0]["input"] == '{"id": 0, "qty": 1}'
    assert lines[0]["outputs"] == [{"$record": ["Priced", {"id": 0, "total": 10.0}]}]
    assert lines[1]["error"] == "ValueError: order 1 has no quantity"
    assert lines[2]["outputs"] == []
    assert list(path.parent.iterdir()) == [path]  # nothing half-written is left
    assert app.snapshot().processor("price").elements_in == 3  # it went on live


def test_a_recording_ends_in_time_with_what_came(app):
    source = Fed(Wire.TEXT)
    price_flow(app, source)
    app.run(block=False)
    with pytest.raises(UsageError, match=r"^nothing came to 'price' within 0\.05 s; nothing was"):
        app.record("price", 5, timeout=0.05)
    thread, found = record_in_background(app, "price", 5, timeout=0.3)
    source.feed(*texts(1, 2))
    thread.join(PATIENCE_S)
    assert len(found[0].read_text().splitlines()) == 3


def test_an_interrupt_keeps_what_came(app, monkeypatch):
    source = Fed(Wire.TEXT)
    price_flow(app, source)
    app.run(block=False)
    real = app.handle.record

    def interrupted(processor_id, recorder, timeout):
        wait = recorder.full.wait

        def press(seconds):
            if len(recorder.lines) == 2:
                raise KeyboardInterrupt
            return wait(0.002)

        recorder.full.wait = press
        source.feed(*texts(1, 2))
        real(processor_id, recorder, timeout)

    monkeypatch.setattr(app.handle, "record", interrupted)
    path = app.record("price", 5)
    assert len(path.read_text().splitlines()) == 3
    assert app.handle.recorder("price") is None


def test_recording_says_what_is_wrong(app, tmp_path):
    source = Fed(Wire.TEXT)
    price_flow(app, source)
    with pytest.raises(UsageError, match=r"^record: 'price' does not run; app\.run\(\) starts it"):
        app.record("price")
    app.run(block=False)
    with pytest.raises(UsageError, match=r"^record: count must be from 1 to 100,000, got 0$"):
        app.record("price", 0)
    mine = tmp_path / "main.py"
    mine.write_text("print()")
    with pytest.raises(UsageError, match=r"main\.py is there and no recording; name another file"):
        app.record("price", to=mine)
    assert mine.read_text() == "print()"
    with pytest.raises(UsageError, match="is a folder"):
        app.record("price", to=tmp_path)
    with pytest.raises(UsageError, match=r"^record: .*main\.py cannot be written: File exists$"):
        app.record("price", to=mine / "x.jsonl")
    thread, found = record_in_background(app, "price", 1, to=tmp_path / "no" / "file.jsonl")
    with pytest.raises(UsageError, match="'price' is being recorded; wait"):
        app.record("price", 1)
    (tmp_path / "no").rmdir()
    (tmp_path / "no").write_text("a file where a folder should be")
    source.feed(*texts(1))
    thread.join(PATIENCE_S)
    assert isinstance(found[0], UsageError)
    assert "cannot be written to" in str(found[0])


def test_what_is_tried_again_is_recorded_once_with_its_end(app):
    source, tries = Fed(), []

    @app.consumer(source=source, retries=2)
    def flaky(x: int) -> int:
        tries.append(x)
        if x == 1 or tries.count(x) < 2:
            msg = "not yet"
            raise ValueError(msg)
        return x

    app.run(block=False)
    thread, found = record_in_background(app, "flaky", 2)
    source.feed(1, 2)
    thread.join(PATIENCE_S)
    _, *lines = map(json.loads, found[0].read_text().splitlines())
    assert sorted(lines, key=lambda line: line["input"]) == [
        {"input": 1, "error": "ValueError: not yet"},
        {"input": 2, "outputs": [2]},
    ]
    assert tries.count(1) == 3


def test_secrets_are_not_recorded(app):
    @dataclass
    class Login:
        user: str
        password: Annotated[str, Secret]

    source = Fed(Wire.TEXT)

    def check(login) -> str:
        return login.user

    check.__annotations__["login"] = Login
    app.consumer(source=source)(check)
    app.run(block=False)
    thread, found = record_in_background(app, "check", 2)
    source.feed('{"user": "ann", "password": "hunter2"}', '{"password": "hunter2"}')
    thread.join(PATIENCE_S)
    assert "hunter2" not in found[0].read_text()
    replay = app.replay("check")
    assert [row.same for row in replay] == [True, False]
    assert replay[0].input == {"user": "ann", "password": "****"}
    assert replay[0].new == ("ann",)
