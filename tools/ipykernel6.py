"""Makes .venv/ipykernel6: the packages of .venv, but with the ipykernel of tools/ipykernel6.lock.

The kernel's tests run there a second time, because ipykernel 6 and 7 send output and interrupts in
different ways and both are in use.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

LOCK = Path(__file__).with_suffix(".lock")
VENV = Path(__file__).parents[1] / ".venv" / "ipykernel6"
PIP_S = 300.0


def main() -> int:
    """Make it anew; gives the exit code."""
    venv.create(VENV, clear=True, with_pip=False)
    python = VENV / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--require-hashes", "-r", str(LOCK)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, *install], timeout=PIP_S, check=True)
    share()
    return 0


def share() -> None:
    """After its own packages and data come those of .venv."""
    packages = sysconfig.get_path("purelib")
    own = VENV / Path(packages).relative_to(sys.prefix)
    # Not the bare path: .venv has .pth files too, of which one names our checkout.
    (own / "shared.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
    data = Path("share") / "jupyter"
    for found in (Path(sys.prefix) / data).iterdir():
        there = VENV / data / found.name
        if not there.exists():  # its kernel is its own; nbconvert's templates are shared
            there.symlink_to(found)


if __name__ == "__main__":
    raise SystemExit(main())
