"""One element through the code of a consumer, as a person sends it; nothing is written."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from buildflow_nb.core.conversion.annotations import is_record, optional_of
from buildflow_nb.core.conversion.decode import Decoder, compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder, to_record
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.consumer.code import Code
from buildflow_nb.runtime.consumer.outcome import ChunkOutcome
from buildflow_nb.runtime.observability.logs import LogRing, owned_by
from buildflow_nb.runtime.observability.masked_error import masked_error
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.observability.tracebacks import harmless
from buildflow_nb.runtime.sinks.side_sink import muted_sinks

__all__ = ("AS_IT_IS", "as_declared", "run_value", "send_through")

AS_IT_IS = Decoder(lambda raw: raw, lambda raws: raws)
_AS_RETURNED = compile_encoder(None, Wire.OBJECT, "send")


async def send_through(
    code: Code, worker: WorkerThread, element: object, ring: LogRing | None = None
) -> list[object]:
    """Run one element through a consumer's code and give its results, as the code made them.

    What async code prints is the processor's whose `ring` is given; sync code's is its worker's.

    Raises:
        Exception: the element cannot be converted, or whatever the code raised, of its type, with
            the secrets that it quotes masked.
    """
    plain = replace(code, encode=_AS_RETURNED)
    value = as_declared(code.spec, element)
    with nullcontext() if ring is None else owned_by(ring):
        return await run_value(plain, worker, value)


async def run_value(code: Code, worker: WorkerThread, value: object) -> list[object]:
    """The same for a value of the declared type; what the sink could not take is an error, too.

    Raises:
        Exception: whatever the code raised.
    """
    typed = replace(code, decoder=AS_IT_IS)
    if code.is_async:
        with muted_sinks():
            outcome = await typed.run_async([value])
    else:
        outcome = await worker.submit(partial(_muted_run, typed, value))
    if outcome.faults:
        raise harmless(masked_error(outcome.faults[0], partial(_said, code.spec, value)))
    return list(outcome.given(0))


def _muted_run(code: Code, value: object) -> ChunkOutcome:
    with muted_sinks():
        return code.run([value])


def _said(spec: ConsumerSpec, value: object, text: str) -> str:
    """A text without the secrets of an element."""
    return redaction_of(spec).text(text, value)


def as_declared(spec: ConsumerSpec, element: object) -> object:
    """A plain value (a dict, JSON text) as the type that the processor declares.

    So is an instance of an older version of that type, which a cell has defined anew since.

    Raises:
        ConversionError: it cannot become one.
    """
    try:
        return _converted(spec, element)
    except ConversionError:
        if not is_record(type(element)):
            raise
        try:
            plain = to_record(element)
        except ConversionError:
            plain = None
        if plain is None:
            raise
        return _converted(spec, plain)


def _converted(spec: ConsumerSpec, element: object) -> object:
    wire = Wire.OBJECT
    kind = optional_of(spec.input_type)[0]
    if isinstance(element, (str, bytes)) and kind not in (str, bytes, None):
        wire = Wire.TEXT
    elif isinstance(element, dict) and spec.source.source_wire is Wire.ROW:
        text = all(isinstance(value, str) for value in element.values())
        wire = Wire.ROW if text else Wire.OBJECT
    return compile_decoder(spec.input_type, wire, f"consumer {spec.id!r}").one(element)
