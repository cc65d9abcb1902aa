"""A run at one moment as plain text: a line for the flow, a line for each processor.

What comes from elements and their errors is written so that no terminal obeys it.
"""

from __future__ import annotations

from buildflow_nb.core.snapshot import FlowSnapshot, ProcessorSnapshot

__all__ = ("harmless", "run_text", "served_text")


def served_text(snapshot: FlowSnapshot, runtime_address: str | None) -> str:
    """Which flow runs, and where it answers."""
    parts = [f"flow {snapshot.flow_id!r} runs on stack {snapshot.stack_said}"]
    parts += [f"serving at {snapshot.address}"] if snapshot.address else []
    parts += [f"runtime server at {runtime_address}"] if runtime_address else []
    return ", ".join(parts)


def run_text(snapshot: FlowSnapshot) -> str:
    """Write states and numbers."""
    head = f"flow {snapshot.flow_id!r} on stack {snapshot.stack_said}: {snapshot.state.value}"
    if snapshot.address and not snapshot.state.ended:
        head += f", {snapshot.address}"
    return "\n".join([head, *(_line(processor) for processor in snapshot.processors)])


def _line(p: ProcessorSnapshot) -> str:
    text = f"  {p.processor_id}  {p.kind}  {p.state.value}  {p.elements_in:,} in"
    text += f"  {p.elements_out:,} out  {p.failed:,} failed"
    return f"{text}  ({harmless(p.reason)})" if p.reason else text


def harmless(text: str) -> str:
    """A line that came from elsewhere (an element, its error), with nothing that steers."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
