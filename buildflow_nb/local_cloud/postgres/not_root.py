"""How root runs a server that refuses root (Linux).

In a user namespace of its own the process is another user to itself, and root to everything else:
files stay where they are and whose they are. Containers mostly allow no namespaces. There it is
`nobody`, which keeps one ability of root's, to pass by file modes: neither the project's folder nor
a virtual environment below root's home is open to others. It can do no more than before.

Sources: user_namespaces(7), capabilities(7), linux/sched.h, linux/prctl.h, linux/capability.h.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

__all__ = ("NOBODY", "stop_being_root")

CLONE_NEWUSER = 0x10000000
SOMEBODY = 1000  # any id but root's, inside of a namespace of our own
NOBODY = 65534
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION = 0x20080522


def stop_being_root(folder: Path) -> None:
    """Become another user to oneself, where one is root; `folder` is that user's then."""
    if os.name == "nt" or os.geteuid() != 0:
        return
    if sys.platform != "linux":
        sys.exit("Postgres does not run as root; start this as another user")
    if folder.stat().st_uid != 0:  # no namespaces were allowed at another time
        _give(folder, 0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWUSER) != 0:
        _become_nobody(library, folder)
        return
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/uid_map").write_text(f"{SOMEBODY} 0 1", "ascii")
    Path("/proc/self/gid_map").write_text(f"{SOMEBODY} 0 1", "ascii")


def _become_nobody(library: ctypes.CDLL, folder: Path) -> None:
    try:
        _give(folder, NOBODY)
        library.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    except OSError as error:
        sys.exit(
            "Postgres does not run as root, and this machine allows neither a user namespace nor "
            f"to become another user ({error.strerror}); start this as another user"
        )
    head = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    mask = 1 << CAP_DAC_OVERRIDE
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable
    if library.capset(head, sets) == 0:
        library.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _give(folder: Path, user: int) -> None:
    for place, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(os.path.join(place, name), user, user, follow_symlinks=False)  # noqa: PTH118
