"""An interrupt waits for the end of a block that must not be interrupted, and then comes."""

import signal
import threading

import pytest

from buildflow_nb.core.interrupts import interrupts_held


def test_it_comes_at_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        done.append("all of it")
    assert done == ["all of it"]


def test_the_handler_that_was_there_hears_it_once():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append((number, frame)))
    try:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            assert heard == []
        assert [number for number, _ in heard] == [signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
        assert len(heard) == 2
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_of_the_block_does_not_hide_it():
    with pytest.raises(KeyboardInterrupt) as found, interrupts_held():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        int("mine")
    assert isinstance(found.value.__context__, ValueError)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_is_left_alone():
    found = []

    def look():
        with interrupts_held():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(10)
    assert found == [signal.default_int_handler]
