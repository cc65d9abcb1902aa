"""Files that a person chose in a form: kept in the project's own folder, named by their path.

A line can say a path, and not what is in a file. So a file is written before the line that the form
stands for is made, and that line can be run again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.declaring.http_binding import plan_binding
from buildflow_nb.core.declaring.parameter_marks import ParameterSource
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.project_folder import make_private, private_folder, write_whole

__all__ = ("MOST_BYTES", "kept", "with_files")

MOST_BYTES = 16 * 2**20  # of one file: it comes through the kernel's messages
FOLDER = "uploads"


def kept(project: Path, chosen: Mapping[str, Any]) -> str:
    """Where a chosen file (its `name`, and its `data` in base64) is now, from the project's folder.

    One that was chosen before under the same name is replaced.

    Raises:
        UsageError: it is too large, damaged, has no name, or cannot be written.
    """
    said = str(chosen.get("name", "")).replace("\\", "/").rpartition("/")[2]
    name = "".join(one for one in said if one.isprintable()).strip()
    if name in ("", ".", ".."):
        msg = "the chosen file has no name"
        raise UsageError(msg)
    text = str(chosen.get("data", ""))
    if len(text) > MOST_BYTES * 4 // 3 + 4:
        msg = f"{name} is longer than {MOST_BYTES // 2**20} MiB; send it over HTTP instead"
        raise UsageError(msg)
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        msg = f"{name} came damaged; choose it again"
        raise UsageError(msg) from error
    try:
        folder = make_private(private_folder(project) / FOLDER)
        write_whole(folder / name, data)
    except OSError as error:
        msg = f"{name} cannot be kept: {error.strerror or error}"
        raise UsageError(msg) from error
    return (folder / name).relative_to(project).as_posix()


def with_files(spec: ProcessorSpec, element: object, project: Path) -> object:
    """The element of a line with the files that it names: a text for a file is its path."""
    if isinstance(spec, ConsumerSpec) or not isinstance(element, Mapping):
        return element
    slots = {slot.name: slot for slot in plan_binding(spec).at(ParameterSource.FILE)}
    found = dict(element)
    for name in slots.keys() & found.keys():
        given = found[name]
        several = isinstance(given, list)
        paths = [
            project / Path(one).expanduser() if isinstance(one, str) else one
            for one in (given if several else [given])
        ]
        found[name] = paths if several else paths[0]
    return found
