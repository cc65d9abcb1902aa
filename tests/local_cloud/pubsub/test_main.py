"""The program: its one line, its signals, its errors."""

import signal
import subprocess
import sys

import pytest

from tests.local_cloud.pubsub.clients import Clients, data
from tests.local_cloud.pubsub.servers import PATIENCE_S, our_server

pytestmark = pytest.mark.emulator


def ended(command):
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_its_state_saved(tmp_path, number):
    state = tmp_path / "state"
    with our_server("--state", str(state)) as (address, process):
        clients = Clients(address)
        topic, subscription = clients.pair()
        clients.publish(topic, b"kept")
        clients.close()
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert process.stdout.read() == ""
    with our_server("--state", str(state)) as (address, _):
        clients = Clients(address)
        assert data(clients.pull(subscription)) == [b"kept"]
        clients.close()


def test_it_takes_the_port_that_it_is_told(tmp_path):
    with our_server() as (address, _):
        port = address.rsplit(":", 1)[1]
        command = [sys.executable, "-m", "buildflow_nb.local_cloud.pubsub", "--port", port]
        second = ended(command)
    assert second.returncode == 1
    assert second.stdout == ""
    assert "is the port taken" in second.stderr
    with our_server("--port", port) as (address, _):
        assert address.endswith(f":{port}")


def test_a_host_that_others_can_reach_is_refused():
    command = [sys.executable, "-m", "buildflow_nb.local_cloud.pubsub", "--host", "0.0.0.0"]  # noqa: S104
    result = ended(command)
    assert result.returncode == 1
    assert "use 127.0.0.1" in result.stderr
    assert result.stdout == ""
