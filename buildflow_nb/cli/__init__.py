"""The command line: the same commands as the line magics, rendered for a terminal."""
