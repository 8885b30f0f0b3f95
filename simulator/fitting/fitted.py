"""The result of a fit: one frozen object with parameters and figures, and no rows."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from ..costs import model_file
from ..costs.model import CostModel, Population
from ..costs.model_file import Drawn
from ..errors import SimulatorError
from ..files import write_whole
from ..scenario import Scenario, scenario_from
from ..terms import SCHEMA_VERSION
from . import parameter_sets
from .parameter_sets import VarianceParts
from .persistence import FittedYears

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)  # population sizes of a scenario that names none

_HEAD = "# Fitted by `simulator fit`. Parameters only: no patient's cost, and no count of fewer than ten patients."


@dataclass(frozen=True, repr=False)
class FittedModel:
    """A cost model fitted to rows. It may be kept, shown and sent, unless it resamples (`family="resample"`)."""

    population: Population
    """What scenarios and the engine take."""
    goodness: xr.Dataset
    """Figures fitted and observed: dims ``segment``, ``measure``."""
    curves: xr.Dataset
    """Exceedance, limited means, concentration and quantile cells: dims ``segment``, ``amount``, ``people_share``."""
    diagnostics: xr.Dataset
    """Of the tails: dims ``segment``, ``splice``."""
    segments: tuple[dict[str, Any], ...]
    """What each segment got: family, splice, standard errors, and how the candidates did."""
    report: dict[str, Any]
    """What was read, dropped and changed."""
    provenance: dict[str, Any]
    """How it was fitted, as a model file keeps it."""
    sets: dict[str, Drawn] = field(default_factory=dict)
    """Parameter sets by segment."""
    years: FittedYears | None = None
    """How persistent costs are, where rows told the year."""

    def __repr__(self) -> str:
        families = sorted({str(row["family"]) for row in self.segments})
        return f"FittedModel({len(self.segments)} segments: {', '.join(families)}; {self.n_sets} parameter sets)"

    @property
    def n_sets(self) -> int:
        """How many parameter sets there are."""
        return parameter_sets.count(self.sets)

    @property
    def currency(self) -> str:
        """ISO 4217 code."""
        return str(self.provenance["currency"])

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Money per year: where limited means were judged."""
        return tuple(self.provenance["thresholds"])

    @property
    def infinite_variance(self) -> bool:
        """Whether a segment's variance is infinite, so that only finite thresholds can be run."""
        return any(segment.users_severity.tail_index <= 2 for segment in self.population.segments)

    def population_of_set(self, b: int) -> Population:
        """The population under parameter set `b`, from 0."""
        return parameter_sets.population_of_set(self.population, self.sets, b)

    def variance_parts(
        self,
        size: int,
        threshold: float = math.inf,
        shocks: tuple[Any, ...] = (),
        shock_correlations: tuple[Any, ...] = (),
    ) -> VarianceParts:
        """Variance of what `size` people cost, by its cause: luck, doubt about parameters, common shocks."""
        self._check_sets("parameter_sets", "none are given")
        terms: Any = {"shocks": shocks, "shock_correlations": shock_correlations}
        models = (CostModel(population=self.population_of_set(b), **terms) for b in range(self.n_sets))
        means, own, common = zip(*(parameter_sets.sources(one, size, threshold) for one in models), strict=True)
        return VarianceParts(float(np.mean(own)), float(np.var(means)), float(np.mean(common)))

    def model_text(self) -> str:
        """The model file as text."""
        years = None if self.years is None else self.years.table(uncertain=True)
        return model_file.model_text(self.population, self.provenance, self.sets, _HEAD, years)

    def to_toml(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, whole or not at all.

        Raises
        ------
        SimulatorError
            Where the model resamples rows, or the file cannot be written.
        """
        text = self.model_text()
        write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))

    def scenario_table(
        self,
        sizes: Sequence[int] = SIZES,
        thresholds: Sequence[float] | None = None,
        replicates: int = 10_000,
        seed: int = 1,
        title: str = "Fitted to our own patients",
        parameter_uncertainty: bool = False,
    ) -> dict[str, Any]:
        """A scenario's parts but for the population.

        Parameters
        ----------
        sizes : sequence of int
            People.
        thresholds : sequence of float, optional
            Money per year; those of the fit, and none at all where the variance is finite, by default.
        replicates, seed : int
        title : str
        parameter_uncertainty : bool
            Whether the scenario takes the parameter sets, whose variances must then be finite too.
        """
        if thresholds is None:
            sets = range(self.n_sets if parameter_uncertainty else 0)
            everyone = [self.population, *(self.population_of_set(b) for b in sets)]
            finite = all(segment.users_severity.tail_index > 2 for one in everyone for segment in one.segments)
            thresholds = (*self.thresholds, math.inf) if finite else self.thresholds
        years = {} if self.years is None else {"years": {"contract": 3, **self.years.table(parameter_uncertainty)}}
        return years | {
            "schema_version": SCHEMA_VERSION,
            "title": title,
            "currency": self.currency,
            "simulation": {
                "replicates": replicates, "population_sizes": [int(n) for n in sizes],
                "thresholds": [float(d) for d in thresholds], "seed": seed,
            },
        }  # fmt: skip

    def scenario(self, parameter_uncertainty: bool = False, **parts: Any) -> Scenario:
        """A scenario of this population, with its parameter sets where asked for; `parts` as in `scenario_table`."""
        population: Any = self.population
        if parameter_uncertainty:
            self._check_sets()
            sets = [{"segment": name, **drawn} for name, drawn in self.sets.items() if drawn]
            population = self.population.model_dump(exclude_none=True) | {"parameter_sets": sets}
        table = self.scenario_table(parameter_uncertainty=parameter_uncertainty, **parts)
        return scenario_from({**table, "population": population}, "scenario")

    def _check_sets(self, asked: str = "parameter_uncertainty", bound: str = "finds no parameter sets") -> None:
        if not self.n_sets:
            raise SimulatorError(asked, None, bound, "fit with sets=100")

    def scenario_text(self, model: str | None = None, parameter_uncertainty: bool = False, **parts: Any) -> str:
        """A scenario file, as text.

        Parameters
        ----------
        model : str, optional
            Model file to which it refers, from its own folder; without it the scenario runs by itself.
        parameter_uncertainty : bool
            Whether it takes the parameter sets of the model file.
        **parts
            As in `scenario_table`.
        """
        if parameter_uncertainty:
            self._check_sets()
        if parameter_uncertainty and model is None:
            raise SimulatorError("parameter_uncertainty", None, "needs a model file with the sets", "name it")
        table = self.scenario_table(parameter_uncertainty=parameter_uncertainty, **parts)
        inner, years = model_file.toml_lines(table.pop("simulation")), model_file.years_lines(table.pop("years", None))
        population = model_file.population_lines(self.population)
        if model is not None:
            uncertain = ["parameter_uncertainty = true"] if parameter_uncertainty else []
            population = ["", "[population]", f"model = {model_file.toml_value(model)}", *uncertain]
        lines = [_HEAD.rstrip(), "", *model_file.toml_lines(table), "", "[simulation]", *inner, *years, *population]
        return "\n".join(lines) + "\n"

    def to_scenario_toml(self, path: str | os.PathLike[str], **parts: Any) -> None:
        """Write a scenario file; `parts` as in `scenario_text`."""
        text = self.scenario_text(**parts)
        write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
