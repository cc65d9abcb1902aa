"""Kernels that load the extension by themselves: our own one, and any with the startup file."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from buildflow_nb.flow.doctor.autoload import StartupFile
from tests.notebook import kernels
from tests.notebook.kernels import Kernel

ROOT = Path(__file__).parents[2]
DATA = "buildflow_nb-0.1.0.data/data/"
BUILD = "import sys; from hatchling import build; getattr(build, sys.argv[1])(sys.argv[2])"


@pytest.fixture(scope="module", params=["build_wheel", "build_editable"])
def installed(request, tmp_path_factory):
    """The shared data of a wheel, unpacked as an installer does."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp(request.param)
    words = [sys.executable, "-c", BUILD, request.param, str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            if name.startswith(DATA):
                path = folder / "prefix" / name.removeprefix(DATA)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(packed.read(name))
    return folder / "prefix"


@pytest.fixture
def found(installed, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(installed / "share" / "jupyter"))
    return installed


class TestKernelspec:
    def test_jupyter_lists_it_with_its_logo(self, found):
        words = [sys.executable, "-m", "jupyter_client.kernelspecapp", "list", "--json"]
        told = subprocess.run(words, check=True, capture_output=True, timeout=60)
        spec = json.loads(told.stdout)["kernelspecs"]["buildflow"]
        assert spec["spec"]["display_name"] == "Python (BuildFlow)"
        assert spec["spec"]["language"] == "python"
        assert spec["spec"]["metadata"]["debugger"] is True
        folder = Path(spec["resource_dir"])
        for size in (32, 64):
            logo = (folder / f"logo-{size}x{size}.png").read_bytes()
            assert logo[:8] == b"\x89PNG\r\n\x1a\n"
            assert [int.from_bytes(logo[i : i + 4]) for i in (16, 20)] == [size, size]
        assert (folder / "logo-svg.svg").read_text().startswith("<svg")

    @pytest.mark.notebook
    def test_app_is_bound_in_the_first_cell_and_load_ext_says_nothing(
        self, found, tmp_path, monkeypatch
    ):
        ours = partial(kernels.KernelManager, kernel_name="buildflow")
        monkeypatch.setattr(kernels, "KernelManager", ours)
        kernel = Kernel(tmp_path)
        try:
            _is_loaded(kernel)
        finally:
            kernel.close()


@pytest.mark.notebook
def test_any_kernel_of_a_profile_with_the_startup_file(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    StartupFile(tmp_path / "profile_default" / "startup").write()
    kernel = Kernel(tmp_path)
    try:
        _is_loaded(kernel)
        assert kernel.value("[n for n in dir() if 'buildflow' in n]") == "[]"
    finally:
        kernel.close()


def _is_loaded(kernel):
    assert kernel.value("type(app).__name__") == "'Flow'"
    kernel("mine = app")
    for _ in range(2):
        loaded = kernel("%load_ext buildflow_nb")
        assert (loaded.status, loaded.error) == ("ok", None)
    assert kernel.value("app is mine") == "True"
    assert "no processors yet" in kernel("%buildflow status").bundles[-1]["text/plain"]
    assert kernel("%unload_ext buildflow_nb").status == "ok"
    assert kernel.value("'buildflow' in get_ipython().magics_manager.magics['line']") == "False"


class TestStartupFile:
    def run(self, folder, shell):
        file = StartupFile(folder)
        file.write()
        names = {"get_ipython": lambda: shell}
        exec(compile(file.path.read_text(), str(file.path), "exec"), names)  # noqa: S102  (as IPython does)
        return sorted(name for name in names if not name.startswith("__"))

    def shell(self, **words):
        loaded = []
        manager = SimpleNamespace(load_extension=loaded.append)
        return SimpleNamespace(extension_manager=manager, loaded=loaded, **words)

    def test_it_loads_in_a_kernel_and_leaves_no_name(self, tmp_path):
        shell = self.shell(kernel=object())
        assert self.run(tmp_path, shell) == ["get_ipython"]
        assert shell.loaded == ["buildflow_nb.notebook.autoload"]

    def test_a_terminal_is_left_alone(self, tmp_path):
        shell = self.shell()
        self.run(tmp_path, shell)
        assert shell.loaded == []

    def test_where_the_package_is_not_installed_it_does_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        shell = self.shell(kernel=object())
        self.run(tmp_path, shell)
        assert shell.loaded == []

    def test_ipython_looks_where_sys_prefix_writes(self):
        from IPython.core import application, shellapp

        assert str(Path(sys.prefix) / "etc" / "ipython") in application.ENV_CONFIG_DIRS
        source = inspect.getsource(shellapp.InteractiveShellApp._run_startup_files)
        assert "ENV_CONFIG_DIRS" in source
