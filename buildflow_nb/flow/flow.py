"""`Flow`: collects what a program or a notebook declares, and delegates the verbs.

Declaring is apart from doing (`declaring.py`; `running.py`, `inspecting.py`, `checking.py`,
`provisioning.py`, `resources.py`): a flow is the sum of these over one registry, one stack and at
most one run at a time.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from buildflow_nb.core.config import Config, find_config
from buildflow_nb.core.declaring.identity import caller_of, identity
from buildflow_nb.core.declaring.registry import Registry
from buildflow_nb.core.errors import ConfigError
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.flow.checking import Checking
from buildflow_nb.flow.inspecting import Inspecting
from buildflow_nb.flow.provisioning import Provisioning
from buildflow_nb.flow.resources import Resources

if TYPE_CHECKING:
    from buildflow_nb.runtime.handle import RunHandle

__all__ = ("Flow",)


class Flow(Inspecting, Checking, Resources, Provisioning):
    """A streaming backend: processors, services and the resources that it owns.

    Works anywhere: in a script, a REPL or a kernel, with or without a `buildflow.yaml`. Without a
    `flow_id` it is named by the notebook or the file that makes it (`core/declaring/identity.py`).

    Raises:
        ConfigError: the file, an option or the name of the stack is wrong.
    """

    def __init__(
        self,
        flow_id: str | None = None,
        flow_options: FlowOptions | None = None,
        *,
        options: FlowOptions | None = None,
    ) -> None:
        if flow_id is not None and (not isinstance(flow_id, str) or not flow_id.strip()):
            msg = f"Flow: flow_id must be a name, got {flow_id!r}"
            raise ConfigError(msg)
        chosen = flow_options if flow_options is not None else options
        if chosen is not None and not isinstance(chosen, FlowOptions):
            msg = f"Flow: flow_options must be FlowOptions(...), got {type(chosen).__name__}"
            raise ConfigError(msg)
        self.options = chosen if chosen is not None else FlowOptions()
        self.config: Config = find_config(Path.cwd())
        self.identity = identity(self.config.folder, caller_of())
        self.flow_id = flow_id if flow_id is not None else self.identity
        self.place = self._place(self.options)
        self.stack = self.place.stack.name
        self.registry = Registry(self._changed)
        self.handle: RunHandle | None = None
        self._running = threading.Lock()

    def __repr__(self) -> str:
        snapshot = self.snapshot()
        head = f"Flow {self.flow_id!r} on stack {snapshot.stack_said}: {snapshot.state.value}"
        if not snapshot.processors:
            return f"{head}, no processor yet"
        rows = [
            f"  {p.kind} {p.processor_id}: {p.source} -> {p.sink or '-'}"
            for p in snapshot.processors
        ]
        return "\n".join([head, *rows])
