"""Build, run, watch and ship a streaming backend without leaving a Jupyter notebook.

Importing this package costs next to nothing: a name is loaded when it is first asked for, and what
is heavy (widgets, HTTP, tables, clouds) when it is first used. So `buildflow --help` is there at
once, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buildflow_nb.core.declaring.declarations import Service, collector, consumer, endpoint
    from buildflow_nb.core.options import FlowOptions
    from buildflow_nb.core.status.thresholds import Thresholds
    from buildflow_nb.flow import Flow

__all__ = (
    "Flow",
    "FlowOptions",
    "Service",
    "Thresholds",
    "__version__",
    "collector",
    "consumer",
    "endpoint",
    "load_ipython_extension",
    "unload_ipython_extension",
)

__version__ = "0.1.0"

_HOMES = {
    "Flow": "flow",
    "FlowOptions": "core.options",
    "Service": "core.declaring.declarations",
    "Thresholds": "core.status.thresholds",
    "collector": "core.declaring.declarations",
    "consumer": "core.declaring.declarations",
    "endpoint": "core.declaring.declarations",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: object) -> None:
    """Called by `%load_ext buildflow_nb`."""
    from buildflow_nb.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: object) -> None:
    """Called by `%unload_ext buildflow_nb`."""
    from buildflow_nb.notebook.extension import unload

    unload(shell)
