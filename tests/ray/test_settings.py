"""A Ray of a run's own is closed to others; a cluster that was there is left as it is set."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import pytest

from buildflow_nb.core.process_id import end
from buildflow_nb.runtime.ray.addresses import Address, address_of
from buildflow_nb.runtime.ray.settings import (
    environment,
    init_options,
    left_in,
    make_folder,
    remove_folder,
)


@pytest.fixture
def folder():
    made = make_folder()
    yield made
    remove_folder(made)
    assert not made.exists()


def test_its_own_asks_for_a_token_and_listens_on_loopback(folder, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "somebody's")
    made = environment(Address(), folder)
    assert made["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert made["RAY_USAGE_STATS_ENABLED"] == "0"
    assert made["RAY_AUTH_MODE"] == "token"
    assert made["RAY_TMPDIR"] == str(folder)
    assert not {"RAY_ADDRESS", "RAY_AUTH_TOKEN"} & set(made)
    token = folder / "token"
    assert made["RAY_AUTH_TOKEN_PATH"] == str(token)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_two_tokens_are_one(folder):
    other = make_folder()
    try:
        environment(Address(), folder)
        environment(Address(), other)
        assert (folder / "token").read_text() != (other / "token").read_text()
    finally:
        remove_folder(other)


@pytest.mark.parametrize("text", ["auto", "head:6379"])
def test_a_cluster_keeps_its_own(folder, monkeypatch, text):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "theirs")
    for name in ("RAY_TMPDIR", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    made = environment(address_of(text), folder)
    assert made["RAY_AUTH_TOKEN"] == "theirs"  # noqa: S105
    assert "RAY_TMPDIR" not in made
    assert "RAY_AUTH_MODE" not in made
    assert list(folder.iterdir()) == []


def test_nothing_is_printed_and_no_two_runs_share_names():
    own, joined = init_options(Address(), 3), init_options(address_of("head:6379"), 3)
    assert own["address"] == "local"
    assert own["num_cpus"] == 3
    assert joined["address"] == "head:6379"
    assert "num_cpus" not in joined
    assert own["log_to_driver"] is joined["log_to_driver"] is False
    assert own["namespace"] != joined["namespace"]


def test_a_folder_goes_with_what_is_put_there_meanwhile(tmp_path):
    made = tmp_path / "ray"
    made.mkdir()
    code = "import os\nwhile True: os.makedirs('ray/session', exist_ok=True)"
    env = {**os.environ, "RAY_TMPDIR": str(made)}
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env)
    try:
        deadline = time.monotonic() + 20.0
        while not (made / "session").is_dir():
            assert time.monotonic() < deadline
        assert [one.pid for one in left_in(made)] == [child.pid]
        end(left_in(made), 1.0)
        remove_folder(made)
        assert not made.exists()
    finally:
        child.kill()
        child.wait()
