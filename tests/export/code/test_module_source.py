"""What a module holds, found without importing it."""

from __future__ import annotations

import sys

import pytest

from buildflow_nb.export.code.module_source import beside, is_there, public_names


@pytest.mark.parametrize(
    ("module", "there"),
    [
        ("json.decoder", True),
        ("json.nothing", False),
        ("google.cloud.storage", True),
        ("google.cloud.nothing", False),
        ("nothing.at.all", False),
        ("math.pi", False),
        ("numpy.random", True),
    ],
)
def test_what_is_installed(module, there):
    before = set(sys.modules)
    assert is_there(module) is there
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("math", {"pi", "floor"}),
        ("os.path", {"join", "exists"}),
        ("itertools", {"chain"}),
        ("buildflow_nb.io.local", {"File", "Pulse", "Empty"}),
    ],
)
def test_public_names(module, names):
    found = public_names(module, [])
    assert found is not None
    assert names <= found
    assert not any(name.startswith("_") for name in found)


def test_this_and_that_are_not_run(capsys):
    sys.modules.pop("this", None)
    assert public_names("this", []) == {"s", "d", "c", "i"}
    assert "this" not in sys.modules
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("__all__ = ['a']\na = b = 1", {"a"}),
        ("__all__ = ['a']\n__all__ += ['b']", {"a", "b"}),
        ("__all__ = ('a',) + other\na = b = _c = 1", {"a", "b"}),
        (
            "a: int = 1\ndef f(): ...\nasync def g(): ...\nclass C: x = 1\nimport os.path as p",
            {"a", "f", "g", "C", "p"},
        ),
        (
            "if x:\n    a = 1\nelse:\n    b = 1\ntry:\n    c = 1\nexcept E:\n    d = 1",
            {"a", "b", "c", "d"},
        ),
        ("from other import *\nown = 1", {"own", "deep"}),
        ("from mod import *", set()),
    ],
)
def test_names_of_a_module_beside(tmp_path, text, names):
    (tmp_path / "mod.py").write_text(text)
    (tmp_path / "other.py").write_text("deep = 1\nraise SystemExit")
    assert public_names("mod", [tmp_path]) == names


def test_one_that_cannot_be_read(tmp_path):
    (tmp_path / "mod.py").write_text("def broken(:")
    assert public_names("mod", [tmp_path]) is None
    assert public_names("no_such_module_here", [tmp_path]) is None


def test_beside(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").touch()
    (tmp_path / "lib" / "rates.py").touch()
    assert beside("lib", [tmp_path]) == tmp_path / "lib" / "__init__.py"
    assert beside("lib.rates", [tmp_path]) == tmp_path / "lib" / "rates.py"
    assert beside("rates", [tmp_path, tmp_path / "lib"]) == tmp_path / "lib" / "rates.py"
    assert beside("..lib", [tmp_path]) is None
