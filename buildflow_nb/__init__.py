"""Build, run, watch and ship a streaming backend without leaving a Jupyter notebook.

Importing this package costs little: whatever is heavy (widgets, HTTP, tables, clouds) is loaded
when it is first used.
"""

from __future__ import annotations

from buildflow_nb.core.declarations import Service, collector, consumer, endpoint
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.flow import Flow

__all__ = (
    "Flow",
    "FlowOptions",
    "Service",
    "__version__",
    "collector",
    "consumer",
    "endpoint",
    "load_ipython_extension",
    "unload_ipython_extension",
)

__version__ = "0.1.0"


def load_ipython_extension(shell: object) -> None:
    """Called by `%load_ext buildflow_nb`."""
    from buildflow_nb.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: object) -> None:
    """Called by `%unload_ext buildflow_nb`."""
    from buildflow_nb.notebook.extension import unload

    unload(shell)
