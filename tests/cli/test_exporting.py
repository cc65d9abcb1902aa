"""`buildflow export NOTEBOOK FOLDER`: without a kernel, and without running a line of it."""

from __future__ import annotations

import json

import pytest

from buildflow_nb.cli.main import main

CELLS = (
    "%load_ext buildflow_nb\nfrom buildflow_nb.io.local import Empty, Pulse",
    "%%buildflow consumer source=Pulse([1], 1), sink=Empty()\n"
    "def fine(x: int) -> int:\n    return x",
    "raise RuntimeError('an export runs nothing')",
    "%buildflow peek fine",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    cells = [
        {
            "cell_type": "code",
            "id": f"cell{number}",
            "execution_count": number,
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(CELLS, 1)
    ]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "shop.ipynb").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_project_is_written_and_can_be_looked_at(folder, capsys, monkeypatch):
    assert main(["export", "shop.ipynb", "shop"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("wrote ")
    assert "%buildflow peek fine" in said, "a line that is quoted is as it stands there"
    monkeypatch.chdir(folder / "shop")
    assert main(["inspect"]) == 0
    assert "consumer fine" in capsys.readouterr().out


def test_as_data(folder, capsys):
    assert main(["export", "shop.ipynb", "shop", "--json", "--package"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "shop/main.py" in [name.removeprefix(f"{folder}/") for name in found["files"]]
    assert {"left_out", "warnings", "secrets", "commands"} <= set(found)


def test_what_was_changed_there_is_written_over_with_force_alone(folder, capsys):
    main(["export", "shop.ipynb", "shop"])
    mine = folder / "shop" / "main.py"
    mine.write_text(mine.read_text() + "# mine\n")
    edited = mine.read_text()
    assert main(["export", "shop.ipynb", "shop"]) == 2
    assert "main.py" in capsys.readouterr().err
    assert mine.read_text() == edited
    assert main(["export", "shop.ipynb", "shop", "--force"]) == 0
    assert "# mine" not in mine.read_text()


@pytest.mark.parametrize("text", [None, "no notebook", ""])
def test_no_notebook_is_told_in_a_line(folder, capsys, text):
    if text is not None:
        (folder / "none.ipynb").write_text(text)
    assert main(["export", "none.ipynb", "shop"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("buildflow: ")
    assert "none.ipynb" in error
    assert not (folder / "shop").exists()
