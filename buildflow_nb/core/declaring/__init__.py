"""What users declare, made into frozen specs, and kept until a cell has succeeded."""
