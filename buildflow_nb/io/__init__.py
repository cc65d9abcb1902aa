"""Primitives, by connector: their configuration, source, sink and cloud resources."""
