"""`buildflow build`, and `run --from-build` of what it packed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
import yaml

from buildflow_nb.cli.building import MARK, unpacked
from buildflow_nb.cli.main import main
from buildflow_nb.core.errors import UsageError

MAIN = """
from dataclasses import dataclass
from buildflow_nb import Flow
from buildflow_nb.io.local import File

app = Flow("packed")

@dataclass
class Row:
    n: int

@app.consumer(File("in.csv"), File("out.csv"))
def copy(row: Row) -> Row:
    return row
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    files = {
        "main.py": MAIN,
        "requirements.txt": "buildflow-nb\n",
        "in.csv": "n\n1\n2\n",
        "steps/one.py": "x = 1\n",
        "steps/__pycache__/one.pyc": "",
        ".env": "KEY=secret\n",
        ".env.local": "KEY=secret\n",
        ".env.example": "KEY=\n",
        ".git/config": "",
        ".buildflow/state.json": "",
        "build/old.txt": "",
        "environment/pyvenv.cfg": "",
        "environment/lib/a.py": "",
        "logs/a.log": "",
        "data/big.csv": "",
        "data/keep.csv": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


def packed(folder, name="build.flow"):
    with zipfile.ZipFile(folder / ".buildflow" / "build" / name) as archive:
        return archive.namelist()


def test_code_is_packed_and_what_others_write_is_not(project, capsys):
    assert main(["build"]) == 0
    assert packed(project) == [
        ".env.example",
        "data/big.csv",
        "data/keep.csv",
        "flowstate.yaml",
        "in.csv",
        "logs/a.log",
        "main.py",
        "requirements.txt",
        "steps/one.py",
    ]
    said = capsys.readouterr().out
    assert said.startswith(f"packed 9 files into {project}/.buildflow/build/build.flow (")
    assert "run it by: buildflow run --from-build .buildflow/build/build.flow" in said


def test_patterns_leave_out_more(project):
    (project / "buildflow.yaml").write_text('app: shop\nbuild_ignores: ["*.log"]\n')
    assert main(["build", "--ignores", "data/*", "--ignores", "!data/keep.csv"]) == 0
    names = packed(project)
    assert {"logs/a.log", "data/big.csv"}.isdisjoint(names)
    assert {"data/keep.csv", "buildflow.yaml"} <= set(names)


def test_the_same_files_give_the_same_bytes(project):
    (project / "main.py").chmod(0o700)
    main(["build", "--build-path", "one.flow"])
    for path in project.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    main(["build", "--build-path", "two.flow", "--ignores", "one.flow"])
    assert (project / "one.flow").read_bytes() == (project / "two.flow").read_bytes()


def test_a_build_is_not_packed_into_itself(project):
    for _ in range(2):
        assert main(["build", "--build-path", "one.flow"]) == 0
    with zipfile.ZipFile(project / "one.flow") as archive:
        assert "one.flow" not in archive.namelist()
    assert stat.S_IMODE((project / "one.flow").stat().st_mode) == 0o644
    assert not list(project.glob(".one.flow-*"))


def test_what_the_flow_declares_is_in_it_and_in_a_template_it_is_not(project, capsys):
    main(["build"])
    with zipfile.ZipFile(project / ".buildflow" / "build" / "build.flow") as archive:
        assert yaml.safe_load(archive.read("flowstate.yaml"))["flow_id"] == "packed"
    capsys.readouterr()
    assert main(["build", "--as-template", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["path"].endswith(".buildflow/build/template.flow")
    assert "flowstate.yaml" not in packed(project, "template.flow")
    assert found["files"] == packed(project, "template.flow")


def test_links_stay_inside(project, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (project / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (project / "inside.txt").symlink_to(project / "in.csv")
    (project / "folder").symlink_to(tmp_path)
    main(["build"])
    names = packed(project)
    assert "inside.txt" in names
    assert "outside.txt" not in names
    assert not [name for name in names if name.startswith("folder")]


def test_requirements_are_needed(project, capsys):
    (project / "requirements.txt").unlink()
    assert main(["build"]) == 2
    error = capsys.readouterr().err
    assert f"buildflow: build: {project} has no requirements.txt" in error
    assert "write one that names buildflow-nb" in error


def test_a_file_that_cannot_be_written_is_told_and_the_old_one_stays(project, capsys, monkeypatch):
    main(["build", "--build-path", "one.flow"])
    before = (project / "one.flow").read_bytes()
    (project / "main.py").write_text(MAIN + "# longer\n")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("buildflow_nb.cli.building.pack", full)
    assert main(["build", "--build-path", "one.flow"]) == 1
    assert (
        "one.flow: No space left on device; mend that, or choose another" in capsys.readouterr().err
    )
    assert (project / "one.flow").read_bytes() == before
    assert not list(project.glob(".one.flow-*"))


def test_a_build_runs_elsewhere(project, tmp_path, terminal):
    main(["build", "--build-path", str(tmp_path / "shop.flow")])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    terminal.folder = elsewhere
    words = ("run", "--from-build", "../shop.flow", "--until", "drained", "--port", "0")
    found = terminal(*words)
    assert found.returncode == 0, found.stderr
    (folder,) = (elsewhere / ".buildflow" / "builds").iterdir()
    assert f"unpacked to {folder}, where files are read and written" in found.stderr
    assert (folder / "out.csv").read_text() == "n\n1\n2\n"
    assert terminal(*words).returncode == 0
    assert list((elsewhere / ".buildflow" / "builds").iterdir()) == [folder], "it is used again"
    assert terminal(*words, "--build-output-dir", "here").returncode == 0
    assert (elsewhere / "here" / "out.csv").is_file()


def archive(path, **files):
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name", ["../evil.py", "/evil.py", "a/../../evil.py", "C:/evil.py", "a\\..\\..\\evil.py"]
)
def test_a_name_that_leads_outside_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    build = archive(tmp_path / "evil.flow", **{"main.py": "x", name: "y"})
    with pytest.raises(UsageError, match="leads outside its folder"):
        unpacked(build, "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.flow"]
    assert not Path("/evil.py").exists()


def test_a_link_in_a_build_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("evil.flow", "w") as made:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(info, "/etc/passwd")
    with pytest.raises(UsageError, match="'link' in it leads outside"):
        unpacked(Path("evil.flow"), None)


def test_a_build_that_is_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("buildflow_nb.cli.building.MOST_BYTES", 3)
    with pytest.raises(UsageError, match="it unpacks to 4 bytes, more than 3"):
        unpacked(archive(tmp_path / "bomb.flow", a="1234"), None)
    assert not (tmp_path / ".buildflow" / "builds" / "bomb").exists()


def test_what_is_no_build_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.flow").write_text("no zip")
    for name, said in (
        ("text.flow", "is no build: File is not a zip file; make one by buildflow build"),
        ("none.flow", "there is no such file"),
        (".", "is no file"),
    ):
        with pytest.raises(UsageError, match=said):
            unpacked(Path(name), None)


def test_a_folder_in_use_is_left_alone(tmp_path):
    build = archive(tmp_path / "a.flow", **{"main.py": "x"})
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / "mine.txt"
    mine.write_text("mine")
    with pytest.raises(UsageError, match="holds something else than this build"):
        unpacked(build, str(tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == [mine]
    other = archive(tmp_path / "b.flow", **{"main.py": "y"})
    folder = unpacked(build, str(tmp_path / "in"))
    assert (folder / MARK).is_file()
    with pytest.raises(UsageError, match="something else"):
        unpacked(other, str(folder))
    assert unpacked(build, str(folder)) == folder


def changed(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """A zip with some bytes of its first header of a kind replaced."""
    at = data.index(signature) + offset
    return data[:at] + value + data[at + len(value) :]


LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ([(CENTRAL, 6, b"\x83\x00")], "zip file version 13.1"),
        ([(CENTRAL, 8, b"\x01\x00"), (LOCAL, 6, b"\x01\x00")], "encrypted"),
        ([(CENTRAL, 10, b"\x63\x00"), (LOCAL, 8, b"\x63\x00")], "compression"),
        ([(CENTRAL, 10, b"\x08\x00"), (LOCAL, 8, b"\x08\x00")], "decompressing"),
        ([(CENTRAL, 10, b"\x0e\x00"), (LOCAL, 8, b"\x0e\x00")], "is no build"),
        ([(CENTRAL, 24, b"\xff\xff\xff\x00")], "is no build"),
        ([(CENTRAL, 24, b"\x01\x00\x00\x00")], "is no build"),
        ([(CENTRAL, 8, b"\x00\x08"), (CENTRAL, 46, b"\xff")], "is no build"),
        ([(CENTRAL, 42, b"\xff\xff\xff\x7f")], "is no build"),
        ([(END, 12, b"\xff\xff\xff\x7f")], "is no build"),
        ([(END, 16, b"\x00\x00\x00\x7f")], "is no build|Invalid argument"),
    ],
    ids=["version", "encrypted", "compression", "deflated", "lzma", "longer", "shorter", "name",
         "offset", "directory", "start"],
)  # fmt: skip
def test_damaged_builds_are_told_in_one_line(tmp_path, monkeypatch, damage, said):
    monkeypatch.chdir(tmp_path)
    data = archive(tmp_path / "a.flow", **{"main.py": "x" * 100}).read_bytes()
    for signature, offset, value in damage:
        data = changed(data, signature, offset, value)
    Path("a.flow").write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        unpacked(Path("a.flow"), None)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / ".buildflow" / "builds").iterdir()) == []


def test_a_name_that_stands_twice_or_below_a_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for names in (("a", "a"), ("a", "a/b")):
        with warnings.catch_warnings(), zipfile.ZipFile("a.flow", "w") as made:
            warnings.simplefilter("ignore")
            for name in names:
                made.writestr(name, name)
        with pytest.raises(UsageError, match="cannot be unpacked to"):
            unpacked(Path("a.flow"), None)
        assert not Path("a").exists()


def test_a_build_of_countless_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("buildflow_nb.cli.building.MOST_FILES", 2)
    build = archive(tmp_path / "a.flow", a="", b="", c="")
    with pytest.raises(UsageError, match="it has 3 files, more than 2"):
        unpacked(build, str(tmp_path / "out"))


@pytest.mark.parametrize("link", [".buildflow", ".buildflow/builds", ".buildflow/builds/a"])
def test_a_build_is_not_unpacked_through_a_link(tmp_path, monkeypatch, link):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    build = archive(tmp_path / "a.flow", **{"main.py": "x"})
    if link.endswith("/a"):
        link = unpacked(build, None).relative_to(Path.cwd())
        shutil.rmtree(link)
    Path(link).parent.mkdir(parents=True, exist_ok=True)
    Path(link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link, and none is followed there; remove it"):
        unpacked(build, None)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes that have a name")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.flow")
    with pytest.raises(UsageError, match="is no file"):
        unpacked(tmp_path / "a.flow", None)
