"""A real JupyterLab of our own, and a Chromium that looks at it: for pictures and browser tests.

The server stands on a free loopback port with a token, in a folder of its own, and reads nothing of
the user's settings. The browser resolves no name, so nothing can be fetched from outside.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ("IDLE", "PATIENCE_S", "Lab", "chromium", "command", "jupyterlab", "open_browser")

PATIENCE_S = 60
STOP_S = 20
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # a container's /dev/shm may be small
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = {  # what Lab would ask in a dialog or fetch by itself
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/extensionmanager-extension/plugin": {"enabled": False},
}
IDLE = (
    "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"
    " === 'idle'"
)


@dataclass(frozen=True, slots=True)
class Lab:
    """A server that runs: its address, its token, the folder that it shows, its process."""

    address: str
    token: str
    root: Path
    pid: int

    def url(self, notebook: str, workspace: str = "default") -> str:
        """Where a notebook is shown; a workspace keeps what is open in it."""
        return f"{self.address}/lab/workspaces/{workspace}/tree/{notebook}?token={self.token}"

    def ask(self, path: str, method: str = "GET", body: object = None) -> object:
        """One request to the server's own interface; gives the JSON of its answer.

        Raises:
            urllib.error.URLError: it did not answer, or with an error.
        """
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.address}/api/{path}", data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def chromium() -> str | None:
    """The browser's program: CHROMIUM=path, else the first that is on this machine."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a headless Chromium.

    Raises:
        FileNotFoundError: there is none; says how to mend it.
    """
    path = chromium()
    if path is None:
        msg = "no Chromium on this machine; install Debian's chromium, or set CHROMIUM=path"
        raise FileNotFoundError(msg)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def command(page: Page, name: str, **words: object) -> None:
    """Carry out a command of JupyterLab, without waiting for its end."""
    page.evaluate(
        "([name, words]) => { window.jupyterapp.commands.execute(name, words) }", [name, words]
    )


@contextmanager
def jupyterlab(root: Path, home: Path) -> Iterator[Lab]:
    """Run a server that shows `root` and keeps its settings, and the user's, in `home`.

    Raises:
        TimeoutError: it does not answer; says what its log says.
    """
    token, port = secrets.token_hex(16), _free_port()
    arguments = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={root}", "--LabApp.news_url=", "--expose-app-in-browser",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    _settle(home)
    path = home / "lab.log"
    with path.open("w") as log:
        process = subprocess.Popen(
            arguments,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment(home),
            start_new_session=True,
        )
        try:
            lab = Lab(f"http://127.0.0.1:{port}", token, root, process.pid)
            _wait_for(lab, process, path)
            yield lab
        finally:
            _end(process)


def environment(home: Path) -> dict[str, str]:
    """The environment of a server whose user has never used Jupyter; caches stay shared."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return {
        **mine,
        "XDG_CACHE_HOME": cache,  # Pulumi's program lies there
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }


def _settle(home: Path) -> None:
    for name, values in QUIET.items():
        path = home / "jupyter" / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


def _wait_for(lab: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            lab.ask("status")
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    msg = f"JupyterLab did not start; its log ends with: {log.read_text()[-2000:]}"
    raise TimeoutError(msg)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kernels get the time that they need to end by themselves."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
