"""One failed call of a route through its code again, and for a collector into its sink.

An endpoint just runs again: there is nobody left to answer.
"""

from __future__ import annotations

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.runtime.calls import is_cancel
from buildflow_nb.runtime.http.binding import Arguments
from buildflow_nb.runtime.http.code import RouteCode
from buildflow_nb.runtime.http.collection import Collection
from buildflow_nb.runtime.kept import Again
from buildflow_nb.runtime.ledger import Ledger
from buildflow_nb.runtime.redo import Redone, first_of

__all__ = ("redo_call",)


async def redo_call(
    code: RouteCode, again: Again, collection: Collection | None, ledger: Ledger
) -> Redone:
    """Call with the same arguments, or with an edited element, and store the results.

    Raises:
        HttpFault: the route is busy, or its sink cannot be written for now.
        TimeoutError: the sink takes too long; it may still be written.
    """
    try:
        arguments = code.binding.again(again.element, again.call)
    except BuildFlowError as error:
        return Redone(error=error)
    await code.gate.enter()
    try:
        return await _call(code, arguments, collection, ledger)
    finally:
        code.gate.leave()


async def _call(
    code: RouteCode, arguments: Arguments, collection: Collection | None, ledger: Ledger
) -> Redone:
    began = ledger.clock.now()
    try:
        result = await code.call(arguments)
    except BaseException as error:  # user code may raise anything
        if is_cancel(error):
            raise
        return Redone(error=error)
    seconds = ledger.clock.now() - began
    results: tuple[object, ...] = (result,)
    if collection is not None:
        try:
            elements, faults = await collection.keep(result)
        except BuildFlowError as error:
            return Redone(error=error)
        if faults:
            return Redone(error=first_of(faults))
        results = tuple(elements)
    ledger.regained(code.binding.element(arguments), results, seconds)
    return Redone(results)
