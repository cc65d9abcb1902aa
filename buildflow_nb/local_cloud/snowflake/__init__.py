"""Snowflake on this machine: fakesnow's server, with what a stack needs and it lacks."""
