"""What the Makefile calls besides the project's own commands."""
