"""What SQS is told of received messages, up to ten in a call.

A delete is believed when SQS has not refused it and the lease stood when it was sent: SQS refuses
a handle that is too old, or takes it and deletes nothing (API Reference, "DeleteMessage"). What was
deleted too late is done with all the same, so `MessageLeases` has it deleted when it comes again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.io.aws.sqs.allowance import Allowance
from buildflow_nb.io.aws.sqs.client import QueueClient, RefusedError
from buildflow_nb.io.aws.sqs.leases import MessageLeases
from buildflow_nb.io.leases import Receipt
from buildflow_nb.io.partial_push import Failures

__all__ = ("Acks",)

TRIES = 3  # of a delete whose message came again meanwhile, and so has another handle

_log = logging.getLogger(__name__)


class Acks:
    """The calls about one queue's leases; `late` counts deletes that came too late."""

    def __init__(
        self,
        client: QueueClient,
        leases: MessageLeases,
        allowance: Allowance,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.late = 0
        self._client = client
        self._leases = leases
        self._allowance = allowance
        self._now = now

    async def delete(self, receipts: Sequence[Receipt]) -> list[Exception]:
        """Delete messages; gives why some may be deleted when asked again."""
        left, faults = list(receipts), list[Exception]()
        for _ in range(TRIES):
            handles, began = [receipt.handle for receipt in left], self._now()
            failures = await self._call(self._client.delete(handles), left)
            faults += self._passing(left, failures)
            told = [(i, receipt) for i, receipt in enumerate(left) if _final(failures, i)]
            left = [receipt for i, receipt in told if receipt.handle != handles[i]]
            same = [(i, receipt) for i, receipt in told if receipt.handle == handles[i]]
            self._deleted([receipt for i, receipt in same if i not in failures], began)
            await self._refused([receipt for i, receipt in same if i in failures])
            if not left:
                break
        await self._refused(left)
        return faults

    async def show(self, receipts: Sequence[Receipt]) -> list[Exception]:
        """Show messages, each after its pause; gives why some may be shown when asked again."""
        words = {receipt.handle: receipt.pause_s or 0 for receipt in receipts}
        failures = await self._call(self._client.change_visibility(words), receipts)
        # One whose handle is refused is somebody else's by now, or comes again anyway.
        told = [receipt for i, receipt in enumerate(receipts) if _final(failures, i)]
        self._leases.settled(told)
        self._allowance.settled(len(told))
        return self._passing(receipts, failures)

    async def renew(self, receipts: Sequence[Receipt], lease_s: int) -> None:
        """Hide messages for a whole lease from now; what fails stays due, or is lost."""
        began, handles = self._now(), [receipt.handle for receipt in receipts]
        try:
            with self._allowance.call():
                failures = await self._client.change_visibility(dict.fromkeys(handles, lease_s))
        except BuildFlowError:
            return
        kept = (receipt for i, receipt in enumerate(receipts) if i not in failures)
        self._leases.renewed(kept, lease_s, began)
        refused = (i for i, error in failures.items() if isinstance(error, RefusedError))
        self._leases.lost((receipts[i], handles[i]) for i in refused)

    async def _call(self, call: Awaitable[Failures], receipts: Sequence[Receipt]) -> Failures:
        try:
            with self._allowance.call():
                return await call
        except BuildFlowError as error:
            return dict.fromkeys(range(len(receipts)), error)
        except BaseException:
            self._leases.unsettled(receipts)
            raise

    def _passing(self, receipts: Sequence[Receipt], failures: Failures) -> list[Exception]:
        """Faults that may pass; takes note that their messages are not settled."""
        found = [i for i in failures if not _final(failures, i)]
        self._leases.unsettled(receipts[i] for i in found)
        return [failures[i] for i in found]

    def _deleted(self, receipts: Sequence[Receipt], sent_at: float) -> None:
        in_time = [receipt for receipt in receipts if sent_at < receipt.hidden_until]
        self._leases.settled(in_time)
        self._leases.too_late(receipt for receipt in receipts if receipt not in in_time)
        self._allowance.settled(len(receipts))

    async def _refused(self, receipts: Sequence[Receipt]) -> None:
        if not receipts:
            return
        self._leases.too_late(receipts)
        self._allowance.settled(len(receipts))
        first = not self.late
        self.late += len(receipts)
        if first:
            _log.warning(
                "queue %r: a message was done with only when its visibility timeout of %s s was "
                "over, so it may be delivered again (here it is deleted then, and not done twice); "
                "a longer timeout avoids that",
                self._client.name,
                await self._client.lease_s(),
            )


def _final(failures: Mapping[int, Exception], i: int) -> bool:
    """Whether SQS has done as it was told, or will never."""
    error = failures.get(i)
    return error is None or isinstance(error, RefusedError)
