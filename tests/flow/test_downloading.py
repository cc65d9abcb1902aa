"""An object becomes a file whole or not at all, under a name that leads nowhere."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from buildflow_nb import Flow
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.resource_look import ResourceLook
from buildflow_nb.flow.downloading import downloaded


@dataclass(frozen=True)
class Box:
    """A bucket of objects that are all the same; `fetched` are the names asked for."""

    cloud: ClassVar[str] = "local"

    name: str
    fetched: list[Any] = field(default_factory=list, compare=False)

    @property
    def primitive_id(self):
        return self.name

    async def look(self, env, asked):
        return ResourceLook("Box b", "box", "b")

    async def download(self, env, key, take):
        self.fetched.append(key)
        take(b"one")


def box_of(box):
    return Flow("boxes").resource(box)


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("~", "~"),
        ("~root/x", "x"),
        ("a/~root", "~root"),
        ("a/..", "object"),
        ("..", "object"),
        ("a/.", "object"),
        ("/", "object"),
        ("a/b/", "b"),
        ("a/x\0y\n.txt", "x_y_.txt"),
        ("a/\ud800x", "?x"),
        ("n" * 300, "n" * 255),
        ("ö" * 200 + ".parquet", "ö" * 123 + ".parquet"),
        ("n" * 255, "n" * 255),
    ],
)
def test_the_name_of_an_object_leads_nowhere(tmp_path, monkeypatch, key, name):
    home = tmp_path / "home"
    inner = tmp_path / "inner"
    for folder in (home, inner):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(inner)
    box = box_of(Box("b"))
    box.download(key)
    assert [one.name for one in inner.iterdir()] == [name]
    box.download(key, "other")
    (inner / "folder").mkdir()
    box.download(key, "folder")
    assert [one.name for one in (inner / "folder").iterdir()] == [name]
    assert sorted(tmp_path.iterdir()) == [home, inner]
    assert not list(home.iterdir())


@pytest.mark.parametrize("to", ["x\0y", "n" * 256, "~nobody-of-this-name/x", "\ud800"])
def test_a_place_that_there_cannot_be_is_refused_before_anything_is_fetched(tmp_path, to):
    fetched = []
    with pytest.raises(UsageError, match="download: ") as refused:
        box_of(Box("b", fetched)).download("a/x.txt", to)
    assert "\n" not in str(refused.value)
    assert not fetched
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_and_a_folder_are_there(tmp_path, overwrite):
    box = box_of(Box("b"))
    (tmp_path / "x.txt").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        box.download("folder", overwrite=overwrite)
    if overwrite:
        assert not box.download("x.txt", overwrite=True).is_symlink()
    else:
        with pytest.raises(UsageError, match="is there"):
            box.download("x.txt")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("fault", [ConnectionResetError(104, "reset"), ValueError("odd\nend")])
def test_what_is_cut_off_says_so_and_leaves_nothing(tmp_path, fault):
    def fetch(take):
        take(b"some")
        raise fault

    with pytest.raises(UsageError, match=r"not all of what goes to .* was fetched: ") as cut:
        downloaded(tmp_path / "x", fetch, overwrite=False)
    assert str(cut.value).endswith("; try again")
    assert "\n" not in str(cut.value)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_the_files_fault(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, piece):
            raise OSError(28, "No space left on device")

    def opened(number, mode):
        os.close(number)
        return Full()

    monkeypatch.setattr("buildflow_nb.flow.downloading.os.fdopen", opened)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        downloaded(tmp_path / "x", lambda take: take(b"some"), overwrite=False)
    assert not list(tmp_path.iterdir())
