"""Primitives: one file each, for its configuration, its source or sink, and its resources."""
