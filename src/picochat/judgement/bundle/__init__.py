"""A run to hand over: what goes in, writing it, verifying it alone, signing it."""
