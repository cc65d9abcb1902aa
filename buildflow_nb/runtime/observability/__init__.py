"""What is remembered of processors: numbers, elements, failures, logs."""
