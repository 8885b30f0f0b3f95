"""What to plot from a saved file."""

import os
from dataclasses import dataclass
from functools import cached_property

import xarray as xr

from ..analysis.statistics.pooled import pool_years
from ..analysis.statistics.summary import MARGINS, summarise
from ..contracts.design import Design, on_grid
from ..errors import SimulatorError
from ..ledger import check_ledger, check_version, draws_of, read_dataset
from ..runs import designs_of, scenario_of
from ..scenario import Scenario, load


@dataclass(frozen=True)
class PlotRequest:
    """A saved file, and what to plot of it: without more the largest population, last threshold and first design."""

    path: str
    found: xr.Dataset
    members: int | None = None
    threshold: float | None = None
    margin: float = 0.03
    at_most: float = 0.05
    design: str | None = None
    actuals: str | None = None

    @cached_property
    def ledger(self) -> xr.Dataset:
        """The draws of a run."""
        if "gross_cost" not in self.found:
            raise self.refusal("holds no draws", "name a file that `simulator run --out` wrote")
        return draws_of(self.found)

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario that was drawn, or answered exactly."""
        if self.path.endswith(".toml"):
            return load(self.path)
        self._carries_scenario()
        scenario = scenario_of(self.found)
        if scenario is None:
            raise self.refusal("withholds the observed costs of its scenario", "choose another kind")
        return scenario

    @cached_property
    def summary(self) -> xr.Dataset:
        """Every statistic of the run, computed from its draws; or those of `run --exact`, as they are."""
        if not self.is_exact:
            return summarise(self.ledger, margins=sorted({*MARGINS, self.margin}))
        known = self.found["margin"].values
        if self.margin not in known:
            told = ", ".join(f"{margin:g}" for margin in known)
            mend = "name one of these, or give `run --exact` the same --margin"
            raise SimulatorError("--margin", self.margin, f"is not in {self.path} ({told})", mend)
        return self.found

    @property
    def is_exact(self) -> bool:
        """Whether the file is what `run --exact --out` wrote."""
        return {"probability_error", "p_overspend", "cv"} <= set(self.found) and "gross_cost" not in self.found

    @property
    def designs(self) -> tuple[Design, ...]:
        """The scenario's designs, the one asked for first."""
        self._carries_scenario()
        designs = designs_of(self.found)
        if not designs:
            raise self.refusal("has no designs", "add [[designs]] to the scenario and run it again")
        if self.design is None:
            return designs
        names = ", ".join(one.name for one in designs)
        first = [one for one in designs if one.name == self.design]
        if not first:
            raise SimulatorError("--design", self.design, f"is not in {self.path} ({names})", "name one of these")
        return (*first, *(one for one in designs if one.name != self.design))

    @property
    def placed(self) -> tuple[Design, ...]:
        """Those of the designs that have a threshold of their own, the one asked for first."""
        labels = self.found["threshold"].values if "threshold" in self.found.dims else self.scenario.threshold_labels
        designs = on_grid(self.designs, labels)
        own = tuple(design for design in designs if design.exclusion.fixed_thresholds())
        if not own:
            raise self.refusal("has no design with a threshold of its own", "give one `at`, and run it again")
        if self.design is not None and own[0].name != self.design:
            mend = "name another, or give it `at`"
            raise SimulatorError("--design", self.design, "has no threshold of its own", mend)
        return own

    @property
    def statistics(self) -> xr.Dataset:
        """What a run's statistics are computed from, or those of `run --exact`."""
        return self.found if self.is_exact else self.ledger

    @property
    def units(self) -> xr.Dataset:
        """The draws of a run with units."""
        self.has_units("unit" in self.ledger.dims)
        return self.ledger

    def has_units(self, known: object) -> object:
        """What is known of units; refuses a file without any."""
        if not known:
            raise self.refusal("has no units", "add [[population.units]] to the scenario and run it again")
        return known

    def several(self, dim: str) -> int:
        """How many places a dim has; refuses one alone, of which there is no curve."""
        if self.found.sizes.get(dim, 0) < 2:
            raise self.refusal(f"holds one {dim.replace('_', ' ')} alone", "run the scenario with two or more")
        return self.found.sizes[dim]

    def holds(self, figure: str, what: str, verb: str) -> xr.DataArray:
        """What one verb alone writes; refuses a file without it."""
        if figure not in self.found:
            raise self.refusal(f"holds no {what}", f"name a file that `simulator {verb}` wrote")
        return self.found[figure]

    def answers(self, figure: str) -> bool:
        """Whether a verb has found this already, of which nothing else can be chosen."""
        if figure in self.found:
            self.fixed()
        return figure in self.found

    def asks(self, part: str, verb: str) -> None:
        """Refuse a scenario without what a verb would ask about."""
        if not getattr(self.scenario, part):
            mend = f"add [[{part}]] to the scenario, or name what `{verb} --out` wrote"
            raise self.refusal(f"has no {part}", mend)

    def _carries_scenario(self) -> None:
        if "scenario" not in self.found.attrs:
            raise self.refusal("holds no draws and no scenario", "name a file that `simulator run --out` wrote")

    def check(self, dim: str, wanted: float | None) -> None:
        """Refuse a size or threshold that the file does not hold."""
        if wanted is not None and dim in self.found.coords and wanted not in self.found[dim].values:
            known = ", ".join(f"{value:.12g}" for value in self.found[dim].values.ravel())
            option = "--members" if dim == "population_size" else "--threshold"
            raise SimulatorError(option, wanted, f"is not in {self.path} ({known})", "name one of these")

    def fixed(self) -> None:
        """Refuse to choose something else of what the file answers."""
        for option, value in (("--members", self.members), ("--threshold", self.threshold), ("--design", self.design)):
            if value is not None:
                bound, mend = f"cannot change what {self.path} answers", "omit it, or run the verb again"
                raise SimulatorError(option, value, bound, mend)

    def refusal(self, bound: str, mend: str) -> SimulatorError:
        """A sentence about the file."""
        return SimulatorError(self.path, None, bound, mend)


def of_year(found: xr.Dataset, year: int | None, source: str) -> xr.Dataset:
    """What a file says of one of its years, year 1 unless another is named; the file itself where it has one alone."""
    if "year" not in found.dims or "gross_cost" not in found:
        if year is not None:
            raise SimulatorError("--year", year, f"cannot be chosen of {source}, which holds one", "omit it")
        return found
    return pool_years(draws_of(found), {1 if year is None else year: 1})


def open_any(path: str) -> xr.Dataset:
    """What a file of this program holds, whatever verb wrote it."""
    is_scenario = path.endswith(".toml") and os.path.exists(path)
    mend = "run it first, and name what --out wrote" if is_scenario else "name a file that `--out` wrote"
    found = read_dataset(path, mend)
    if "schema_version" in found.attrs:
        check_version(found.attrs["schema_version"], path)
    if "gross_cost" in found:
        check_ledger(found, path)
    return found
