"""What no program can do is refused by cell and line, and nothing is written then."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import UsageError
from tests.export.notebook import DOUBLE, LOAD, NUMBERS, PLAIN, exported


def refused(folder, *cells, **words):
    """The message; nothing is written."""
    target = folder / "shop"
    with pytest.raises(UsageError) as error:
        exported(target, *cells, **words)
    assert not target.exists()
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_name_that_only_memory_holds(tmp_path):
    message = refused(tmp_path, LOAD, NUMBERS, f"{DOUBLE} * rate + tax")
    assert "'rate' (used in cell [3] line 3)" in message
    assert "'tax' (used in cell [3] line 3)" in message
    assert "define it in a cell" in message


def test_a_name_that_a_cell_of_another_magic_sets(tmp_path):
    message = refused(tmp_path, LOAD, NUMBERS, "%%time\nrate = 2", f"{DOUBLE} * rate")
    assert "'rate' (used in cell [4] line 3; set in cell [3], a cell of %%time)" in message


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("rate = 1\nrate = await iter(rate)", 2),
        ("rate = [x async for x in range(3)]", 1),
        ("\n\nasync with open() as rate: pass", 3),
    ],
)
def test_await_outside_of_functions(tmp_path, cell, line):
    message = refused(tmp_path, LOAD, NUMBERS, cell, f"{DOUBLE} * rate")
    assert message.startswith(f"cell [3] line {line}: await stands outside of any function")


def test_await_inside_of_functions_is_well(tmp_path):
    cell = "import asyncio\nasync def wait():\n    await asyncio.sleep(0)"
    use = "%%buildflow consumer source=numbers\nasync def slow(x: int) -> int:\n    await wait()"
    text, _ = exported(tmp_path, LOAD, NUMBERS, cell, use)
    assert "await wait()" in text


def test_a_magic_inside_of_what_is_needed(tmp_path):
    message = refused(tmp_path, LOAD, NUMBERS, "files = !ls", f"{DOUBLE} + len(files)")
    assert message.startswith("cell [3] line 1: a magic or a command")
    inside = DOUBLE.replace("return", "%time 1\n    return")
    message = refused(tmp_path, LOAD, NUMBERS, inside)
    assert message.startswith("cell [3] line 3: a magic or a command")


def test_a_value_of_the_running_flow(tmp_path):
    cell = "first = app.send('double', 1)"
    message = refused(tmp_path, *PLAIN, cell, DOUBLE.replace("double", "more") + " + first[0]")
    assert message.startswith("cell [4] line 1: the flow needs first, which comes of app.send(…)")
