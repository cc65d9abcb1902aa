"""A real Postgres from a wheel, over TCP of the loopback address, with a password."""
