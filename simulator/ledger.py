"""The ledger: what every synthetic population cost, and what follows from it without another draw.

Near the ground of the package (it imports `base` and `files` only), and the only writer of attributes. A ledger is an
`xarray.Dataset` with the dims ``replicate``, ``population_size`` and ``threshold``; `VARIABLES` lists what it holds.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import xarray as xr

from .errors import SimulatorError
from .files import write_somewhere, write_whole
from .netcdf import check_contents
from .terms import DRAWS_VERSION, SCHEMA_VERSION


class Variable(NamedTuple):
    """What one variable of the ledger is."""

    dims: tuple[str, ...]
    unit: str
    sentence: str


MONEY = "{currency} per year"
_POPULATION = ("replicate", "population_size")
_PATIENT_LEVEL = ("replicate", "population_size", "threshold")
_UNIT = ("replicate", "unit")
_UNIT_PATIENT_LEVEL = ("replicate", "unit", "threshold")

_DRAWN: Mapping[str, Variable] = {
    "gross_cost": Variable(_POPULATION, MONEY, "cost of everybody before exclusions"),
    "excess_cost": Variable(_PATIENT_LEVEL, MONEY, "Σ max(x − threshold, 0) over patients"),
    "above_cost": Variable(_PATIENT_LEVEL, MONEY, "Σ x over patients who cost more than the threshold"),
    "n_above": Variable(_PATIENT_LEVEL, "patients", "patients who cost more than the threshold"),
    "excluded_service_cost": Variable(_POPULATION, MONEY, "cost of the rare services that are out of scope"),
    "members": Variable((*_POPULATION, "segment"), "people", "people of the segment, where the case mix is drawn"),
    "unit_gross_cost": Variable(_UNIT, MONEY, "cost of the unit before exclusions"),
    "unit_excess_cost": Variable(_UNIT_PATIENT_LEVEL, MONEY, "Σ max(x − threshold, 0) over the unit's patients"),
    "unit_above_cost": Variable(_UNIT_PATIENT_LEVEL, MONEY, "Σ x over the unit's patients above the threshold"),
    "unit_n_above": Variable(_UNIT_PATIENT_LEVEL, "patients", "the unit's patients above the threshold"),
    "unit_excluded_service_cost": Variable(_UNIT, MONEY, "the unit's cost of rare services that are out of scope"),
    "unit_members": Variable((*_UNIT, "segment"), "people", "the unit's people of the segment, where drawn"),
    "shock_factor": Variable(("replicate", "shock"), "1", "what the shock multiplies everybody's cost by"),
    "threshold_amount": Variable(("segment", "threshold"), MONEY, "a patient's annual cost at which exclusion starts"),
    "cut": Variable(("segment",), MONEY, "cost before shocks above which a patient is drawn one by one"),
}
EXPECTED = ("gross_cost", "excess_cost", "above_cost", "n_above")
"""Variables whose exact means stand in a ledger that does not carry its whole scenario."""


def _expected_variables() -> dict[str, Variable]:
    """`expected_…` of the populations and `unit_expected_…` of the units."""
    found = {}
    for prefix, name in itertools.product(("", "unit_"), EXPECTED):
        drawn = _DRAWN[f"{prefix}{name}"]
        told = f"exact mean of {prefix}{name}, where observed costs are withheld"
        found[f"{prefix}expected_{name}"] = Variable(("parameter_set", *drawn.dims[1:]), drawn.unit, told)
    return found


VARIABLES: Mapping[str, Variable] = {**_DRAWN, **_expected_variables()}
"""Every variable of a ledger. Those with a dim that a scenario does not use are absent."""

COORDINATES: Mapping[str, Variable] = {
    "replicate": Variable(("replicate",), "1", "number of the synthetic population, one for each contract year"),
    "parameter_draw": Variable(("replicate",), "1", "number of the parameter set that the replicate is drawn under"),
    "parameter_set": Variable(("parameter_set",), "1", "number of the parameter set, 0 alone without sets"),
    "population_size": Variable(("population_size",), "people", "people in the population, for one year"),
    "threshold": Variable(("threshold",), MONEY, "one patient's annual cost at which exclusion starts"),
    "percentile": Variable(("threshold",), "1", "percentile of patients' annual cost, people without cost included"),
    "unit": Variable(("unit",), "1", "disjoint population drawn with the others"),
    "unit_size": Variable(("unit",), "people", "people in the unit, for one year"),
    "segment": Variable(("segment",), "1", "people with one cost distribution"),
    "shock": Variable(("shock",), "1", "factor common to everybody in a replicate"),
}


class Rule(Protocol):
    """What an exclusion rule must tell: see `simulator.contracts.exclusion`."""

    def layers(self, threshold: float) -> tuple[tuple[float, float, float], ...]:
        """(threshold, share of the excess removed, share of the whole patient removed), a layer each."""
        ...

    def fixed_thresholds(self) -> tuple[float, ...]:
        """The thresholds that the rule fixes itself; empty where it is swept over the grid."""
        ...


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def assemble(
    arrays: Mapping[str, Any], coordinates: Mapping[str, Any], attrs: Mapping[str, str | int | float], currency: str
) -> xr.Dataset:
    """A ledger from plain arrays, with units and sentences from `VARIABLES`.

    Parameters
    ----------
    arrays : mapping of str to array
        Values by variable; the order of dims is that of `VARIABLES`.
    coordinates : mapping of str to array
        Values by coordinate; the dims are those of `COORDINATES`.
    attrs : mapping
        Strings and numbers.
    currency : str
        ISO 4217 code.
    """
    ledger = xr.Dataset(
        {name: (VARIABLES[name].dims, np.asarray(values)) for name, values in arrays.items()},
        coords={name: (COORDINATES[name].dims, np.asarray(values)) for name, values in coordinates.items()},
        attrs={"schema_version": SCHEMA_VERSION, "currency": currency, **attrs},
    )
    for name in ledger.variables:
        described = VARIABLES.get(str(name)) or COORDINATES[str(name)]
        describe_variable(ledger[name], described.unit.format(currency=currency), described.sentence)
    return ledger


def describe_variable(variable: xr.DataArray, unit: str, sentence: str) -> None:
    """Set the unit and the sentence afresh: arithmetic may have left those of its inputs."""
    variable.attrs.clear()
    variable.attrs.update(units=unit, long_name=sentence)


def save(ledger: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a Dataset as one netCDF-4 file, whole or not at all.

    Raises
    ------
    SimulatorError
        Where the file cannot be written; what stood there before is left as it was. Where there is no room for draws,
        they are written to the temporary folder if they fit there, and the sentence names the file.
    """

    def write(partial: Path) -> None:
        ledger.to_netcdf(partial, engine="h5netcdf", format="NETCDF4")

    if "replicate" in ledger.dims:
        write_somewhere(path, write, ledger.nbytes)
    else:
        write_whole(path, write)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def open_ledger(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a ledger that `save` wrote, whole into memory.

    Raises
    ------
    SimulatorError
        Where there is no such file, it is no ledger, or another version of the program wrote it.
    """
    ledger = read_dataset(path, _A_RUN)
    _refuse_answer(ledger, str(path))
    check_version(ledger.attrs.get("schema_version"), str(path))
    check_ledger(ledger, str(path))
    return ledger


_A_RUN = "name a file that `simulator run --out` wrote"
_NEEDED = ("gross_cost", "excess_cost", "above_cost", "n_above", "threshold_amount")
_TOLD = ("currency", "scenario", "scenario_id", "seed", "title")


def read_dataset(path: str | os.PathLike[str], mend: str) -> xr.Dataset:
    """What a netCDF-4 file holds, whole in memory.

    Raises
    ------
    SimulatorError
        Where there is no such file, or it is no such file; with `mend`.
    """
    if not os.path.exists(path):
        raise SimulatorError(str(path), None, "does not exist", mend)
    if os.path.isdir(path):
        raise SimulatorError(str(path), None, "is a folder", "name a file in it")
    try:
        check_contents(path, mend)
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            return opened.load()
    except SimulatorError:
        raise
    except OSError as error:
        if error.errno in (errno.EACCES, errno.ENAMETOOLONG):
            raise SimulatorError(
                str(path), None, f"cannot be read ({os.strerror(error.errno)})", "check its name and permissions"
            ) from None
        raise SimulatorError(str(path), None, "is not a netCDF-4 file, or is damaged", mend) from error
    except Exception as error:  # a damaged file lets its reader fail in any way
        raise SimulatorError(str(path), None, "is not a netCDF-4 file, or is damaged", mend) from error


_ANSWERS = {
    "surplus_difference_share": "stress --out",
    "tornado": "sensitivity --out",
    "p_two_sided": "luck --out",
    "minimum_population": "size --out",
    "provider_share": "size --members --out",
    "payment": "settle --out",
    "probability_error": "run --exact --out",
}
"""Variable that identifies each kind of output file, and the verb that wrote it."""


def _refuse_answer(found: xr.Dataset, source: str) -> None:
    """Refuse a file without draws that another verb wrote, and say which verb that was."""
    written = next((verb for name, verb in _ANSWERS.items() if name in found), None)
    if written is not None and "gross_cost" not in found:
        raise SimulatorError(source, None, f"is what `simulator {written}` wrote, and holds no draws", _A_RUN)


def check_ledger(ledger: xr.Dataset, source: str) -> None:
    """Refuse what lacks a part of a ledger, or has it in another form."""
    missing = [name for name in _NEEDED if name not in ledger] + [name for name in _TOLD if name not in ledger.attrs]
    if missing:
        raise SimulatorError(source, None, f"holds no {missing[0]}", _A_RUN)
    _check_attrs(ledger, source)
    for name, variable in ledger.variables.items():
        known = VARIABLES.get(str(name)) or COORDINATES.get(str(name))
        if known and (set(variable.dims) != set(known.dims) or not variable.size):
            has = (
                f"{name} by {', '.join(map(str, variable.dims)) or 'nothing'}" if variable.size else f"an empty {name}"
            )
            raise SimulatorError(source, None, f"holds {has}", _A_RUN)
        fault = _fault(str(name), variable) if known else ""
        if fault:
            raise SimulatorError(source, None, f"holds a {name} {fault}", _A_RUN)
    bare = [dim for dim in ledger["n_above"].dims if dim not in ledger.coords]
    if bare:
        raise SimulatorError(source, None, f"does not say its {bare[0]}", _A_RUN)


_TEXTS = ("unit", "segment", "shock")
_MAY_BE_INFINITE = ("threshold", "threshold_amount", "cut")


def _fault(name: str, variable: xr.Variable) -> str:
    """What is wrong with the values of a variable; empty where nothing is."""
    values = variable.values
    if name in _TEXTS:
        names = values.ravel().tolist()
        if not all(isinstance(value, str) for value in names):
            return "that is not made of names"
        return "with a name twice" if len(set(names)) < len(names) else ""
    if values.dtype.kind not in "fiu":
        return "that is not made of numbers"
    if not (np.isfinite(values) | ((values == np.inf) & (name in _MAY_BE_INFINITE))).all():
        return "with figures that are missing or infinite"
    if name in variable.dims and np.unique(values).size < values.size:
        return "with a figure twice"
    return ""


_TEXT_ATTRS = (
    "currency",
    "scenario",
    "scenario_id",
    "title",
    "versions",
    "tables_hash",
    "simulator_version",
    "platform",
)
_JSON_ATTRS = ("scenario", "versions")


def _check_attrs(ledger: xr.Dataset, source: str) -> None:
    """Refuse attributes of another type than a run writes."""
    for name in _TEXT_ATTRS:
        if not isinstance(ledger.attrs.get(name, ""), str):
            raise SimulatorError(f"{source}: {name}", None, "is not text", _A_RUN)
    for name in _JSON_ATTRS:
        if not _is_table(ledger.attrs.get(name, "{}")):
            raise SimulatorError(f"{source}: {name}", None, "is not a table in JSON", _A_RUN)
    if not np.issubdtype(np.asarray(ledger.attrs["seed"]).dtype, np.integer) or np.ndim(ledger.attrs["seed"]):
        raise SimulatorError(f"{source}: seed", None, "is not a whole number", _A_RUN)


def _is_table(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def check_version(version: Any, source: str) -> None:
    """Refuse what another version of the program wrote."""
    if version is None:
        raise SimulatorError(source, None, "does not say its schema_version", "name a file that this program wrote")
    if not np.array_equal(np.asarray(version, dtype=object), SCHEMA_VERSION):  # whatever its type
        raise SimulatorError(
            f"{source}: schema_version",
            version,
            f"must be {SCHEMA_VERSION}",
            "use the version of the program that wrote it",
        )


def check_draws_version(ledger: xr.Dataset, source: str = "ledger") -> None:
    """Refuse to draw on from what another version of the draws gave."""
    found = draws_version(ledger)
    if found != DRAWS_VERSION:
        raise SimulatorError(
            f"{source}: draws_version", found, f"is not {DRAWS_VERSION}, which this version of the program draws",
            "run the scenario afresh, or go on with the version of the program that wrote the file",
        )  # fmt: skip


def draws_version(ledger: xr.Dataset) -> Any:
    """The version of a ledger's draws; files from before there was one hold version 1."""
    return ledger.attrs.get("draws_version", _FIRST_DRAWS)


_FIRST_DRAWS = 1


def check_draws(ledger: xr.Dataset) -> None:
    """Require a ledger, not a summary of one."""
    if not isinstance(ledger, xr.Dataset) or "gross_cost" not in ledger:
        raise SimulatorError("ledger", None, "holds no draws", "give what `simulate` drew")


# ── what follows without another draw ────────────────────────────────────────────────────────────


def retained_cost(ledger: xr.Dataset, rule: Rule) -> xr.DataArray:
    """Cost that is kept under an exclusion rule.

    Parameters
    ----------
    ledger : xarray.Dataset
    rule : exclusion rule
        Swept over the ledger's thresholds, or with thresholds of its own that must be on the grid or infinite.

    Returns
    -------
    xarray.DataArray
        Money per year, dims of `gross_cost` and ``threshold`` (length 1 where the rule fixes its own).
    """
    kept, ledger = [], reaching(ledger, rule)
    for point in sweep(ledger, rule):
        cost = ledger["gross_cost"]
        for threshold, excess_share, whole_share in rule.layers(point):
            at = {"threshold": threshold}
            if excess_share:
                cost = cost - excess_share * ledger["excess_cost"].sel(at, drop=True)
            if whole_share:
                cost = cost - whole_share * ledger["above_cost"].sel(at, drop=True)
        kept.append(cost)
    points = ledger["threshold"].sel(threshold=sweep(ledger, rule))
    retained = xr.concat(kept, dim=points).transpose(*ledger["gross_cost"].dims, "threshold")
    describe_variable(retained, ledger["gross_cost"].attrs.get("units", ""), "retained cost under the exclusion rule")
    return retained.rename("retained_cost")


def expected_means(ledger: xr.Dataset) -> xr.Dataset | None:
    """The exact means that a ledger keeps, under the names of what they are means of; None where it keeps none.

    The dim ``parameter_set`` stands for ``replicate``: `retained_cost` of it is what a rule is expected to keep.
    """
    kept = {name: f"expected_{name}" for name in EXPECTED if f"expected_{name}" in ledger}
    if not kept:
        return None
    return ledger[list(kept.values())].rename({long: name for name, long in kept.items()}).reset_coords(drop=True)


def sweep(ledger: xr.Dataset, rule: Rule) -> list[float]:
    """The points of the threshold grid at which a rule is applied.

    Raises
    ------
    SimulatorError
        Where a threshold of the rule's own is not on the ledger's grid.
    """
    check_draws(ledger)
    grid = [float(threshold) for threshold in ledger["threshold"].values]
    fixed = rule.fixed_thresholds()
    for threshold in fixed:
        if threshold not in grid and not np.isinf(threshold):
            raise SimulatorError(
                "threshold", threshold, f"is not on the ledger's grid ({', '.join(f'{d:g}' for d in grid)})",
                "add it to [simulation] thresholds",
            )  # fmt: skip
    return list(fixed[-1:]) or grid


def reaching(ledger: xr.Dataset, rule: Rule) -> xr.Dataset:
    """The ledger, with "no exclusion" as a last point of its grid where a rule asks for it: nobody costs more."""
    check_draws(ledger)
    if not np.isinf(rule.fixed_thresholds()).any() or np.isinf(ledger["threshold"].values).any():
        return ledger
    fill = dict.fromkeys(map(str, ledger.data_vars), 0.0) | {"threshold_amount": np.inf}
    grid = ("threshold", [*ledger["threshold"].values, np.inf], ledger["threshold"].attrs)
    return ledger.reindex(threshold=grid[1], fill_value=fill).assign_coords(threshold=grid)


def with_summary(ledger: xr.Dataset, summary: xr.Dataset) -> xr.Dataset:
    """Draws and their summary as one Dataset, as `simulator run --out` writes it."""
    known = {key: value for key, value in summary.attrs.items() if key not in ledger.attrs}
    return ledger.assign(dict(summary.data_vars)).assign_attrs(known)


def draws_of(both: xr.Dataset) -> xr.Dataset:
    """The ledger without a summary that was written beside it."""
    kept = [name for name in both.data_vars if name in VARIABLES]
    ledger = both[kept].drop_vars([name for name in both.coords if name not in COORDINATES], errors="ignore")
    return ledger.assign_attrs(both.attrs)


def by_unit(ledger: xr.Dataset) -> xr.Dataset:
    """The units of a ledger as a ledger of their own, with ``unit`` in the place of ``population_size``."""
    if "unit" not in ledger.dims:
        raise SimulatorError("ledger", None, "has no units", "add [[population.units]] to the scenario")
    units = ledger.drop_dims("population_size")
    return units.rename(
        {name: str(name).removeprefix("unit_") for name in units.data_vars if str(name).startswith("unit_")}
    )


def fingerprint(ledger: xr.Dataset) -> str:
    """SHA-256 of every number that was drawn into a ledger, whatever machine, threads or chunks drew it."""
    digest = hashlib.sha256()
    ledger = draws_of(ledger)
    for name in sorted(str(name) for name in ledger.variables):
        if "parameter_set" in ledger[name].dims:  # what was not drawn
            continue
        values = ledger[name].values
        digest.update(f"{name}{ledger[name].dims}{values.shape}".encode())
        digest.update(
            "\0".join(map(str, values)).encode()
            if values.dtype.kind in "OU"
            else np.ascontiguousarray(values).tobytes()
        )
    return digest.hexdigest()


# ── merging ──────────────────────────────────────────────────────────────────────────────────────


def merge(ledgers: Sequence[xr.Dataset]) -> xr.Dataset:
    """Ledgers of one scenario, drawn in parts, as one.

    Ledgers with other replicates are laid end to end, over the sizes that all of them have. Ledgers with the same
    replicates keep the longest list of sizes.

    Raises
    ------
    SimulatorError
        Where ids, versions of the draws, cost tables, thresholds or lists of sizes do not fit, or replicates overlap in
        part.
    """
    if not ledgers:
        raise SimulatorError("ledgers", None, "is empty", "give at least one ledger")
    merged = draws_of(ledgers[0])
    for ledger in ledgers[1:]:
        merged = _merge_two(merged, draws_of(ledger))
    return merged


def _merge_two(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    _check_same_draws(first, second)
    shorter, longer = sorted((first, second), key=lambda ledger: ledger.sizes["population_size"])
    sizes = shorter["population_size"].values
    if not np.array_equal(longer["population_size"].values[: sizes.size], sizes):
        raise SimulatorError(
            "ledgers", None, "have lists of sizes of which neither begins the other", "draw them with the same sizes"
        )
    replicates = set(first["replicate"].values.tolist()) & set(second["replicate"].values.tolist())
    if not replicates:
        size = {"population_size": slice(0, sizes.size)}
        parts = [first.isel(size), second.isel(size)]
        merged = xr.concat(
            parts,
            dim="replicate",
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="override",
            combine_attrs="override",
        )
        return merged.sortby("replicate").assign_attrs(first.attrs)
    if len(replicates) == first.sizes["replicate"] == second.sizes["replicate"]:
        return longer
    raise SimulatorError("ledgers", None, "share some of their replicates", "draw disjoint replicates, or the same")


def _check_same_draws(first: xr.Dataset, second: xr.Dataset) -> None:
    ours, theirs = draws_version(first), draws_version(second)
    if ours != theirs:
        raise SimulatorError(
            "ledgers: draws_version", None, f"is {ours} in one and {theirs} in another",
            "draw all parts with the same version of the program",
        )  # fmt: skip
    for key in ("scenario_id", "seed"):
        if first.attrs[key] != second.attrs[key]:
            raise SimulatorError(f"ledgers: {key}", None, "differs", "only parts of one scenario can be merged")
    if not (first["threshold"].equals(second["threshold"]) and _same_amounts(first, second)):
        raise SimulatorError("ledgers: threshold", None, "differs", "draw them with the same thresholds")
    check_tables(second, first.attrs.get("tables_hash"), "ledgers")


def check_tables(ledger: xr.Dataset, tables_hash: Any, source: str = "ledger") -> None:
    """Refuse draws from other cost tables: they are other draws, if only in the last digits."""
    if ledger.attrs.get("tables_hash") != tables_hash:
        raise SimulatorError(
            f"{source}: tables_hash", None, "differs: another processor, numpy or scipy made other cost tables",
            "draw all parts on one kind of machine with the same packages, or run the scenario afresh",
        )  # fmt: skip


def _same_amounts(first: xr.Dataset, second: xr.Dataset) -> bool:
    """Whether equal labels stand for equal money: percentiles may be of each segment or of the whole population."""
    ours, theirs = (ledger["threshold_amount"].transpose("segment", "threshold").values for ledger in (first, second))
    return np.allclose(ours, theirs, rtol=1e-9, atol=0.0)
