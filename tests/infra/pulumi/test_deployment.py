"""Where an operation's files are, and what the engine sees of the environment."""

from __future__ import annotations

import subprocess

import pytest

from buildflow_nb.core.config import Stack
from buildflow_nb.core.errors import ConfigError, InfraError
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.project_folder import private_folder
from buildflow_nb.core.status.operations import Op
from buildflow_nb.infra.pulumi.deployment import Deployment
from tests.infra.conftest import ENGINE
from tests.infra.primitives import Q


def deployment(folder, project="shop", backend=None, attached=()):
    stack = Stack("local", backend, "local")
    ports = dict.fromkeys(attached, 1)
    return Deployment(project, stack, folder, ".buildflow/pulumi", Env(), (), ports)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (None, ".buildflow/pulumi/state/local"),
        ("file://./kept here/ü", "kept here/ü"),
        ("file://kept%20here", "kept here"),
        ("file://./a#b", "a#b"),
    ],
)
def test_a_folder_of_the_state_is_the_same_for_the_engine_and_for_us(tmp_path, url, path):
    found = deployment(tmp_path, backend=url)
    assert found.backend == (tmp_path / path).as_uri()
    assert found.state == tmp_path / path / ".pulumi/stacks/shop/local.json"


@pytest.mark.parametrize(
    "url", ["file://%00", "file://a%00b/c", "file://~nobodyx/", "file://~nobodyx"]
)
def test_a_folder_that_cannot_be_is_told_by_its_stack(tmp_path, url):
    found = deployment(tmp_path, backend=url)
    for asked in (lambda: found.backend, lambda: found.state, found.prepare):
        with pytest.raises(ConfigError, match=r"stack 'local': backend_url '.*' names no folder: "):
            asked()


def test_other_backends_are_passed_on(tmp_path):
    found = deployment(tmp_path, backend="gcs://bucket/state")
    assert found.backend == "gs://bucket/state"
    assert found.state is None


def test_apps_whose_names_the_engine_does_not_take_do_not_share_a_state(tmp_path):
    names = [deployment(tmp_path, name).name for name in ("ä", "ö", "Läden", "Löden", "my app")]
    assert len(set(names)) == 5
    assert deployment(tmp_path, "my-app_1.x").name == "my-app_1.x"
    assert all(name.isascii() and " " not in name for name in names)


def test_options_of_the_engine_and_keys_are_hidden(tmp_path, monkeypatch):
    monkeypatch.setenv("PULUMI_OPTION_TARGET", "x")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    local = deployment(tmp_path, attached=["aws"]).hidden()
    assert {"PULUMI_OPTION_TARGET", "AWS_PROFILE"} <= set(local)
    real = deployment(tmp_path).hidden()
    assert "PULUMI_OPTION_TARGET" in real
    assert "AWS_PROFILE" not in real


def test_the_private_folder_is_no_matter_of_gits(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # noqa: S607
    folder = private_folder(tmp_path)
    (folder / "passphrase").write_text("x")
    asked = ["git", "-C", str(tmp_path), "status", "--porcelain", "-uall"]
    assert subprocess.run(asked, check=True, capture_output=True, text=True).stdout == ""
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_file_in_its_place_is_named(tmp_path):
    (tmp_path / ".buildflow").write_text("")
    with pytest.raises(InfraError, match=r"the folder \S+\.buildflow cannot be made"):
        private_folder(tmp_path)


class TestEngine:
    pytestmark = ENGINE

    @pytest.mark.parametrize("name", ["Mein Prüjekt 1", "50% off #1"])
    def test_a_project_folder_with_an_odd_name(self, project, queues, tmp_path, name):
        folder = tmp_path / name
        folder.mkdir()
        odd = project.on(folder=folder)
        assert odd.apply(Q("odd")).summary.changes == {Op.CREATE: 1}
        assert odd.apply(Q("odd")).nothing_to_do
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert odd.destroy(Q("odd")).summary.changes == {Op.DELETE: 1}
        assert queues("odd") == []
