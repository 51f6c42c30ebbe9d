"""Packages of the extra `data`: imported where they are used, refused by name where they are missing."""

from picochat.core.extras import require_extra

__all__ = ["require_extra"]
