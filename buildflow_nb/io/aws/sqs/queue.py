"""An SQS queue: a source of texts and a sink for them.

Delivery is at least once, element by element; see `source.py` and `sink.py`. Names ending in
`.fifo` are FIFO queues (Amazon SQS Developer Guide, "FIFO queues"): messages of a group keep their
order, and SQS drops one that it has seen in the last five minutes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlsplit

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Site, Source, Wire
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.aws.clients import access, default_region
from buildflow_nb.io.aws.errors import Target
from buildflow_nb.io.aws.sqs.client import QueueClient
from buildflow_nb.io.aws.sqs.look import look_into_queue
from buildflow_nb.io.aws.sqs.sink import Fifo, SqsSink
from buildflow_nb.io.aws.sqs.source import SqsSource
from buildflow_nb.io.checks import looked
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.input_types import comes_from_elsewhere
from buildflow_nb.io.looks import seen

__all__ = ("SQSQueue",)

LEGAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo|[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True)
class SQSQueue(Injectable):
    """The queue `queue_name`, in another account and region than one's own where they are given.

    `group_by` and `deduplicate_by` are for sinks that are FIFO queues; see `options`.

    Raises:
        DeclarationError: SQS has no such names, a field is no text, or the options are for FIFO
            queues only.
    """

    cloud: ClassVar[str] = "aws"
    shared: ClassVar[bool] = True
    source_wire: ClassVar[Wire] = Wire.TEXT  # the text of a message
    max_pullers: ClassVar[int] = 1  # the source makes several calls at once by itself
    sink_wire: ClassVar[Wire] = Wire.TEXT  # the text of a message
    max_push: ClassVar[int] = 100  # messages: ten batches, which overlap
    linger_s: ClassVar[float] = 0.0  # under load batches fill by themselves

    queue_name: str
    aws_account_id: str | None = None
    aws_region: str | None = None
    group_by: str | None = field(default=None, kw_only=True)
    deduplicate_by: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        optional = ("aws_account_id", "aws_region", "group_by", "deduplicate_by")
        check_texts(self, ("queue_name",), optional)
        if not LEGAL_NAME.fullmatch(self.queue_name):
            msg = (
                f"SQSQueue {self.queue_name!r}: a name has 1 to 80 letters, digits, '-' and '_', "
                "and may end in '.fifo'"
            )
            raise DeclarationError(msg)
        if (self.group_by or self.deduplicate_by) and not self.fifo:
            msg = (
                f"SQSQueue {self.queue_name!r}: group_by and deduplicate_by are for FIFO queues; "
                "name it with '.fifo' at the end"
            )
            raise DeclarationError(msg)

    @classmethod
    def from_aws_options(cls, aws_options: object, queue_name: str) -> Self:
        """The queue in the region that options of a cloud provider name."""
        return cls(queue_name, aws_region=default_region(aws_options))

    @classmethod
    def of_resource(cls, resource_id: str) -> Self:
        """The queue with this URL.

        Raises:
            DeclarationError: it is the URL of none.
        """
        parts = urlsplit(resource_id)
        account, _, name = parts.path.strip("/").rpartition("/")
        service, _, rest = (parts.hostname or "").partition(".")
        region = rest.partition(".amazonaws.")[0] if service == "sqs" else None
        return cls(name, account or None, region)

    def options(self, *, group_by: str | None = None, deduplicate_by: str | None = None) -> Self:
        """This queue with other options.

        `group_by` names a field of the JSON messages whose value is the message's group (without
        it all messages are one group), `deduplicate_by` one whose value SQS takes a message for
        the same by (without it, its text).
        """
        return replace(self, group_by=group_by, deduplicate_by=deduplicate_by)

    @property
    def fifo(self) -> bool:
        """Whether it is a FIFO queue."""
        return self.queue_name.endswith(".fifo")

    @property
    def primitive_id(self) -> PrimitiveId:
        """The name, after the region where one is given."""
        return PrimitiveId(
            f"{self.aws_region}-{self.queue_name}" if self.aws_region else self.queue_name
        )

    @property
    def label(self) -> str:
        """The queue's name."""
        return self.queue_name

    def check_input(self, hint: object) -> str:
        """What is wrong with a parameter of this type, if anything is."""
        return comes_from_elsewhere(self, hint)

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source; the queue is looked up by the first pull."""
        return SqsSource(self._client(env))

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:  # noqa: ARG002
        """Open a sink."""
        return SqsSink(self._client(env), Fifo(self.group_by, self.deduplicate_by))

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look the queue up and count what waits; nothing is received."""
        client = self._client(env)

        async def look() -> str:
            waiting = (await client.count()).visible
            return f"is there, with about {waiting} message{'s' if waiting != 1 else ''} waiting"

        try:
            return await looked(self, look, load=client.load)
        finally:
            await client.close()

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """How much waits in the queue, and what; nothing is consumed (see `look.py`)."""
        client = self._client(env)
        try:
            return await seen(
                self,
                "SQS queue",
                lambda empty: look_into_queue(client, empty, asked, env.endpoints.get("sqs")),
                load=client.load,
                within_s=asked.within_s,
            )
        finally:
            await client.close()

    async def purge(self, env: Env) -> None:
        """Delete all messages.

        Raises:
            TemporaryError: it is missing or out of reach, or was purged in the last minute.
            PermanentError: it refuses us.
        """
        client = self._client(env)
        try:
            await client.purge()
        finally:
            await client.close()

    def billed(self) -> Billed:
        """Requests, those of a FIFO queue at their own price."""
        return Billed("aws:sqs/queue:Queue", {"fifo": self.fifo})

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The queue; gives `arn`, `url` and `name`."""
        from pulumi_aws import sqs

        queue = sqs.Queue(
            self.primitive_id,
            name=self.queue_name,
            fifo_queue=self.fifo or None,
            opts=site.aws(self.aws_region, self.aws_account_id),
        )
        return {"arn": queue.arn, "url": queue.url, "name": queue.name}

    def cloud_console_url(self) -> str:
        """Where the queue is in Amazon's console: its page, or where that needs more, the list."""
        region = self.aws_region
        url = "https://console.aws.amazon.com/sqs/v3/home"
        if region is None:
            return f"{url}#/queues"
        account, name = self.aws_account_id, self.queue_name
        own = f"https://sqs.{region}.amazonaws.com/{account}/{name}" if account else ""
        return f"{url}?region={region}#/queues/{quote(own, safe='')}".rstrip("/")

    def _client(self, env: Env) -> QueueClient:
        target = Target("queue", self.queue_name, env.stack_said)
        return QueueClient(lambda: access(env, "sqs", self.aws_region), target, self.aws_account_id)
