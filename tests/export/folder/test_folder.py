"""What may be written over, what stays, and what is said of folders that will not do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from buildflow_nb.core.config import load_config
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import export_flow
from buildflow_nb.export.folder.folder import check_folder, write_files
from buildflow_nb.export.folder.manifest import MANIFEST
from tests.export.programs import TEXT, program, texts, written

OTHER = program(TEXT.replace("1.5", "2.5"))


@pytest.fixture
def shop(tmp_path):
    """A folder that holds an export."""
    return written(tmp_path / "shop")


def refused(folder, match, *, force=False, made=OTHER):
    """Export into a folder that will not do: the reason is told, and nothing is touched."""
    before = texts(folder) if folder.is_dir() else None
    with pytest.raises(UsageError, match=match):
        written(folder, made, force=force)
    assert (texts(folder) if folder.is_dir() else None) == before


def test_files_are_there_for_all_to_read(shop):
    before = os.umask(0o077)
    try:
        written(shop, OTHER)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in shop.rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_an_export_that_nobody_touched_is_replaced(shop):
    (shop / "notes.txt").write_text("mine")
    (shop / "tests" / "test_mine.py").write_text("mine")
    (shop / ".buildflow").mkdir()
    (shop / ".buildflow" / "passphrase").write_text("state")
    written(shop, OTHER)
    assert "RATE = 2.5" in (shop / "main.py").read_text()
    for kept in ("notes.txt", "tests/test_mine.py"):
        assert (shop / kept).read_text() == "mine"
    assert (shop / ".buildflow" / "passphrase").read_text() == "state"


def test_the_mode_that_a_person_gave_stays(shop):
    (shop / "main.py").chmod(0o755)
    written(shop, OTHER)
    assert (shop / "main.py").stat().st_mode & 0o777 == 0o755


def test_what_an_export_no_longer_has_is_removed_unless_it_was_changed(shop):
    write_files(shop, {"main.py": "1", "shop/types.py": "1", "shop/mine.py": "1", "a/b/c.py": "1"})
    (shop / "shop" / "mine.py").write_text("mine")
    write_files(shop, {"main.py": "2"})
    assert texts(shop).keys() == {
        MANIFEST,
        "buildflow.yaml",
        "main.py",
        "shop",
        "shop/mine.py",
    }
    refused(shop, r"shop/mine\.py was not made by an export", made=_module("shop/mine.py"))


def _module(path):
    return program(modules={"main.py": TEXT, path: ""})


def test_work_that_was_done_is_not_written_over(shop):
    main = shop / "main.py"
    main.write_text(TEXT.replace("1.5", "3.5"))
    refused(shop, r"shop/main\.py was changed since it was exported; add --force to write over it$")
    (shop / "Dockerfile").write_text("FROM scratch\n")
    refused(
        shop, r"shop/Dockerfile, .*shop/main\.py were changed since they were exported; add --force"
    )
    written(shop, OTHER, force=True)
    assert "RATE = 2.5" in main.read_text()
    assert "FROM python" in (shop / "Dockerfile").read_text()
    check_folder(shop, force=False)


def test_an_edited_buildflow_yaml_stays_in_any_case(shop):
    config = shop / "buildflow.yaml"
    config.write_text("app: mine\nentry_point: main:app\n")
    written(shop, OTHER)
    written(shop, OTHER, force=True)
    assert load_config(config).app == "mine"
    config.unlink()
    written(shop, OTHER)
    assert load_config(config).app == "shop"


def test_a_file_that_was_deleted_comes_back(shop):
    (shop / "Dockerfile").unlink()
    shutil.rmtree(shop / "tests")
    written(shop, OTHER)
    assert (shop / "Dockerfile").is_file()
    assert (shop / "tests" / "test_flow.py").is_file()


def test_a_clone_is_still_an_export(shop, tmp_path):
    """Git may change the ends of lines, and does not keep times."""
    clone = tmp_path / "clone"
    shutil.copytree(shop, clone, copy_function=shutil.copyfile)
    main = clone / "main.py"
    main.write_bytes(main.read_bytes().replace(b"\n", b"\r\n"))
    written(clone, OTHER)
    assert b"\r\n" not in main.read_bytes()


def test_a_file_of_a_persons_own_is_not_written_over(shop):
    (shop / "helpers.py").write_text("mine")
    refused(shop, r"shop/helpers\.py was not made by an export", made=_module("helpers.py"))
    written(shop, _module("helpers.py"), force=True)
    assert (shop / "helpers.py").read_text() == ""


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    refused(tmp_path, "is not empty and holds no export; name another folder, or add --force")
    written(tmp_path, force=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_folder_with_history_alone_is_free_and_history_is_never_touched(tmp_path):
    for folder in (tmp_path / ".git", tmp_path / ".buildflow"):
        folder.mkdir()
        (folder / "config").write_text("mine")
    written(tmp_path)
    assert (tmp_path / ".git" / "config").read_text() == "mine"
    refused(
        tmp_path, "'.git/config' is no place for a file", force=True, made=_module(".git/config")
    )


def test_a_foreign_repository_is_left_alone(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "setup.py").write_text("theirs")
    refused(tmp_path, "is not empty and holds no export")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "shop").write_text("mine")
    for folder in (tmp_path / "shop", tmp_path / "shop" / "deep" / "shop"):
        refused(folder, "shop is a file; name a folder to export to", force=True)
    assert (tmp_path / "shop").read_text() == "mine"


def test_folders_above_are_made(tmp_path):
    assert (written(tmp_path / "a" / "b" / "shop") / "main.py").is_file()


@pytest.mark.parametrize("name", ["läden 店", "shop with spaces", "-shop", "🛒", "shop's", "$HOME"])
def test_a_folder_may_have_any_name(tmp_path, name):
    folder = written(tmp_path / name, program(name=name))
    config = load_config(folder / "buildflow.yaml")
    assert config.entry_point == "main:app"
    assert config.app
    written(folder, OTHER)


def test_a_long_name_is_a_name_and_one_that_is_too_long_is_said(tmp_path):
    assert (written(tmp_path / ("ä" * 120)) / "main.py").is_file()
    with pytest.raises(UsageError, match="cannot be written to: File name too long"):
        written(tmp_path / ("a" * 300))


def test_a_link_to_a_folder_is_followed_and_stays(tmp_path, shop):
    link = tmp_path / "link"
    link.symlink_to(shop)
    written(link, OTHER)
    assert link.is_symlink()
    assert "RATE = 2.5" in (shop / "main.py").read_text()


def test_a_link_to_nothing_is_said(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    refused(tmp_path / "link", r"link is a link to .*gone, which is not there", force=True)


def test_a_file_that_became_a_link_is_work(shop, tmp_path):
    """What it leads to is not written through."""
    mine = tmp_path / "mine.py"
    mine.write_bytes((shop / "main.py").read_bytes())
    before = mine.read_text()
    (shop / "main.py").unlink()
    (shop / "main.py").symlink_to(mine)
    refused(shop, r"main\.py was changed since it was exported")
    written(shop, OTHER, force=True)
    assert not (shop / "main.py").is_symlink()
    assert mine.read_text() == before


def test_nothing_is_written_through_a_link_out_of_the_folder(shop, tmp_path):
    shutil.move(shop / "tests", tmp_path / "elsewhere")
    (shop / "tests").symlink_to(tmp_path / "elsewhere")
    refused(shop, r"shop/tests is a link, and the export has a folder of that name", force=True)


def test_a_folder_in_a_files_place_and_the_other_way_round(shop):
    (shop / "main.py").unlink()
    (shop / "main.py").mkdir()
    refused(shop, r"shop/main\.py is a folder, and the export has a file of that name", force=True)
    (shop / "main.py").rmdir()
    shutil.rmtree(shop / "tests")
    (shop / "tests").write_text("mine")
    refused(shop, r"shop/tests is a file, and the export has a folder of that name", force=True)


@pytest.mark.parametrize("name", ["../out.py", "/etc/out.py", "a/../../out.py", "a\\out.py", ""])
def test_no_file_leaves_the_folder(tmp_path, name):
    with pytest.raises(UsageError, match="is no place for a file of an export"):
        write_files(tmp_path / "shop", {"main.py": "", name: ""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{torn",
        '{"format": "other", "version": 1, "files": {}}',
        '{"format": "buildflow export", "version": 1, "files": {"../notes.txt": "0"}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_manifest_is_said_and_nothing_outside_is_removed(shop, text):
    outside = shop.parent / "notes.txt"
    outside.write_text("mine")
    (shop / MANIFEST).write_text(text)
    refused(shop, r"\.buildflow-export\.json is damaged, so what was changed .* add --force")
    written(shop, OTHER, force=True)
    assert outside.read_text() == "mine"
    assert json.loads((shop / MANIFEST).read_text())["files"]["main.py"]


WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.folder.folder import check_folder, write_files

folder = Path(sys.argv[1])
if os.geteuid() == 0:
    import buildflow_nb.export.project.files  # while all may be read
    os.setuid(65534)
try:
    check_folder(folder, force=False)
    write_files(folder, {"main.py": "new"})
except UsageError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_permission_is_said(exists):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "shop"
        if exists:
            written(folder)
            folder.chmod(0o555)
        Path(name).chmod(0o555)
        before = texts(Path(name))
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        Path(name).chmod(0o755)
        assert done.returncode == 0, done.stderr
        assert "shop cannot be written to: Permission denied; nothing in it was" in done.stdout
        assert texts(Path(name)) == before
        if exists:
            folder.chmod(0o755)


def test_nothing_is_removed_through_a_link_out_of_the_folder(shop, tmp_path):
    """A clone may say of anything that an export wrote it."""
    write_files(shop, {"main.py": "", "more/known.txt": "known"})
    shutil.move(shop / "more", tmp_path / "elsewhere")
    (shop / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="shop/more is a link"):
        write_files(shop, {"main.py": ""})
    assert (tmp_path / "elsewhere" / "known.txt").read_text() == "known"


@pytest.mark.parametrize("name", ["out\0", "loop", "loop/out"])
def test_a_folder_that_cannot_be(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=r"can be no folder|is a link to|cannot be written"):
        export_flow((), tmp_path / name, notebook=tmp_path / "x.ipynb")
