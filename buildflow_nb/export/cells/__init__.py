"""What a notebook holds: its cells, of a file, a kernel or both, read into statements."""
