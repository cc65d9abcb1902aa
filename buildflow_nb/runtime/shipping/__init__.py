"""Sends what a flow is made of to another process by value, and what comes out of it back.

What a notebook declares has no module that another process could import, so it goes by value:
functions with the globals and closures that they use, classes, specs, dependencies. What is
installed goes by its name, and must be there in the same version. Modules beside the notebook go as
their sources (`sources.py`).

What holds:

* Nothing is sent that would be another thing over there. It goes whole, or `CannotShipError` names
  the variable, its line and the way to it.
* A class is itself wherever it is sent, and when its instances come back (`kept.py`).
* Globals that functions use are sent as they are at that moment. All that goes in one `pack` shares
  them, and what code over there does to them stays there. Code (a spec, hooks, a function) brings
  the classes and dependencies of an earlier one up to date, and the values of modules that have
  changed since; elements do not, nor anything what a process has made itself.
* `display(…)` prints the text form over there, and what is printed is in the processor's log.
* Values of `Secret` are in the bytes, and in no error and no text that stands for something.
* Bytes are only for our own processes, over pipes of our own: to read them is to run them.
"""

from buildflow_nb.core.errors import CannotShipError
from buildflow_nb.runtime.shipping.packing import pack, pack_shown, pack_spec, unpack
from buildflow_nb.runtime.shipping.shown import StandIn, StandInError

__all__ = (
    "CannotShipError",
    "StandIn",
    "StandInError",
    "pack",
    "pack_shown",
    "pack_spec",
    "unpack",
)
