"""Breaks off an export at each of its steps on files, in processes of their own.

An audit hook is asked before every step (https://docs.python.org/3/library/audit_events.html): it
can make the step fail as a full disk would, or send the process a signal. That is done at the first
step, at the second, and so on, until an export comes through. What is then in the folder is told as
JSON lines.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from pathlib import Path

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.folder.folder import check_folder, write_files
from buildflow_nb.export.folder.placing import STAGE

STEPS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "shutil.copyfile")
MOST = 500
THROUGH = 3  # the exit code where there were fewer steps
OLD = {"main.py": "old", "README.md": "old", "tests/old.py": "old", "tests/both.py": "old"}
NEW = {"main.py": "new", "README.md": "new", "tests/both.py": "new", "data/new.txt": "new"}


def tree(folder):
    """Everything in a folder but for what is temporary: texts by path, and empty folders."""
    if not folder.exists():
        return None
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else "a folder"
        for path in sorted(folder.rglob("*"))
        if STAGE not in path.parts and (path.is_file() or not any(path.iterdir()))
    }


def armed(place, number, how):
    """Let the `number`th step below `place` be the last, or fail."""
    steps = [0]

    def ask(event, args):
        if event in STEPS and any(str(place) in str(arg) for arg in args):
            steps[0] += 1
            if steps[0] == number:
                if how != "fail":
                    os.kill(os.getpid(), signal.Signals[how])
                    return
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sys.addaudithook(ask)
    return steps


def prepared(place, *, exists):
    """A folder with an export and a person's own file, or none yet."""
    folder = place / "shop"
    if exists:
        write_files(folder, OLD)
        (folder / "tests" / "mine.py").write_text("mine")
        (folder / ".buildflow").mkdir()
        (folder / ".buildflow" / "state").write_text("state")
    return folder


def broken(place, number, how, *, exists):
    """One export in a process of its own, broken off at a step; what came of it."""
    folder = prepared(place, exists=exists)
    before = tree(folder)
    said = place.parent / f"{place.name}.said"
    child = os.fork()
    if not child:
        steps = armed(place, number, how)
        try:
            write_files(folder, NEW, force=False)
        except UsageError as error:
            said.write_text(str(error))
        os._exit(THROUGH if steps[0] < number else 0)
    told = {"step": number, "ended": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}
    told |= {"said": said.read_text() if said.exists() else "", "before": before}
    told["at_once"] = tree(folder)
    check_folder(folder, force=False)  # as the next export does
    told["mended"] = tree(folder)
    write_files(folder, NEW, force=False)
    told |= {"again": tree(folder), "beside": sorted(path.name for path in place.iterdir())}
    return told


def main():
    """Break off at every step; tells what became of each."""
    root, exists, how = Path(sys.argv[1]), sys.argv[2] == "exists", sys.argv[3]
    for number in range(1, MOST):
        place = root / f"{number:03}"
        place.mkdir()
        told = broken(place, number, how, exists=exists)
        sys.stdout.write(json.dumps(told) + "\n")
        if told["ended"] == THROUGH:
            return


if __name__ == "__main__":
    main()
