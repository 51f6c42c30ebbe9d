"""What a corpus was made from, and why something is not in it."""
