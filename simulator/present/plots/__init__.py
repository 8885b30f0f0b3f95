"""Pictures: a Dataset in, matplotlib Axes out; one file a question; nothing is computed here."""

from .payoff import payoff_diagram
from .variance import variance_by_size

__all__ = ["payoff_diagram", "variance_by_size"]
