"""The passphrase: made once, for its owner only, never overwritten."""

from __future__ import annotations

import threading

import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.infra.pulumi.passphrase import passphrase


def test_it_is_made_once_for_its_owner_only(tmp_path):
    folder = tmp_path / ".buildflow"
    first = passphrase(folder, {})
    assert passphrase(folder, {}) == first
    path = folder / "passphrase"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(first.reveal()) >= 32
    assert repr(first) == "****"
    assert [p.name for p in folder.iterdir()] == ["passphrase"]


@pytest.mark.parametrize("variable", ["PULUMI_CONFIG_PASSPHRASE", "BUIDFLOW_PULUMI_PASSPHRASE"])
def test_the_environment_wins_and_no_file_is_made(tmp_path, variable):
    assert passphrase(tmp_path, {variable: "told"}).reveal() == "told"
    assert list(tmp_path.iterdir()) == []


def test_a_file_named_by_the_environment(tmp_path):
    (tmp_path / "told").write_text("from a file\n")
    found = passphrase(tmp_path, {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "told")})
    assert found.reveal() == "from a file"


def test_a_file_that_is_not_there_is_named(tmp_path):
    missing = str(tmp_path / "missing")
    with pytest.raises(InfraError, match=f"{missing}.*or set PULUMI_CONFIG_PASSPHRASE"):
        passphrase(tmp_path, {"PULUMI_CONFIG_PASSPHRASE_FILE": missing})


def test_all_who_make_it_at_once_get_the_same(tmp_path):
    found = []
    together = threading.Barrier(8)

    def make():
        together.wait()
        found.append(passphrase(tmp_path, {}))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
