"""Pictures: a Dataset in, matplotlib Axes out; one file a question; nothing is computed here."""

from .variance import variance_by_size

__all__ = ["variance_by_size"]
