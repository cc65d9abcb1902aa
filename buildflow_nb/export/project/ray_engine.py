"""Whether an exported flow works in replicas on Ray, by what its code and its stacks say.

What a flow's options say comes before the stack's word, as in a run; without running the code only
an engine that is written out is known. The program is read as text.
"""

from __future__ import annotations

import ast
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from buildflow_nb.core.config import Config, Stack
from buildflow_nb.core.engine_choice import RAY
from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.report import ExportedProgram

__all__ = ("RayEngine", "ray_engine_of")

_ROUTES = {"collector", "endpoint"}


@dataclass(frozen=True, slots=True)
class RayEngine:
    """A flow's Ray; `version` and `python` are this machine's, and then those of a whole cluster.

    `stack` is the one that it is used on, which `named` says where it is not the default one.
    `routes` tells whether the flow serves requests.
    """

    version: str
    python: str
    stack: Stack
    named: bool
    routes: bool

    @property
    def requirement(self) -> str:
        """Its line in requirements.txt."""
        return f"ray=={self.version}"

    @property
    def with_jobs(self) -> str:
        """The same for an image, in which a cluster's head takes jobs."""
        return f"ray[default]=={self.version}"


def ray_engine_of(program: ExportedProgram, config: Config) -> RayEngine | None:
    """The flow's Ray, if it works on one.

    Raises:
        UsageError: it does, and Ray is not installed here.
    """
    stack = _stack(_said(program.modules), config)
    if stack is None:
        return None
    try:
        found = version("ray")
    except PackageNotFoundError:
        msg = (
            "the flow's engine is ray, and Ray is not installed here; pip install "
            "'buildflow_nb[ray]', so that the export can say of which version it is"
        )
        raise UsageError(msg) from None
    named = stack.name != config.default_stack
    return RayEngine(found, platform.python_version(), stack, named, _serves(program.modules))


def _stack(said: str | None, config: Config) -> Stack | None:
    """The stack on which the flow works on Ray: the default one, else the first that says so."""
    first = config.stacks[config.default_stack]
    if said is not None:
        return first if said == RAY else None
    return next((one for one in (first, *config.stacks.values()) if one.engine == RAY), None)


def _said(modules: Mapping[str, str]) -> str | None:
    """The engine of the flow's options, if it is written out."""
    for call in _calls(modules):
        function = call.func
        name = function.attr if isinstance(function, ast.Attribute) else ""
        if isinstance(function, ast.Name):
            name = function.id
        for keyword in call.keywords if name == "FlowOptions" else ():
            value = keyword.value
            if keyword.arg == "engine" and isinstance(value, ast.Constant) and value.value:
                return str(value.value)
    return None


def _serves(modules: Mapping[str, str]) -> bool:
    functions = (call.func for call in _calls(modules))
    return any(isinstance(one, ast.Attribute) and one.attr in _ROUTES for one in functions)


def _calls(modules: Mapping[str, str]) -> Iterator[ast.Call]:
    for text in modules.values():
        yield from (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
