"""■ before the engine has begun: nothing may be done then, and the kernel goes on."""

from __future__ import annotations

import pytest

from buildflow_nb.local_cloud.client import stop_cloud
from tests.notebook.kernels import Kernel

pytestmark = [pytest.mark.notebook, pytest.mark.pulumi, pytest.mark.emulator]

SETUP = (
    "%load_ext buildflow_nb\n"
    "from buildflow_nb.io.aws import SQSQueue\n"
    "app.manage(SQSQueue('precious'))\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project in which a queue is applied."""
    made = tmp_path_factory.mktemp("early")
    kernel = Kernel(made)
    assert kernel(SETUP).error is None
    assert kernel("%buildflow apply --yes").error is None
    kernel.close()
    yield made
    stop_cloud(made)


@pytest.mark.parametrize("delay", [0.001, 0.01, 0.02, 0.05, 0.15, 0.25])
def test_destroy(folder, delay):
    kernel = Kernel(folder)
    try:
        kernel(SETUP)
        # From within the cell: the kernel itself may lose one that comes while the cell begins.
        error = kernel(
            "import os, signal, threading\n"
            f"threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "%buildflow destroy --yes"
        ).error
        assert error is not None
        assert "interrupted" in error or error.startswith("KeyboardInterrupt")
        after = kernel("%buildflow preview")
        assert after.error is None
        assert "nothing to do: 1 resource as declared" in str((after.bundles + after.updates)[-1])
    finally:
        kernel.close()
