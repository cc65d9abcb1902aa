"""The engine: a loop thread, and the units that run on it."""
