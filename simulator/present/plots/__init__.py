"""Pictures: a Dataset in, matplotlib Axes out; one file per question; nothing is computed here."""

from .variance_by_size import variance_by_size as variance_by_size
from .heat_map import heat_map as heat_map
from .minimum_by_target import minimum_by_target as minimum_by_target
from .minimum_population import minimum_population as minimum_population
from .exceedance_curve import exceedance_curve as exceedance_curve
from .fan_by_size import fan_by_size as fan_by_size
from .funnel import funnel as funnel
from .places import places as places
from .threshold_effect import threshold_effect as threshold_effect
from .payoff_diagram import payoff_diagram as payoff_diagram
from .who_bears import who_bears as who_bears
from .layer_waterfall import layer_waterfall as layer_waterfall
from .risk_split import risk_split as risk_split
from .tornado import tornado as tornado
from .stress_heat_map import stress_heat_map as stress_heat_map
from .frontier import frontier as frontier
from .regression_to_the_mean import regression_to_the_mean as regression_to_the_mean
from .pooled_worth import pooled_worth as pooled_worth
from .cumulative_surplus import cumulative_surplus as cumulative_surplus
from .reserve_fan import reserve_fan as reserve_fan
from .payback import payback as payback
from .observed_spread import observed_spread as observed_spread
from .pit_histogram import pit_histogram as pit_histogram
from .fit_diagnostics import fit_diagnostics as fit_diagnostics
from .fit_diagnostics import fit_quantiles as fit_quantiles
from .fit_diagnostics import fit_exceedance as fit_exceedance
from .fit_diagnostics import fit_concentration as fit_concentration
from .fit_diagnostics import fit_limited_means as fit_limited_means

__all__ = [name for name, one in list(globals().items()) if callable(one)]
