"""tests/test_flow.py of an exported project, and the samples that it runs: one for a processor.

A sample is one line of the notebook's latest recording, which replays as it was: the test says
whether the program gives what the notebook gave. No sample is taken of inputs that have secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from buildflow_nb.export.project.samples import SAMPLES, sample_files
from buildflow_nb.export.report import ExportedProgram

__all__ = ("files_of_tests",)

TEST = "tests/test_flow.py"
_WIDTH = 88  # a formatter's, where nobody has set another
_INI = "[pytest]\npythonpath = .\ntestpaths = tests\n"
_SETTING = "tests/conftest.py"
_UNSET = '''\
"""The tests need no real secret: what is not set is set to a word."""

import os

for name in {names}:
    os.environ.setdefault(name, "not-set")
'''
_DECLARED = '''\
"""The flow declares what the notebook declared{also}."""

{imports}from {module} import {flow}
{samples}

def test_the_flow_declares_what_it_did():
{check}
'''
_SAMPLES = """
SAMPLES = sorted((Path(__file__).parent / "{folder}").glob("*.jsonl"))
"""
_REPLAYED = """

@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_recorded_input_gives_what_it_gave(sample):
    (row,) = {flow}.replay(sample.stem, sample)
    (again,) = {flow}.replay(sample.stem, sample)
    if not row.same and not row.error and row.new != again.new:
        pytest.skip(f"{{sample.stem}} gives another result each time")
    if row.error and {flow}.processors[sample.stem].kind == "endpoint":
        pytest.skip(f"it answers from what it reads, and that is not here: {{row.error}}")
    assert row.same, f"{{row.input!r}} gave {{row.old!r}}, now {{row.error or row.new!r}}"
"""


def files_of_tests(
    program: ExportedProgram, samples: Path | None, *, hidden: Sequence[str] = ()
) -> dict[str, str | bytes]:
    """The test, its settings, and the samples, by their paths."""
    found = sample_files(program, samples, hidden=hidden)
    module, _, flow = program.entry_point.partition(":")
    text = _DECLARED.format(
        also=", and each processor gives what it gave" if found else "",
        imports="from pathlib import Path\n\nimport pytest\n\n" if found else "",
        module=module,
        flow=flow,
        samples=_SAMPLES.format(folder=Path(SAMPLES).name) if found else "",
        check=_check(flow, sorted(program.processors)),
    )
    if found:
        text += _REPLAYED.format(flow=flow)
    return {"pytest.ini": _INI, **_environment(program), TEST: text, **found}


def _check(flow: str, names: list[str]) -> str:
    """What must be there: code may declare more than can be told without running it."""
    if not names:
        state = f"{flow}.flowstate()"
        return f"    assert {state}.processor_group_states or {state}.primitive_states"
    first = "    missing = "
    rest = f" - set({flow}.processors)"
    told = _list(names, f"{first}{rest}", 4)
    return f"{first}{{{told[1:-1]}}}{rest}\n    assert not missing"


def _environment(program: ExportedProgram) -> dict[str, str | bytes]:
    """What lets a program be imported that reads secrets."""
    names = sorted(set(program.secrets))
    return {_SETTING: _UNSET.format(names=_list(names, "for name in :", 0))} if names else {}


def _list(names: list[str], line: str, indent: int) -> str:
    """A list as a formatter would leave it, in a line that has so much beside it."""
    quoted = [f'"{name}"' for name in names]
    short = f"[{', '.join(quoted)}]"
    if len(line) + len(short) <= _WIDTH:
        return short
    inner = " " * (indent + 4)
    return "[\n" + "".join(f"{inner}{name},\n" for name in quoted) + " " * indent + "]"
