"""Capitation risk: how much of next year's health-care cost is luck, and who should carry it.

The flow, in one direction::

    scenario.toml → Scenario → cost model → engine → ledger → contracts → analysis → present

Public names are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

logging.getLogger(__name__).addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from .analysis.designs.detection import detection as detection
    from .analysis.designs.exact_settlement import exact_settlement as exact_settlement
    from .analysis.designs.layers import layers as layers
    from .analysis.designs.minimum_rate import load_minimum_rate as load_minimum_rate
    from .analysis.designs.pricing import compare_rules as compare_rules
    from .analysis.designs.pricing import fair_price as fair_price
    from .analysis.luck.exact_curve import exact_curve as exact_curve
    from .analysis.luck.exceedance import exceedance as exceedance
    from .analysis.luck.fan import fan as fan
    from .analysis.luck.funnel import funnel as funnel
    from .analysis.luck.luck import luck as luck
    from .analysis.luck.systematic import variance_by_source as variance_by_source
    from .analysis.size.by_target import minimum_by_target as minimum_by_target
    from .analysis.size.minimum import minimum_population as minimum_population
    from .analysis.size.published import beside_published as beside_published
    from .analysis.size.viable import viable_terms as viable_terms
    from .analysis.size.viable import viable_threshold as viable_threshold
    from .analysis.statistics.describe import describe as describe
    from .analysis.statistics.exact import exact as exact
    from .analysis.statistics.summary import summarise as summarise
    from .analysis.stress.reverse import reverse_stress as reverse_stress
    from .analysis.stress.sensitivity import sensitivity as sensitivity
    from .analysis.stress.stress import stress as stress
    from .contracts.design import Design as Design
    from .contracts.exclusion import Banded as Banded
    from .contracts.exclusion import Cap as Cap
    from .contracts.exclusion import CarveOut as CarveOut
    from .contracts.exclusion import Coinsure as Coinsure
    from .costs.calibrate import calibrate as calibrate
    from .errors import SimulatorError as SimulatorError
    from .fitting.fit import fit as fit
    from .fitting.fit import fit_bands as fit_bands
    from .fitting.fit import model_population as model_population
    from .ledger import by_unit as by_unit
    from .ledger import merge as merge
    from .ledger import open_ledger as open_ledger
    from .ledger import retained_cost as retained_cost
    from .ledger import save as save
    from .present import plots as plots
    from .present.show import table as table
    from .runs import extend as extend
    from .runs import simulate as simulate
    from .scenario import Scenario as Scenario
    from .scenario import load as load
    from .settlement.actuals import load_designs as load_designs
    from .settlement.actuals import settle_actuals as settle_actuals
    from .settlement.compare import compare as compare
    from .settlement.payoff import payoff as payoff
    from .settlement.settle import settle as settle
    from .stresses import load_stresses as load_stresses

_HOMES = {
    "Banded": ".contracts.exclusion",
    "Cap": ".contracts.exclusion",
    "CarveOut": ".contracts.exclusion",
    "Coinsure": ".contracts.exclusion",
    "Design": ".contracts.design",
    "Scenario": ".scenario",
    "SimulatorError": ".errors",
    "beside_published": ".analysis.size.published",
    "by_unit": ".ledger",
    "calibrate": ".costs.calibrate",
    "compare": ".settlement.compare",
    "compare_rules": ".analysis.designs.pricing",
    "describe": ".analysis.statistics.describe",
    "detection": ".analysis.designs.detection",
    "exact": ".analysis.statistics.exact",
    "exact_curve": ".analysis.luck.exact_curve",
    "exact_settlement": ".analysis.designs.exact_settlement",
    "exceedance": ".analysis.luck.exceedance",
    "extend": ".runs",
    "fair_price": ".analysis.designs.pricing",
    "fan": ".analysis.luck.fan",
    "fit": ".fitting.fit",
    "fit_bands": ".fitting.fit",
    "funnel": ".analysis.luck.funnel",
    "layers": ".analysis.designs.layers",
    "load": ".scenario",
    "load_designs": ".settlement.actuals",
    "load_minimum_rate": ".analysis.designs.minimum_rate",
    "load_stresses": ".stresses",
    "luck": ".analysis.luck.luck",
    "merge": ".ledger",
    "minimum_by_target": ".analysis.size.by_target",
    "minimum_population": ".analysis.size.minimum",
    "model_population": ".fitting.fit",
    "open_ledger": ".ledger",
    "payoff": ".settlement.payoff",
    "plots": ".present.plots",
    "retained_cost": ".ledger",
    "reverse_stress": ".analysis.stress.reverse",
    "save": ".ledger",
    "sensitivity": ".analysis.stress.sensitivity",
    "settle": ".settlement.settle",
    "settle_actuals": ".settlement.actuals",
    "simulate": ".runs",
    "stress": ".analysis.stress.stress",
    "summarise": ".analysis.statistics.summary",
    "table": ".present.show",
    "variance_by_source": ".analysis.luck.systematic",
    "viable_terms": ".analysis.size.viable",
    "viable_threshold": ".analysis.size.viable",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(".present.term_html", __name__)  # so that a notebook shows every term
    home = import_module(_HOMES[name], __name__)
    found = home if name == "plots" else getattr(home, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
