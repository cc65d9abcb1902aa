"""The kernel's ■ while no cell runs: it ends the operation that a button began.

ipykernel ignores SIGINT between two messages, and sets its own handler for the time of each; what
it puts back afterwards is what it found before. So a handler that is left there while a cell runs
is heard whenever none does. Kernels of other makes have no such place, and Cancel is enough there.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ("hear_idle_interrupts",)

_PLACE = "saved_sigint_handler"  # of ipykernel's Kernel, 6 and 7


def hear_idle_interrupts(kernel: Any, hear: Callable[[], bool]) -> Callable[[], None]:
    """Call `hear` on the main thread for each interrupt between cells; gives what ends that.

    To be called while a cell runs. Where `hear` has nothing to end, what was there before decides.
    """
    before = getattr(kernel, _PLACE, None)
    if before is None:
        return lambda: None

    def handler(number: int, frame: FrameType | None) -> None:
        if not hear() and callable(before):
            before(number, frame)

    def undo() -> None:
        if getattr(kernel, _PLACE, None) is handler:
            setattr(kernel, _PLACE, before)
        elif signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, before)

    setattr(kernel, _PLACE, handler)
    return undo
