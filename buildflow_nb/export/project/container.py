"""The image of an exported project: its Dockerfile, and what is left out of it.

The process is the flow itself (exec form), so the SIGTERM of a stop reaches it and it drains. It
runs as a user without rights, whose number is fixed so that an orchestrator can see that it is not
root. Requirements are a layer of their own: new code does not install them anew. Secrets come with
the environment of a run; none is in a layer. The health of a container is that the flow's own
runtime server answers, which listens inside of it alone.

For Ray all machines of a cluster have the same Python to the patch; wget is what KubeRay asks Ray's
health with.
"""

from __future__ import annotations

from buildflow_nb.export.project.ray_engine import RayEngine
from buildflow_nb.export.project.requirements import WHEELS
from buildflow_nb.export.project.requirements_text import REQUIREMENTS
from buildflow_nb.runtime.plan import TOKEN_VARIABLE

__all__ = ("DOCKERFILE", "IGNORED", "PORT", "dockerfile", "dockerignore")

DOCKERFILE = "Dockerfile"
IGNORED = ".dockerignore"
PORT = 8000
RUNTIME_PORT = 9653
_STATUS = f"http://127.0.0.1:{RUNTIME_PORT}/runtime/status"
_CHECK = (  # with the token that a run may have been given, and past any proxy of the container
    "import os, urllib.request as r; "
    f"q = r.Request('{_STATUS}', "
    f"headers=dict(Authorization='Bearer ' + os.environ.get('{TOKEN_VARIABLE}', ''))); "
    "r.build_opener(r.ProxyHandler(dict())).open(q, timeout=4)"
)
_TEXT = f"""\
FROM python:{{base}}

ENV PYTHONUNBUFFERED=1

# The folder is the user's: tables and files of relative paths are written into it.
RUN useradd --uid 10001 --create-home flow && install --directory --owner flow /app
WORKDIR /app
{{system}}
{{install}}

COPY --chown=flow . .
USER 10001

EXPOSE {PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \\
  CMD ["python", "-c", "{_CHECK}"]
CMD ["buildflow", "run", "--host", "0.0.0.0", "--port", "{PORT}", \\
     "--start-runtime-server", "--runtime-server-port", "{RUNTIME_PORT}"]
"""
_PLAIN = f"""\
COPY {REQUIREMENTS} ./
RUN pip install --no-cache-dir -r {REQUIREMENTS}{{ray}}"""
_WITH_WHEELS = f"""\
# wheels/ is copied if it is there; what it lacks comes from the index.
COPY {REQUIREMENTS} {WHEELS}* /opt/{WHEELS}/
RUN pip install --no-cache-dir --find-links /opt/{WHEELS} -r /opt/{WHEELS}/{REQUIREMENTS}{{ray}}"""
_FOR_KUBERAY = """
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends wget \\
  && rm -rf /var/lib/apt/lists/*
"""
_IGNORED = """\
**/.git
**/.buildflow
**/.env
**/.env.*
**/.venv
**/__pycache__
**/.pytest_cache
**/.DS_Store
tests
Dockerfile
.dockerignore
"""


def dockerfile(python: tuple[int, int], *, wheels: bool, ray: RayEngine | None = None) -> str:
    """The Dockerfile for that Python; with `wheels`, packages of a folder beside it are taken.

    With `ray`, its image is one for all machines of a cluster.
    """
    version = ".".join(str(part) for part in python)
    install = _WITH_WHEELS if wheels else _PLAIN
    if ray is None:
        base, system, more = f"{version}-slim-trixie", "", ""
    else:  # not each patch is there for the newest Debian
        base, system, more = f"{ray.python}-slim", _FOR_KUBERAY, f' "{ray.with_jobs}"'
    return _TEXT.format(base=base, system=system, install=install.format(ray=more))


def dockerignore(*, deploy: bool = False) -> str:
    """What no image gets: state, secrets, history, tests, and `deploy` if there is one."""
    return f"{_IGNORED}deploy\n" if deploy else _IGNORED
