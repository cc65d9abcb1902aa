"""Cells for exports, and what becomes of them."""

from __future__ import annotations

from buildflow_nb.export import RanCell, export_flow

LOAD = "%load_ext buildflow_nb\nfrom buildflow_nb.io.local.pulse import Pulse"
NUMBERS = "numbers = Pulse(iter(range(3)), 0.001)"
DOUBLE = "%%buildflow consumer source=numbers\ndef double(x: int) -> int:\n    return 2 * x"
PLAIN = (LOAD, NUMBERS, DOUBLE)


def ran(*sources):
    return [RanCell(source, i) for i, source in enumerate(sources, 1)]


def exported(folder, *sources, **words):
    """The text of main.py, and the report."""
    report = export_flow(ran(*sources), folder, **words)
    return (folder / "main.py").read_text(), report


def declared(text):
    """What a program binds and declares when it is imported."""
    names = {"__name__": "main"}
    exec(compile(text, "main.py", "exec"), names)  # noqa: S102  (a program of this very test)
    return names


def written(folder):
    """All that an export wrote, as one text."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return "".join(path.read_text(errors="replace") for path in files)
