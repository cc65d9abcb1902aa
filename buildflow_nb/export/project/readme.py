"""README.md of an exported project: install it, run it, make its resources; and what is beside."""

from __future__ import annotations

import json
from collections.abc import Iterator

from buildflow_nb.core.config import Config
from buildflow_nb.export.project.container import PORT
from buildflow_nb.export.project.kubernetes import (
    DEPLOY,
    RAY_JOB,
    STOP_S,
    entrypoint,
    name_of,
)
from buildflow_nb.export.project.ray_engine import RayEngine
from buildflow_nb.export.project.requirements import WHEELS, Requirements
from buildflow_nb.export.project.requirements_text import REQUIREMENTS
from buildflow_nb.export.report import ExportedProgram

__all__ = ("EXAMPLE", "README", "environment_text", "readme_text")

README = "README.md"
_DRAINS = json.dumps({"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S)}})  # when it is stopped


def readme_text(
    program: ExportedProgram,
    config: Config,
    requirements: Requirements,
    ray: RayEngine | None = None,
) -> str:
    """The text of the file."""
    parts = (
        f"# {_line(program.title) or config.app}",
        "A streaming backend, exported from the notebook in which it was written.",
        *_commands(config, requirements),
        *_secrets(program),
        *_container(config, program),
        *(_ray(config, program, ray) if ray is not None else ()),
        *_rest(program),
    )
    return "\n\n".join(parts) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def _commands(config: Config, requirements: Requirements) -> Iterator[str]:
    if requirements.folders:
        names = " ".join(sorted(requirements.folders))
        yield (
            f"When this was exported, {names} was installed from a folder. Where no index has it, "
            f"lay its wheel into `{WHEELS}/` first:"
        )
        yield f"```sh\npip wheel --no-deps -w {WHEELS} PATH_OF_ITS_FOLDER\n```"
    stacks = ", ".join(f"`{name}`" for name in config.stacks)
    yield "## Install, run, deploy"
    yield (
        "```sh\n"
        f"pip install -r {REQUIREMENTS}\n"
        "buildflow run       # serves, and drains on Ctrl-C or SIGTERM\n"
        "buildflow apply     # makes the cloud resources that the flow manages; shows them first\n"
        "```"
    )
    yield (
        f"Stacks of `buildflow.yaml`: {stacks}; the default is `{config.default_stack}`, "
        "`--stack NAME` takes another. `python main.py` runs the flow without the command."
    )


def _secrets(program: ExportedProgram) -> Iterator[str]:
    if program.secrets:
        names = ", ".join(f"`{name}`" for name in sorted(set(program.secrets)))
        yield f"## Secrets\n\nRead from the environment: {names}."
        yield f"```sh\ncp {EXAMPLE} .env    # and fill it in\nset -a; . ./.env; set +a\n```"


def _container(config: Config, program: ExportedProgram) -> Iterator[str]:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in config.app.lower())
    image = name.strip("-") or "flow"
    secrets = " --env-file .env" if program.secrets else ""
    yield "## In a container"
    yield (
        f"```sh\ndocker build -t {image} .\n"
        f"docker run --name {image} -p {PORT}:{PORT}{secrets} {image}\n"
        f"docker stop --time 40 {image}    # drains first\n```"
    )


def _ray(config: Config, program: ExportedProgram, ray: RayEngine) -> Iterator[str]:
    """How it runs on Ray: here, on a cluster, on Kubernetes."""
    stack = f" --stack {ray.stack.name}" if ray.named else ""
    image = name_of(config.app)
    yield "## On Ray"
    yield (
        f"The flow's processors work in replicas on Ray {ray.version}, with Python {ray.python}; "
        "machines of a cluster have both to the patch, and what is in "
        f"`{REQUIREMENTS}`."
    )
    yield (
        "```sh\n"
        f"buildflow run --engine ray --address local{stack}    # a Ray of its own, here\n\n"
        "# a cluster whose dashboard is forwarded to this machine\n"
        f"buildflow run --engine ray --address http://127.0.0.1:8265{stack}\n"
        f"ray job submit --address http://127.0.0.1:8265 --working-dir . \\\n"
        f"  --runtime-env-json '{_DRAINS}' \\\n"
        f"  -- {entrypoint(ray)}\n"
        "```"
    )
    secret = f"kubectl create secret generic {image} --from-env-file=.env\n"
    yield (
        "On Kubernetes, with the operator KubeRay; the image's name in "
        f"`{RAY_JOB}` is that of your registry:"
    )
    yield (
        "```sh\n"
        f"docker build -t {image} .\n"
        f"{secret if program.secrets else ''}"
        f"kubectl apply -f {DEPLOY}/\n"
        "```"
    )
    if ray.stack.cloud == "local":
        yield (
            f"Stack `{ray.stack.name}` is on the local cloud, which one machine has for itself: "
            "all replicas work where the run is. Give the stack `cloud: real` for more machines."
        )


def _rest(program: ExportedProgram) -> Iterator[str]:
    yield "## Test\n\n```sh\npip install pytest\npytest\n```"
    if program.commands:
        told = "\n".join(program.commands)
        yield f"## What the notebook did beside\n\n```sh\n{told}\n```"


EXAMPLE = ".env.example"
_HEAD = "# Copy to .env, which git and the image leave out, and fill in.\n"
_NONE = "# This flow reads no secret from its environment.\n"


def environment_text(program: ExportedProgram) -> str:
    """The text of the file."""
    names = sorted(set(program.secrets))
    return _HEAD + "".join(f"{name}=\n" for name in names) if names else _NONE
