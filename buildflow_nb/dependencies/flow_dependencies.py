"""What a flow itself gives to dependencies: its credentials."""

from buildflow_nb.core.credentials import FlowCredentials

__all__ = ("FlowCredentials",)
