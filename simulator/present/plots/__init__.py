"""Pictures: a Dataset in, matplotlib Axes out; one file a question; nothing is computed here."""

from .assumptions import tornado
from .bearers import who_bears
from .exceed import exceedance_curve
from .fan import fan_by_size
from .fit_diagnostics import fit_concentration, fit_diagnostics, fit_exceedance, fit_limited_means, fit_quantiles
from .heat import heat_map
from .least import minimum_population
from .payoff import payoff_diagram
from .practices import funnel
from .removal import threshold_effect
from .split import risk_split
from .stresses import stress_heat_map
from .targets import minimum_by_target
from .variance import variance_by_size
from .waterfall import layer_waterfall

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
    "risk_split",
    "stress_heat_map",
    "threshold_effect",
    "tornado",
    "variance_by_size",
    "who_bears",
]
