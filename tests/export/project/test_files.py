"""The files around an exported program: what is in them, and what must never be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from buildflow_nb.core.config import load_config
from buildflow_nb.export.project.files import project_files
from buildflow_nb.export.project.requirements import Requirements
from buildflow_nb.export.report import Import
from tests.export.programs import TEXT, files, program, run_tests, written

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
OURS = f"buildflow-nb=={version('buildflow-nb')}"
INDEXED = Requirements(("buildflow-nb==0.1.0", "pandas==2.2.3"))
CLOUD = "from buildflow_nb.io.aws import SQSQueue\n" + TEXT


def test_every_file_that_a_project_needs_is_there(tmp_path):
    assert set(files(tmp_path / "shop")) == {
        "main.py",
        "buildflow.yaml",
        "requirements.txt",
        "Dockerfile",
        ".dockerignore",
        ".gitignore",
        ".env.example",
        "README.md",
        "pytest.ini",
        "tests/test_flow.py",
    }


def test_the_same_program_gives_the_same_files(tmp_path):
    assert files(tmp_path / "shop") == files(tmp_path / "shop")


def header(text):
    """The header of a script, as its specification reads it (PEP 723)."""
    (found,) = re.finditer(r"(?m)^# /// script$\s(?P<text>(^#(| .*)$\s)+)^# ///$", text)
    lines = found["text"].splitlines()
    return tomllib.loads("\n".join(line[2:] if line[1:2] == " " else line[1:] for line in lines))


def test_the_program_says_what_it_needs(tmp_path):
    made = project_files(program(), INDEXED, tmp_path / "shop", None)
    assert header(made["main.py"]) == {
        "requires-python": f">={HERE}",
        "dependencies": ["buildflow-nb==0.1.0", "pandas==2.2.3"],
    }
    assert made["main.py"].endswith(TEXT)
    assert ast.get_docstring(ast.parse(made["main.py"])) == "Prices of orders."
    assert made["requirements.txt"] == "buildflow-nb==0.1.0\npandas==2.2.3\n"


def test_packages_of_a_folder_are_looked_for_beside_the_program(tmp_path):
    found = Requirements((OURS,), (), {"buildflow-nb": tmp_path / "source"})
    made = project_files(program(), found, tmp_path / "shop", None)
    assert made["requirements.txt"] == f"--find-links wheels\n{OURS}\n"
    assert header(made["main.py"])["tool"] == {"uv": {"find-links": ["wheels"]}}
    assert "pip wheel --no-deps -w wheels PATH_OF_ITS_FOLDER" in made["README.md"]
    assert "buildflow-nb was installed from a folder" in made["README.md"]


def test_no_path_of_this_machine_is_in_any_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "shop")
    here = {str(tmp_path), str(Path(__file__).parents[2]), str(Path.home()), sys.prefix}
    for path in (tmp_path / "shop").rglob("*"):
        assert not path.is_file() or not any(one in path.read_text() for one in here), path


def test_only_the_module_that_is_run_has_a_header(tmp_path):
    modules = {"main.py": TEXT, "shop/types.py": "X = 1\n"}
    made = files(tmp_path / "shop", program(modules=modules, entry_point="shop.flow:app"))
    assert made["shop/types.py"] == "X = 1\n"
    assert "from shop.flow import app" in made["tests/test_flow.py"]


@pytest.mark.parametrize(
    ("text", "config", "extra"),
    [
        (TEXT, None, ""),
        (CLOUD, None, "[local]"),
        ("import buildflow.io.gcp.gcs\n" + TEXT, None, "[local]"),
        ("from buildflow_nb.io import aws\n" + TEXT, None, "[local]"),
        (CLOUD, "app: a\npulumi_config: {stacks: [{name: prod}]}\n", ""),
        (CLOUD, "app: a\npulumi_config: {stacks: [{name: p}, {name: l, cloud: local}]}", "[local]"),
        (TEXT + "\n\ndef table():\n    return app.tap('price')\n", None, "[tables]"),
        (
            "from buildflow_nb.io.postgres import PostgresTable\n" + TEXT,
            None,
            "[postgres,local-postgres]",
        ),
        (
            "from buildflow.io.gcp import CloudSQLDatabase\n" + TEXT,
            None,
            "[local,cloudsql,local-postgres]",
        ),
        (
            "from buildflow_nb.io.gcp import CloudSQLDatabase\n" + TEXT,
            "app: a\npulumi_config: {stacks: [{name: p}]}",
            "[cloudsql]",
        ),
        (
            "from buildflow_nb.io.gcp import BigQueryTable\n" + TEXT,
            None,
            "[local,bigquery,local-bigquery]",
        ),
        (
            "from buildflow_nb.io.clickhouse import ClickhouseTable\n" + TEXT,
            None,
            "[clickhouse,local-clickhouse]",
        ),
        (
            "from buildflow.io.snowflake import SnowflakeTable\n" + TEXT,
            None,
            "[snowflake,local-snowflake]",
        ),
        ("from buildflow_nb.io.portable import Queue\n" + TEXT, None, "[local]"),
        ("from buildflow_nb.dependencies.sqlalchemy import engine\n" + TEXT, None, "[sql]"),
        (CLOUD + "\n\ndef table():\n    return app.tap('price')\n", None, "[local,tables]"),
    ],
)
def test_our_own_extras_are_those_that_it_needs(tmp_path, monkeypatch, text, config, extra):
    monkeypatch.chdir(tmp_path)
    if config is not None:
        (tmp_path / "buildflow.yaml").write_text(config)
    made = project_files(program(text), INDEXED, tmp_path / "shop", None)
    assert made["requirements.txt"].splitlines()[0] == f"buildflow-nb{extra}==0.1.0"
    assert header(made["main.py"])["dependencies"][0] == f"buildflow-nb{extra}==0.1.0"


def test_without_a_buildflow_yaml_there_is_one_stack_on_the_local_cloud(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(written(tmp_path / "shop") / "buildflow.yaml")
    assert (config.app, config.entry_point, config.default_stack) == ("shop", "main:app", "local")
    assert {name: one.cloud for name, one in config.stacks.items()} == {"local": "local"}


WHOLE = """\
app: my shop  # keeps its name
entry_point: notebook:flow
pulumi_config:
  pulumi_home: .buildflow/other
  default_stack: prod
  stacks:
    - name: prod
      backend_url: s3://states/shop
    - {name: "on", cloud: local}
cloud_provider_config:
  default_cloud_provider: gcp
  gcp_options: {default_project_id: shop-1, default_zone: null}
  aws_options: {default_region: eu-central-1}
build_ignores: ["*.csv"]
"""


@pytest.mark.parametrize("given", [True, False])
def test_the_notebooks_own_configuration_is_carried_over(tmp_path, monkeypatch, given):
    """Found from the folder of the recordings, or the working folder, and upwards."""
    (tmp_path / "buildflow.yaml").write_text(WHOLE)
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(Path(__file__).parent if given else inner)
    samples = inner / ".buildflow" / "recordings" if given else None
    folder = written(tmp_path / "other" / "shop", samples=samples)
    before, after = load_config(tmp_path / "buildflow.yaml"), load_config(folder / "buildflow.yaml")
    for name in ("app", "stacks", "default_stack", "pulumi_home", "build_ignores", "provider"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.entry_point == "main:app"


def test_beside_the_notebook_the_app_is_the_one_whose_state_is_there(tmp_path, monkeypatch):
    """Without a file an app has the name of its folder."""
    folder = tmp_path / "my folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert (
        yaml.safe_load(files(Path(), program(name="other"))["buildflow.yaml"])["app"] == "my folder"
    )


@pytest.mark.parametrize(
    ("name", "app"), [("a b", "a-b"), ("läden", "läden"), ("🛒", "shop"), ("", "shop"), ("1", "1")]
)
def test_an_app_has_a_plain_name(tmp_path, monkeypatch, name, app):
    monkeypatch.chdir(tmp_path)
    text = files(tmp_path / "shop", program(name=name))["buildflow.yaml"]
    assert yaml.safe_load(text)["app"] == app


def test_the_names_of_secrets_are_listed_without_values(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "tok-12345678")
    folder = written(tmp_path / "shop", program(secrets=("SHOP_TOKEN", "A_KEY", "A_KEY")))
    example = (folder / ".env.example").read_text()
    assert example.splitlines()[1:] == ["A_KEY=", "SHOP_TOKEN="]
    readme = (folder / "README.md").read_text()
    assert "`A_KEY`, `SHOP_TOKEN`" in readme
    assert "--env-file .env" in readme
    assert all(b"tok-12345678" not in p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert ".env" in (folder / ".gitignore").read_text().split()


def test_without_secrets_that_is_said(tmp_path):
    made = files(tmp_path / "shop")
    assert made[".env.example"] == "# This flow reads no secret from its environment.\n"
    assert "Secrets" not in made["README.md"]


def test_the_readme_has_the_commands_that_matter(tmp_path):
    made = files(tmp_path / "shop", program(title="My  shop\n*now*", commands=("buildflow check",)))
    readme = made["README.md"]
    assert readme.startswith("# My shop *now*\n")
    lines = [line.partition("#")[0].strip() for line in readme.splitlines()]
    for command in (
        "pip install -r requirements.txt",
        "buildflow run",
        "buildflow apply",
        "docker build -t shop .",
        "pytest",
        "buildflow check",
    ):
        assert command in lines, command


@pytest.mark.parametrize("names", [(), ("a",), tuple(f"a_processor_{i}" for i in range(9))])
def test_what_is_written_is_in_shape(tmp_path, names):
    """As ruff has it by default: its rules, its order of imports, its form."""
    folder = written(tmp_path / "shop", program(processors=names, secrets=names))
    (folder / "tests" / "samples").mkdir()
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["check", "--select", "E4,E7,E9,F,I"], ["format", "--check"]):
        line = [str(ruff), *words, "--isolated", "--no-cache", str(folder)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_its_own_tests_pass_and_notice_what_is_gone(tmp_path):
    folder = written(tmp_path / "shop")
    code, said = run_tests(folder)
    assert (code, "1 passed" in said) == (0, True), said
    written(folder, program(TEXT.replace("def rate(", "def other(")))
    code, said = run_tests(folder)
    assert code == 1
    assert "{'rate'} == set()" in said or "not {'rate'}" in said, said


def test_its_own_tests_need_no_secret(tmp_path, monkeypatch):
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    text = TEXT.replace("RATE = 1.5", 'import os\n\nRATE = len(os.environ["SHOP_TOKEN"])')
    code, said = run_tests(written(tmp_path / "shop", program(text, secrets=("SHOP_TOKEN",))))
    assert (code, "1 passed" in said) == (0, True), said


def test_imports_of_nobody_are_no_lines(tmp_path):
    made = program(imports=(Import("no_such_module", "cell [1] line 1"),))
    assert files(tmp_path / "shop", made)["requirements.txt"] == ""
