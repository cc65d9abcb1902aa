"""A notebook's cells, and a process that has nothing of them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buildflow_nb.runtime.shipping import pack, unpack

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0  # after which a test gives up; nothing waits that long


class Child:
    """A process that calls what it is sent."""

    def __init__(self, cwd: Path) -> None:
        places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("child.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        )
        self.printed = ""

    def call(self, function: Callable, *args: Any, folder: Path | None = None) -> Any:
        """What the function gives over there; what it raises is raised here."""
        found = self.answer(pack((function, args), folder=folder))
        if isinstance(found, Exception):
            raise found
        return found

    def answer(self, data: bytes) -> Any:
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        deadline = threading.Timer(PATIENCE_S, self._process.kill)
        deadline.start()
        try:
            asked.write(len(data).to_bytes(8, "big") + data)
            asked.flush()
            size = int.from_bytes(answers.read(8), "big")
            answer = answers.read(size)
        finally:
            deadline.cancel()
            deadline.join()
        assert answer, "the other process has ended"
        found, self.printed = unpack(answer)
        return found

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="package")
def child(tmp_path_factory) -> Iterator[Child]:
    made = Child(tmp_path_factory.mktemp("elsewhere"))
    yield made
    made.close()


@pytest.fixture
def notebook(monkeypatch) -> Callable[..., types.SimpleNamespace]:
    """Runs cells; gives the names that they have made."""
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    count = iter(range(1, 100))

    def run(text: str, *, name: str = "") -> types.SimpleNamespace:
        name = name or f"<cell {next(count)}>"
        code = compile(textwrap.dedent(text), name, "exec", dont_inherit=True)
        exec(code, vars(main))  # noqa: S102
        return types.SimpleNamespace(**vars(main))

    return run


@pytest.fixture
def beside(tmp_path, monkeypatch) -> Iterator[Callable[..., Path]]:
    """Writes modules beside the notebook, which can be imported here."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return tmp_path

    yield write
    parents = {path.stem for path in tmp_path.iterdir()}
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in parents:
            del sys.modules[name]
