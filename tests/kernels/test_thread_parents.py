"""Printing threads on ipykernel 6, whose streams go from a thread to the one that started it."""

import pytest

from buildflow_nb.notebook.thread_parents import without_cycles
from tests.notebook.kernels import Kernel

WALK = "def walk(table, at):\n    seen = []\n    while at in table and len(seen) < 9:\n"
WALK += "        at = table[at]\n        seen.append(at)\n    return seen\n"


class Stream:
    def __init__(self, **words):
        self.__dict__.update(words)


def walk(table, at):
    names = {}
    exec(WALK, names)  # noqa: S102  (the same code as in the kernel)
    return names["walk"](table, at)


def test_numbers_that_come_again_make_no_cycle():
    stream = Stream(_thread_to_parent={})
    with without_cycles(stream):
        table = stream._thread_to_parent
        table[1] = 2  # thread 1 was started by thread 2; both end
        table[2] = 1  # a new thread 2, started by a new thread 1
        assert walk(table, 2) == [1]
        table[3] = 2
        assert walk(table, 3) == [2, 1]
    assert type(stream._thread_to_parent) is dict


def test_the_plain_table_does_have_cycles():
    assert len(walk({1: 2, 2: 1}, 2)) == 9


def test_streams_without_such_a_table_are_left_alone():
    stream = Stream()
    with without_cycles(stream, None):
        assert vars(stream) == {}


@pytest.mark.notebook
def test_in_a_kernel(tmp_path):
    kernel = Kernel(tmp_path)
    try:
        assert kernel("%load_ext buildflow_nb").error is None
        kernel(f"{WALK}table = getattr(get_ipython().kernel._stdout, '_thread_to_parent', None)")
        if kernel.value("table is None") == "False":  # ipykernel 7 may have none
            kernel("import gc; gc.disable()")  # a collection drops what is no thread, as these are
            kernel("table[-1] = -2; table[-2] = -1")
            assert kernel.value("walk(table, -2)") == "[-1]"
    finally:
        kernel.close()
