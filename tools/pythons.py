"""Runs the tests on every Python that pyproject.toml names, each with the packages of the one lock.

They are looked for at `BUILDFLOW_PYTHONS` (paths, separated as in PATH), below pyenv's folder, and
by `uv`, which knows the PATH and what it has installed itself. Each has an environment of its own
in `.venv/pythons`, made once for each requirements.lock. A Python that cannot be had is named, and
counts as failed.

Left to `make test`: the browser, which does not run in our Python, and Pulumi's engine, which takes
long and is another process everywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
UV = Path(sys.executable).with_name("uv")
HOMES = ROOT / ".venv" / "pythons"
LEFT_OUT = "not browser and not pulumi"
SET_UP_S = 1_200.0  # packages that have no wheel for a new Python are built


def main(words: list[str] | None = None) -> int:
    """Run them all; gives the exit code."""
    parser = argparse.ArgumentParser(prog="tools.pythons", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="3.X", action="append", help="this Python alone")
    parser.add_argument("words", nargs="*", help="what pytest gets (after --); all tests otherwise")
    asked = parser.parse_args(words)
    ends = {version: tested(version, asked.words) for version in asked.only or named()}
    for version, end in ends.items():
        print(f"Python {version}: {end or 'all passed'}")
    return 1 if any(ends.values()) else 0


def named() -> list[str]:
    """The versions of pyproject's classifiers, oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = re.findall(r"Python :: (3\.\d+)$", "\n".join(project["classifiers"]), re.MULTILINE)
    return sorted(found, key=lambda version: int(version.partition(".")[2]))


def tested(version: str, words: list[str]) -> str:
    """Run the tests on one; says what went wrong."""
    python = found(version)
    if python is None:
        return f"is not here; `uv python install {version}`, or name it in BUILDFLOW_PYTHONS"
    try:
        made = environment(version, python)
    except subprocess.CalledProcessError:
        return "requirements.lock cannot be installed there"
    print(f"Python {version}: {python}", flush=True)
    bin_ = made / "bin"
    env = os.environ | {"PATH": f"{bin_}{os.pathsep}{os.environ.get('PATH', '')}"}
    pytest = [str(bin_ / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*pytest, "-m", LEFT_OUT, *words], cwd=ROOT, env=env, check=False)
    return "" if done.returncode == 0 else "tests failed"


def found(version: str) -> str | None:
    """The path of an interpreter."""
    own = os.environ.get("BUILDFLOW_PYTHONS", "")
    for path in filter(None, own.split(os.pathsep)):
        if Path(path).name == f"python{version}":
            return path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for path in sorted(pyenv.glob(f"{version}.*/bin/python{version}")):
        return str(path)
    told = subprocess.run(
        [UV, "python", "find", "--no-project", "--system", version],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    return told.stdout.strip() or None


def environment(version: str, python: str) -> Path:
    """Where its packages are; made anew when the lock has changed."""
    home = HOMES / version
    stamp = home / ".lock"
    wanted = hashlib.sha256(LOCK.read_bytes() + python.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return home
    pip = [UV, "pip", "install", "--quiet", "--python", str(home / "bin" / "python")]
    for command in (
        [UV, "venv", "--quiet", "--clear", "--no-project", "--python", python, str(home)],
        [*pip, "--no-deps", "--require-hashes", "-r", str(LOCK)],
        [*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)],
    ):
        subprocess.run(command, check=True, timeout=SET_UP_S, cwd=ROOT)
    stamp.write_text(wanted)
    return home


if __name__ == "__main__":
    raise SystemExit(main())
