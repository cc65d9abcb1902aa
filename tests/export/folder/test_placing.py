"""Files come into a folder all together or not at all, wherever that is broken off."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.folder import placing
from buildflow_nb.export.folder.folder import check_folder, write_files
from buildflow_nb.export.folder.placing import STAGE
from tests.export import breaking

ROOT = Path(__file__).parents[2]
SWEEP_S = 120
MEMORY = Path("/dev/shm")  # noqa: S108  (a disk that syncs at once)
FILES = {"main.py": "new", "tests/test_flow.py": "new"}


def swept(exists, how):
    """What became of an export that was broken off at each of its steps."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
        line = [sys.executable, breaking.__file__, place, exists, how]
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=SWEEP_S, env=environment, check=False
        )
    assert done.returncode == 0, done.stderr
    found = [json.loads(row) for row in done.stdout.splitlines()]
    assert len(found) > 20
    assert all(one["again"] == found[-1]["again"] for one in found), "an export must come through"
    assert all(one["beside"] == ["shop"] for one in found), "nothing temporary may stay for ever"
    return found


@pytest.mark.parametrize("exists", ["exists", "absent"])
def test_a_step_that_fails_changes_nothing(exists):
    failed = 0
    for one in swept(exists, "fail"):
        if one["said"]:
            failed += 1
            assert "No space left on device; nothing in it was changed" in one["said"]
            assert one["at_once"] == one["before"], one["step"]
        else:
            assert one["at_once"] == one["again"], one["step"]
    assert failed > 10


@pytest.mark.parametrize("exists", ["exists", "absent"])
def test_a_signal_to_stop_leaves_all_or_nothing(exists):
    found = swept(exists, "SIGTERM")
    for one in found:
        assert one["mended"] in (one["before"], one["again"]), one["step"]
        assert one["at_once"] == one["mended"], one["step"]
    assert sum(one["ended"] < 0 for one in found) > 10


@pytest.mark.parametrize("exists", ["exists", "absent"])
def test_what_a_kill_leaves_is_undone_by_the_next_export(exists):
    found = swept(exists, "SIGKILL")
    for one in found:
        assert one["mended"] in (one["before"], one["again"]), one["step"]
        if exists == "absent":
            assert one["at_once"] == one["mended"], one["step"]
    assert sum(one["ended"] < 0 for one in found) > 10


def test_two_exports_do_not_meet(tmp_path):
    folder = tmp_path / "shop"
    write_files(folder, FILES)
    with (
        placing._stage(folder / STAGE),
        pytest.raises(UsageError, match=r"another export is writing to .*shop; wait for its end"),
    ):
        write_files(folder, {"main.py": "newer"})
    assert (folder / "main.py").read_text() == "new"
    assert not (folder / STAGE).exists()


def test_what_cannot_be_undone_is_kept_and_said(tmp_path):
    folder = tmp_path / "shop"
    write_files(folder, FILES)
    (folder / STAGE / "old").mkdir(parents=True)
    (folder / STAGE / "old" / "main.py").write_text("before")
    (folder / STAGE / "plan").write_text("{torn")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"broken off and cannot be undone .* what was there"):
            check_folder(folder, force=True)
    assert (folder / STAGE / "old" / "main.py").read_text() == "before"


def test_a_plan_that_comes_with_a_clone_is_not_followed(tmp_path):
    folder, mine = tmp_path / "shop", tmp_path / "mine.txt"
    mine.write_text("mine")
    write_files(folder, FILES)
    (folder / STAGE).mkdir()
    (folder / STAGE / "old").symlink_to(tmp_path)
    plan = {"stage": 1, "old": ["mine.txt"], "new": ["../mine.txt"], "folders": []}
    (folder / STAGE / "plan").write_text(json.dumps(plan))
    with pytest.raises(UsageError, match="comes from somewhere else; look at it and remove it"):
        check_folder(folder, force=True)
    assert mine.read_text() == "mine"
    assert not (folder / "mine.txt").exists()


def test_links_where_an_export_works_are_not_followed(tmp_path):
    folder, mine = tmp_path / "shop", tmp_path / "mine"
    write_files(folder, FILES)
    (mine / "new").mkdir(parents=True)
    (folder / STAGE).symlink_to(mine)
    with pytest.raises(UsageError, match="is a link, and an export makes a folder there"):
        write_files(folder, FILES)
    (folder / STAGE).unlink()
    (folder / STAGE).mkdir()
    for name in ("new", "old", "plan.new"):
        (folder / STAGE / name).symlink_to(mine / "new")
    write_files(folder, {"main.py": "newer"})
    assert list((mine / "new").iterdir()) == []
    assert (folder / "main.py").read_text() == "newer"


FULL = """
import resource, signal, sys
from pathlib import Path
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.folder.folder import write_files

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_files(Path(sys.argv[1]), {"main.py": "new", "README.md": "x" * 10_000})
except UsageError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.parametrize("exists", [True, False])
def test_a_file_that_does_not_fit_changes_nothing(tmp_path, exists):
    folder = tmp_path / "shop"
    if exists:
        write_files(folder, {"main.py": "old", "gone.py": "old"})
    before = breaking.tree(folder)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder)], capture_output=True, text=True, check=True
    )
    assert "shop cannot be written to: File too large; nothing in it was changed" in done.stdout
    assert breaking.tree(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == (["shop"] if exists else [])
    assert not (folder / STAGE).exists()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB, where one may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no mount here")
    line = [mount, "-t", "tmpfs", "-o", "size=64k", "buildflow-test", str(disk)]
    if subprocess.run(line, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield disk
    subprocess.run([umount, str(disk)], check=True)


def test_a_full_disk_changes_nothing(small_disk):
    folder = small_disk / "shop"
    write_files(folder, {"main.py": "old"})
    with pytest.raises(UsageError, match="No space left on device; nothing in it was changed"):
        write_files(folder, {"main.py": "new", "data.bin": b"x" * 100_000})
    assert (folder / "main.py").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == [".buildflow-export.json", "main.py"]
    write_files(folder, {"main.py": "new"})
    assert (folder / "main.py").read_text() == "new"
