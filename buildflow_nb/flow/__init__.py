"""`Flow`: what a program or a notebook declares, and the verbs on it."""

from buildflow_nb.flow.flow import Flow

__all__ = ("Flow",)
