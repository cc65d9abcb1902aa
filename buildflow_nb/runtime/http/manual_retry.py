"""One failed call of a route through its code again, and for a collector into its sink.

An endpoint just runs again: there is nobody left to answer. What the code raises, or what an edit
does wrong, is given, not raised, since the error belongs to the failure; what is raised says that
the call could not be tried at all, and leaves the failure as it was.
"""

from __future__ import annotations

from buildflow_nb.core.errors import BuildFlowError, ConversionError
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.http.binding import Arguments
from buildflow_nb.runtime.http.code import RouteCode
from buildflow_nb.runtime.http.collector import Collector
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.sinks.push import first_of

__all__ = ("retry_call",)


async def retry_call(
    code: RouteCode, wanted: RetryInput, collector: Collector | None, ledger: Ledger
) -> RetryResult:
    """Call with the same arguments, or with an edited element, and store the results.

    Raises:
        UsageError: it takes what a repeated call has not: the request, or a parameter more.
        ConversionError: what failed does not fit the parameters as they are now.
        HttpError: the route is busy, or its sink cannot be written for now.
        TimeoutError: the sink takes too long; it may still be written.
    """
    code.refuse_without_request()
    try:
        arguments = code.binding.for_retry(wanted.element, wanted.call)
    except ConversionError as error:
        if wanted.edited:
            return RetryResult(error=error)
        raise ConversionError(ledger.said(str(error), wanted.element)) from None
    await code.limit.enter()
    try:
        return await _call(code, arguments, collector, ledger)
    finally:
        code.limit.leave()


async def _call(
    code: RouteCode, arguments: Arguments, collector: Collector | None, ledger: Ledger
) -> RetryResult:
    began = ledger.clock.now()
    try:
        result = await code.call(arguments)
    except BaseException as error:  # user code may raise anything
        if is_cancel(error):
            raise
        return RetryResult(error=error)
    seconds = ledger.clock.now() - began
    results: tuple[object, ...] = (result,)
    if collector is not None:
        try:
            elements, faults = await collector.keep(result)
        except BuildFlowError as error:
            return RetryResult(error=error)
        if faults:
            return RetryResult(error=first_of(faults))
        results = tuple(elements)
    ledger.regained(code.binding.element(arguments), results, seconds)
    return RetryResult(results)
