"""One resource of a flow in a person's hands: looked into, fetched from, sent to, emptied.

Every call waits on the caller's thread, with a deadline, for what the flow's loop does. Only
`send`, `redrive` and `purge` change anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import BuildFlowError, UsageError
from buildflow_nb.core.primitive import Managed, owned_by
from buildflow_nb.core.resource_look import (
    MOST_ROWS,
    Asked,
    Browsable,
    Figure,
    Lookable,
    Purgeable,
    ResourceLook,
    Standing,
)
from buildflow_nb.flow.downloading import downloaded, file_of
from buildflow_nb.flow.redriving import Redriven, redriven
from buildflow_nb.flow.resource_actions import actions_of, sink_of
from buildflow_nb.flow.resource_letters import with_elements
from buildflow_nb.flow.resource_masks import masked_look
from buildflow_nb.flow.resource_names import KnownResource
from buildflow_nb.flow.resource_rows import Rows, dicts_of

if TYPE_CHECKING:
    import pandas as pd

    from buildflow_nb.core.declaring.flow_spec import ProcessorSpec

__all__ = ("Resource", "ResourceFlow")

T = TypeVar("T")
LOOK_S = 8.0
GRACE_S = 1.0  # for what ends a call that has taken too long
CALL_S = 30.0
FETCH_S = 3_600.0  # 5 GB at 1.5 MB a second
ROWS = 20


class ResourceFlow(Protocol):
    """What a resource wants to know of its flow."""

    def reached(self, primitive: object) -> tuple[Env, str]:
        """Where clients connect, and why this primitive cannot be looked at there, or ""."""
        ...

    def known(self) -> Mapping[str, KnownResource]:
        """All that the flow knows, by class and id."""
        ...

    def rates(self, known: KnownResource) -> Sequence[Figure]:
        """What the run reads from it and writes to it, as figures; none where it does not run."""
        ...

    def standing(self, key: str) -> str:
        """How it stands in the stack: "applied", "not applied", or "" where it is not managed."""
        ...


class Resource:
    """A queue, a topic, a bucket, a table or a file of a flow."""

    def __init__(self, flow: ResourceFlow, known: KnownResource) -> None:
        self._flow = flow
        self._known = known

    def __repr__(self) -> str:
        roles = ", ".join(self._known.roles)
        return f"Resource {self._known.key}{f' ({roles})' if roles else ''}: .look() shows it"

    @property
    def key(self) -> str:
        """Class and id."""
        return self._known.key

    @property
    def name(self) -> str:
        """What lines call it."""
        return self._known.name

    @property
    def uses(self) -> Sequence[tuple[str, ProcessorSpec]]:
        """Who uses it, each with the role in which it does."""
        return self._known.uses

    @property
    def primitive(self) -> object:
        """What was declared."""
        return self._known.primitive

    def look(  # noqa: PLR0913  (what a line may say)
        self,
        *,
        rows: int = ROWS,
        prefix: str = "",
        key: str = "",
        page: str = "",
        peek: bool = False,
        whole: bool = False,
        timeout: float = LOOK_S,
    ) -> ResourceLook:
        """How it is at this moment; consumes nothing and changes nothing.

        `prefix`, `key` and `page` are for buckets: which names, which object to show, which page.
        With `peek` messages may be received and given back at once where a cloud has no other way
        to show them. With `whole` objects are counted until the deadline. What is wrong is told by
        the look.

        Raises:
            UsageError: rows is no number from 0 to 100,000.
        """
        if not isinstance(rows, int) or not 0 <= rows <= MOST_ROWS:
            msg = f"look: rows must be from 0 to {MOST_ROWS:,}, got {rows!r}"
            raise UsageError(msg)
        asked = Asked(rows, prefix, key, page, peek, whole, timeout)
        return _on_loop(self.looked(asked), timeout + GRACE_S, self._late)

    async def looked(self, asked: Asked) -> ResourceLook:
        """The look, on the flow's loop."""
        known, primitive = self._known, self._known.primitive
        env, away = await asyncio.to_thread(self._flow.reached, primitive)
        lookable = _what_holds(primitive)
        if lookable is None:
            look = self._empty(Standing.UNREACHED, "there is nothing in it to look into")
            look = replace(look, cure="one of your own may have `async def look(self, env, asked)`")
        elif away:
            look = replace(self._empty(Standing.ASLEEP, away), cure="%buildflow cloud start")
        else:
            look = await self._of(lookable, env, asked)
            if lookable is not primitive:
                note = f"It is read from {look.key}, which is shown here."
                look = replace(look, key=known.key, notes=(*look.notes, note))
        look = masked_look(look, known.uses)
        if any(role == "dead letter" for role, _ in known.uses):
            look = with_elements(look)
        if look.there:
            rates = await asyncio.to_thread(self._flow.rates, known)
            look = replace(look, figures=(*look.figures, *rates))
        look = self._mended(replace(look, name=known.name, roles=known.roles))
        return replace(look, actions=actions_of(known, look))

    async def _of(self, primitive: Lookable, env: Env, asked: Asked) -> ResourceLook:
        try:
            async with asyncio.timeout(asked.within_s + GRACE_S / 2):
                return await primitive.look(env, asked)
        except TimeoutError:
            said = f"no answer within {asked.within_s:g} s"
            return replace(self._empty(Standing.UNREACHED, said), cure="look at the network")
        except Exception as error:  # noqa: BLE001  (the boundary to primitives of users' own)
            said = f"its look failed: {type(error).__name__}: {error}"
            return replace(self._empty(Standing.UNREACHED, said), cure="mend its `look`")

    def _mended(self, look: ResourceLook) -> ResourceLook:
        """Apply makes what the flow manages; of anything else, that is said."""
        standing = self._flow.standing(self.key)
        if look.standing is not Standing.ABSENT or not isinstance(self.primitive, Managed):
            return look
        if not standing:
            cure = "make it, or app.manage(…) it and %buildflow apply: the flow does not manage it"
            return replace(look, cure=cure)
        if standing == "applied":
            said = f"{look.said}: it was applied, and is gone"
            return replace(look, said=said, cure="%buildflow refresh, then %buildflow apply")
        return replace(look, said=f"{look.said}: not applied yet", cure="%buildflow apply")

    def _empty(self, standing: Standing, said: str) -> ResourceLook:
        kind = type(self.primitive).__name__
        return ResourceLook(self.key, kind, self.name, standing=standing, said=said, at=time.time())

    def _late(self) -> ResourceLook:
        said = "not looked at: the flow's loop is held by an async processor"
        return self._empty(Standing.UNREACHED, said)

    def rows(self, limit: int = ROWS, timeout: float = CALL_S) -> Rows:
        """Rows of a table or messages of a queue, as dicts; a second column `a` is `a_2`.

        Raises:
            UsageError: it cannot be looked into now; says why.
        """
        return dicts_of(self._there(Asked(limit, within_s=timeout)), -1)

    def peek(self, n: int = ROWS, timeout: float = CALL_S) -> Rows:
        """Messages of a queue, as dicts, which stay in it; on a real cloud that is a receive.

        Raises:
            UsageError: it cannot be looked into, or shows no messages; says why.
        """
        look = self._there(Asked(n, peek=True, within_s=timeout))
        if not look.contents:
            msg = f"{self.key}: {' '.join(look.notes)}"
            raise UsageError(msg)
        return dicts_of(look, -1)

    def list(self, prefix: str = "", limit: int = 1_000, page: str = "") -> Rows:
        """Names in a bucket that begin with a prefix, a folder as one of them.

        Raises:
            UsageError: it is no bucket, or cannot be looked into now.
        """
        self._browsable("list")
        return dicts_of(self._there(Asked(limit, prefix, page=page, within_s=CALL_S)), 0)

    def preview(self, key: str, rows: int = ROWS) -> Rows:
        """The first rows of an object, as dicts, by reading its beginning alone.

        Raises:
            UsageError: it is no bucket, there is no such object, or it is no table.
        """
        self._browsable("preview")
        look = self._there(Asked(rows, key, key, within_s=CALL_S))
        content = look.contents[-1]
        if content.said and not content.rows:
            msg = f"{self.key}: {content.title}: {content.said}"
            raise UsageError(msg)
        return dicts_of(look, -1)

    def dataframe(self, limit: int = 1_000, key: str = "") -> pd.DataFrame:
        """Rows as a DataFrame: of a table, a queue, or the object `key` of a bucket.

        Raises:
            UsageError: as `rows` and `preview`, or pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            msg = "dataframe needs pandas: pip install pandas"
            raise UsageError(msg) from error
        return pd.DataFrame(self.preview(key, limit) if key else self.rows(limit))

    def download(
        self,
        key: str,
        to: str | Path | None = None,
        *,
        overwrite: bool = False,
        timeout: float = FETCH_S,
    ) -> Path:
        """Write an object to a file that only you can read; gives its path.

        Without `to` it has the object's own name, made safe, in the folder that you are in. It is
        streamed, so its size does not matter. A file that is there stays unless `overwrite`.

        Raises:
            UsageError: it is no bucket, there is no such object, or the file cannot be written.
        """
        bucket = self._browsable("download")
        return downloaded(
            file_of(key, to),
            lambda take: self._call(lambda env: bucket.download(env, key, take), timeout),
            overwrite=overwrite,
        )

    def send(self, element: object, timeout: float = CALL_S) -> None:
        """Put a message into the queue or topic: text and bytes as they are, anything else as JSON.

        Raises:
            UsageError: nothing can be sent to it, or it was refused.
        """
        from buildflow_nb.core.conversion.encode import compile_encoder

        sink = sink_of(self._known)
        if sink is None:
            msg = f"send: {self.key} takes no messages"
            raise UsageError(msg)
        encoded = compile_encoder(None, sink.sink_wire, self.key)([element])

        async def push(env: Env) -> None:
            async with sink.sink(env, None) as opened:
                await opened.push(encoded)

        self._call(push, timeout)

    def redrive(
        self, to: object = None, most: int | None = None, timeout: float = 60.0
    ) -> Redriven:
        """Take dead letters out, and put what failed back into the source that it came from.

        `to` is another queue or topic, for letters that the flow did not write. A letter is deleted
        once it is in the source; what cannot go back stays.

        Raises:
            UsageError: these are no dead letters, or they cannot be taken out.
        """
        known = self._flow.known()
        return self._call(lambda env: redriven(env, self._known, known, to, most, timeout), timeout)

    def purge(self, name: str, timeout: float = CALL_S) -> int | None:
        """Delete all messages; `name` is its name, typed again. Gives how many there were.

        Raises:
            UsageError: it cannot be purged, it is not known how much it holds, or the name is
                another.
        """
        primitive = self.primitive
        if not isinstance(primitive, Purgeable):
            msg = f"purge: {self.key} is no queue or subscription; nothing was deleted"
            raise UsageError(msg)
        look = self._there(Asked(0, within_s=timeout))
        if look.held is None or look.held.count is None:
            msg = f"purge: how much {self.key} holds is not known; nothing was deleted"
            raise UsageError(msg)
        if name not in set(self._known.names):
            msg = (
                f"purge: would delete {look.held} of {self.key}; nothing was deleted: type its "
                f"name, {self.name}, to do it"
            )
            raise UsageError(msg)
        self._call(primitive.purge, timeout)
        return look.held.count

    def _browsable(self, verb: str) -> Browsable:
        if not isinstance(self.primitive, Browsable):
            msg = f"{verb}: {self.key} is no bucket"
            raise UsageError(msg)
        return self.primitive

    def _there(self, asked: Asked) -> ResourceLook:
        look = _on_loop(self.looked(asked), asked.within_s + 2 * GRACE_S, self._late)
        if not look.there:
            msg = f"{self.key}: {look.said}{f'; {look.cure}' if look.cure else ''}"
            raise UsageError(msg)
        return look

    def _call(self, work: Callable[[Env], Awaitable[T]], timeout: float) -> T:
        from buildflow_nb.runtime.concurrency.loop import loop_thread

        env, away = self._flow.reached(self.primitive)
        if away:
            msg = f"{self.key}: {away}; %buildflow cloud start"
            raise UsageError(msg)

        async def go() -> T:
            async with asyncio.timeout(timeout):
                return await work(env)

        try:
            return loop_thread().run(go(), timeout + GRACE_S)
        except TimeoutError as error:
            msg = f"{self.key}: not done within {timeout:g} s; it was given up"
            raise UsageError(msg) from error
        except UsageError:
            raise
        except BuildFlowError as error:
            msg = f"{self.key}: {error}"
            raise UsageError(msg) from error


def _what_holds(primitive: object) -> Lookable | None:
    """What can be looked into: the primitive, or what it owns that its elements wait in."""
    if isinstance(primitive, Lookable):
        return primitive
    parts = [one for one in owned_by(primitive) if isinstance(one, Purgeable)]
    return next((one for one in parts if isinstance(one, Lookable)), None)


def _on_loop(work: Any, timeout: float, late: Callable[[], ResourceLook]) -> ResourceLook:
    from buildflow_nb.runtime.concurrency.loop import loop_thread

    try:
        found: ResourceLook = loop_thread().run(work, timeout)
    except TimeoutError:
        return late()
    return found
