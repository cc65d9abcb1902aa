"""docs/export.md names every file of a project, and its commands are those of the README."""

from __future__ import annotations

from pathlib import Path

from buildflow_nb.export.folder.manifest import MANIFEST
from tests.export.programs import files, program

DOCUMENT = (Path(__file__).parents[2] / "docs" / "export.md").read_text()


def test_every_file_is_in_the_document(tmp_path):
    for name in [*files(tmp_path / "shop"), "tests/samples/", MANIFEST]:
        assert f"`{name}`" in DOCUMENT, name


def test_commands_of_the_readme_are_those_of_the_document(tmp_path):
    readme = files(tmp_path / "shop", program(secrets=("A_KEY",)))["README.md"]
    for command in (
        "pip install -r requirements.txt",
        "pip wheel --no-deps -w wheels PATH_OF_ITS_FOLDER",
        "docker build -t shop .",
        "docker run --name shop -p 8000:8000 --env-file .env shop",
        "docker stop --time 40 shop",
    ):
        assert command in readme, command
        assert command in DOCUMENT, command
