"""The flow of a folder: found by its entry point, loaded once, by one name, and never stale."""

from __future__ import annotations

import contextlib
import sys

import pytest

from buildflow_nb.cli.entry import ProgramError, load_flow
from buildflow_nb.core.errors import ConfigError, DeclarationError

FLOW = "from buildflow_nb import Flow\napp = Flow('{}')\n"


@pytest.fixture(autouse=True)
def as_it_was():
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        if not name.startswith("buildflow"):
            del sys.modules[name]
    sys.path[:] = path


@pytest.fixture
def project(tmp_path):
    def write(files, entry=None):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        if entry is not None:
            (tmp_path / "buildflow.yaml").write_text(f"app: shop\nentry_point: {entry}\n")
        return tmp_path

    return write


@pytest.mark.parametrize(
    "entry", ["main:app", "main.py", "main.py:app", "./main.py", None], ids=str
)
def test_a_module_or_a_file_of_the_folder(project, entry):
    assert load_flow(project({"main.py": FLOW.format("one")}, entry)).flow_id == "one"


@pytest.mark.parametrize("entry", ["shop.deep.flows:app", "shop/deep/flows.py", "shop.deep.flows"])
def test_a_module_of_a_package_has_one_name(project, entry):
    files = {
        "shop/__init__.py": "",
        "shop/deep/__init__.py": "count = []\n",
        "shop/deep/flows.py": (
            "from . import count\ncount.append(__name__)\n"
            "import shop.deep.flows\n" + FLOW.format("deep")
        ),
    }
    assert load_flow(project(files, entry)).flow_id == "deep"
    assert sys.modules["shop.deep"].count == ["shop.deep.flows"], "loaded once, by its one name"


def test_a_file_in_a_folder_finds_its_neighbours(project):
    text = "import near\nfrom src.near import x\nimport src.flows\n" + FLOW.format("src")
    files = {"src/flows.py": text, "src/near.py": "x = 1\n"}
    assert load_flow(project(files, "src/flows.py")).flow_id == "src"
    assert "flows" not in sys.modules, "it is loaded by one name alone"


def test_a_file_beside_the_project(project):
    folder = project({"shop/main.py": "", "other.py": FLOW.format("beside")}) / "shop"
    assert load_flow(folder, "../other.py").flow_id == "beside"


def test_another_flow_than_the_entry_point(project):
    folder = project(
        {"main.py": FLOW.format("one"), "other.py": FLOW.format("two") + "third = Flow('three')\n"},
        "main:app",
    )
    assert load_flow(folder).flow_id == "one"
    assert load_flow(folder, "other:third").flow_id == "three"
    assert load_flow(folder, "other:app").flow_id == "two"


def test_nothing_stale_is_found(project, tmp_path):
    folder = project({"main.py": "import helper\n" + FLOW.format("a"), "helper.py": "x = 1\n"})
    first = load_flow(folder)
    (folder / "main.py").write_text("from helper import name\n" + FLOW.format("b") + "name\n")
    (folder / "helper.py").write_text("name = 'longer than before'\n")
    second = load_flow(folder)
    assert (first.flow_id, second.flow_id) == ("a", "b")


def test_another_project_has_modules_of_the_same_names(project, tmp_path):
    load_flow(
        project({"one/main.py": "import helper\n" + FLOW.format("a"), "one/helper.py": ""}) / "one"
    )
    files = {"two/main.py": "from helper import b\n" + FLOW.format("b"), "two/helper.py": "b = 1\n"}
    assert load_flow(project(files) / "two").flow_id == "b"
    assert str(tmp_path / "one") not in sys.path
    assert str(tmp_path / "two") in sys.path, "for imports that a function makes later"


def test_a_load_that_fails_leaves_nothing(project):
    before, path = set(sys.modules), list(sys.path)
    folder = project({"main.py": "import helper\n1 / 0\n", "helper.py": "x = 1\n"})
    with pytest.raises(ProgramError) as caught:
        load_flow(folder)
    assert str(caught.value) == "main.py line 2: ZeroDivisionError: division by zero"
    assert not {"main", "helper"} & (set(sys.modules) - before)
    assert sys.path == path


def test_the_traceback_begins_in_the_project(project):
    files = {
        "main.py": "from shop.steps import load\n\nload()\n",
        "shop/steps.py": "import json\n\ndef load():\n    json.loads('{')\n",
    }
    folder = project(files)
    with pytest.raises(ProgramError) as caught:
        load_flow(folder)
    assert "shop/steps.py line 4: JSONDecodeError" in str(caught.value)
    lines = caught.value.text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line for line in lines if line.startswith("  File")] == [
        f'  File "{folder}/main.py", line 3, in <module>',
        f'  File "{folder}/shop/steps.py", line 4, in load',
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_to_be_found\n", "main.py line 1: ModuleNotFoundError: No module named"),
        ("def (:\n", "main.py line 1: SyntaxError"),
        (
            "import sys\nsys.exit(3)\n",
            "main.py line 2: the program ends itself when it is imported",
        ),
    ],
)
def test_code_that_fails_is_told_with_its_line(project, text, said):
    with pytest.raises(ProgramError, match=said):
        load_flow(project({"main.py": text}))


def test_a_declaration_that_is_refused_has_its_line(project):
    text = FLOW.format("a") + "@app.consumer(1, 2)\ndef price(x): ...\n"
    with pytest.raises(DeclarationError, match=r"^main\.py line 3: "):
        load_flow(project({"main.py": text}))


@pytest.mark.parametrize(
    "entry",
    ["../x:app", "./main:app", "/x:app", "..:app", "main..x:app", ".main", "a\0b:app", "\0.py"],
)
def test_what_names_no_module_is_told_in_one_line(project, entry):
    folder = project({"main.py": FLOW.format("a")}, "main:app")
    with pytest.raises(ConfigError, match="must be module:name, like main:app, or a file"):
        load_flow(folder, entry)


@pytest.mark.parametrize(
    ("text", "entry", "said"),
    [
        ("app = 1\n", "main:app", "is no Flow; declare one: app = Flow()"),
        (FLOW.format("a"), "main:ap", "ap of .*main.py is no Flow; it holds the Flow app"),
        ("x = 1\n", "main.py", "must hold one Flow, it holds: none; declare app = Flow"),
        (
            FLOW.format("a") + "other = Flow('b')\n",
            "main.py",
            "must hold one Flow, it holds: app, other; name one as main:app",
        ),
        (
            "",
            "maiin:app",
            "no module 'maiin' in .*, which entry_point 'maiin:app' names; set entry_point in",
        ),
        ("", "maiin.py", "no module 'maiin' in"),
    ],
)
def test_no_flow_or_two(project, text, entry, said):
    with pytest.raises(ConfigError, match=said):
        load_flow(project({"main.py": text}, entry))


def test_one_flow_by_two_names_is_one(project):
    text = FLOW.format("a") + "same = app\n"
    assert load_flow(project({"main.py": text}, "main.py")).flow_id == "a"


def test_a_wrong_app_names_the_flag(project):
    with pytest.raises(
        ConfigError, match="which --app 'maiin:app' names; give module:name, or a file"
    ):
        load_flow(project({"main.py": FLOW.format("a")}), "maiin:app")


def test_an_installed_package_below_the_folder_is_kept(project):
    place = "lib/site-packages"
    files = {
        f"{place}/installed_once.py": "import os\n",
        "main.py": f"import sys\nsys.path.append('{place}')\nimport installed_once\n"
        + FLOW.format("a"),
    }
    folder = project(files)
    sys.path.append(str(folder / place))
    load_flow(folder)
    first = sys.modules["installed_once"]
    load_flow(folder)
    assert sys.modules["installed_once"] is first


def test_a_module_that_runs_its_flow_is_told_to_guard_that(project):
    text = (
        FLOW.format("a") + "from buildflow_nb.io.local import File\n"
        "@app.consumer(File('in.csv'), File('out.csv'))\ndef copy(x: dict) -> dict: ...\n"
        "app.run(serve_port=0)\n"
    )
    folder = project({"main.py": text, "in.csv": "a\n"})
    with contextlib.chdir(folder), pytest.raises(Exception, match="guard that by if __name__"):
        load_flow(folder)
    assert not (folder / "out.csv").exists()  # and nothing of it has run
