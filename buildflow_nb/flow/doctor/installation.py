"""What the doctor looks at in the installation: versions, widgets, extras, engine, autoload."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.flow.doctor.autoload import Startup, StartupFile
from buildflow_nb.infra.pulumi.cli import look_at_engine
from buildflow_nb.local_cloud.emulators import EXTRA

__all__ = ("looks_at_installation",)

PACKAGE = "buildflow-nb"
OLDEST_LAB = 4  # the first whose widgets are packages of Python
RISKY_KERNEL = 7  # the first ipykernel whose loop nest_asyncio 1 breaks
_SHOWN = ("ipykernel", "ipywidgets", "anywidget", "duckdb", "pulumi")
_WIDGETS = {
    "@jupyter-widgets/jupyterlab-manager": "pip install jupyterlab_widgets",
    "anywidget": "pip install anywidget",
}


def looks_at_installation() -> Mapping[str, Callable[[], Iterable[Finding]]]:
    """Each look by its name."""
    return {
        "Python": _python,
        "packages": _packages,
        "JupyterLab": _lab,
        "nest_asyncio": _nest_asyncio,
        "widgets": _widgets,
        "extras": _extras,
        "Pulumi engine": lambda: [look_at_engine()],
        "autoload": _autoload,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _python() -> Iterator[Finding]:
    yield Finding("Python", Health.OK, platform.python_version())
    found = _version(PACKAGE)
    if found is None:
        yield Finding(
            PACKAGE, Health.ERROR, "is not installed, only importable", "pip install buildflow_nb"
        )
    else:
        yield Finding(PACKAGE, Health.OK, found)


def _packages() -> Iterator[Finding]:
    """What we need and others do not bring along, and whatever of it does not fit."""
    from packaging.requirements import Requirement

    for text in metadata.requires(PACKAGE) or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        found = _version(needed.name)
        cure = f"pip install '{needed.name}{needed.specifier}'"
        if found is None:
            yield Finding(needed.name, Health.ERROR, "is not installed", cure)
        elif not needed.specifier.contains(found, prereleases=True):
            said = f"{found}, but {needed.specifier} is needed"
            yield Finding(needed.name, Health.ERROR, said, cure)
        elif needed.name.lower() in _SHOWN:
            yield Finding(needed.name, Health.OK, found)
    python = _version("ipython")  # ipykernel brings it along
    if python is not None:
        yield Finding("ipython", Health.OK, python)


def _lab() -> Iterator[Finding]:
    found = _version("jupyterlab")
    if found is None:
        said = "not in this environment; it may be another's, or another front end"
        yield Finding("JupyterLab", Health.OK, said)
    elif int(found.partition(".")[0]) < OLDEST_LAB:
        cure = "pip install 'jupyterlab>=4'"
        yield Finding("JupyterLab", Health.WARNING, f"{found} is too old for our widgets", cure)
    else:
        yield Finding("JupyterLab", Health.OK, found)


def _nest_asyncio() -> Iterator[Finding]:
    if not hasattr(asyncio, "_nest_patched"):
        yield Finding("nest_asyncio", Health.OK, "is not applied")
        return
    kernel = _version("ipykernel") or "0"
    cure = "restart the kernel, and use `await` in cells instead of asyncio.run"
    if int(kernel.partition(".")[0]) >= RISKY_KERNEL:
        said = f"is applied, and on ipykernel {kernel} it can make queued cells vanish unrun"
        yield Finding("nest_asyncio", Health.ERROR, said, cure)
    else:
        yield Finding("nest_asyncio", Health.WARNING, "is applied: every loop is patched", cure)


def _widgets() -> Iterator[Finding]:
    from jupyter_core.paths import jupyter_path

    places = [Path(place) for place in jupyter_path("labextensions")]
    for name, cure in _WIDGETS.items():
        found = [place for place in places if (place / name / "package.json").is_file()]
        subject = f"labextension {name}"
        if not found:
            said = "not in this environment: live views stay as they were first shown"
            where = f"{cure}, in the environment that JupyterLab itself runs in; then reload it"
            yield Finding(subject, Health.WARNING, said, where)
            continue
        package = json.loads((found[0] / name / "package.json").read_text(encoding="utf-8"))
        yield Finding(subject, Health.OK, f"{package.get('version', '?')} in {found[0]}")


def _extras() -> Iterator[Finding]:
    wanted = {
        "local cloud": (("ministack",), EXTRA),
        "tables": (("pandas",), "pip install 'buildflow_nb[tables]'"),
    }
    for name, (modules, cure) in wanted.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            said = f"not installed ({', '.join(missing)})"
            yield Finding(f"extra {name}", Health.WARNING, said, cure)
        else:
            yield Finding(f"extra {name}", Health.OK, "installed")
    from buildflow_nb.runtime.ray.findings import installed

    ray = installed()
    if ray.health is not Health.OK:  # who does not ask for it does not need it
        ray = Finding(ray.subject, Health.OK, f"not used: {ray.said}", ray.cure)
    yield ray


def _autoload() -> Iterator[Finding]:
    from jupyter_core.paths import jupyter_path

    ways = [f"startup file {path}" for path in _startup_files()]
    for place in jupyter_path("kernels"):
        if (Path(place) / "buildflow" / "kernel.json").is_file():
            ways.append(f"kernel Python (BuildFlow) in {place}")
            break
    said = "; ".join(ways) or "nothing loads us by itself: %load_ext buildflow_nb in a first cell"
    cure = "" if ways else "`buildflow jupyter install`, if kernels are to load it by themselves"
    yield Finding("autoload", Health.OK, said, cure)


def _startup_files() -> Iterator[Path]:
    from IPython.paths import get_ipython_dir

    for folder in sorted(Path(get_ipython_dir()).glob("profile_*/startup")):
        file = StartupFile(folder)
        if file.look() is not Startup.MISSING:
            yield file.path
