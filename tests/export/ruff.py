"""What ruff says of an exported folder, by its own default rules and by those of older releases."""

from __future__ import annotations

import subprocess
import sys


def problems(folder, *files, rules=("--extend-select", "I,E4,E7,E9,F")):
    """All of them, as text; "" if there is none."""
    names = files or (".",)
    checked = _ruff(folder, "check", "--quiet", *rules, *names)
    formatted = _ruff(folder, "format", "--check", "--diff", "--quiet", *names)
    return checked + formatted


def _ruff(folder, command, *words):
    # Run in the folder: so it knows which modules are the project's.
    asked = [sys.executable, "-m", "ruff", command, "--isolated", "--no-cache", *words]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
