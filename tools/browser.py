"""Makes sure that browser tests find what they need: Chromium, and axe-core in .venv/axe.

Chromium comes from Debian, as root; axe-core from npm, at the version and checksum of tools/axe.
Both are there after the first time, which the second sees at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.jupyterlab import chromium

PINNED = Path(__file__).parent / "axe"
AXE_FOLDER = Path(__file__).parents[1] / ".venv" / "axe"
AXE = AXE_FOLDER / "node_modules" / "axe-core" / "axe.min.js"
FILES = ("package.json", "package-lock.json")
APT_S = 900.0  # Chromium and what it needs are 150 MB
NPM_S = 300.0
CHROMIUM = ("chromium", "fonts-dejavu-core")  # without a font, pages are empty boxes
INSTALL = f"apt-get install -y {' '.join(CHROMIUM)}"


def main() -> int:
    """Bring what is missing; gives the exit code."""
    try:
        bring_chromium()
        bring_axe()
    except (subprocess.SubprocessError, OSError) as error:
        print(f"browser tests: {error}", file=sys.stderr)
        return 1
    return 0


def bring_chromium() -> None:
    """Install Chromium where there is none.

    Raises:
        OSError: it is not here and cannot be installed; says how to mend it.
        subprocess.SubprocessError: the installation failed.
    """
    found = chromium()
    if found is None:
        apt(CHROMIUM, f"no Chromium on this machine; run {INSTALL} as root, or set CHROMIUM=path")
    elif shutil.which(found) is None:
        msg = f"CHROMIUM={found} is no program; set it to one, or unset it"
        raise FileNotFoundError(msg)


def bring_axe() -> None:
    """Install axe-core where it is not the pinned one.

    Raises:
        OSError: npm is not here and cannot be installed; says how to mend it.
        subprocess.SubprocessError: npm failed.
    """
    if AXE.is_file() and all(_same(name) for name in FILES):
        return
    if shutil.which("npm") is None:
        apt(("npm",), "no npm on this machine, which brings axe-core; install Node.js with npm")
    AXE_FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(PINNED / name, AXE_FOLDER / name)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(npm, cwd=AXE_FOLDER, stdout=subprocess.DEVNULL, timeout=NPM_S, check=True)
    except subprocess.SubprocessError:
        (AXE_FOLDER / FILES[0]).unlink()  # so that the next time is not taken for done
        raise


def apt(packages: tuple[str, ...], otherwise: str) -> None:
    """Install packages of Debian.

    Raises:
        OSError: not as this user, or not on this system; says `otherwise`.
        subprocess.SubprocessError: apt-get failed.
    """
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise OSError(otherwise)
    print(f"installing Debian's {packages[0]}: a minute or two, once", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(
            ["apt-get", "-qq", *words],  # noqa: S607
            env=quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=APT_S,
            check=True,
        )


def _same(name: str) -> bool:
    there = AXE_FOLDER / name
    return there.is_file() and there.read_bytes() == (PINNED / name).read_bytes()


if __name__ == "__main__":
    raise SystemExit(main())
