"""What a job runs: the project's files in one zip, named after what is in it.

It holds what a build holds, without the databases, notebooks and keys that lie beside the program:
whoever reaches the cluster can read it. A package of the same name is there already, and is not
sent again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buildflow_nb.cli.packing import LEFT_OUT, files_of, pack, spec_of
from buildflow_nb.core.config import FILE_NAME
from buildflow_nb.core.errors import UsageError

__all__ = ("MOST_BYTES", "Package", "packaged")

MOST_BYTES = 100 * 10**6  # of all files; Ray's server takes 100 * 2**20 in one request
_BESIDE = ("*.duckdb", "*.duckdb.wal", "*.ipynb", "*.pem", "*.key", ".netrc", ".aws/", ".ssh/")
_MB = 10**6


@dataclass(frozen=True, slots=True)
class Package:
    """A zip and its name; `files` says how many it holds."""

    name: str
    files: int
    data: bytes = field(repr=False)

    @property
    def uri(self) -> str:
        """What a job calls it by."""
        return f"gcs://{self.name}"


def packaged(folder: Path, ignores: Sequence[str]) -> Package:
    """Pack the project in `folder`, without what `ignores` names as in .gitignore.

    Raises:
        UsageError: it is too big, or a pattern is none.
        OSError: a file cannot be read.
    """
    names = list(files_of(folder, spec_of([*LEFT_OUT, *_BESIDE, *ignores])))
    sizes = {name: (folder / name).stat().st_size for name in names}
    total = sum(sizes.values())
    if total > MOST_BYTES:
        biggest = max(sizes, key=sizes.__getitem__)
        msg = (
            f"the files of {folder} are {total / _MB:,.0f} MB, and a job takes {MOST_BYTES // _MB} "
            f"MB; the biggest is {biggest} ({sizes[biggest] / _MB:,.0f} MB): leave out what the "
            f"program does not need by build_ignores in {FILE_NAME}"
        )
        raise UsageError(msg)
    file = io.BytesIO()
    pack(file, folder, names, {})
    data = file.getvalue()
    return Package(f"_ray_pkg_{hashlib.sha256(data).hexdigest()[:40]}.zip", len(names), data)
