"""Every output variable of the program: its dims, unit, sentence and basis. The only writer of these attributes.

`variables.csv` declares them, a line each; statistics are declared where they are defined. An answer is of a kind,
which stands in its attribute ``answer``. `declared` ends every function that gives one: it sets the attributes of each
variable, and refuses one that is not declared. `check_declared` asks the same of a file.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from ..errors import SimulatorError
from ..thresholds import Thresholds, percentiles_of, units_of


class Variable(NamedTuple):
    """What one variable is.

    Attributes
    ----------
    dims : tuple of str
        "a|b" is one or the other, "a?" need not be there, and "..." are any more that the ledger has.
    unit, sentence : str
        With {names} of what the function is told.
    basis : {"drawn", "exact", "given"}
        Whether it comes from draws, was worked out without any, or was put in. {basis} where that depends.
    """

    dims: tuple[str, ...]
    unit: str
    sentence: str
    basis: str = "drawn"

    def fits(self, dims: tuple[Any, ...]) -> bool:
        """Whether an array has these dims, in any order."""
        left = set(map(str, dims))
        for token in self.dims:
            found = left & set(token.rstrip("?").split("|"))
            if not found and not token.endswith("?") and token != "...":
                return False
            left -= found
        return not left or "..." in self.dims

    def dims_with(self, coordinates: Collection[str]) -> tuple[str, ...]:
        """The dims of an array, of which those that need not be there are so where there is such a coordinate."""
        return tuple(t.rstrip("?") for t in self.dims if not t.endswith("?") or t.rstrip("?") in coordinates)

    @property
    def needed(self) -> set[str]:
        """The dims that it must have."""
        return {dim for token in self.dims if not token.endswith("?") for dim in token.split("|")}

    def error(self) -> Variable:
        """Its standard error."""
        return self._replace(sentence=f"Monte Carlo standard error: {self.sentence}", basis="drawn")


def _read() -> dict[str, dict[str, Variable]]:
    found: dict[str, dict[str, Variable]] = {}
    with Path(__file__).with_name("variables.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            variable = Variable(tuple(row["dims"].split()), row["unit"], row["sentence"], row["basis"])
            found.setdefault(row["kind"], {})[row["name"]] = variable
    return found


_DECLARED = _read()
VARIABLES: Mapping[str, Variable] = _DECLARED["ledger"]
"""Every variable of a ledger. Those with a dim that a scenario does not use are absent."""
COORDINATES: Mapping[str, Variable] = _DECLARED.pop("coordinate")
DERIVED: Mapping[str, Variable] = _DECLARED.pop("derived")
"""What follows from a ledger as an array of its own."""
EXPECTED = ("gross_cost", "excess_cost", "above_cost", "n_above")
"""Variables whose exact means stand in a ledger that does not carry its whole scenario."""
KINDS = tuple(_DECLARED)
"""What an answer may be."""

_KNOWN_BY = {
    "gross_cost": "ledger", "surplus_difference_share": "stress", "tornado": "sensitivity", "p_two_sided": "luck",
    "systematic_alone": "minimum", "provider_share": "viable_terms", "payment": "settlement",
    "probability_error": "exact", "fitted_p_above": "fitted_curves",
}  # fmt: skip
"""A variable by which an answer is known that does not say its kind, as those of version 0.1 do not."""


def variables_of(kind: str) -> Mapping[str, Variable]:
    """What an answer of a kind may hold, without standard errors."""
    if kind == "ledger":
        return {**VARIABLES, **COORDINATES}
    if kind not in ("summary", "exact"):
        return _DECLARED[kind]
    from ..analysis.statistics.statistic import ESTIMATED

    basis = {"summary": "drawn", "exact": "exact"}[kind]
    statistics = {
        one.name: Variable(
            ("year?", "population_size|unit", "threshold?", *([f"{one.level}?"] if one.level else [])),
            one.unit, one.sentence, basis,
        )
        for one in ESTIMATED
    }  # fmt: skip
    return _DECLARED[kind] | statistics


def kind_of(answer: xr.Dataset) -> str | None:
    """What an answer is; None where that is not known."""
    told = answer.attrs.get("answer")
    if told in KINDS and "gross_cost" not in answer:
        return str(told)
    return next((kind for name, kind in _KNOWN_BY.items() if name in answer), None)


def describe_variable(variable: xr.DataArray, unit: str, sentence: str, basis: str = "drawn") -> None:
    """Set the attributes afresh: arithmetic may have left those of its inputs."""
    variable.attrs.clear()
    variable.attrs.update(units=unit, long_name=sentence, basis=basis)


def describe(array: xr.DataArray, variable: Variable, **told: object) -> None:
    """The same, as a variable is declared."""
    known = {"currency": "money"} | told
    describe_variable(array, *(part.format(**known) for part in (variable.unit, variable.sentence, variable.basis)))


def describe_threshold(answer: xr.Dataset, thresholds: Thresholds, currency: str) -> None:
    """Say whether the thresholds are money or percentiles."""
    sentence = COORDINATES["percentile" if percentiles_of(thresholds) else "threshold"].sentence
    describe_variable(answer["threshold"], units_of(thresholds, currency), sentence, "given")


def declared(answer: xr.Dataset, kind: str, **told: object) -> xr.Dataset:
    """An answer of a kind, each variable with its unit, sentence and basis."""
    for name, variable in _declarations(answer, kind):
        if variable is None:
            raise LookupError(f"{name} of kind {kind!r} is not declared in simulator/ledger/variables.py")
        if not _fits(variable, answer[name]):
            if "year" in answer[name].dims and "year" not in variable.needed:
                bound, mend = "has several years, and this is an answer of one", "give scenario.first_year"
                raise SimulatorError("scenario", None, bound, mend)
            raise LookupError(f"{name} of kind {kind!r} is declared over {variable.dims}, not {answer[name].dims}")
        describe(answer[name], variable, **told)
    return answer.assign_attrs(answer=kind)


def _fits(variable: Variable, array: xr.DataArray) -> bool:
    """Whether an array has the dims of a variable, but for those of which a selection has left one value."""
    chosen = {str(name) for name, one in array.coords.items() if not one.ndim}
    return variable.fits(array.dims) or variable.fits((*array.dims, *(chosen & variable.needed)))


def _declarations(answer: xr.Dataset, kind: str) -> Iterator[tuple[str, Variable | None]]:
    """Each variable of an answer with its declaration; coordinates only where they have one of their own."""
    known = variables_of(kind)
    for name in map(str, answer.variables):
        stem = name.removesuffix("_se")
        found = known.get(name) or (known[stem].error() if stem != name and stem in known else None)
        if found is not None or name in answer.data_vars:
            yield name, found


def check_declared(answer: xr.Dataset, kind: str, source: str, mend: str) -> None:
    """Refuse what a file holds in another form than the program writes; say the basis where version 0.1 left it out."""
    beside = variables_of("summary") if kind == "ledger" else {}
    basis = "exact" if answer.attrs.get("method") == "exact" else "drawn"
    for name, variable in _declarations(answer, kind):
        found = answer[name]
        known = variable or beside.get(name) or (beside[stem].error() if (stem := name[:-3]) in beside else None)
        if known is None:
            raise SimulatorError(source, None, f"holds {name}, which is no variable of its kind ({kind})", mend)
        if not known.fits(found.dims):
            has = ", ".join(map(str, found.dims)) or "nothing"
            raise SimulatorError(source, None, f"holds {name} by {has}", mend)
        unit = _unit_of(known, answer)
        if unit is not None and found.attrs.get("units", unit) not in (unit, *(("1",) if name == "threshold" else ())):
            raise SimulatorError(source, None, f"holds {name} in {found.attrs['units']}, not in {unit}", mend)
        if "basis" not in found.attrs:
            found.attrs["basis"] = known.basis.format(basis=basis)


def _unit_of(variable: Variable, answer: xr.Dataset) -> str | None:
    """The unit that a variable must have in a file; None where only its function knows it."""
    try:
        return variable.unit.format(currency=answer.attrs.get("currency", "money"))
    except KeyError:
        return None
