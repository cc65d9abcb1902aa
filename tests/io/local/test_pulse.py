"""Pulse, PulseWithBacklog and Empty."""

import asyncio
import itertools
from types import SimpleNamespace

import pytest

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Env, Readable, Wire, Writable
from buildflow_nb.io.local import Empty, Pulse, pulse
from buildflow_nb.io.local.testing.pulse_with_backlog import PulseWithBacklog
from tests.io.contract import ConfigContract, SourceContract, pulled, pushed, run

CYCLE = [1, "zwei", None, 1, "zwei", None, 1]
TWICE = [1, 2, 1, 2]


class TestPulse(SourceContract):
    bounded = False
    expected = CYCLE

    def make(self, folder):
        return Pulse([1, "zwei", None], 0)


class TestPulseWithBacklog(SourceContract):
    bounded = False
    expected = TWICE

    def make(self, folder):
        return PulseWithBacklog([1, 2], 0, backlog_size=7)


class TestEmpty(ConfigContract):
    def make(self, folder):
        return Empty()

    def test_takes_anything(self):
        assert isinstance(Empty(), Writable)
        pushed(Empty(), [], [1, None, object()], element=int)


def test_elements_are_passed_as_they_are():
    thing = object()
    assert Pulse([thing], 0).source_wire is Wire.OBJECT
    assert pulled(Pulse([thing], 0), 2) == [thing, thing]


def test_a_generator_is_handed_out_once_to_its_end():
    assert pulled(Pulse((i for i in range(3)), 0)) == [0, 1, 2]


def test_an_endless_iterator_goes_on():
    assert pulled(Pulse(itertools.count(), 0), 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("items", [range(2), (0, 1), {0: "a", 1: "b"}.keys()])
def test_whatever_can_begin_again_does(items):
    assert pulled(Pulse(items, 0), 5) == [0, 1, 0, 1, 0]


def test_a_list_that_changes_later_changes_nothing():
    items = [1]
    pulse = Pulse(items, 0)
    items.append(2)
    assert pulled(pulse, 2) == [1, 1]


def test_pace_is_kept(monkeypatch):
    slept = []

    async def go():
        async with Pulse([1], 2.5).source(Env()) as source:
            for _ in range(3):
                await source.pull()

    async def sleep(seconds):
        slept.append(round(seconds, 1))

    # asyncio itself stays as it is: another thread whose loop sleeps would spin
    patched = SimpleNamespace(sleep=sleep, get_running_loop=asyncio.get_running_loop)
    monkeypatch.setattr(pulse, "asyncio", patched)
    run(go())
    assert slept == [0, 2.5, 2.5]


def test_only_sources_that_know_tell_a_backlog():
    async def backlog(primitive):
        async with primitive.source(Env()) as source:
            return await source.backlog()

    assert run(backlog(PulseWithBacklog([1], 0, 7))) == 7
    assert run(backlog(Pulse([1], 0))) is None


def test_names_follow_the_configuration():
    assert Pulse([1], 0).primitive_id != Pulse([2], 0).primitive_id
    assert Pulse([1], 0).primitive_id != Pulse([1], 1).primitive_id
    assert Pulse([1], 0.5).label == "every 0.5 s"


@pytest.mark.parametrize(
    ("items", "interval", "words"),
    [
        ([], 1, "items is empty"),
        (5, 1, "must be a list or another iterable, got int"),
        ([1], -1, "must be 0 or more seconds, got -1"),
        ([1], "1", "must be 0 or more seconds, got '1'"),
        ([1], float("nan"), "must be 0 or more seconds"),
    ],
)
def test_nonsense_is_refused_at_once(items, interval, words):
    with pytest.raises(DeclarationError, match=words):
        Pulse(items, interval)


def test_abilities():
    assert not isinstance(Pulse([1], 0), Writable)
    assert not isinstance(Empty(), Readable)
