"""What routes read that takes more than a view: sets of checks, rows, what was hashed."""
