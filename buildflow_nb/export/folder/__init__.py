"""The folder that is written: all of it or nothing, and never over somebody's work."""
