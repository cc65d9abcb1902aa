"""BuildFlow's own imports: each in a process of its own, modules compared by their full names."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from buildflow_nb.core.old_paths import OLD_PATHS

ANSWER = "from buildflow_nb.core.alias import answer_to_buildflow; answer_to_buildflow()\n"
MODULES = """
import importlib, pkgutil, sys, buildflow_nb
NAMES = [one.name for one in pkgutil.walk_packages(buildflow_nb.__path__, "buildflow_nb.")]
def theirs(name):
    return "buildflow" + name.removeprefix("buildflow_nb")
"""
COMPARE = """
twins = [n for n in NAMES if sys.modules[theirs(n)] is not sys.modules[n]]
renamed = [n for n in NAMES if sys.modules[n].__spec__.name != n or sys.modules[n].__name__ != n]
print(len(NAMES) > 400, twins, renamed)
"""
ORDERS = {
    "theirs first": """
for n in NAMES: importlib.import_module(theirs(n)), importlib.import_module(n)
""",
    "ours first": """
for n in NAMES: importlib.import_module(n), importlib.import_module(theirs(n))
""",
    "all of theirs, deepest first": """
for n in sorted(NAMES, key=lambda n: -n.count(".")): importlib.import_module(theirs(n))
for n in NAMES: importlib.import_module(n)
""",
    "all of ours before": """
for n in NAMES: importlib.import_module(n)
for n in NAMES: importlib.import_module(theirs(n))
""",
    "from a package": """
for n in NAMES:
    parent, _, name = theirs(n).rpartition(".")
    exec(f"from {parent} import {name}")
    assert name == "main" or sys.modules[n].__name__ == n, n
for n in NAMES: importlib.import_module(theirs(n)), importlib.import_module(n)
""",
    "relative": """
for n in NAMES:
    parent, _, name = theirs(n).rpartition(".")
    importlib.import_module("." + name, parent)
for n in NAMES: importlib.import_module(n)
""",
    "by many threads at once": """
from concurrent.futures import ThreadPoolExecutor
import IPython  # its own modules import each other in circles, which threads take for a deadlock
sys.setswitchinterval(1e-5)
both = [name for n in NAMES for name in (theirs(n), n)]
with ThreadPoolExecutor(8) as pool:
    found = dict(zip(both * 4, pool.map(importlib.import_module, both * 4)))
assert all(found[n] is found[theirs(n)] is sys.modules[n] for n in NAMES)
""",
    "again": """
for n in NAMES: importlib.import_module(theirs(n))
for n in NAMES: del sys.modules[theirs(n)]
answer_to_buildflow()
for n in NAMES: importlib.import_module(theirs(n))
""",
}


def run(code: str, **words) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=60, check=False, **words,
    )  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_no_module_has_a_twin(order):
    found = run(ANSWER + MODULES + ORDERS[order] + COMPARE)
    assert (found.stdout, found.stderr) == ("True [] []\n", "")


def test_what_is_imported_by_one_name_is_taken_for_what_is_imported_by_the_other():
    found = run(f"""
        {ANSWER.strip()}
        from buildflow.types.portable import FileFormat
        from buildflow.core.options import FlowOptions
        from buildflow.types.aws import S3FileChangeEvent
        from buildflow.io.local import File
        from buildflow_nb.io.aws.s3 import changes as s3_changes
        from buildflow import Flow
        print(File("x.csv", FileFormat.CSV).file_format, s3_changes.S3FileChangeEvent)
        print(type(Flow(flow_options=FlowOptions())), S3FileChangeEvent)
    """)
    assert found.stderr == ""
    first, second = found.stdout.splitlines()
    assert first == "FileFormat.CSV <class 'buildflow_nb.types.aws.S3FileChangeEvent'>"
    assert second == (
        "<class 'buildflow_nb.flow.flow.Flow'> <class 'buildflow_nb.types.aws.S3FileChangeEvent'>"
    )


def test_files_that_import_each_other(tmp_path):
    (tmp_path / "one.py").write_text("from buildflow.types import aws\nimport two\n")
    (tmp_path / "two.py").write_text("import one\nfrom buildflow_nb.types import aws\n")
    found = run(ANSWER + "import one, two; print(one.aws is two.aws)", cwd=tmp_path)
    assert (found.stdout, found.stderr) == ("True\n", "")


def test_pickles_know_both_names():
    made = run(f"""
        {ANSWER.strip()}
        import pickle
        from buildflow.types.portable import FileFormat
        from buildflow.io.aws import SQSQueue
        print(pickle.dumps([FileFormat.CSV, SQSQueue("orders")], 0).decode())
    """)
    assert made.stderr == ""
    assert "buildflow_nb.types.portable" in made.stdout
    theirs = made.stdout.replace("buildflow_nb.", "buildflow.")
    load = "import pickle, sys; print(pickle.loads(sys.stdin.read().encode()))"
    for text in (made.stdout, theirs):
        found = run(ANSWER + load, input=text)
        assert found.stdout.startswith("[<FileFormat.CSV: 'csv'>, SQSQueue(queue_name='orders'")
    found = run(load, input=made.stdout)  # where nobody asked for the name
    assert found.stdout.startswith("[<FileFormat.CSV: 'csv'>, SQSQueue(queue_name='orders'")


@pytest.mark.parametrize("missing", ["buildflow.nothing", "buildflow.io.aws.nothing.at_all"])
def test_what_nobody_has_is_missing_under_the_name_that_was_asked_for(missing):
    found = run(f"""
        {ANSWER.strip()}
        try:
            import {missing}
        except ModuleNotFoundError as error:
            print(error)
    """)
    asked = missing.removesuffix(".at_all")
    assert (found.stdout, found.stderr) == (f"No module named {asked!r}\n", "")


def test_what_one_of_our_modules_lacks_is_named():
    found = run(f"""
        {ANSWER.strip()}
        import sys
        sys.modules["msgspec"] = None
        try:
            import buildflow.core.conversion.decode
        except ModuleNotFoundError as error:
            print(error.name)
    """)
    assert (found.stdout, found.stderr) == ("msgspec\n", "")


REAL = {"a package": "buildflow/__init__.py", "a file": "buildflow.py"}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", REAL)
def test_a_real_buildflow_wins(tmp_path, kind, when):
    file = tmp_path / REAL[kind]
    file.parent.mkdir(exist_ok=True)
    file.write_text("real = True\n")
    there = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    found = run(
        (there + ANSWER if when == "before" else ANSWER + there)
        + "import buildflow; print(buildflow.real)\n"
        + "try: import buildflow.types.portable\n"
        + "except ModuleNotFoundError as error: print(error)\n"
    )
    assert found.stdout.startswith("True\nNo module named 'buildflow.types'")


def test_a_folder_of_that_name_is_no_buildflow(tmp_path):
    (tmp_path / "buildflow").mkdir()
    (tmp_path / "buildflow" / "notes.txt").write_text("")
    found = run(ANSWER + "import buildflow; print(buildflow.Flow.__module__)", cwd=tmp_path)
    assert (found.stdout, found.stderr) == ("buildflow_nb.flow.flow\n", "")


@pytest.mark.parametrize("first", ["old", "home"])
@pytest.mark.parametrize("path", OLD_PATHS)
def test_modules_that_buildflow_alone_had(path, first):
    ((home, names), *_) = OLD_PATHS[path].items()
    old = f"import buildflow.{path}\n"
    ours = f"import buildflow_nb.{home}\n"
    name = names.split()[0]
    parent, _, last = path.rpartition(".")
    found = run(
        ANSWER
        + (old + ours if first == "old" else ours + f"import buildflow.{home}\n" + old)
        + f"from buildflow.{path} import {name}\n"
        + f"from buildflow.{parent} import {last}\n"
        + f"assert {last}.{name} is {name} is buildflow_nb.{home}.{name}\n"
        + f"assert buildflow.{path} is {last}\n"
        + f"assert sorted(n for n in vars({last}) if n[0] != '_')"
        + f" == {sorted(n for all_ in OLD_PATHS[path].values() for n in all_.split())}\n"
        + "print('good')"
    )
    assert (found.stdout, found.stderr) == ("good\n", "")


def test_the_extension_brings_it():
    found = run("""
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config
        config = Config()
        config.HistoryManager.enabled = False
        shell = InteractiveShell.instance(config=config)
        shell.run_cell("%load_ext buildflow_nb").raise_error()
        shell.run_cell("from buildflow.io.aws import SQSQueue; print(SQSQueue('x'))").raise_error()
        import sys, buildflow.types.portable
        print(buildflow.types.portable is sys.modules["buildflow_nb.types.portable"])
    """)
    assert "SQSQueue(queue_name='x'" in found.stdout
    assert found.stdout.endswith("True\n")


def test_the_command_brings_it(tmp_path):
    (tmp_path / "main.py").write_text(
        "import sys\n"
        "from buildflow import Flow\n"
        "from buildflow.types.portable import FileFormat\n"
        "from buildflow.io.local import File, Pulse\n"
        "import buildflow_nb.types.portable as ours\n"
        "print(ours is sys.modules['buildflow.types.portable'], file=sys.stderr)\n"
        "app = Flow()\n"
        "@app.consumer(Pulse([{'a': 1}], 1), File('out.csv', FileFormat.CSV))\n"
        "def same(row: dict) -> dict:\n"
        "    return row\n"
    )
    found = subprocess.run(
        [sys.executable, "-m", "buildflow_nb.cli.main", "inspect", "--json"],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "True\n" in found.stderr
    assert '"processor_id": "same"' in found.stdout
