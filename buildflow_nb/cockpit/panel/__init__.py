"""The panel: its parts, what is open in it, and what a click does."""
