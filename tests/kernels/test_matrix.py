"""Which ipykernel the kernel's tests speak to: `make test` runs them on each that is supported.

BUILDFLOW_IPYKERNEL names the version that is meant, or how it begins; without it, it is 7.
"""

import os
import sys

import pytest

from tests.notebook.kernels import Kernel

pytestmark = pytest.mark.notebook

MEANT = os.environ.get("BUILDFLOW_IPYKERNEL", "7.")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    made = Kernel(tmp_path_factory.mktemp("kernel"))
    yield made
    made.close()


def test_the_kernel_is_of_the_version_that_is_meant(kernel):
    kernel("import ipykernel, sys")
    assert kernel.value("ipykernel.__version__").strip("'").startswith(MEANT)


def test_the_kernel_is_the_one_of_this_environment(kernel):
    kernel("import sys, pathlib, ipykernel")
    assert kernel.value("sys.prefix") == repr(sys.prefix)
    inside = "pathlib.Path(ipykernel.__file__).is_relative_to(sys.prefix)"
    assert kernel.value(inside) == "True"


def test_the_kernel_runs_this_checkout(kernel):
    import buildflow_nb

    kernel("import buildflow_nb")
    assert kernel.value("buildflow_nb.__file__") == repr(buildflow_nb.__file__)
