"""Commands to a running supervisor, and their answers."""
