"""What consumers and collectors both write through."""
