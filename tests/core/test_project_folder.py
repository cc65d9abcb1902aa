"""A project's own folder: for its owner alone, through no link, and by one way only."""

from __future__ import annotations

import ast
import os
import stat
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

import buildflow_nb
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.own_json import DamagedError, parsed, read_own
from buildflow_nb.core.position import Position
from buildflow_nb.core.project_folder import (
    PRIVATE,
    LinkedError,
    check_tree,
    forget_parts,
    make_private,
    open_private,
    private_folder,
    read_private,
    replacing,
    write_once,
    write_whole,
)

APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
IS_LINK = "is a link, and none is followed there; remove it"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def append(path: Path, data: bytes = b"x") -> None:
    with os.fdopen(open_private(path, APPEND), "ab") as file:
        file.write(data)


WAYS = {
    "append": append,
    "replace": lambda path: write_whole(path, b"x"),
    "once": lambda path: write_once(path, b"x"),
}


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)
def test_what_is_made_is_for_its_owner_alone(tmp_path, write, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / PRIVATE / "a" / "b" / "file")
    finally:
        os.umask(before)
    made = tmp_path / PRIVATE / "a" / "b" / "file"
    assert mode(made) == 0o600
    assert {mode(folder) for folder in list(made.parents)[:3]} == {0o700}


@pytest.mark.parametrize("write", [WAYS["append"], WAYS["replace"]])
def test_what_stands_open_is_closed(tmp_path, write):
    path = tmp_path / PRIVATE / "a" / "file"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    for each, loose in ((path, 0o666), (path.parent, 0o777), (tmp_path / PRIVATE, 0o755)):
        each.chmod(loose)
    write(path)
    assert [mode(each) for each in (path, path.parent, tmp_path / PRIVATE)] == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("read", [read_private, lambda path: read_own(path, object)])
def test_folders_are_closed_by_reading_too(tmp_path, read):
    path = tmp_path / PRIVATE / "file"
    write_whole(path, b"1")
    path.parent.chmod(0o777)
    read(path)
    assert mode(path.parent) == 0o700


def linked(tmp_path: Path, part: str) -> tuple[Path, Path]:
    """A project whose way to a file has a link at a part of it, and what the link leads to."""
    project, other = tmp_path / "project", tmp_path / "other"
    (other / "local").mkdir(parents=True)
    (other / "file").write_text("mine")
    (other / "local" / "file").write_text("mine")
    link = project / part
    link.parent.mkdir(parents=True)
    link.symlink_to(other / {PRIVATE: ".", f"{PRIVATE}/local": "local"}.get(part, "file"))
    return project / PRIVATE / "local" / "file", other


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("part", [PRIVATE, f"{PRIVATE}/local", f"{PRIVATE}/local/file"])
@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)
def test_nothing_is_written_through_a_link(tmp_path, part, write):
    path, other = linked(tmp_path, part)
    before = contents(other)
    refused = write is WAYS["append"] or not part.endswith("file")
    said = f"^{path.parents[2] / part} {IS_LINK}$"  # a link at the end is replaced, or left alone
    with pytest.raises(LinkedError, match=said) if refused else nullcontext():
        write(path)
    assert contents(other) == before


@pytest.mark.parametrize("part", [PRIVATE, f"{PRIVATE}/local", f"{PRIVATE}/local/file"])
@pytest.mark.parametrize("dangling", [False, True])
def test_nothing_is_read_or_appended_through_a_link(tmp_path, part, dangling):
    path, other = linked(tmp_path, part)
    if dangling:
        other.rename(tmp_path / "away")
    for way in (read_private, append):
        with pytest.raises(LinkedError, match=IS_LINK):
            way(path)
    assert not dangling or not other.exists()


def test_a_project_whose_folder_is_a_link_is_refused(tmp_path):
    linked(tmp_path, PRIVATE)
    with pytest.raises(InfraError, match=IS_LINK):
        private_folder(tmp_path / "project")
    assert sorted(contents(tmp_path / "other")) == ["file", "local/file"]


def test_the_project_itself_may_be_reached_by_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write_whole(private_folder(tmp_path / "link") / "file", b"x")
    assert (tmp_path / "real" / PRIVATE / "file").read_bytes() == b"x"


def test_a_persons_own_file_elsewhere_may_be_a_link_to_read(tmp_path):
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    assert read_private(tmp_path / "link") == b"x"
    with pytest.raises(LinkedError):
        append(tmp_path / "link")


@pytest.mark.parametrize("way", [f"{PRIVATE}/../file", f"{PRIVATE}/a/../../file"])
def test_no_way_leads_out_of_it(tmp_path, way):
    make_private(tmp_path / PRIVATE / "a")
    with pytest.raises(OSError, match="leads out of the project's own folder"):
        write_whole(tmp_path / way / "x", b"x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes that have a name")
def test_a_pipe_in_its_place_is_not_waited_for(tmp_path):
    make_private(tmp_path / PRIVATE)
    os.mkfifo(tmp_path / PRIVATE / "file")
    with pytest.raises(OSError, match="is no file"):
        read_private(tmp_path / PRIVATE / "file")


def test_a_tree_with_a_link_in_it_is_refused(tmp_path):
    deep = make_private(tmp_path / PRIVATE / "a" / "b")
    check_tree(tmp_path / PRIVATE)
    (deep / "link").symlink_to("/etc/passwd")
    with pytest.raises(LinkedError, match=f"{deep / 'link'} {IS_LINK}"):
        check_tree(tmp_path / PRIVATE)


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / PRIVATE / "file"
    write_whole(path, b"old")
    with suppress(RuntimeError), replacing(path) as file:
        file.write(b"ne")
        raise RuntimeError
    assert [(p.name, p.read_bytes()) for p in path.parent.iterdir()] == [("file", b"old")]
    write_once(path, b"new")
    assert path.read_bytes() == b"old"
    (path.parent / ".file.0a1b.part").write_bytes(b"half")
    forget_parts(path)
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 200_000, b'{"pid": "x"}', b"9" * 6_000,
     b'{"pid":1e999}',
     '{"pid": "\ud800"}'.encode(errors="surrogatepass"), b'{"pid": null}', b'{"pid": []}'],
)  # fmt: skip
def test_a_document_is_of_its_shape_or_damaged(data):
    with pytest.raises(DamagedError) as caught:
        parsed(data, dict[str, int])
    assert "\n" not in str(caught.value)


def test_numbers_of_any_size_are_kept(tmp_path):
    position = Position(tmp_path / PRIVATE / "positions", "source")
    document = {"big": 2**80, "small": -0.1, "list": [None, True, "ü"]}
    position.write(document)
    assert position.read() == document
    position.path.write_bytes(b"[" * 200_000)
    assert position.read() is None


# What writes elsewhere than in a project's own folder, and what that is.
ELSEWHERE = {
    "cli/starting.py": "the files of a new project",
    "cli/building.py": "a new folder, of a build's files",
    "core/project_folder.py": "this is the way",
    "export/folder/placing.py": "an exported project",
    "flow/doctor/autoload.py": "a start file of IPython",
    "flow/downloading.py": "an object that a person downloads, where they say",
    "flow/inspecting.py": "a nameless file, to see whether a folder can be written",
    "io/files/appender.py": "a sink of the flow's",
    "io/duckdb/connection.py": "a sink of the flow's",
    "io/files/parquet.py": "a sink of the flow's",
    "local_cloud/bigquery/cloud_files.py": "what a load job fetched, in a folder of the server's",
    "local_cloud/bigquery/upload.py": "what is uploaded, in a folder of the server's",
    "local_cloud/clickhouse/engine.py": "a nameless file in memory, which the engine reads",
    "local_cloud/postgres/not_root.py": "the system's own files of this process",
    "local_cloud/postgres/__main__.py": "a nameless file that initdb reads, in a folder of our own",
    "runtime/ray/driver_process.py": "the driver's log, in the folder of settings.py",
    "runtime/ray/settings.py": "Ray's folder, whose path has to be short: it holds sockets",
    "runtime/ray/turn.py": "an empty lock, which all projects of a user share",
}
WRITERS = {
    "copy2", "copyfile", "copytree", "hardlink_to", "makedirs", "mkdir",
    "mkdtemp", "mkstemp", "NamedTemporaryFile", "symlink", "symlink_to", "TemporaryDirectory",
    "TemporaryFile", "touch", "write_bytes", "write_text",
}  # fmt: skip


def writes(call: ast.Call) -> bool:
    """Whether a call makes a file or a folder, as far as its name and its mode tell."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in WRITERS:
        return True
    if name != "open":
        return False
    words = [a.value for a in call.args if isinstance(a, ast.Constant)]
    words += [k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)]
    flags = any("O_CREAT" in ast.unparse(a) or "_FLAGS" in ast.unparse(a) for a in call.args)
    return flags or any(
        isinstance(word, str) and set(word) <= set("rwxabt+") and set(word) & set("wxa+")
        for word in words
    )


def test_all_that_this_package_keeps_goes_one_way():
    """A new file that writes has to go through the module, or to say here what it writes."""
    root = Path(buildflow_nb.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and writes(node)
    }
    assert found == set(ELSEWHERE)
