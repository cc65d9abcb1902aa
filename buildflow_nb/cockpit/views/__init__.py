"""How data looks: pure functions that give HTML and text."""
