"""Pictures: a Dataset in, matplotlib Axes out; one file per question; nothing is computed here."""

from .exceedance_curve import exceedance_curve
from .fan_by_size import fan_by_size
from .fit_diagnostics import fit_concentration, fit_diagnostics, fit_exceedance, fit_limited_means, fit_quantiles
from .funnel import funnel
from .heat_map import heat_map
from .layer_waterfall import layer_waterfall
from .minimum_by_target import minimum_by_target
from .minimum_population import minimum_population
from .payoff_diagram import payoff_diagram
from .places import places
from .risk_split import risk_split
from .stress_heat_map import stress_heat_map
from .threshold_effect import threshold_effect
from .tornado import tornado
from .variance_by_size import variance_by_size
from .who_bears import who_bears

__all__ = [
    "exceedance_curve",
    "fan_by_size",
    "fit_concentration",
    "fit_diagnostics",
    "fit_exceedance",
    "fit_limited_means",
    "fit_quantiles",
    "funnel",
    "heat_map",
    "layer_waterfall",
    "minimum_by_target",
    "minimum_population",
    "payoff_diagram",
    "places",
    "risk_split",
    "stress_heat_map",
    "threshold_effect",
    "tornado",
    "variance_by_size",
    "who_bears",
]
