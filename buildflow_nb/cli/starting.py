"""`buildflow init`: a project that runs at once, written where nothing is in the way.

Its files are in `project/`, as they are written but for their names and three words in them. What
is there already is never written over: a README.md or a .gitignore stays, anything else is refused
before the first file is written, and files of an attempt that fails are taken away again.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.core.errors import InfraError, UsageError

__all__ = ("init", "package_name")

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_KEPT = ("README.md", ".gitignore")
_OURS = ("main", "tests", "data", "buildflow", "buildflow_nb")
_DATA = ".txt"  # the ending under which files lie that a tool would take for our own


def init(values: Mapping[str, Any], terminal: Terminal) -> None:
    """Write a project.

    Raises:
        UsageError: the name is none, nobody can be asked for it, or something is in the way.
        InfraError: a file cannot be written.
    """
    folder = Path(values["directory"])
    app = _name(values["app"] or _asked(folder))
    files = _files(app)
    kept = [name for name in _KEPT if (folder / name).exists()]
    there = [name for name in files if name not in kept and (folder / name).exists()]
    if there:
        msg = (
            f"init: {folder.absolute()} has {', '.join(sorted(there))} already, and nothing is "
            "written over; choose an empty folder by --directory"
        )
        raise UsageError(msg)
    wanted = {name: text for name, text in files.items() if name not in kept}
    _write(folder, wanted)
    at = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    rows = [f"wrote {app} into {folder.absolute()}: {', '.join(sorted(wanted))}"]
    rows += [f"left as it was: {', '.join(kept)}"] if kept else []
    rows += [f"run it by: {at}buildflow run"]
    document = {"app": app, "folder": folder.absolute(), "files": sorted(wanted), "kept": kept}
    terminal.give(document, "\n".join(rows))


def _asked(folder: Path) -> str:
    """The name that a person gives; that of the folder is offered."""
    if not sys.stdin.isatty():
        msg = "init: the app needs a name, and nobody can be asked here; add --app NAME"
        raise UsageError(msg)
    offered = _slug(folder.resolve().name)
    sys.stderr.write(f"Name of the app{f' [{offered}]' if offered else ''}: ")
    sys.stderr.flush()
    said = sys.stdin.readline()
    if not said:
        msg = "init: the app needs a name; add --app NAME"
        raise UsageError(msg)
    return said.strip() or offered


def _name(app: str) -> str:
    if not _NAME.fullmatch(app):
        like = _slug(app) or "my-app"
        msg = (
            f"init: {app!r} is no name of an app; use up to 63 small letters, digits, '-' and '_', "
            f"a letter first, like {like!r}"
        )
        raise UsageError(msg)
    return app


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_").lstrip("0123456789-_")[:63]


def package_name(app: str) -> str:
    """The name of the app's package: one that hides no other module."""
    name = app.replace("-", "_")
    taken = name in _OURS or keyword.iskeyword(name) or name in sys.stdlib_module_names
    if taken or importlib.util.find_spec(name) is not None:
        return f"{name}_app"
    return name


def _files(app: str) -> dict[str, str]:
    """Every file by its name in the project."""
    package = package_name(app)
    words = {
        "{{app}}": app,
        "{{package}}": package,
        "{{version}}": metadata.version("buildflow-nb"),
    }
    places = {"package": package, "gitignore": ".gitignore", "notebook.ipynb": f"{app}.ipynb"}
    found: dict[str, str] = {}

    def read(place: Traversable, inner: str) -> None:
        for one in place.iterdir():
            name = one.name.removesuffix(_DATA)
            name = f"{inner}{places.get(name, name)}"
            if one.is_dir():
                read(one, f"{name}/")
                continue
            text = one.read_text(encoding="utf-8")
            for word, value in words.items():
                text = text.replace(word, value)
            found[name] = text

    read(resources.files("buildflow_nb.cli") / "project", "")
    return found


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """All of them or none."""
    written: list[Path] = []
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        msg = f"init: {folder.absolute()} cannot be written: {error.strerror}; choose --directory"
        raise InfraError(msg) from error
