"""A consumer at work: from the source through the user's code to the sink."""
