"""Secrets in a notebook's text: found, and replaced by variables of the environment."""
