"""Whoever is killed, nothing that a run has started is left, and the run hears why in one line."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from buildflow_nb.core.errors import RunError
from buildflow_nb.core.process_id import ProcessId
from buildflow_nb.runtime.ray.host import RayHost
from buildflow_nb.runtime.ray.settings import make_folder
from buildflow_nb.runtime.replicas.host import GoneError, Wants

from .conftest import Opened
from .kernel import STARTING
from .rig import ROOT, STAND_IN, living, started, until


class Killable:
    """A kernel with a replica."""

    def __init__(self, address: str, diary: Path | str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.ray.kernel", address, str(diary)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        with self._process.stdout as said:
            told = json.loads(said.readline())
        self.folder = Path(told["folder"])
        self.driver = ProcessId.of(told["driver"])
        self.replica = ProcessId.of(told["replica"])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def gone(process: ProcessId | None) -> bool:
    return process is None or not process.alive()


class TestKilledKernels:
    def test_replicas_on_a_cluster_drain_and_the_driver_leaves(self, rig, tmp_path):
        kernel = Killable(rig.address, tmp_path / "diary")
        assert kernel.folder.is_dir()
        kernel.kill()
        assert until(lambda: gone(kernel.replica) and gone(kernel.driver), 20.0)
        assert (tmp_path / "diary").read_text() == "orders drained in 10\n"
        assert not kernel.folder.exists()

    def test_a_ray_of_its_own_ends_with_it(self, rig, tmp_path):
        kernel = Killable("local", tmp_path / "diary")
        family = living(kernel.folder)
        assert len(family) >= 5
        kernel.kill()
        assert until(lambda: all(map(gone, family)), 30.0)
        assert (tmp_path / "diary").read_text() == "orders drained in 10\n"
        assert until(lambda: not kernel.folder.exists(), 5.0)
        assert living(kernel.folder) == []

    def test_a_ray_that_is_starting_ends_with_it(self, rig):
        kernel = Killable("local", STARTING)
        assert until(lambda: _named(kernel.folder, "gcs_server"), 60.0)
        kernel.kill()
        assert until(lambda: not living(kernel.folder) and gone(kernel.driver), 20.0)
        assert until(lambda: not kernel.folder.exists(), 5.0)


def _named(folder: Path, name: str) -> list[ProcessId]:
    found = living(folder)
    names = {}
    for one in found:
        with suppress(psutil.Error):
            names[one] = psutil.Process(one.pid).name()
    return [one for one, its in names.items() if its == name]


class TestKilledDrivers:
    def test_on_a_cluster_it_is_told_once_and_replicas_end(self, rig, opened):
        opened.append(one := Opened(RayHost(rig.address, replica=STAND_IN)))
        made = one.spawn("orders")
        replica = ProcessId.of(made.pid)
        os.kill(one.host.pid, signal.SIGKILL)
        assert until(lambda: one.lost, 5.0)
        with pytest.raises(GoneError, match="SIGKILL"):
            one.call(made, "echo")
        assert until(lambda: gone(replica), 15.0)
        one.close()
        assert len(one.lost) == 1
        assert one.lost[0].startswith("the driver of Ray was ended by SIGKILL")
        assert not one.folder.exists()

    def test_of_a_ray_of_its_own_nothing_is_left(self, rig, opened):
        opened.append(one := Opened(RayHost(replica=STAND_IN)))
        one.spawn("orders")
        family = living(one.folder)
        assert len(family) >= 5
        os.kill(one.host.pid, signal.SIGKILL)
        assert until(lambda: one.lost, 5.0)
        # The folder goes last; what Ray ends by itself may take minutes.
        assert until(lambda: not one.folder.exists(), 20.0)
        assert [found for found in family if found.alive()] == []
        assert living(one.folder) == []


class TestLostClusters:
    def test_one_whose_head_is_gone_is_told_and_left(self, rig, opened):
        other = started(2)
        try:
            host = RayHost(other.address, replica=STAND_IN, patience_s=2.0)
            opened.append(one := Opened(host))
            made = one.spawn("orders")
            replica = ProcessId.of(made.pid)
            for pid in other.ask("pid", "gcs_server"):
                os.kill(pid, signal.SIGKILL)
            assert until(lambda: one.lost, 15.0)
            assert one.lost == [f"the head of the cluster at {other.address} cannot be reached"]
            assert until(lambda: gone(replica), 20.0)
            one.close()
            assert not one.folder.exists()
        finally:
            other.close()

    def test_a_ray_of_its_own_without_its_raylet_is_told_and_cleared_away(self, rig, opened):
        opened.append(one := Opened(RayHost(replica=STAND_IN)))
        one.spawn("orders")
        family = living(one.folder)
        (raylet,) = _named(one.folder, "raylet")
        os.kill(raylet.pid, signal.SIGKILL)
        assert until(lambda: one.lost, 10.0)
        assert one.lost == ["the head of the local Ray ended (raylet)"]
        assert until(lambda: all(map(gone, family)), 40.0)
        assert until(lambda: not one.folder.exists(), 5.0)


def _head(family: list[ProcessId]) -> str:
    """The address that a family's raylet was told."""
    words = [word for one in family for word in psutil.Process(one.pid).cmdline()]
    return next(word.partition("=")[2] for word in words if word.startswith("--gcs-address="))


class TestOwn:
    def test_where_it_does_not_start_it_is_tried_again_then_told_and_nothing_is_left(
        self, rig, monkeypatch
    ):
        monkeypatch.setattr("buildflow_nb.runtime.ray.host.START_S", 5.0)  # in the midst of it
        folders = []

        def folder() -> Path:
            folders.append(make_folder())
            return folders[-1]

        monkeypatch.setattr("buildflow_nb.runtime.ray.driver_process.make_folder", folder)
        said = (
            r"^Ray did not start on this machine, tried 3 times: it was not ready within 5 s.*; "
            "the machine is too slow or too busy: try again, or leave out the engine$"
        )
        with pytest.raises(RunError, match=said):
            Opened(RayHost())
        assert len(folders) == 3
        for one in folders:
            assert living(one) == []
            assert not one.exists()

    def test_it_listens_on_loopback_for_those_who_have_its_token_and_ends_with_its_host(
        self, rig, opened, monkeypatch
    ):
        # More CPUs than there are: they are shared.
        opened.append(one := Opened(RayHost(cpus=7.5, replica=STAND_IN)))
        made = one.spawn("orders", Wants(num_cpus=7.5, here=True))
        assert one.call(made, "name_of") == b"orders"
        family = living(one.folder)
        heard = {
            connection.laddr.ip.removeprefix("::ffff:")
            for found in family
            for connection in psutil.Process(found.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert heard == {"127.0.0.1"}
        monkeypatch.setattr("buildflow_nb.runtime.ray.host.JOIN_S", 12.0)
        with pytest.raises(RunError, match=r"within 12 s, .* token is missing or incorrect; this"):
            Opened(RayHost(_head(family)))
        assert stat.S_IMODE((one.folder / "token").stat().st_mode) == 0o600
        assert stat.S_IMODE(one.folder.stat().st_mode) == 0o700
        one.close()
        assert [found for found in family if found.alive()] == []
        assert living(one.folder) == []
        assert not one.folder.exists()
        assert one.lost == []
