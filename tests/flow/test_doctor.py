"""The doctor: each broken thing has its line, and none makes it fail."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from importlib import metadata

import jupyter_core.paths
import pytest

from buildflow_nb.core.findings import Finding, Health, told, worst
from buildflow_nb.flow.doctor import doctor, installation, project
from buildflow_nb.flow.doctor.autoload import StartupFile
from buildflow_nb.flow.doctor.doctor import examine
from buildflow_nb.local_cloud.record import local_folder

Usage = namedtuple("Usage", "free")
LOOKS = {
    **installation.looks_at_installation(),
    **project.looks_at_project(doctor.Path("/nowhere")),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project folder of somebody who has nothing set up."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    for name in [n for n in os.environ if n.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_"))]:
        monkeypatch.delenv(name)
    made = tmp_path / "project"
    made.mkdir()
    return made


def about(findings, subject) -> Finding:
    (found,) = [one for one in findings if one.subject == subject]
    return found


def look(name, folder=None) -> list[Finding]:
    looks = {**installation.looks_at_installation()}
    if folder is not None:
        looks |= project.looks_at_project(folder)
    return list(looks[name]())


class TestExamine:
    def test_it_works_without_a_kernel_and_changes_nothing(self, folder):
        words = "from pathlib import Path; from buildflow_nb.flow.doctor.doctor import examine; "
        words += "print(len(examine(Path.cwd())))"
        told = subprocess.run(
            [sys.executable, "-c", words], cwd=folder, capture_output=True, check=True, timeout=60
        )
        assert int(told.stdout) > 15
        assert list(folder.iterdir()) == []

    def test_it_starts_no_local_cloud_and_asks_no_network(self, folder, monkeypatch):
        asked = []
        monkeypatch.setattr(socket, "create_connection", lambda *a, **k: asked.append(a))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: asked.append(a))
        found = examine(folder, deadline=60)
        assert asked == []
        assert not local_folder(folder).exists()
        assert {one.health for one in found} <= {Health.OK, Health.WARNING}, told(found)

    def test_what_fails_is_a_line_and_the_others_go_on(self, folder, monkeypatch):
        def fail():
            msg = "no\nway"
            raise RuntimeError(msg)

        monkeypatch.setattr(doctor, "looks_at_installation", lambda: {"a": fail})
        found = about(examine(folder, deadline=60), "a")
        assert (found.health, found.said) == (
            Health.ERROR,
            "cannot be looked at: RuntimeError: no way",
        )

    def test_what_hangs_is_left_behind(self, folder, monkeypatch):
        release = threading.Event()

        def hang():
            yield Finding("first", Health.OK, "seen")
            release.wait(20)

        monkeypatch.setattr(doctor, "looks_at_installation", lambda: {"a": hang})
        began = time.monotonic()
        found = examine(folder, deadline=0.5)
        release.set()
        assert time.monotonic() - began < 5
        assert about(found, "first").said == "seen"
        assert about(found, "a").said == "not known in time"

    @pytest.mark.parametrize("name", LOOKS)
    def test_a_folder_that_is_not_there_breaks_nothing(self, tmp_path, name):
        assert look(name, tmp_path / "none" / "at" / "all")


class TestInstallation:
    def test_a_package_that_is_missing_and_one_that_is_too_old(self, monkeypatch):
        needed = ["nothing-of-this-name>=1", "duckdb>=999", "pandas>=2; extra == 'tables'"]
        monkeypatch.setattr(metadata, "requires", lambda _: needed)
        found = look("packages")
        missing, old = about(found, "nothing-of-this-name"), about(found, "duckdb")
        assert (missing.health, old.health) == (Health.ERROR, Health.ERROR)
        assert missing.cure == "pip install 'nothing-of-this-name>=1'"
        assert ">=999 is needed" in old.said
        assert "pandas" not in [one.subject for one in found]

    def test_an_old_jupyterlab_and_none(self, monkeypatch):
        monkeypatch.setattr(installation, "_version", lambda _: "3.6.7")
        assert look("JupyterLab")[0].cure == "pip install 'jupyterlab>=4'"
        monkeypatch.setattr(installation, "_version", lambda _: None)
        assert look("JupyterLab")[0].health is Health.OK

    @pytest.mark.parametrize(
        ("kernel", "health"), [("7.4.0", Health.ERROR), ("6.31.0", Health.WARNING)]
    )
    def test_nest_asyncio_that_is_applied(self, monkeypatch, kernel, health):
        assert look("nest_asyncio")[0].health is Health.OK
        monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)
        monkeypatch.setattr(installation, "_version", lambda _: kernel)
        (found,) = look("nest_asyncio")
        assert (found.health, "restart the kernel" in found.cure) == (health, True)

    def test_widgets_are_looked_for_where_jupyter_looks(self, tmp_path, monkeypatch):
        monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *_: [str(tmp_path)])
        found = look("widgets")
        assert [one.health for one in found] == [Health.WARNING] * 2
        assert [one.cure.partition(",")[0] for one in found] == [
            "pip install jupyterlab_widgets",
            "pip install anywidget",
        ]
        (tmp_path / "anywidget").mkdir()
        (tmp_path / "anywidget" / "package.json").write_text('{"version": "0.11.0"}')
        assert "0.11.0" in about(look("widgets"), "labextension anywidget").said

    def test_extras_that_are_not_installed(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        local = about(look("extras"), "extra local cloud")
        assert local.health is Health.WARNING
        assert local.cure == "pip install 'buildflow_nb[local]'"

    def test_autoload_by_a_startup_file(self, folder):
        profile = folder.parent / "home" / "ipython" / "profile_default" / "startup"
        StartupFile(profile).write()
        (found,) = look("autoload")
        assert str(profile) in found.said


class TestProject:
    def test_a_file_that_is_wrong(self, folder):
        (folder / "buildflow.yaml").write_text("apq: shop\n")
        (found,) = look("buildflow.yaml", folder)
        assert found.health is Health.ERROR
        assert "line 1" in found.said
        for name in LOOKS:
            assert look(name, folder)

    def test_credentials_that_a_real_stack_needs(self, folder):
        assert {one.health for one in look("credentials", folder)} == {Health.OK}
        (folder / "buildflow.yaml").write_text(
            "app: shop\npulumi_config: {stacks: [{name: prod}]}\n"
        )
        assert {one.health for one in look("credentials", folder)} == {Health.WARNING}

    def test_a_passphrase_that_others_can_read(self, folder):
        private = folder / ".buildflow"
        private.mkdir(mode=0o700)
        path = private / "passphrase"
        path.write_text("hush")
        path.chmod(0o640)
        (found,) = look("passphrase", folder)
        assert (found.health, found.cure) == (Health.ERROR, f"chmod 600 {path}")
        path.chmod(0o600)
        (found,) = look("passphrase", folder)
        assert found.health is Health.OK
        assert "hush" not in repr(found)
        path.write_text("")
        assert "is empty" in look("passphrase", folder)[0].said

    def test_a_local_cloud_that_does_not_say_where_it_is(self, folder):
        private = local_folder(folder)
        private.mkdir(parents=True)
        process = {"pid": os.getpid(), "began": project.psutil.Process().create_time()}
        (private / "lock").write_text(json.dumps({"process": process}))
        (found,) = look("local cloud", folder)
        assert found.health is Health.WARNING
        assert f"process {os.getpid()}" in found.said
        assert "cloud stop" in found.cure

    def test_locks_of_the_living_and_the_dead(self, folder):
        assert look("locks", folder)[0].said == "no stack is being changed"
        home = folder / ".buildflow" / "pulumi"
        home.mkdir(parents=True)
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        record = {"operation": "apply", "since": "noon", "engine": 0}
        for pid, said in ((os.getpid(), "held by"), (ended.pid, "which is dead")):
            (home / "local.lock").write_text(json.dumps({**record, "pid": pid}))
            (found,) = look("locks", folder)
            assert found.health is Health.WARNING
            assert said in found.said
            assert "apply since noon" in found.said
        (home / "local.lock").write_text("")
        engine = home / "state/local/.pulumi/locks/organization" / folder.name / "local"
        engine.mkdir(parents=True)
        record = {"pid": ended.pid, "hostname": socket.gethostname()}
        (engine / "a.json").write_text(json.dumps(record))
        (engine / "b.json").write_text("{")
        (found,) = look("locks", folder)
        assert "the engine's own lock" in found.said

    @pytest.mark.parametrize(
        ("free", "health"), [(1 << 20, Health.ERROR), (1 << 28, Health.WARNING)]
    )
    def test_a_disk_that_is_full(self, folder, monkeypatch, free, health):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))
        assert look("disk", folder)[0].health is health


def test_the_worst_of_all():
    findings = [Finding("a", Health.OK, ""), Finding("b", Health.WARNING, "")]
    assert worst([]) is Health.OK
    assert worst(findings) is Health.WARNING
    assert worst([*findings, Finding("c", Health.ERROR, "")]) is Health.ERROR
