"""What to say where a source that was read to its end is about to be read again.

Reading again writes again, and nothing in a table shows which rows stand there twice. So it is
said before it happens, with what avoids it.
"""

from __future__ import annotations

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.primitive import label_of

__all__ = ("reading_again",)


def reading_again(before: object | None, spec: ProcessorSpec) -> str:
    """A line for people; "" where `before`, which was read to its end, is not what is read now."""
    if before is None or not isinstance(spec, ConsumerSpec) or spec.source != before:
        return ""
    resumes = getattr(spec.source, "resume", None)
    if resumes:
        return ""
    cure = "; with resume=True it goes on where it ended" if resumes is not None else ""
    said = f"{label_of(spec.source)} was read to its end before, and is read again from its start"
    return f"{said}{cure}"
