"""An extension that loads the extension, for kernels that do so by themselves.

IPython remembers extensions by name, and a notebook's own `%load_ext buildflow_nb` would be told
that there is nothing to do, in lines that then stand in the saved notebook. Loaded by this name,
ours leaves the other one free: `%load_ext buildflow_nb` says nothing and changes nothing.
"""

from __future__ import annotations

__all__ = ("load_ipython_extension", "unload_ipython_extension")


def load_ipython_extension(shell: object) -> None:
    """Load buildflow_nb."""
    from buildflow_nb.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: object) -> None:
    """Unload buildflow_nb."""
    from buildflow_nb.notebook.extension import unload

    unload(shell)
