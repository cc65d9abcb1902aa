"""Build, run, watch and ship a streaming backend without leaving a Jupyter notebook."""

__version__ = "0.1.0"
