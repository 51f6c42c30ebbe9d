"""A factory for small language models: every stage writes artifacts that later stages verify."""

__version__ = "0.1.0"
