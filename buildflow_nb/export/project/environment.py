"""`.env.example`: the names of the secrets that a program reads from its environment, no values."""

from __future__ import annotations

from buildflow_nb.export.exported_program import ExportedProgram

__all__ = ("EXAMPLE", "environment_text")

EXAMPLE = ".env.example"
_HEAD = "# Copy to .env, which git and the image leave out, and fill in.\n"
_NONE = "# This flow reads no secret from its environment.\n"


def environment_text(program: ExportedProgram) -> str:
    """The text of the file."""
    names = sorted(set(program.secrets))
    return _HEAD + "".join(f"{name}=\n" for name in names) if names else _NONE
