"""The cells to export, in the notebook's order: of a kernel, of a saved file, or of both.

Of both, the file says in which order cells stand, and the kernel what was run. A cell is known by
its id, else by an equal text, else by what it defines (a front end may give the kernel other ids
than the file has). Then:

- a cell whose text differs is exported as it ran;
- a cell of the file that never ran is not part of what runs, and stays behind;
- a cell that ran and is not in the file was deleted, and stays behind, if it ran before the file
  was saved; otherwise it is newer than the file, or that cannot be told, and is exported after the
  cell that ran before it.

Each of these is said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from buildflow_nb.export.cells.headings import Heading, headings_in
from buildflow_nb.export.cells.marks import mark_of, tag_of, unmarked
from buildflow_nb.export.cells.matching import defined_in, matched, plain
from buildflow_nb.export.cells.ran_cell import RanCell, label_of
from buildflow_nb.export.cells.saved import SavedCell, SavedNotebook
from buildflow_nb.export.messages import Messages
from buildflow_nb.export.report import LeftOut

__all__ = ("Cell", "Document", "document_of")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell to export: `run` is its number in the kernel, `mark` what a person said of it.

    `section` is the place of its headings in the document's sections.
    """

    source: str
    label: str
    run: int | None = None
    mark: str = ""
    section: int = 0


@dataclass(slots=True)
class Document:
    """Cells in order; `lost` says of names in which cell that stays behind they are set."""

    cells: list[Cell] = field(default_factory=list)
    sections: list[tuple[Heading, ...]] = field(default_factory=lambda: [()])
    title: str = ""
    left_out: list[LeftOut] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)


def document_of(
    cells: Sequence[RanCell], saved: SavedNotebook | None, findings: Messages
) -> Document:
    """Put the cells in order, and say where a file and a kernel differ."""
    ran = [cell for cell in cells if not cell.failed]
    found = _document_of(ran, saved, findings)
    refuse_failed(
        _failed(cells, saved), [(cell.label, cell.source) for cell in found.cells], findings
    )
    return found


def _failed(cells: Sequence[RanCell], saved: SavedNotebook | None) -> Iterator[tuple[str, str]]:
    """Cells that failed, with their labels; of a file, those that are still in there."""
    there = {cell.cell_id for cell in saved.cells} if saved is not None else set()
    texts = {plain(cell.source) for cell in saved.cells} if saved is not None else set()
    failed = [cell for cell in cells if cell.failed]
    for cell in failed:
        if saved is None or cell.cell_id in there - {None} or plain(cell.source) in texts:
            yield cell.label, cell.source
    if saved is not None and not any(not cell.failed for cell in cells):
        code = [cell for cell in saved.cells if cell.kind == "code"]
        for label, one in zip(_labels(code), code, strict=True):
            if one.failed:
                yield label, one.source


def _document_of(
    ran: Sequence[RanCell], saved: SavedNotebook | None, findings: Messages
) -> Document:
    for cell in ran:
        if cell.failed_since:
            findings.warn(
                f"{cell.label} failed when it ran last; its source before that is exported"
            )
    if saved is None:
        return Document([Cell(c.source, c.label, c.number, mark_of(c.source)) for c in ran])
    found = Document()
    code, places = _sections(found, saved)
    pairs = matched(code, ran)
    if not pairs:
        if ran:
            findings.warn(
                f"no cell of {saved.path.name} ran in this kernel: exported as it is saved"
            )
        _alone(found, code, places, findings)
        return found
    _together(found, saved, ran, _Pairing(code, places, pairs), findings)
    return found


@dataclass(frozen=True, slots=True)
class _Pairing:
    code: list[SavedCell]
    sections: list[int]
    pairs: dict[int, int]  # of a cell of code in the file to one that ran


def _sections(found: Document, saved: SavedNotebook) -> tuple[list[SavedCell], list[int]]:
    """The cells of code, and the section of each; fills in headings and title."""
    code: list[SavedCell] = []
    places: list[int] = []
    waiting: list[Heading] = []
    every = [h for c in saved.cells if c.kind == "markdown" for h in headings_in(c.source)]
    top = [heading for heading in every if heading.level == 1]
    title = top[0] if len(top) == 1 and every[0] is top[0] else None
    found.title = "" if title is None else title.text
    for cell in saved.cells:
        if cell.kind == "markdown":
            waiting += headings_in(cell.source)
        elif cell.kind == "code":
            if waiting:
                kept = [h for h in waiting if title is None or h.level > 1]
                found.sections.append(tuple(kept))
                waiting = []
            code.append(cell)
            places.append(len(found.sections) - 1)
    return code, places


def _alone(
    found: Document, code: Sequence[SavedCell], places: Sequence[int], findings: Messages
) -> None:
    labels = _labels(code)
    found.cells = [
        Cell(c.source, labels[i], c.number, _mark(c), places[i]) for i, c in enumerate(code)
    ]
    never = [labels[i] for i, c in enumerate(code) if c.number is None and not _only_magics(c)]
    if never and any(c.number is not None for c in code):
        findings.warn(f"never run when the file was saved, and exported: {', '.join(never)}")


def _labels(code: Sequence[SavedCell]) -> list[str]:
    """Numbers in brackets, with the place in the file where they are not one cell's alone."""
    counts = Counter(cell.number for cell in code)
    return [
        label_of(c.number) if c.number is not None and counts[c.number] == 1 else c.label
        for c in code
    ]


def _together(
    found: Document,
    saved: SavedNotebook,
    ran: Sequence[RanCell],
    pairing: _Pairing,
    findings: Messages,
) -> None:
    never: list[str] = []
    for at, cell in enumerate(pairing.code):
        if at not in pairing.pairs:
            never += _never(found, cell)
            continue
        its = ran[pairing.pairs[at]]
        if plain(cell.source) != plain(its.source):
            findings.warn(_edited(its, saved))
        mark = _mark(cell) or mark_of(its.source)
        found.cells.append(Cell(its.source, its.label, its.number, mark, pairing.sections[at]))
    if never:
        what = "they stay behind" if len(never) > 1 else "it stays behind"
        text = f"never ran well in this kernel, so {what}: {', '.join(never)}"
        findings.warn(f"{text}; run what the flow needs")
    _add_others(found, saved, [ran[i] for i in _others(ran, pairing)], findings)


def _never(found: Document, cell: SavedCell) -> list[str]:
    """Leave a cell behind that never ran; its label, if that matters."""
    if _only_magics(cell):
        return []
    label, why = cell.label, "never ran in this kernel"
    lines = [line for line in unmarked(cell.source).split("\n") if line.strip()]
    at = cell.source.split("\n").index(lines[0]) + 1
    found.left_out.append(LeftOut(label, at, lines[0].strip(), why))
    for name in defined_in(cell.source):
        found.lost[name] = f"set in {label}, which {why}"
    return [label]


def _only_magics(cell: SavedCell) -> bool:
    lines = [line.strip() for line in cell.source.split("\n") if line.strip()]
    return all(line.startswith(("%", "!", "#")) and line[:11] != "%%buildflow" for line in lines)


def _edited(its: RanCell, saved: SavedNotebook) -> str:
    if its.at is None:
        return f"{its.label} is another one in {saved.path.name}; what ran is exported"
    if its.at <= saved.at:
        return (
            f"{its.label} was edited since it ran; what ran is exported, run it to export the new"
        )
    return f"{its.label} ran after {saved.path.name} was saved; what ran is exported"


def _others(ran: Sequence[RanCell], pairing: _Pairing) -> list[int]:
    """Cells that ran and are not in the file, but for repeats of cells without an id."""
    taken = set(pairing.pairs.values())
    texts = {plain(ran[at].source) for at in taken}
    return [
        at
        for at, cell in enumerate(ran)
        if at not in taken and not (cell.cell_id is None and plain(cell.source) in texts)
    ]


def _add_others(
    found: Document, saved: SavedNotebook, others: Sequence[RanCell], findings: Messages
) -> None:
    deleted: list[str] = []
    for cell in others:
        if cell.at is not None and cell.at <= saved.at:
            first = next((n for n in cell.source.split("\n") if n.strip()), "")
            why = f"deleted from {saved.path.name}"
            found.left_out.append(LeftOut(cell.label, 1, first.strip(), why))
            for name in defined_in(cell.source):
                found.lost.setdefault(name, f"set in {cell.label}, which was {why}")
            deleted.append(cell.label)
            continue
        at = _place(found, cell)
        section = found.cells[at - 1].section if at else 0
        found.cells.insert(
            at, Cell(cell.source, cell.label, cell.number, mark_of(cell.source), section)
        )
        findings.warn(f"{cell.label} ran and is not in {saved.path.name}; it is exported")
    if deleted:
        text = f"ran, but not in {saved.path.name} when it was saved: {', '.join(deleted)}"
        findings.warn(f"{text}; what is deleted is not exported")


def _place(found: Document, cell: RanCell) -> int:
    """Right after the cell that ran before it."""
    before = [
        (other.run, at)
        for at, other in enumerate(found.cells)
        if other.run is not None and cell.number is not None and other.run < cell.number
    ]
    return max(before)[1] + 1 if before else len(found.cells) if cell.number is None else 0


def _mark(cell: SavedCell) -> str:
    return mark_of(cell.source) or tag_of(cell.tags)


# Cells that declare a part of the flow, and failed: the program would lack it without a word.
# What such a cell declared is not in the flow either, since a cell's declarations hold only when
# all of it has run. Another cell that declares the same is its mended version.

_DECLARES = re.compile(
    r"^[ \t]*(?:%%buildflow\b|@?app\.(?:consumer|collector|endpoint|service|manage|on_startup"
    r"|on_shutdown|exception_handler|middleware|add_\w+)\b)",
    re.M,
)
_ADDED = re.compile(r"\bapp\.(?:manage|add_\w+)\s*\(\s*(\w+)")


def refuse_failed(
    failed: Iterable[tuple[str, str]], exported: Sequence[tuple[str, str]], findings: Messages
) -> None:
    """Refuse cells, told by label and source, that failed and declare what no other one does."""
    for label, source in failed:
        others = [_declared(other) for name, other in exported if name != label]
        found, declared = _DECLARES.search(source), _declared(source)
        if found is None or (declared and declared <= frozenset().union(*others)):
            continue
        line = source.count("\n", 0, found.start()) + 1
        findings.refuse(
            f"{label} line {line}: the cell declares a part of the flow and failed when it ran "
            "last, so that part is not there; mend it and run it, or delete it"
        )


def _declared(source: str) -> frozenset[str]:
    """What a cell that declares defines, or hands to the flow."""
    if _DECLARES.search(source) is None:
        return frozenset()
    return defined_in(source) | frozenset(_ADDED.findall(source))
