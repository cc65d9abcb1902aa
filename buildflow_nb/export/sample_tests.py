"""tests/test_flow.py of an exported project, and the samples that it runs: one for a processor.

A sample is one line of the notebook's latest recording, which replays as it was: the test says
whether the program gives what the notebook gave. No sample is taken of inputs that have secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from buildflow_nb.export.exported_program import ExportedProgram
from buildflow_nb.export.samples import SAMPLES, sample_files

__all__ = ("files_of_tests",)

TEST = "tests/test_flow.py"
_INI = "[pytest]\npythonpath = .\ntestpaths = tests\n"
_DECLARED = '''\
"""The flow declares what the notebook declared{also}."""

{imports}from {module} import {flow}
{samples}

def test_the_flow_is_what_it_was():
    assert sorted({flow}.processors) == {processors}
'''
_SAMPLES = """
SAMPLES = sorted((Path(__file__).parent / "{folder}").glob("*.jsonl"))
"""
_REPLAYED = """

@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_recorded_input_gives_what_it_gave(sample):
    (row,) = {flow}.replay(sample.stem, sample)
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
        processors=_list(sorted(program.processors)),
    )
    if found:
        text += _REPLAYED.format(flow=flow)
    return {"pytest.ini": _INI, TEST: text, **found}


def _list(names: list[str]) -> str:
    """A list as a formatter would leave it."""
    quoted = [f'"{name}"' for name in names]
    short = f"[{', '.join(quoted)}]"
    if len(short) <= _ROOM:
        return short
    return "[\n" + "".join(f"        {name},\n" for name in quoted) + "    ]"


_ROOM = 88 - len("    assert sorted(app.processors) == ")
