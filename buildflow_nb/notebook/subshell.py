"""Lets a page's messages be heard while a cell runs, on kernels that have subshells.

JupyterLab (4.4 on) sends the messages of a widget on a subshell of the kernel, a thread beside the
one that runs cells. ipykernel 7.4 overrules that (`Comm._reply_subshell_for`): what a page sends
goes to wherever the kernel last sent to it from. A view is sent to from threads, which count as the
main shell, so every click would wait for the cell that runs. Here the page decides again.
"""

from __future__ import annotations

from typing import Any

__all__ = ("hear_where_sent",)

_ROUTE = "_reply_subshell_for"  # of ipykernel's Comm, 7.4 on; others take the page's word anyway


def hear_where_sent(comm: Any) -> None:
    """Take messages of this comm on the subshell that the page sent them to."""
    if hasattr(comm, _ROUTE):
        setattr(comm, _ROUTE, _as_sent)


def _as_sent(_data: object, sent_to: str | None) -> str | None:
    return sent_to
