"""Between a wire's values and the types that users declare, compiled once."""
