"""What becomes of the requests of a route that fail: kept, dead-lettered, answered.

Whatever code of the user's raises is answered by the flow's own handler for it, or with a 500 that
tells nothing. With 500 or more it is kept in the ledger and written to the dead-letter sink; what a
handler answers with less is an answer like what asks for one itself, as an `HTTPException` does,
and is not kept: what is expected would crowd out what is wrong. A handler that fails is kept like
any other code, beside what it was for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from buildflow_nb.core.conversion.secret_fields import MASK
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.http.binding import Arguments
from buildflow_nb.runtime.http.code import RouteCode, RouteSpec
from buildflow_nb.runtime.http.errors import HttpError, refused_by_a_fault
from buildflow_nb.runtime.http.exception_handlers import ExceptionHandlers
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import FAILED, error_response, fault_of
from buildflow_nb.runtime.http.thread_pool import ThreadPool
from buildflow_nb.runtime.http.tracing import failed
from buildflow_nb.runtime.observability.failures import Fault
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.logs import owned_by
from buildflow_nb.runtime.sinks.dead_letters import fate_of

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.collector import CollectorSink

__all__ = ("RouteFailures",)

FAULTY = 500  # answers from here on say that something is wrong here
_CUT_OFF = "the answer was cut off: what gives it failed"


class RouteFailures:
    """The failures of one route; `spec` gives what it serves at this moment.

    The route sets `sink` and `threads` while they are open.
    """

    def __init__(
        self, spec: Callable[[], RouteSpec], ledger: Ledger, handlers: ExceptionHandlers
    ) -> None:
        self.sink: CollectorSink | None = None
        self.threads: ThreadPool | None = None
        self._spec = spec
        self._ledger = ledger
        self._handlers = handlers

    async def keep(self, faults: list[Fault]) -> None:
        """Keep what failed, if anything did, in the ledger and in the dead-letter sink."""
        if not faults:
            return
        spec, ledger = self._spec(), self._ledger
        written = self.sink is not None and await self.sink.write(faults)
        for fault in faults:
            record = ledger.fail(fault, fate_of(written=written))
            ledger.record(fault.element, (), fault.error)
            ledger.log.add("ERROR", f"{spec.kind} {spec.id!r}: {record.error}")

    async def refused(
        self,
        refusal: BaseException,
        request: BoundedRequest,
        values: Mapping[str, str],
        body: bytes,
    ) -> web.StreamResponse | None:
        """The answer where a type of the user's broke over a value; None where it refused it."""
        secret = self._ledger.redaction.secret
        fault = refused_by_a_fault(refusal, request, body, self._origin, secret=secret)
        if fault is None or is_cancel(refusal):
            return None
        return await self._failed(fault, request, values)

    async def failed(
        self,
        code: RouteCode,
        request: BoundedRequest,
        values: Mapping[str, str],
        arguments: Arguments,
        error: BaseException,
    ) -> web.StreamResponse:
        """Answer a call that failed, and keep it where that is no answer of a handler's.

        Raises:
            ConnectionAbortedError: part of an answer was sent already.
        """
        element, by_name = code.binding.element(arguments), code.binding.by_name(arguments)
        visit = request.visit if self._ledger.traces.rate else None
        failed(self._ledger, visit, element, error)
        fault = Fault(element, error, 1, self._origin, by_name, visit=visit)
        return await self._failed(fault, request, values)

    async def around(
        self, error: BaseException, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """The answer to a request whose middleware failed, which is code like any other."""
        fault = None if request.answering else fault_of(error)
        if fault is not None:
            if fault is not error:
                fault.__cause__ = error
            return await self.answered(fault, request, values)
        return await self._failed(
            Fault(self._asked(request), error, 1, self._origin), request, values
        )

    async def answered(
        self, fault: HttpError, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """The answer that an error asks for, by the flow's own handler if there is one for it."""
        answer = await self._handled(fault, request, values)
        if answer is None:
            answer = error_response(fault.status, fault.detail, fault.headers)
        if fault.close:
            answer.force_close()
        return answer

    async def _failed(
        self, fault: Fault, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer what failed, by a handler or with 500; keep it but where a handler said less.

        Raises:
            ConnectionAbortedError: part of an answer was sent already.
        """
        if request.answering:
            await self.keep([fault])
            raise ConnectionAbortedError(_CUT_OFF) from fault.error
        answer = await self._handled(fault.error, request, values, fault)
        return answer or error_response(500, FAILED)

    @property
    def _origin(self) -> str:
        spec = self._spec()
        return f"{spec.method} {spec.route}"

    def _asked(self, request: BoundedRequest) -> str:
        """What was asked, where it is not known as arguments; of secret ones nothing is shown."""
        return MASK if self._ledger.redaction.secret else request.path_qs

    async def _handled(
        self,
        error: BaseException,
        request: BoundedRequest,
        values: Mapping[str, str],
        fault: Fault | None = None,
    ) -> web.StreamResponse | None:
        """The answer of the flow's own handler, None where there is none for it.

        A `fault` is kept, unless the answer is less than 500.
        """
        faults = [] if fault is None else [fault]
        in_thread = None if self.threads is None else self.threads.run
        try:
            with owned_by(self._ledger.log):
                answer = await self._handlers.answer(error, request, values, in_thread)
        except HttpError as other:
            answer = error_response(other.status, other.detail, other.headers, close=other.close)
        except BaseException as wrong:  # user code may raise anything
            await self.keep(faults)
            gone = request.its_end(wrong)
            if gone is not None:
                raise gone from None
            if is_cancel(wrong):
                raise
            await self.keep([Fault(self._asked(request), wrong, 1, self._origin)])
            if request.answering:
                raise ConnectionAbortedError(_CUT_OFF) from wrong
            return error_response(500, FAILED)
        if answer is None or answer.status >= FAULTY:
            await self.keep(faults)
        return answer
