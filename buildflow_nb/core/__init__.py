"""What everything else is said in: data, types and errors."""
