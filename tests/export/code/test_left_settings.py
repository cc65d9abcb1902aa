"""What a notebook sets beside its names comes along, or is refused where the flow needs it."""

from __future__ import annotations

import pytest

from buildflow_nb.export.messages import ExportError
from tests.export.notebook import LOAD, NUMBERS, exported

READS = """%%buildflow consumer source=numbers
def rated(x: int) -> float:
    return x * float(os.environ["RATE"])"""
DEFAULTS = """%%buildflow consumer source=numbers
def rated(x: int) -> float:
    return x * float(os.getenv("RATE", "1"))"""
READS_A_FILE = """%%buildflow consumer source=File("orders.csv")
def rated(row: dict) -> dict:
    return row"""
IMPORT = "import os\nfrom buildflow_nb.io.local import File"


def reasons(folder, *cells) -> list[str]:
    with pytest.raises(ExportError) as error:
        exported(folder / "shop", *cells)
    assert not (folder / "shop").exists()
    return error.value.reasons


@pytest.mark.parametrize(
    "line", ["%env RATE=3", "%set_env RATE 3", "%env RATE = 3", "x = 1\n%env RATE=3"]
)
@pytest.mark.parametrize("flow", [READS, DEFAULTS])
def test_a_variable_that_a_magic_sets_and_the_flow_reads_is_refused(tmp_path, line, flow):
    (reason,) = reasons(tmp_path, LOAD, IMPORT, line, NUMBERS, flow)
    assert "%" in reason
    assert "sets RATE, which the flow reads" in reason
    assert "os.environ['RATE'] = …" in reason
    assert "3" not in reason.partition(":")[2]


@pytest.mark.parametrize(
    "line",
    [
        'os.environ["RATE"] = "3"',
        'os.environ.setdefault("RATE", "3")',
        'os.environ.update({"RATE": "3"})',
        'os.environ.update(RATE="3")',
        'os.putenv("RATE", "3")',
        'os.environ |= {"RATE": "3"}',
        'os.environ.pop("RATE", None)',
        'import os as system\nsystem.environ["RATE"] = "3"',
        'from os import environ as e\ne.update(RATE="3")',
        'def setup():\n    os.environ["RATE"] = "3"\nsetup()',
    ],
)
def test_a_variable_that_a_call_sets_comes_along(tmp_path, line):
    main, _ = exported(tmp_path, LOAD, IMPORT, line, NUMBERS, DEFAULTS)
    assert line.splitlines()[-1].partition("(")[0] in main
    assert main.index("RATE") < main.index("def rated")


def test_a_variable_that_only_a_library_may_read_is_told(tmp_path):
    _, report = exported(tmp_path, LOAD, IMPORT, "%env AWS_REGION=eu-west-1", NUMBERS, READS)
    assert any(
        "reads AWS_REGION, set it where the program runs" in said for said in report.warnings
    )


@pytest.mark.parametrize("line", ["%env", "%env RATE", "%matplotlib inline"])
def test_what_sets_nothing_is_dropped_without_a_word(tmp_path, line):
    _, report = exported(tmp_path, LOAD, IMPORT, line, NUMBERS, DEFAULTS)
    assert not any("stays behind" in said for said in report.warnings)


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%time os.environ['RATE'] = '3'", 1),
        ("%%time\nx = 1\nos.environ['RATE'] = '3'", 3),
        ("%%capture\n%env RATE=3", 2),
    ],
)
def test_a_variable_that_is_set_under_another_magic_is_refused(tmp_path, cell, line):
    (reason,) = reasons(tmp_path, LOAD, IMPORT, cell, NUMBERS, READS)
    assert reason.startswith(f"cell [3] line {line}: ")
    assert "sets RATE, which the flow reads" in reason


@pytest.mark.parametrize(
    "cell",
    ["%%writefile orders.csv\na", "%%writefile -a ./orders.csv\na", "%%file 'orders.csv'\na"],
)
def test_a_file_that_a_cell_is_written_to_is_refused(tmp_path, cell):
    (reason,) = reasons(tmp_path, LOAD, IMPORT, cell, READS_A_FILE)
    assert reason.startswith("cell [3] line 1: %%")
    assert "writes 'orders.csv', which the flow names" in reason


@pytest.mark.parametrize(
    "cell",
    [
        "!echo a > orders.csv",
        "%%bash\necho a >orders.csv",
        "open('orders.csv', 'w').write('a')",
        "from pathlib import Path\nPath('orders.csv').write_text('a')",
        "import pandas as pd\npd.DataFrame().to_csv('orders.csv')",
        "files = !cp all.csv orders.csv",
    ],
)
def test_a_file_that_may_be_written_by_what_stays_behind_is_told(tmp_path, cell):
    _, report = exported(tmp_path / "shop", LOAD, IMPORT, cell, READS_A_FILE)
    assert any("may write 'orders.csv', which the flow names" in said for said in report.warnings)


@pytest.mark.parametrize(
    "cell", ["%%writefile other.csv\na", "open('orders.csv').read()", "!cat all.csv > other.csv"]
)
def test_other_files_are_no_matter(tmp_path, cell):
    _, report = exported(tmp_path / "shop", LOAD, IMPORT, cell, READS_A_FILE)
    assert not any("write" in said for said in report.warnings)


@pytest.mark.parametrize(
    "line", ["%cd data", "%pushd data", 'os.chdir("data")', 'import os as s\ns.chdir("data")']
)
def test_a_folder_that_relative_paths_depend_on_is_refused(tmp_path, line):
    (reason,) = reasons(tmp_path, LOAD, IMPORT, line, READS_A_FILE)
    assert "changes the folder in which 'orders.csv' is looked for" in reason


def test_a_folder_that_no_path_depends_on_is_dropped(tmp_path):
    exported(tmp_path, LOAD, IMPORT, "%cd ..", NUMBERS, DEFAULTS)
    exported(tmp_path / "late", LOAD, IMPORT, READS_A_FILE, "%cd ..")


def test_variables_of_a_file_are_told(tmp_path):
    _, report = exported(tmp_path, LOAD, IMPORT, "%dotenv", NUMBERS, DEFAULTS)
    assert any("%dotenv stays behind" in said for said in report.warnings)
