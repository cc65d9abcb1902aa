"""`buildflow init`: what it writes runs, serves and passes its test at once; nothing is lost."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys

import pytest
import yaml

from buildflow_nb.cli.main import main
from buildflow_nb.cli.starting import package_name
from tests.cli.typed import DEADLINE_S, asked, environment

FILES = {
    *(".gitignore", "README.md", "buildflow.yaml", "main.py", "pytest.ini", "shop.ipynb"),
    *("requirements.txt", "requirements-dev.txt", "data/orders.csv", "tests/test_flow.py"),
    *("shop/__init__.py", "shop/orders.py", "shop/primitives.py", "shop/processors.py"),
    "shop/service.py",
}


def written(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes().decode(errors="replace")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects") / "shop"
    assert main(["init", "--app", "shop", "--directory", str(folder)]) == 0
    return folder


def test_the_project_is_whole(tmp_path):
    assert main(["init", "--app", "shop", "--directory", str(tmp_path)]) == 0
    files = written(tmp_path)
    assert set(files) == FILES
    assert not [name for name, text in files.items() if "{{" in text]
    config = yaml.safe_load(files["buildflow.yaml"])
    assert config["entry_point"] == "main:app"
    assert config["pulumi_config"]["stacks"] == [{"name": "local", "cloud": "local"}]
    assert ".buildflow/" in files[".gitignore"].splitlines()


def test_it_runs_and_ends(shop, terminal):
    terminal.folder = shop
    found = terminal("run", "--until", "drained", "--port", "0")
    assert (found.returncode, found.stderr) == (0, "")
    assert (shop / "data" / "priced.csv").read_text().splitlines() == [
        "id,item,total",
        "1,lamp,21.0",
        "2,chair,199.96",
        "3,table,180.0",
    ]


def test_it_serves(shop, terminal):
    terminal.folder = shop
    run = terminal.begin("run", "--port", "0", "--json")
    run.until('"started"')
    assert asked(run.documents()[0]["address"]) == '"Hello from shop!"'
    run.signal(signal.SIGTERM)
    assert run.ended() == 0


def test_its_test_passes_and_its_code_is_in_shape(shop):
    for words in (("pytest", "-q"), ("ruff", "check", "."), ("ruff", "format", "--check", ".")):
        found = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=shop,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert found.returncode == 0, found.stdout


def test_the_other_commands_know_it(shop, monkeypatch, capsys):
    monkeypatch.chdir(shop)
    assert main(["inspect"]) == 0
    assert "consumer price" in capsys.readouterr().out
    assert main(["build", "--build-path", str(shop.parent / "shop.flow")]) == 0
    assert main(["check"]) == 0


@pytest.mark.notebook
def test_its_notebook_runs(shop, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(shop / "shop.ipynb", as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        cell.source = cell.source.replace("--until drained", "--until drained --port 0")
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(shop)}})
    client.execute()
    text = json.dumps(notebook)
    assert "rug" in text
    assert "60" in text, "the element that is sent is priced"


def test_nothing_is_written_over(shop, capsys):
    before = written(shop)
    assert main(["init", "--app", "other", "--directory", str(shop)]) == 2
    error = capsys.readouterr().err
    assert "has buildflow.yaml, data/orders.csv, main.py" in error
    assert "nothing is written over; choose an empty folder by --directory" in error
    assert written(shop) == before


def test_a_fresh_repository_keeps_its_files(tmp_path, capsys):
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("mine\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    assert main(["init", "--app", "a1-b_2", "--directory", str(tmp_path)]) == 0
    assert "left as it was: README.md, .gitignore" in capsys.readouterr().out
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert (tmp_path / "a1_b_2" / "service.py").is_file()


def test_an_attempt_that_fails_takes_its_files_away(tmp_path, capsys):
    (tmp_path / "tests").touch()  # where a folder should be
    assert main(["init", "--app", "shop", "--directory", str(tmp_path)]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["tests"]


@pytest.mark.parametrize(
    ("app", "like"),
    [
        ("My Shop!", "my-shop"),
        ("9lives", "lives"),
        ("-x", "x"),
        ("épicerie", "picerie"),
        ("a" * 64, "a" * 63),
        ("../up", "up"),
        ("☃", "my-app"),
    ],
)
def test_a_name_that_is_none(tmp_path, capsys, app, like):
    assert main(["init", f"--app={app}", "--directory", str(tmp_path / "new")]) == 2
    assert f"a letter first, like '{like}'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["json", "class", "main", "tests", "pandas", "buildflow"])
def test_a_package_hides_no_module(name):
    assert package_name(name) == f"{name}_app"


class Person(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("said", "app"), [("given\n", "given"), ("\n", "the-folder")])
def test_a_person_is_asked_for_the_name_alone(tmp_path, monkeypatch, capsys, said, app):
    monkeypatch.setattr(sys, "stdin", Person(said))
    folder = tmp_path / "The Folder"
    assert main(["init", "--directory", str(folder), "--json"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["app"] == app
    assert error == "Name of the app [the-folder]: "


def test_where_nobody_can_be_asked_the_flag_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["init", "--directory", str(tmp_path)]) == 2
    assert "nobody can be asked here; add --app NAME" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Person(""))
    assert main(["init", "--directory", str(tmp_path)]) == 2
    assert "add --app NAME" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
