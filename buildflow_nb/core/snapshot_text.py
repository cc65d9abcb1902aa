"""A run at one moment as plain text: a line for the flow, a line for each processor."""

from __future__ import annotations

from buildflow_nb.core.snapshot import FlowSnapshot, ProcessorSnapshot

__all__ = ("run_text",)


def run_text(snapshot: FlowSnapshot) -> str:
    """Write states and numbers."""
    head = f"flow {snapshot.flow_id!r} on stack {snapshot.stack!r}: {snapshot.state.value}"
    if snapshot.address:
        head += f", {snapshot.address}"
    return "\n".join([head, *(_line(processor) for processor in snapshot.processors)])


def _line(p: ProcessorSnapshot) -> str:
    text = f"  {p.processor_id}  {p.kind}  {p.state.value}  {p.elements_in:,} in"
    text += f"  {p.elements_out:,} out  {p.failed:,} failed"
    return f"{text}  ({p.reason})" if p.reason else text
