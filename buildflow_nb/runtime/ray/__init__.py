"""Replicas as actors of a Ray cluster.

Ray ends the process that uses it once its cluster is lost, prints into it, and takes a signal of
it. So it is imported in a process of its own alone, the driver, and never in a kernel or a script:
`host.py` there starts and asks it, and outlives whatever becomes of it.
"""
