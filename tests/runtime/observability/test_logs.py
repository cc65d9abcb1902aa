"""Lines of processors: whole, in order, numbered without gaps, from many threads at once."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from buildflow_nb.runtime.observability.logs import LOG_LINES, MAX_LINE, LogRing, captured, current
from tests.fakes import PATIENCE_S


def in_ring(test):
    """Run a test as a processor's code; pytest's own capture is put in place just before it."""

    def run():
        with captured():
            ring = LogRing()
            token = current.set(ring)
            try:
                test(ring)
            finally:
                current.reset(token)

    return run


def texts(ring):
    return [line.text for line in ring.lines()]


@in_ring
def test_prints_are_lines_however_they_are_written(ring):
    print("one", 2, sep="-")  # noqa: T201
    print("a\nb")  # noqa: T201
    print("ha", end="")  # noqa: T201
    print("lf")  # noqa: T201
    print()  # noqa: T201
    sys.stdout.writelines(["x\n", "y\nz"])
    assert texts(ring) == ["one-2", "a", "b", "half", "", "x", "y"]
    sys.stdout.write("!\n")
    assert texts(ring)[-1] == "z!"
    print("bad", file=sys.stderr)  # noqa: T201
    last = ring.lines()[-1]
    assert (last.level, last.text, last.number) == ("STDERR", "bad", 9)
    assert [line.level for line in ring.lines()][:8] == ["PRINT"] * 8


def test_what_nobody_owns_goes_where_it_went(capsys):
    with captured():
        print("outside")  # noqa: T201
    assert capsys.readouterr().out == "outside\n"


@in_ring
def test_numbers_go_on_when_old_lines_are_taken_away(ring):
    total = 6 * LOG_LINES + 7
    for i in range(total):
        print(i)  # noqa: T201
    found = ring.lines()
    assert len(found) == LOG_LINES
    assert [line.number for line in found] == list(range(total - LOG_LINES + 1, total + 1))
    assert found[-1].text == str(total - 1)
    assert [line.text for line in ring.lines(total - 2)] == [str(total - 2), str(total - 1)]
    assert ring.lines(total) == []
    assert len(ring.lines(1)) == LOG_LINES
    assert len(ring._older) + len(ring.recent) <= 2 * LOG_LINES + 1


@in_ring
def test_one_huge_write_is_bounded(ring):
    sys.stdout.write("\n".join(map(str, range(50_000))) + "\n")
    sys.stdout.write("x" * 100_000)
    sys.stdout.write("y" * 100_000 + "\n")
    assert len(ring.recent) <= LOG_LINES
    assert ring.lines()[-1].number == 50_001
    assert ring.lines()[-2].text == "49999"
    assert len(ring.lines()[-1].text) == MAX_LINE
    ring.add("INFO", "z" * 100_000)
    assert len(ring.lines()[-1].text) == MAX_LINE


@in_ring
def test_halves_of_lines_of_two_threads_do_not_mix(ring):
    meet = threading.Barrier(2, timeout=PATIENCE_S)

    def work(word):
        for _ in range(200):
            sys.stdout.write(word)
            meet.wait()
            sys.stdout.write(f"-{word}\n")
            meet.wait()

    run_together(work, "aaa", "bbb")
    assert sorted(texts(ring)) == ["aaa-aaa"] * 200 + ["bbb-bbb"] * 200


@in_ring
def test_two_processors_on_one_thread_do_not_mix(ring):
    other = LogRing()
    sys.stdout.write("mine ")
    token = current.set(other)
    sys.stdout.write("theirs\n")
    current.reset(token)
    sys.stdout.write("again\n")
    assert texts(ring) == ["mine again"]
    assert texts(other) == ["theirs"]


@in_ring
def test_many_writers_and_a_reader_lose_and_repeat_nothing(ring):
    """A reader that asks for what is new sees every line of every writer once, in its order."""
    writers, each, rounds = 4, 200, 8
    meet = threading.Barrier(writers + 1, timeout=PATIENCE_S)  # else they would outrun any reader
    seen: list[tuple[int, str]] = []

    def write(word):
        for i in range(rounds * each):
            print(f"{word} {i}")  # noqa: T201
            if i % each == each - 1:
                meet.wait()

    def read():
        for turn in range(1, rounds + 1):
            while len(seen) < turn * writers * each:
                last = seen[-1][0] if seen else 0
                seen.extend((line.number, line.text) for line in ring.lines(last))
            meet.wait()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    run_together(write, *"abcd")
    reader.join(PATIENCE_S)
    assert [number for number, _ in seen] == list(range(1, rounds * writers * each + 1))
    for word in "abcd":
        assert [t for _, t in seen if t[0] == word] == [f"{word} {i}" for i in range(rounds * each)]


@in_ring
def test_log_records_come_with_their_level_and_bad_ones_hurt_nobody(ring):
    log = logging.getLogger("a processor")
    log.warning("so %s", "much")
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        log.exception("failed")
    raising, logging.raiseExceptions = logging.raiseExceptions, False
    log.error("%d", "x")
    logging.raiseExceptions = raising
    found = [(line.level, line.text) for line in ring.lines()]
    assert found[0] == ("WARNING", "so much")
    assert found[1] == ("ERROR", "failed")
    assert found[-1] == ("ERROR", "ZeroDivisionError: division by zero")


@in_ring
def test_no_lock_stands_between_processors(ring):
    """A record of one processor is taken while another one's is being formatted."""
    inside, go = threading.Event(), threading.Event()

    class Slow:
        def __str__(self):
            inside.set()
            assert go.wait(PATIENCE_S)
            return "slow"

    context = contextvars.copy_context()
    slow = threading.Thread(target=context.run, args=(logging.warning, "%s", Slow()))
    slow.start()
    assert inside.wait(PATIENCE_S)
    logging.getLogger("quick").warning("quick")
    assert texts(ring) == ["quick"]
    go.set()
    slow.join(PATIENCE_S)
    assert texts(ring) == ["quick", "slow"]


@contextmanager
def bare_root():
    """Logging as in a fresh interpreter; pytest's handlers are put on just before a test."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    level = root.level
    root.setLevel(logging.WARNING)
    try:
        yield root
    finally:
        root.handlers = before
        root.setLevel(level)


def test_records_of_nobody_reach_the_handler_of_last_resort(capsys):
    with bare_root() as root, captured():
        logging.getLogger("a cell").warning("seen")
        logging.getLogger("a cell").info("too quiet")
        assert root.handlers == []
    assert capsys.readouterr().err == "seen\n"


def test_basic_config_works_and_its_handler_hears_no_processor(capsys):
    ring, log = LogRing(), logging.getLogger("a cell")
    with bare_root():
        with captured():
            logging.basicConfig(level=logging.INFO, format="%(message)s")
            log.info("seen")
            token = current.set(ring)
            log.info("kept")
            log.debug("too quiet")
            current.reset(token)
        log.info("after")
    assert capsys.readouterr().err == "seen\nafter\n"
    assert texts(ring) == ["kept"]


def test_files_and_loggers_of_the_user_hear_processors(tmp_path):
    class Kept(logging.Handler):
        def emit(self, record):
            heard.append(record.getMessage())

    heard: list[str] = []
    log, own = logging.getLogger("a processor's"), Kept()
    ring = LogRing()
    with bare_root() as root, captured():
        root.addHandler(logging.FileHandler(tmp_path / "log"))
        log.addHandler(own)
        token = current.set(ring)
        log.warning("both")
        log.propagate = False
        log.warning("own only")
        log.propagate = True
        current.reset(token)
        log.removeHandler(own)
        root.handlers.pop().close()
    assert heard == ["both", "own only"]
    assert texts(ring) == ["both"]
    assert (tmp_path / "log").read_text() == "both\n"


@in_ring
def test_threads_belong_to_the_processor_that_starts_them(ring):
    class Own(threading.Thread):
        def run(self):
            logging.getLogger("a thread").warning("own")
            inner = threading.Thread(target=print, args=("inner",))
            inner.start()
            inner.join(PATIENCE_S)

    for thread in (threading.Thread(target=print, args=("plain",)), Own()):
        thread.start()
        thread.join(PATIENCE_S)
        assert "run" not in vars(thread)
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        assert "run" not in vars(thread)
    assert texts(ring) == ["plain", "own", "inner"]


@in_ring
def test_calls_in_a_pool_belong_to_whoever_gives_them(ring):
    other = LogRing()
    with ThreadPoolExecutor(1) as pool:  # its one thread is started by the first of them
        pool.submit(print, "mine", 1, sep="-").result(PATIENCE_S)
        token = current.set(other)
        pool.submit(logging.warning, "theirs").result(PATIENCE_S)
        current.set(None)
        assert pool.submit(current.get).result(PATIENCE_S) is None
        current.reset(token)
    assert texts(ring) == ["mine-1"]
    assert texts(other) == ["theirs"]


@in_ring
def test_calls_in_the_executor_of_a_loop_belong_to_the_processor(ring):
    async def work():
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.run_in_executor(None, print, "run"), PATIENCE_S)
        await asyncio.wait_for(asyncio.to_thread(print, "to"), PATIENCE_S)

    asyncio.run(work())
    assert texts(ring) == ["run", "to"]


def test_all_is_as_it_was_afterwards():
    def found():
        return (
            logging.Logger.callHandlers,
            threading.Thread.start,
            ThreadPoolExecutor.submit,
            sys.stdout,
            sys.stderr,
        )

    before = found()
    with captured():
        assert not any(a is b for a, b in zip(before, found(), strict=True))
    assert found() == before


def run_together(work, *words):
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work, word)) for word in words
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
