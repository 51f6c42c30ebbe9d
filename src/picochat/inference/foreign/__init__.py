"""Models that others trained, read into our form."""
