"""New code for a running processor whose setup fails: the old code goes on, and all see why."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import RunError
from buildflow_nb.core.status.snapshot import State
from tests.fakes import FakeSource
from tests.flow.failing import until


def test_a_swap_whose_setup_fails_says_so_and_keeps_the_old_code(app):
    source = FakeSource([], endless=True)

    def declare(*, ok: bool) -> None:
        @app.consumer(source=source)
        class Model:
            def setup(self) -> None:
                if not ok:
                    msg = "no model file"
                    raise OSError(msg)

            def process(self, x: int) -> int:
                return x + 1

    declare(ok=True)
    handle = app.run(block=False)
    until(lambda: handle.snapshot().processor("Model").state is State.RUNNING)
    said = "the new code could not be set up, the old one keeps running: OSError: no model file"
    old = app.processors["Model"]
    with pytest.raises(RunError) as caught:
        declare(ok=False)
    assert str(caught.value) == f"consumer 'Model': {said}"
    assert app.processors["Model"] is not old
    assert handle.send("Model", 1) == [2]
    (line,) = handle.logs("Model")
    assert line.text == said
    model = handle.snapshot().processor("Model")
    assert (model.state, model.reason) == (State.RUNNING, said)
    assert f"({said})" in repr(handle)
    declare(ok=True)
    assert handle.snapshot().processor("Model").reason == ""


def test_a_setup_that_fails_keeps_nothing_else_of_a_cell_from_being_applied(app):
    source = FakeSource([], endless=True)

    def declare(names: str, *, ok: bool) -> None:
        for name in names:

            class Model:
                def setup(self) -> None:
                    if not ok:
                        msg = f"no {self}"
                        raise OSError(msg)

                def process(self, x: int) -> int:
                    return x

                def __str__(self) -> str:
                    return type(self).__name__

            Model.__name__ = name
            app.consumer(source=source)(Model)

    declare("ab", ok=True)
    handle = app.run(block=False)
    app.registry.hold()
    declare("abc", ok=False)
    with pytest.raises(RunError, match=r"'a': .*OSError: no a; consumer 'b': .*OSError: no b$"):
        app.registry.release()
    until(lambda: handle.snapshot().processor("c").state is State.FAILED)
    assert handle.snapshot().processor("c").reason == "OSError: no c"
    handle.stop("a")
    assert handle.snapshot().processor("a").reason == ""
