"""Appending: whole pushes or nothing, also after a crash, a full disk, a second writer."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.files.appender import Appender
from buildflow_nb.io.local import File
from tests.io.contract import pulled, pushed, run
from tests.io.records import decoded

WRITER = """
import asyncio, sys
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.local import File

async def main(path, word):
    async with File(path).sink(Env(), None) as sink:
        for push in range(1_000_000):
            await sink.push([{"push": push, "row": row, "word": word * 50} for row in range(2_000)])
            print(push, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def note(path, start, end):
    hidden = path.with_name(f".{path.name}.append")
    hidden.write_text(f"{path.stat().st_ino} {start} {end}")
    return hidden


def test_a_torn_push_is_taken_off(tmp_path):
    path = tmp_path / "o.csv"
    whole = "a\n1\n2\n"
    path.write_text(whole + "3\n4\n5")
    hidden = note(path, len(whole), len(whole) + 10)
    pushed(File(path), [{"a": 9}])
    assert path.read_text() == whole + "9\n"
    assert not hidden.exists()


def test_a_last_line_that_a_person_left_open_is_kept(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("a\n1\n2")
    pushed(File(path), [{"a": 3}])
    assert path.read_text() == "a\n1\n2\n3\n"


def test_what_came_after_a_torn_push_is_kept(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("a\n1\n2\n3\n4\n")
    note(path, 2, 4)
    pushed(File(path), [{"a": 5}])
    assert path.read_text() == "a\n1\n2\n3\n4\n5\n"


@pytest.mark.parametrize("text", ["", "nonsense", "1 2", "999999999 0 100"])
def test_a_note_that_means_nothing_is_ignored(tmp_path, text):
    path = tmp_path / "o.csv"
    path.write_text("a\n1\n")
    (tmp_path / ".o.csv.append").write_text(text)
    pushed(File(path), [{"a": 2}])
    assert path.read_text() == "a\n1\n2\n"


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "o.csv"
    pushed(File(path), [{"a": 1}])
    real = os.write

    def half(file, data):
        real(file, bytes(data)[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("buildflow_nb.io.files.appender.os.write", half)
    words = r"o\.csv cannot be written: No space left on device"
    with pytest.raises(TemporaryError, match=words):
        pushed(File(path), [{"a": 2_000}, {"a": 3_000}])
    monkeypatch.undo()
    assert path.read_text() == "a\n1\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.csv"]


def test_a_file_that_was_moved_away_is_made_anew(tmp_path):
    path = tmp_path / "o.csv"

    async def go():
        async with File(path).sink(Env(), None) as sink:
            await sink.push([{"a": 1}])
            path.rename(tmp_path / "old.csv")
            await sink.push([{"a": 2}])

    run(go())
    assert path.read_text() == "a\n2\n"


def test_a_file_where_a_folder_should_be_is_permanent(tmp_path):
    (tmp_path / "folder").write_text("")
    with pytest.raises(PermanentError, match="cannot be written"):
        pushed(File(tmp_path / "folder" / "o.csv"), [{"a": 1}])


def test_a_file_that_stays_locked_is_waited_for(tmp_path, monkeypatch):
    import fcntl

    path = tmp_path / "o.csv"
    path.touch()
    monkeypatch.setattr("buildflow_nb.io.files.appender.LOCK_WAIT_S", 0.0)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TemporaryError, match=r"o\.csv is locked by another process"):
            Appender(str(path)).append(lambda _: b"x\n")
    Appender(str(path)).append(lambda _: b"x\n")
    assert path.read_text() == "x\n"


def test_threads_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "o.txt"
    lines = 50

    def write(letter):
        for _ in range(lines):
            Appender(str(path)).append(lambda _: (letter * 9_999 + "\n").encode() * 2)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = path.read_text().splitlines()
    assert sorted(found) == ["a" * 9_999] * 2 * lines + ["b" * 9_999] * 2 * lines
    assert all(found[i] == found[i + 1] for i in range(0, len(found), 2))


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_killed_writers_leave_whole_pushes(tmp_path, ending):
    path = tmp_path / f"o.{ending}"
    done = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), "ü"], stdout=subprocess.PIPE, text=True
        )
        with process:
            for _ in range(4):
                assert process.stdout.readline()
                done += 1
            os.kill(process.pid, signal.SIGKILL)
            done += len(process.stdout.read().split())
    pushed(File(path), [{"push": -1, "row": 0, "word": "end"}])
    found = [
        (int(row["push"]), int(row["row"])) for row in decoded(dict, File(path), pulled(File(path)))
    ]
    assert found.pop() == (-1, 0)
    whole = [row for _, row in found] == list(range(2_000)) * (len(found) // 2_000)
    assert whole
    assert done <= len(found) // 2_000 <= done + 3
