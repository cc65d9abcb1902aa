"""BigQuery on this machine: its REST API, and Storage Write and Read, over one DuckDB file.

What was answered is in the file, also when the process is killed a moment later: every change is
one transaction, whose metadata are in the same file. What is not served is refused by name.
"""
