"""Primitives of this machine: files, folders and things for trying a flow out."""
