"""What a model may have learned by heart: planted facts, passages to continue, and text that its samples copy."""
