"""What Ray's errors mean: which are for good, and what they say in one line."""

from __future__ import annotations

import pytest

from buildflow_nb.runtime.ray.addresses import Address
from buildflow_nb.runtime.ray.cluster import Cluster, reason

LOW = "Task was killed due to the node running low on memory.\nMemory was 9 GB.\nRefer to the docs."


@pytest.fixture
def exceptions():
    return pytest.importorskip("ray.exceptions", reason="Ray is an extra")


@pytest.mark.parametrize(
    ("name", "words", "gone"),
    [
        ("ActorDiedError", (), True),
        ("RayActorError", (), True),
        ("OutOfMemoryError", (LOW,), True),
        ("WorkerCrashedError", (), True),
        ("NodeDiedError", ("gone",), True),
        ("ActorUnschedulableError", ("no such machine",), True),
        ("ActorUnavailableError", ("for now", None), False),
        ("ObjectStoreFullError", (), False),
        ("GetTimeoutError", (), False),
    ],
)
def test_one_that_never_answers_again_is_told_from_one_that_may(exceptions, name, words, gone):
    error = getattr(exceptions, name)(*words)
    assert Cluster(Address(), 0.0).is_gone(error) is gone
    assert reason(error)


def test_memory_that_was_short_is_told_with_what_to_do(exceptions):
    said = reason(exceptions.OutOfMemoryError(LOW))
    assert said.startswith(
        "Ray ended its process since the memory of its machine was nearly full; "
    )
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "ValueError"),
        ("a\n\nclass_name: A\n  the last tells  \n pid: 1\n", "the last tells"),
        (
            "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR "
            "Worker exit detail: End of file. Some common causes include: (1) memory",
            "its process has ended: End of file.",
        ),
        (
            "The actor died. Worker exit detail: Worker unexpectedly exits with a connection error "
            "code 2. End of file. Some common causes include: (1) memory",
            "its process has ended by itself: it crashed, called os._exit, or was killed",
        ),
        ("x" * 400, "x" * 300 + "…"),
    ],
)
def test_a_reason_is_one_line(text, expected):
    assert reason(ValueError(text)) == expected
