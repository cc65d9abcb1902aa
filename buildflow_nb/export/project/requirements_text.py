"""A program's requirements as text: requirements.txt, and the header of main.py (PEP 723).

Both say the same, so that `pip install -r requirements.txt` and a runner of single files install
the same packages.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

from buildflow_nb.core.config import Config
from buildflow_nb.export.project.ray_engine import RayEngine
from buildflow_nb.export.project.requirements import OURS, WHEELS, Requirements
from buildflow_nb.export.report import ExportedProgram

__all__ = ("REQUIREMENTS", "header_text", "on_cloud", "requirements_text", "with_extras")

REQUIREMENTS = "requirements.txt"
_ROOTS = ("buildflow_nb", "buildflow")
_RAY = re.compile(r"ray\b(?!-)", re.IGNORECASE)
_CLOUDS = frozenset(f"{root}.io.{cloud}" for root in _ROOTS for cloud in ("aws", "gcp", "portable"))

# By what is imported: the extra that brings a client, and the one that brings the local server.
_STORES: Mapping[str, tuple[str, str]] = {
    "dependencies.sqlalchemy": ("sql", ""),
    "io.gcp.BigQueryDataset": ("bigquery", "local-bigquery"),
    "io.gcp.BigQueryQuery": ("bigquery", "local-bigquery"),
    "io.gcp.BigQueryTable": ("bigquery", "local-bigquery"),
    "io.gcp.bigquery": ("bigquery", "local-bigquery"),
    "io.gcp.CloudSQLDatabase": ("cloudsql", "local-postgres"),
    "io.gcp.CloudSQLInstance": ("cloudsql", "local-postgres"),
    "io.postgres": ("postgres", "local-postgres"),
    "io.clickhouse": ("clickhouse", "local-clickhouse"),
    "io.snowflake": ("snowflake", "local-snowflake"),
    "io.portable.AnalysisTable": ("bigquery", ""),
    "io.portable.RelationalTable": ("postgres", "local-postgres"),
}


def with_extras(
    requirements: Requirements,
    program: ExportedProgram,
    config: Config,
    ray: RayEngine | None = None,
) -> Requirements:
    """The same, with those extras of ours that the program needs where the project runs it."""
    extras = ["ray"] if ray is not None else []
    local = any(stack.cloud == "local" for stack in config.stacks.values())
    if on_cloud(program.modules) and local:
        extras.append("local")
    extras += _of_stores(program.modules, local=local)
    if "tap" in _attributes(program.modules):
        extras.append("tables")
    mark = f"[{','.join(extras)}]" if extras else ""
    lines = tuple(
        f"{OURS}{mark}{line.removeprefix(OURS)}"
        if line.startswith((f"{OURS}=", f"{OURS} "))
        else line
        for line in requirements.lines
    )
    if ray is not None and not any(_RAY.match(line) for line in lines):
        lines = tuple(sorted([*lines, ray.requirement], key=str.lower))
    return replace(requirements, lines=lines)


def _of_stores(modules: Mapping[str, str], *, local: bool) -> list[str]:
    """The extras that bring the clients of stores, and their servers where the stack has them."""
    found: dict[str, None] = {}
    imported = {name.partition(".")[2] for name in _imported(modules) if name.startswith(_ROOTS)}
    for name, (client, server) in _STORES.items():
        if any(one == name or one.startswith(f"{name}.") for one in imported):
            found[client] = None
            if local and server:
                found[server] = None
    return list(found)


def on_cloud(modules: Mapping[str, str]) -> bool:
    """Whether a program has primitives of a cloud."""
    return any(
        name == cloud or name.startswith(f"{cloud}.")
        for name in _imported(modules)
        for cloud in _CLOUDS
    )


def requirements_text(requirements: Requirements) -> str:
    """The text of requirements.txt."""
    first = [f"--find-links {WHEELS}"] if requirements.folders else []
    return "".join(f"{line}\n" for line in (*first, *requirements.lines))


def header_text(requirements: Requirements, ray: RayEngine | None = None) -> str:
    """The comment that a program begins with: what it runs on and what it needs."""
    least = f">={sys.version_info[0]}.{sys.version_info[1]}"
    lines = [
        "/// script",
        f'requires-python = "{least if ray is None else f"=={ray.python}"}"',
        "dependencies = [",
        *(f'  "{line}",' for line in requirements.lines),
        "]",
    ]
    if requirements.folders:
        lines += ["", "[tool.uv]", f'find-links = ["{WHEELS}"]']
    return "".join(f"# {line}".rstrip() + "\n" for line in (*lines, "///"))


def _imported(modules: Mapping[str, str]) -> Iterator[str]:
    for node in _nodes(modules):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _attributes(modules: Mapping[str, str]) -> set[str]:
    return {node.attr for node in _nodes(modules) if isinstance(node, ast.Attribute)}


def _nodes(modules: Mapping[str, str]) -> Iterator[ast.AST]:
    for text in modules.values():
        yield from ast.walk(ast.parse(text))
