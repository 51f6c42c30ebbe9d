"""What a model answered, and what that says of it."""
