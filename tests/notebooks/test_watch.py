"""The watch sees what it is there to see."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.notebooks.watch import Watch

OUTSIDE = "192.0.2.1"  # an address that nobody has (RFC 5737)
CONNECT = f"""
import socket
with socket.socket() as one:
    one.settimeout(0.05)
    try:
        one.connect(({OUTSIDE!r}, 9))
    except OSError:
        pass
"""


def test_a_short_attempt_to_leave_the_machine_is_seen(tmp_path):
    with Watch(tmp_path) as watch:
        environment = {**os.environ, "PYTHONPATH": watch.python_path}
        subprocess.run([sys.executable, "-c", CONNECT], env=environment, check=True)
    assert watch.outside == {OUTSIDE}


def test_loopback_is_not_outside(tmp_path):
    with Watch(tmp_path) as watch:
        environment = {**os.environ, "PYTHONPATH": watch.python_path}
        inside = CONNECT.replace(OUTSIDE, "127.0.0.1")
        subprocess.run([sys.executable, "-c", inside], env=environment, check=True)
    assert watch.asked == {"127.0.0.1"}
    assert watch.outside == set()
