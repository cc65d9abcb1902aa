"""Primitives of AWS."""
