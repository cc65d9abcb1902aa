"""What `%buildflow panel` may open: every click that only looks is one of these, as a line."""

from __future__ import annotations

from buildflow_nb.commands.command import Option
from buildflow_nb.core.nearest import LOG_LEVELS

__all__ = ("PANEL_OPTIONS",)

PANEL_OPTIONS = (
    Option("open", "the drawer of a processor; * opens the log of all", ("--open",)),
    Option("tab", "a tab of the drawer", ("--tab",)),
    Option("sort", "sort the table by a column", ("--sort",)),
    Option("query", "only processors whose id holds this", ("--query",)),
    Option("only", "only processors that fail, or wait", ("--only",), choices=("fails", "waits")),
    Option("unfold", "every lane of the graph of many processors", ("--unfold",), flag=True),
    Option("fold", "fold a lane of the graph", ("--fold",), many="*"),
    Option("group", "a group of failures: its type and its place", ("--group",)),
    Option("which", "which of the last elements", ("--which",)),
    Option("find", "elements that hold this", ("--find",)),
    Option("trace", "the trace of one element", ("--trace",)),
    Option("span", "how much time a chart shows", ("--span",)),
    Option("level", "log lines of this level and above", ("--level",), choices=LOG_LEVELS),
    Option("text", "log lines that hold this", ("--text",)),
    Option("look", "the page of a resource", ("--look",)),
    Option("prefix", "where in a bucket", ("--prefix",)),
    Option("object", "an object of a bucket", ("--object",)),
)
