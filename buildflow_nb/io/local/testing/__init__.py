"""Primitives for testing flows."""

from buildflow_nb.io.local.testing.pulse_with_backlog import PulseWithBacklog

__all__ = ("PulseWithBacklog",)
