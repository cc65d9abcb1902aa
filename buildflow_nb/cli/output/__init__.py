"""What a terminal shows: lines, live views, tables, JSON."""
