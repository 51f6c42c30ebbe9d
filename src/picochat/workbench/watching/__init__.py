"""What changes in the runs folder, and who is told."""
