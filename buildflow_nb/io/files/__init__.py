"""Files of records: formats, paths, and what they hold."""
