"""Capitation risk: how much of next year's health-care cost is luck, and who should carry it.

The flow, in one direction::

    scenario.toml → Scenario → cost model → engine → ledger → contracts → analysis → present
"""

from .base import SimulatorError
from .contracts.exclusion import Banded, Cap, CarveOut, Coinsure
from .ledger import by_unit, merge, open_ledger, retained_cost, save
from .runs import extend, simulate
from .scenario import Scenario, load

__version__ = "0.1.0"

__all__ = [
    "Banded",
    "Cap",
    "CarveOut",
    "Coinsure",
    "Scenario",
    "SimulatorError",
    "by_unit",
    "extend",
    "load",
    "merge",
    "open_ledger",
    "retained_cost",
    "save",
    "simulate",
]
