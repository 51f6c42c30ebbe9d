"""Tokenizers and chat templates that came with models of others."""
