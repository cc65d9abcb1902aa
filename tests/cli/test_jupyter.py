"""Kernels that load the extension by themselves: written, recognised, removed."""

from __future__ import annotations

import sys

import pytest

from buildflow_nb.cli.main import main
from buildflow_nb.flow.doctor.autoload import FILE_NAME


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    startup = tmp_path / "profile_work" / "startup"
    startup.mkdir(parents=True)
    (startup / "10-mine.py").write_text("mine = 1\n")
    (startup.parent / "ipython_kernel_config.json").write_text("{}")
    return tmp_path


def everything(folder):
    return {str(path): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_install_and_uninstall_leave_what_was_there(profiles, capsys):
    before = everything(profiles)
    file = profiles / "profile_work" / "startup" / FILE_NAME
    for _ in range(2):
        assert main(["jupyter", "install", "--profile", "work"]) == 0
        after = everything(profiles)
        assert set(after) - set(before) == {str(file)}
        assert before.items() <= after.items()
    assert str(file) in capsys.readouterr().out
    assert main(["jupyter", "uninstall", "--profile", "work"]) == 0
    assert everything(profiles) == before
    assert main(["jupyter", "uninstall", "--profile", "work"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_one_that_was_edited_is_left_and_said(profiles, capsys):
    file = profiles / "profile_work" / "startup" / FILE_NAME
    main(["jupyter", "install", "--profile", "work"])
    file.write_text(file.read_text() + "print('hello')\n")
    edited = file.read_text()
    for action in ("install", "uninstall"):
        assert main(["jupyter", action, "--profile", "work"]) == 2
        assert "was edited by hand, and is left alone" in capsys.readouterr().err
        assert file.read_text() == edited


def test_one_of_an_older_version_is_replaced(profiles):
    file = profiles / "profile_work" / "startup" / FILE_NAME
    main(["jupyter", "install", "--profile", "work"])
    new = file.read_text()
    from buildflow_nb.flow.doctor.autoload import _first_line

    old = "# older\n"
    file.write_text(f"{_first_line(old)}\n{old}")
    assert main(["jupyter", "install", "--profile", "work"]) == 0
    assert file.read_text() == new


def test_the_default_profile_need_not_be_there_yet(profiles):
    assert main(["jupyter", "install"]) == 0
    assert (profiles / "profile_default" / "startup" / FILE_NAME).is_file()


def test_a_whole_environment(profiles, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    assert main(["jupyter", "install", "--sys-prefix"]) == 0
    file = tmp_path / "venv" / "etc" / "ipython" / "startup" / FILE_NAME
    assert file.is_file()
    assert main(["jupyter", "uninstall", "--sys-prefix"]) == 0
    assert not file.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["instaal"], "'instaal' is none of install, uninstall; did you mean 'install'?"),
        (["install", "--profile", "workk"], "no profile 'workk'"),
        (["install", "--profile", "work", "--sys-prefix"], "are two places"),
        (["install", "--prefixx"], "unknown option '--prefixx'; did you mean '--sys-prefix'?"),
    ],
)
def test_wrong_words_exit_with_2(profiles, capsys, words, said):
    before = everything(profiles)
    assert main(["jupyter", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert everything(profiles) == before


def test_a_folder_that_cannot_be_written_is_told(profiles, capsys):
    (profiles / "profile_broken").mkdir()
    (profiles / "profile_broken" / "startup").touch()
    assert main(["jupyter", "install", "--profile", "broken"]) == 1
    assert "cannot be changed" in capsys.readouterr().err


def test_help(capsys):
    for words in (["jupyter", "-h"], ["help", "jupyter"]):
        assert main(words) == 0
        assert "--sys-prefix" in capsys.readouterr().out
