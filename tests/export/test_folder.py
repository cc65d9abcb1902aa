"""What may be written over, and what a folder holds afterwards."""

from __future__ import annotations

import pytest

from buildflow_nb.core.config import load_config
from buildflow_nb.core.errors import UsageError
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, PLAIN, exported

OTHER = (LOAD, NUMBERS, DOUBLE.replace("2", "3"))


@pytest.fixture
def shop(tmp_path):
    """A folder that holds an export."""
    exported(tmp_path / "shop", *PLAIN)
    return tmp_path / "shop"


def test_the_project_is_on_the_local_cloud(shop):
    config = load_config(shop / "buildflow.yaml")
    assert (config.app, config.entry_point, config.default_stack) == ("shop", "main:app", "local")
    assert config.stack("local").cloud == "local"


def test_an_export_that_nobody_touched_is_replaced(shop):
    (shop / "buildflow.yaml").write_text("app: mine\n")
    (shop / "notes.txt").write_text("mine")
    text, report = exported(shop, *OTHER)
    assert "3 * x" in text
    assert [path.name for path in report.files] == ["main.py"]
    assert (shop / "buildflow.yaml").read_text() == "app: mine\n"
    assert sorted(path.name for path in shop.iterdir()) == [
        ".buildflow-export.json",
        "buildflow.yaml",
        "main.py",
        "notes.txt",
    ]


def test_work_that_was_done_is_not_written_over(shop):
    main = shop / "main.py"
    changed = main.read_text().replace("2 * x", "4 * x")
    main.write_text(changed)
    with pytest.raises(
        UsageError, match=r"main\.py was changed since it was exported; add --force"
    ):
        exported(shop, *OTHER)
    assert main.read_text() == changed
    assert "3 * x" in exported(shop, *OTHER, force=True)[0]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no export; name another folder"):
        exported(tmp_path, *PLAIN)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    exported(tmp_path, *PLAIN, force=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "shop").write_text("mine")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        exported(tmp_path / "shop", *PLAIN, force=True)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file is a file; name a folder"):
        exported(tmp_path / "file" / "shop", *PLAIN)
