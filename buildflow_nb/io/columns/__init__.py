"""Python values to columns and back: kinds of columns, their layout, Arrow."""
