"""How many replicas a processor has: what was seen, the rule, and who asks it."""
