"""Finding Pulumi's program, and what is said where there is none."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.infra.pulumi import cli
from buildflow_nb.infra.pulumi.cli import cached_root, find_cli, get_cli


def program(path, says: str):
    """A program that answers `version`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without the program, where nothing can be downloaded."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(cli, "SITE", unused.getsockname())
        yield tmp_path


def test_one_on_the_path_that_fits_is_used(machine):
    path = program(machine / "bin/pulumi", "v3.260.1")
    found = find_cli()
    assert found is not None
    assert str(found) == f"Pulumi 3.260.1, on PATH: {path}"


def test_an_old_one_is_passed_over_for_our_own_copy(machine):
    program(machine / "bin/pulumi", "v3.100.0")
    own = program(cached_root() / "bin/pulumi", "v3.259.0")
    found = find_cli()
    assert found is not None
    assert (found.path, found.origin) == (own, "this project's own copy")


def test_an_old_one_alone_is_named_with_what_is_needed(machine):
    path = program(machine / "bin/pulumi", "v3.100.0")
    with pytest.raises(InfraError) as caught:
        get_cli()
    assert f"{path}: version 3.100.0, but 3.205.1 or later is needed" in str(caught.value)


def test_another_major_version_does_not_fit(machine):
    program(machine / "bin/pulumi", "v4.0.0")
    assert find_cli() is None


def test_something_else_of_that_name_does_not_fit(machine):
    path = program(machine / "bin/pulumi", "not pulumi at all")
    with pytest.raises(InfraError, match=rf"{path}: did not tell its version \(not pulumi at all"):
        get_cli()


def test_none_at_all_says_every_way_to_get_one(machine):
    with pytest.raises(InfraError) as caught:
        get_cli()
    said = str(caught.value)
    for part in (
        "not on this machine",
        "could not be downloaded",
        "https://www.pulumi.com/docs/install",
        str(cached_root() / "bin"),
        "python -m tools.pulumi_cli",
    ):
        assert part in said


def test_one_that_did_not_answer_is_asked_again(machine):
    path = program(machine / "bin/pulumi", "")
    assert find_cli() is None
    before = path.stat().st_mtime_ns
    path.write_text("#!/bin/sh\necho v3.260.0\n")
    os.utime(path, ns=(before, before))
    assert find_cli().version == "3.260.0"


def test_options_of_the_engine_do_not_reach_it(machine, monkeypatch):
    path = program(machine / "bin/pulumi", "$PULUMI_OPTION_PARALLEL v3.260.0")
    path.write_text('#!/bin/sh\n[ -z "$PULUMI_OPTION_PARALLEL" ] && echo v3.260.0\n')
    monkeypatch.setenv("PULUMI_OPTION_PARALLEL", "1")
    assert find_cli().version == "3.260.0"


def test_it_is_asked_for_its_version_once_as_long_as_the_file_stays(machine):
    path = program(machine / "bin/pulumi", "v3.260.0")
    assert find_cli().version == "3.260.0"
    asked = machine / "asked"
    path.write_text(f"#!/bin/sh\necho v3.261.0\necho asked >> {asked}\n")
    assert find_cli().version == "3.261.0"
    assert find_cli().version == "3.261.0"
    assert asked.read_text().split() == ["asked"]
