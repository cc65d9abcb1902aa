"""Histories on disk: whatever happened to the files, a run goes on and shows what can be read."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from buildflow_nb.core.project_folder import PRIVATE
from buildflow_nb.core.status.history import Mark, Row, Rows
from buildflow_nb.runtime.observability import history_file
from buildflow_nb.runtime.observability.history import Saved
from buildflow_nb.runtime.observability.history_file import HistoryFile, history_folder, read_past

NOW = int(time.time()) // 10 * 10 - 1_000


def saved(first: int, *taken: int, name: str = "price", marks: tuple[Mark, ...] = ()) -> Saved:
    rows = Rows()
    for number, count in enumerate(taken):
        rows.add(Row(NOW + first + 10 * number, 10, count, backlog=number))
    other = Rows()
    other.add(Row(NOW + first, 10, 99))
    return Saved({"other": other, name: rows}, marks)


def past(project: Path, name: str = "price") -> list[tuple[int, int]]:
    rows, _ = read_past(project, "shop", "local", name)
    return [(row.at - NOW, row.taken) for row in rows]


def file_of(project: Path) -> HistoryFile:
    return HistoryFile(project, "shop", "local")


def only_file(project: Path) -> Path:
    (path,) = history_folder(project, "shop", "local").iterdir()
    return path


def test_what_is_saved_is_read_again_by_processor(tmp_path):
    file = file_of(tmp_path)
    marks = (Mark(NOW + 0.5, "swapped", "v2", "price"), Mark(NOW + 1.5, "applied"))
    file.save(saved(0, 1, 2, marks=marks))
    file.save(saved(20, 3))
    assert past(tmp_path) == [(0, 1), (10, 2), (20, 3)]
    assert past(tmp_path, "other") == [(0, 99), (20, 99)]
    assert past(tmp_path, "unknown") == []
    assert read_past(tmp_path, "shop", "local", "price")[1] == list(marks)
    assert read_past(tmp_path, "shop", "local", "other")[1] == [marks[1]]
    assert only_file(tmp_path).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("names", [("shop", "prod"), ("shop2", "local"), ("../shop", "local")])
def test_flows_and_stacks_are_apart_and_stay_in_the_folder(tmp_path, names):
    file_of(tmp_path).save(saved(0, 1))
    assert len(read_past(tmp_path, *names, "price")[0]) == 0
    HistoryFile(tmp_path, *names).save(saved(0, 7))
    assert past(tmp_path) == [(0, 1)]
    assert [path.name for path in tmp_path.iterdir()] == [PRIVATE]


@pytest.mark.parametrize("lost", [1, 8, 40])
def test_a_torn_end_costs_what_was_torn_off_and_is_no_word_worth(tmp_path, caplog, lost):
    file = file_of(tmp_path)
    file.save(saved(0, 1))
    file.save(saved(10, 2))
    path = only_file(tmp_path)
    os.truncate(path, path.stat().st_size - lost)
    assert past(tmp_path) == [(0, 1)]
    assert caplog.records == []


@pytest.mark.parametrize("at", [0, 5, 9, 20, 60])
def test_a_byte_that_is_another_costs_its_frame_and_what_follows(tmp_path, at):
    file = file_of(tmp_path)
    file.save(saved(0, 1))
    first = only_file(tmp_path).stat().st_size
    file.save(saved(10, 2))
    path = only_file(tmp_path)
    data = bytearray(path.read_bytes())
    data[first + at] ^= 0xFF
    path.write_bytes(data)
    assert past(tmp_path) == [(0, 1)]


@pytest.mark.parametrize("garbage", [b"garbage", os.urandom(4_096), b"\0" * 100, b"bfh"])
def test_garbage_is_left_out_with_one_word(tmp_path, caplog, garbage):
    file_of(tmp_path).save(saved(0, 1))
    folder = history_folder(tmp_path, "shop", "local")
    for number in range(3):
        (folder / f"{number}.bfh").write_bytes(garbage)
    (folder / "unrelated.txt").write_text("mine")
    assert past(tmp_path) == [(0, 1)]
    expected = [] if garbage == b"bfh" else ["3 files of the history"]
    assert [record.getMessage()[:22] for record in caplog.records] == expected


def test_a_frame_that_says_more_than_it_holds_is_left_out(tmp_path, monkeypatch, caplog):
    file_of(tmp_path).save(saved(0, 1))
    monkeypatch.setattr(Rows, "__len__", lambda self: 1_000)
    file_of(tmp_path).save(saved(10, 2))
    monkeypatch.undo()
    assert past(tmp_path) == [(0, 1)]
    assert "cannot be read" in caplog.text


def test_a_full_disk_hurts_nobody_and_is_said_once(tmp_path, monkeypatch, caplog):
    file = file_of(tmp_path)
    file.save(saved(0, 1))
    write = os.write

    def full(handle, data):
        if len(data) > 30:
            return write(handle, data[:30])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(history_file.os, "write", full)
    for first in (10, 20, 30):
        file.save(saved(first, 5))
    monkeypatch.undo()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert len(list(history_folder(tmp_path, "shop", "local").iterdir())) == 1
    file.save(saved(40, 6))
    assert past(tmp_path) == [(0, 1), (40, 6)]


def test_a_folder_that_cannot_be_written_hurts_nobody(tmp_path, caplog):
    (tmp_path / PRIVATE).write_text("a file is in the way")
    file = file_of(tmp_path)
    file.save(saved(0, 1))
    file.save(saved(10, 1))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert past(tmp_path) == []


def test_a_link_is_not_followed(tmp_path, caplog):
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / PRIVATE).mkdir(parents=True)
    (project / PRIVATE / "history").symlink_to(elsewhere)
    file_of(project).save(saved(0, 1))
    assert list(elsewhere.iterdir()) == []
    assert "is a link" in caplog.text


def test_two_that_write_at_once_have_a_file_each_and_add_up(tmp_path):
    one, other = file_of(tmp_path), file_of(tmp_path)
    for first in (0, 10):
        one.save(saved(first, 1))
        other.save(saved(first, 2))
    assert past(tmp_path) == [(0, 3), (10, 3)]
    assert len(list(history_folder(tmp_path, "shop", "local").iterdir())) == 2


def test_the_oldest_go_when_there_are_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(history_file, "SEGMENT_BYTES", 300)
    monkeypatch.setattr(history_file, "MOST_BYTES", 3_000)
    file = file_of(tmp_path)
    folder = history_folder(tmp_path, "shop", "local")
    for number in range(80):
        file.save(saved(10 * number, number))
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3_300
    kept = past(tmp_path)
    assert kept[-1] == (790, 79)
    assert 5 < len(kept) < 60


def test_what_is_a_day_old_is_neither_read_nor_kept(tmp_path):
    file_of(tmp_path).save(saved(0, 1))
    old = only_file(tmp_path)
    os.utime(old, (NOW - 200_000,) * 2)
    assert past(tmp_path) == []
    file_of(tmp_path).save(saved(10, 2))
    assert not old.exists()


def test_a_file_that_is_too_large_is_left_out_with_one_word(tmp_path, caplog):
    file_of(tmp_path).save(saved(0, 1))
    folder = history_folder(tmp_path, "shop", "local")
    with (folder / "0.bfh").open("wb") as large:
        large.write(only_bytes(folder))
        large.truncate(5 << 30)  # sparse
    assert past(tmp_path) == [(0, 1)]
    (record,) = caplog.records
    assert record.getMessage().startswith("1 files of the history")
    assert "0.bfh: " in record.getMessage()
    assert f"has more than {history_file.MOST_FILE:,} bytes" in record.getMessage()


def only_bytes(folder: Path) -> bytes:
    (path,) = (path for path in folder.iterdir() if path.stat().st_size)
    return path.read_bytes()


@pytest.mark.parametrize("named", ["price", "other"])
def test_a_frame_of_too_many_rows_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch, caplog, named
):
    count = 1_700_000
    columns = [
        type(column)(column.typecode, bytes(count * column.itemsize)) for column in Rows().columns
    ]
    file_of(tmp_path).save(Saved({named: Rows(columns)}, ()))
    monkeypatch.setattr(Rows, "unpacked", None)
    assert past(tmp_path) == []
    assert "has a frame that is too long" in caplog.text


def test_what_frames_have_together_is_bounded_by_file_and_by_processor(
    tmp_path, monkeypatch, caplog
):
    file = file_of(tmp_path)
    for first in (0, 10, 20, 30):  # with the other's, two rows each
        file.save(saved(first, 1))
    monkeypatch.setattr(history_file, "MOST_ROWS", 7)
    assert past(tmp_path) == [(0, 1), (10, 1), (20, 1)]
    monkeypatch.setattr(history_file, "MOST_OWN_ROWS", 2)
    assert past(tmp_path) == [(0, 1), (10, 1)]
    assert caplog.text.count("has a frame that is too long") == 2


def test_what_a_clock_that_was_ahead_wrote_is_not_read_and_goes(tmp_path):
    ahead, soon = 200_000, int(time.time()) - NOW + 60
    file_of(tmp_path).save(saved(0, 1, marks=(Mark(NOW + ahead, "started"),)))
    file_of(tmp_path).save(saved(ahead, 7))
    file_of(tmp_path).save(saved(soon, 8))
    paths = sorted(history_folder(tmp_path, "shop", "local").iterdir())
    assert past(tmp_path) == [(0, 1)]
    assert read_past(tmp_path, "shop", "local", "price")[1] == []
    os.utime(paths[0], (NOW + ahead,) * 2)
    file_of(tmp_path).save(saved(20, 3))
    assert not paths[0].exists()
    assert all(path.exists() for path in paths[1:])


def test_a_process_that_is_killed_leaves_what_it_saved(tmp_path):
    program = f"""
import itertools, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from pathlib import Path
from tests.runtime.observability.test_history_file import HistoryFile, saved
file = HistoryFile(Path({str(tmp_path)!r}), "shop", "local")
for number in itertools.count():
    file.save(saved(10 * number - 80_000, number))
    print(number, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with child:
        for line in child.stdout:
            if int(line) >= 50:
                child.kill()
                break
    assert len(past(tmp_path)) >= 50
