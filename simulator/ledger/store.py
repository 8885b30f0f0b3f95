"""Ledgers and answers as files, and ledgers in parts as one: assembling, saving, reading, merging."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import SimulatorError, SimulatorWarning
from ..files import write_somewhere, write_whole
from ..netcdf import check_contents, check_file, seal
from ..terms import DRAWS_VERSION, SCHEMA_VERSION
from .variables import COORDINATES, VARIABLES, check_declared, declared, kind_of, variables_of


def assemble(
    arrays: Mapping[str, Any], coordinates: Mapping[str, Any], attrs: Mapping[str, str | int | float], currency: str
) -> xr.Dataset:
    """A ledger from plain arrays, with units and sentences from `VARIABLES`."""
    ledger = xr.Dataset(
        {name: (VARIABLES[name].dims_with(coordinates), np.asarray(values)) for name, values in arrays.items()},
        coords={name: (COORDINATES[name].dims, np.asarray(values)) for name, values in coordinates.items()},
        attrs={"schema_version": SCHEMA_VERSION, "currency": currency, **attrs},
    )
    return declared(ledger, "ledger", currency=currency)


def save(ledger: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a Dataset as one netCDF-4 file, whole or not at all, with its SHA-256 behind its end.

    Raises
    ------
    SimulatorError
        Where the file cannot be written; what stood there before is left as it was. Where there is no room for draws,
        they are written to the temporary folder if they fit there, and the sentence names the file.
    """

    def write(partial: Path) -> None:
        ledger.to_netcdf(partial, engine="h5netcdf", format="NETCDF4")
        seal(partial)

    if "replicate" in ledger.dims:
        write_somewhere(path, write, ledger.nbytes)
    else:
        write_whole(path, write)


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
    """What a netCDF-4 file holds, whole in memory; what bears no seal, such as files of 0.1, is read with a note."""
    with _told_of(path, mend):
        is_sealed = check_contents(path, mend)
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            found = opened.load()
    kind = kind_of(found)
    if kind not in (None, "ledger"):
        check_declared(found, str(kind), str(path), mend)
    if not is_sealed:
        note = f"{path}: bears no SHA-256, as files of version 0.1, so it is read as it is, damaged or not"
        warnings.warn(note, SimulatorWarning, stacklevel=3)
    return found


def verify(path: str | os.PathLike[str]) -> str:
    """Whether a file that `save` wrote is as it was written, to the byte.

    Returns
    -------
    str
        Its SHA-256, which stands in its last line: that of all before it.

    Raises
    ------
    SimulatorError
        Where it is damaged; in other words where it bears no SHA-256, as files of 0.1.
    """
    with _told_of(path, _A_RESULT):
        digest = check_file(path, _A_RESULT)
    if digest is None:
        raise SimulatorError(
            str(path), None, "bears no SHA-256, as files of version 0.1: whether it is damaged cannot be told",
            "open it and write it again with this version",
        )  # fmt: skip
    return digest


_A_RESULT = "write it again, or name a file that --out wrote"


@contextmanager
def _told_of(path: str | os.PathLike[str], mend: str) -> Iterator[None]:
    """One sentence for whatever hinders a file's being read."""
    if not os.path.exists(path):
        raise SimulatorError(str(path), None, "does not exist", mend)
    if os.path.isdir(path):
        raise SimulatorError(str(path), None, "is a folder", "name a file in it")
    try:
        yield
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


VERBS = {
    "stress": "stress --out",
    "sensitivity": "sensitivity --out",
    "luck": "luck --out",
    "minimum": "size --out",
    "viable_terms": "size --members --out",
    "settlement": "settle --out",
    "exact": "run --exact --out",
}
"""The verb that writes an answer of each kind."""


def _refuse_answer(found: xr.Dataset, source: str) -> None:
    """Refuse a file without draws that another verb wrote, and say which verb that was."""
    written = VERBS.get(kind_of(found) or "")
    if written is not None:
        raise SimulatorError(source, None, f"is what `simulator {written}` wrote, and holds no draws", _A_RUN)


def check_ledger(ledger: xr.Dataset, source: str) -> None:
    """Refuse what lacks a part of a ledger, or has it in another form."""
    missing = [name for name in _NEEDED if name not in ledger] + [name for name in _TOLD if name not in ledger.attrs]
    if missing:
        raise SimulatorError(source, None, f"holds no {missing[0]}", _A_RUN)
    _check_attrs(ledger, source)
    check_declared(ledger, "ledger", source, _A_RUN)
    known = variables_of("ledger")
    for name, variable in ((str(name), one) for name, one in ledger.variables.items() if name in known):
        if not variable.size:
            raise SimulatorError(source, None, f"holds an empty {name}", _A_RUN)
        if fault := _fault(name, variable):
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


def with_summary(ledger: xr.Dataset, summary: xr.Dataset) -> xr.Dataset:
    """Draws and their summary as one Dataset, as `simulator run --out` writes it."""
    known = {key: value for key, value in summary.attrs.items() if key != "answer"}  # not what an earlier one said
    return ledger.assign(dict(summary.data_vars)).assign_attrs(known)


def draws_of(both: xr.Dataset) -> xr.Dataset:
    """The ledger without a summary that was written beside it."""
    kept = [name for name in both.data_vars if name in VARIABLES]
    ledger = both[kept].drop_vars([name for name in both.coords if name not in COORDINATES], errors="ignore")
    return ledger.assign_attrs(both.attrs)


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
    return merged.assign_attrs(scenario=_counted(merged)) if len(ledgers) > 1 else merged


def _counted(ledger: xr.Dataset) -> str:
    """The scenario of a ledger, with as many replicates as there are."""
    raw = json.loads(ledger.attrs["scenario"])
    raw["simulation"]["replicates"] = ledger.sizes["replicate"]
    return json.dumps(raw, sort_keys=True, ensure_ascii=False)


def _merge_two(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    check_same_draws(first, second)
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


def check_same_draws(first: xr.Dataset, second: xr.Dataset) -> None:
    """Refuse what are not draws of one scenario by one version from the same tables."""
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
    ours, theirs = (
        ledger["threshold_amount"].transpose("segment", "threshold", ...).values for ledger in (first, second)
    )
    return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-9, atol=0.0)
