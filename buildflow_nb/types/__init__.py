"""Types that elements and options are made of; below every primitive, so any of them may use it."""
