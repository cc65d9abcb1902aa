"""A flow as a job of a Ray cluster: packed, submitted and watched by plain HTTP, without Ray."""
