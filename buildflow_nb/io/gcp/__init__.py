"""Primitives of Google Cloud."""
