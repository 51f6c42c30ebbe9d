"""model_card.md: what the hub and a reader ask of a model."""
