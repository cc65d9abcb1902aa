"""The files of an exported project: the program, and all that it takes to run, test and ship it.

Nothing here is written to disk and nothing of the program is run: what comes out depends on the
program, on what is installed, on the notebook's own buildflow.yaml and on its recordings alone, so
that the same notebook gives the same files again. No file holds a path of this machine, or a value
of a secret.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from buildflow_nb.core.config import FILE_NAME, find_config
from buildflow_nb.export.project.config import config_text, project_config
from buildflow_nb.export.project.container import DOCKERFILE, IGNORED, dockerfile, dockerignore
from buildflow_nb.export.project.kubernetes import deploy_files
from buildflow_nb.export.project.ray_engine import RayEngine, ray_engine_of
from buildflow_nb.export.project.readme import EXAMPLE, README, environment_text, readme_text
from buildflow_nb.export.project.requirements import Requirements
from buildflow_nb.export.project.requirements_text import (
    REQUIREMENTS,
    header_text,
    requirements_text,
    with_extras,
)
from buildflow_nb.export.project.sample_tests import files_of_tests
from buildflow_nb.export.report import ExportedProgram

__all__ = ("project_files",)

MAIN = "main.py"
_GITIGNORE = """\
.buildflow/
.env
.venv/
__pycache__/
wheels/
"""


def project_files(
    program: ExportedProgram,
    requirements: Requirements,
    folder: Path,
    samples: Path | None,
    *,
    hidden: Sequence[str] = (),
) -> dict[str, str | bytes]:
    """Every file of the project, by its path within `folder`.

    `samples` is `.buildflow/recordings` of the project that the notebook stands in; without one,
    that project is the one of the working folder. `hidden` are texts, such as a secret that was
    typed into a cell, of which no sample may hold one.

    Raises:
        ConfigError: the notebook's project has a buildflow.yaml that is wrong.
        UsageError: the flow works on Ray, which is not installed here.
    """
    origin = find_config(samples.parent.parent if samples is not None else Path.cwd())
    config = project_config(origin, program, folder)
    ray = ray_engine_of(program, config)
    needed = with_extras(requirements, program, config, ray)
    files: dict[str, str | bytes] = dict(_modules(program, needed, ray))
    files[FILE_NAME] = config_text(config)
    files[REQUIREMENTS] = requirements_text(needed)
    files[DOCKERFILE] = dockerfile(sys.version_info[:2], wheels=bool(needed.folders), ray=ray)
    files[IGNORED] = dockerignore(deploy=ray is not None)
    files[".gitignore"] = _GITIGNORE
    files[README] = readme_text(program, config, needed, ray)
    files[EXAMPLE] = environment_text(program)
    if ray is not None:
        files |= deploy_files(program, config.app, ray)
    return files | files_of_tests(program, samples, hidden=hidden)


def _modules(
    program: ExportedProgram, needed: Requirements, ray: RayEngine | None
) -> Iterator[tuple[str, str]]:
    """The program's modules; the one that is run says what it needs."""
    for path, text in program.modules.items():
        yield path, f"{header_text(needed, ray)}{text}" if path == MAIN else text
