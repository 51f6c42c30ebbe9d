"""Which file came from which; events and logs by their place in a file."""
