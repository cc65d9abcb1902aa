"""Damaged input for every parser of a person's file or line, and of a document of our own.

Each parser is handed whole inputs of its kind that were changed by chance: bytes turned over, cut
off, repeated, nested, put together from parts that are odd. It may take what it is given, or refuse
it by one of our own errors, in one line that a terminal shows as it is. Anything else is a fault:
another exception, a line feed or a control character in what is said, a page of text.
"""

from __future__ import annotations

import io
import random
import shutil
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from buildflow_nb.cli.building import unpacked
from buildflow_nb.commands.magic_syntax import cell_source
from buildflow_nb.commands.parsing import parse
from buildflow_nb.core.config import find_config
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.position import Position
from buildflow_nb.core.project_folder import PRIVATE
from buildflow_nb.infra.pulumi.passphrase import passphrase
from buildflow_nb.local_cloud.client import cloud_status
from buildflow_nb.local_cloud.left_behind import end_left
from buildflow_nb.local_cloud.ports import Ports
from buildflow_nb.local_cloud.record import local_folder
from buildflow_nb.local_cloud.storage.kept_file import KeptFile
from tests.faults.tally import Tally

__all__ = ("PARSERS", "fuzzed", "odd")

LONGEST = 1_000  # letters of what is said
SHOWN = 200  # bytes of an input that is a fault
DEEP = 3_000  # far more than any parser goes down

YAML = b"""app: shop
entry_point: main:app
build_ignores: [a, "b*"]
pulumi_config:
  default_stack: &name local
  stacks:
    - {name: *name, cloud: local}
    - name: prod
      backend_url: s3://states
cloud_provider_config:
  default_cloud_provider: gcp
  gcp_options: {default_project_id: p}
"""
LINES = (
    "consumer source=orders, sink=table, num_threads=4",
    'collector "/collect/{x}", "POST", sink=File("a.jsonl")',
    "endpoint '/worst', 'GET' # a comment",
)
COMMANDS = ("run --until drained --timeout 5m", "send price {'a': [1]}", "record price 100 --to x")
RECORD = (
    b'{"format": "2 buildflow_nb.local_cloud", "process": {"pid": 1, "began": 1.5}'
    b', "endpoints": {"sqs": "http://127.0.0.1:1"}'
    b', "providers": {"aws": 1}, "children": [{"pid": 1, "began": 2.5}], "aws": 1234}'
)
ODDITIES = (
    b"\x00", b"\x1b[31m", b"\xff\xfe", b"\xed\xa0\x80", b"-1", b"\xe2\x80\xa8", b"\r\n\t", b"'\"`",
    b"&a *a", b"<<: ", b"!!python/object:os.system ", b"%YAML 9\n", b"---\n", b"\\ud800", b"1e400",
    b"9" * 5_000, b"[" * DEEP, b"{" * DEEP, b"- " * DEEP, b"not " * DEEP, b"(" * DEEP, b"../" * 9,
    b"PK\x03\x04", b"null", b"true", b"2024-01-01", b"\\N{x}", b"f'{", b"lambda:" * DEEP,
    b"a" * 9_999,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parser:
    """What is read, whole inputs of it, and how: in a folder made for one input."""

    whole: Callable[[], tuple[bytes, ...]]
    read: Callable[[bytes, Path], object]


def odd(data: bytes, rng: random.Random) -> bytes:
    """An input with a few changes by chance."""
    for _ in range(rng.randint(1, 4)):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        change = rng.randrange(6)
        if change == 0 and data:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif change == 1:
            data = data[:at]
        elif change == 2:
            data = data[:to] + data[at:]
        elif change == 3:
            data = data[:at] + data[to:]
        else:
            data = data[:at] + rng.choice(ODDITIES) + data[at:]
    return data


def text_of(data: bytes) -> str:
    """Text with halves of characters in it, as the clipboard and notebooks can have them."""
    return data.decode("utf-8", "surrogateescape")


def _config(data: bytes, folder: Path) -> None:
    (folder / "buildflow.yaml").write_bytes(data)
    config = find_config(folder)
    config.stack(None)


def _magic(data: bytes, _: Path) -> None:
    line, _, body = text_of(data).partition("\n")
    with suppress(SyntaxError):  # of a body that is no Python, as IPython shows it
        cell_source(line, body or "def f(x): ...\n")


def _zip() -> tuple[bytes, ...]:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.py"), "x = 1\n" * 40, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("steps/one.py"), "x", zipfile.ZIP_LZMA)
        archive.writestr(zipfile.ZipInfo("steps/two.py"), "x", zipfile.ZIP_BZIP2)
    return (made.getvalue(),)


def _build(data: bytes, folder: Path) -> None:
    (folder / "a.flow").write_bytes(data)
    try:
        unpacked(folder / "a.flow", str(folder / "out"))
    finally:
        assert {path.name for path in folder.iterdir()} <= {"a.flow", "out"}, "nothing outside"


def _documents(data: bytes, folder: Path) -> None:
    place = local_folder(folder)
    place.mkdir(parents=True)
    for name in ("lock", "cloud.json", "children.json", "ports.json", "storage.json"):
        (place / name).write_bytes(data)
    (place / "leases").mkdir()
    (place / "leases" / "1").write_bytes(data)
    cloud_status(folder)
    end_left(place)
    ports = Ports(place)
    ports.choose(("aws", "pubsub"))
    ports.let_go()
    KeptFile(place / "storage.json").read()
    position = Position(folder / PRIVATE / "positions", "x")
    position.write(1)
    position.path.write_bytes(data)
    position.read()


def _passphrase(data: bytes, folder: Path) -> None:
    (folder / PRIVATE).mkdir()
    (folder / PRIVATE / "passphrase").write_bytes(data)
    passphrase(folder / PRIVATE, {})


PARSERS: Mapping[str, Parser] = {
    "config": Parser(lambda: (YAML,), _config),
    "magic": Parser(lambda: tuple(line.encode() for line in LINES), _magic),
    "command": Parser(
        lambda: tuple(line.encode() for line in COMMANDS), lambda data, _: parse(text_of(data))
    ),
    "build": Parser(_zip, _build),
    "documents": Parser(lambda: (RECORD,), _documents),
    "passphrase": Parser(lambda: (b"a passphrase\n",), _passphrase),
}


def fuzzed(name: str, count: int, rng: random.Random, folder: Path) -> Tally:
    """Hand a parser so many inputs; those that it neither takes nor refuses well are lost."""
    parser = PARSERS[name]
    whole = parser.whole()
    fine: list[int] = []
    for number in range(count):
        data = odd(rng.choice(whole), rng)
        place = folder / f"{name}-{number}"
        place.mkdir()
        fault = _fault(parser, data, place)
        if fault:
            print(f"{name}: {fault}: {data[:SHOWN]!r}", flush=True)
        else:
            fine.append(number)
        shutil.rmtree(place)
    return Tally.of(f"parser {name}", 0, range(count), fine, allowed=0)


def _fault(parser: Parser, data: bytes, folder: Path) -> str:
    """What a parser does that it must not, or ""."""
    try:
        parser.read(data, folder)
    except BuildFlowError as error:
        said = str(error)
        if len(said) > LONGEST:
            return f"says {len(said)} letters"
        return "" if said.isprintable() else f"says {said!r}"
    except Exception as error:  # noqa: BLE001  (that is what is looked for)
        return f"raises {type(error).__name__}: {str(error)[:LONGEST]!r}"
    return ""
