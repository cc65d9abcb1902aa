"""A page of its own: the same panel in any browser, at a loopback address with a token."""
