"""A machine whose versions are others is named, with what differs."""

from __future__ import annotations

import pytest

from buildflow_nb.runtime.ray.cluster import reason
from buildflow_nb.runtime.ray.versions import Versions, mismatch, our_versions

OURS = Versions("1.2.0", "3.12.4", "2.60.0")


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (OURS, ""),
        (Versions("1.2.0", "3.12.9", "2.60.0"), ""),  # Ray itself decides on the last number
        (Versions("unknown", "3.12.4", "2.60.0"), ""),
        (
            Versions("", "3.12.4", "2.60.0"),
            "buildflow_nb is not installed on w1; install buildflow_nb==1.2.0 there, as it is here",
        ),
        (
            Versions("1.1.0", "3.12.4", "2.60.0"),
            "buildflow_nb is 1.1.0 on w1, and 1.2.0 here; install the same version on both",
        ),
        (
            Versions("1.2.0", "3.11.4", "2.60.0"),
            "Python is 3.11.4 on w1, and 3.12.4 here; run the same version on both",
        ),
        (
            Versions("1.2.0", "3.12.4", "2.59.0"),
            "Ray is 2.59.0 on w1, and 2.60.0 here; install the same version on both",
        ),
    ],
)
def test_what_differs_is_told(theirs, said):
    assert mismatch(OURS, theirs, "w1") == said


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ({"ray_version": "2.9.0"}, "Ray is 2.9.0 on the cluster, and {ray} here; install the same"),
        ({"python_version": "3.9.1"}, "Python is 3.9.1 on the cluster, and {python} here; install"),
    ],
)
def test_what_ray_says_of_versions_is_one_line(cluster, said):
    utils = pytest.importorskip("ray._private.utils", reason="Ray is an extra")
    ours = our_versions()
    same = {"ray_version": ours.ray, "python_version": ours.python}
    with pytest.raises(RuntimeError) as raised:
        utils.check_version_info({**same, **cluster}, "127.0.0.1:6379", raise_on_mismatch=True)
    assert reason(raised.value).startswith(said.format(ray=ours.ray, python=ours.python))
