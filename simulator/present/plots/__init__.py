"""Pictures: a Dataset in, matplotlib Axes out; one file a question; nothing is computed here."""

from .fit_diagnostics import fit_concentration, fit_diagnostics, fit_exceedance, fit_limited_means, fit_quantiles
from .payoff import payoff_diagram
from .variance import variance_by_size

__all__ = [
    "fit_concentration",
    "fit_diagnostics",
    "fit_exceedance",
    "fit_limited_means",
    "fit_quantiles",
    "payoff_diagram",
    "variance_by_size",
]
