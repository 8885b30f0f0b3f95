"""Model files: a fitted population as TOML, parameters only."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails

from ..errors import SimulatorError, mistake, mistakes_in
from ..terms import SCHEMA_VERSION, Term, read_toml
from .families.base import Severity
from .families.composite import Empirical, Mixture, Spliced
from .model import Population, Unit
from .segment import RareService


def holds_bills(severity: Severity) -> bool:
    """Whether a law is made of single observed costs."""
    if isinstance(severity, Empirical):
        return severity.values is not None
    if isinstance(severity, Spliced):
        return holds_bills(severity.body) or (isinstance(severity.tail, Severity) and holds_bills(severity.tail))
    return isinstance(severity, Mixture) and any(holds_bills(part.severity) for part in severity.components)


def refuse_bills(population: Population) -> None:
    """Refuse to write a law that is made of single observed costs."""
    if any(holds_bills(segment.users_severity) for segment in population.segments):
        bound = "resamples patients' own costs, which no file may hold"
        raise SimulatorError("family", None, bound, 'fit with family = "empirical" for a file')


Drawn = dict[str, tuple[float, ...]]
"""Values by parameter, one a set: "p_user", "level", "tail_share", or a figure's path in the law ("tail.shape")."""


def model_text(
    population: Population,
    provenance: Mapping[str, Any],
    sets: Mapping[str, Drawn],
    head: str = "",
    years: Mapping[str, Any] | None = None,
) -> str:
    """A model file's text."""
    refuse_bills(population)
    lines = [*([head.rstrip(), ""] if head else []), f"schema_version = {SCHEMA_VERSION}", "", "[provenance]"]
    lines += toml_lines({name: value for name, value in provenance.items() if value is not None})
    lines += [*years_lines(years), *population_lines(population)]
    for name, drawn in sets.items():
        if drawn:
            lines += ["", "[[parameter_sets]]", *toml_lines({"segment": name})]
            lines += [f"{json.dumps(path)} = {toml_value(values)}" for path, values in drawn.items()]
    return "\n".join(lines) + "\n"


def years_lines(years: Mapping[str, Any] | None) -> list[str]:
    """The `[years]` table, as scenario files have it; nothing for None."""
    if years is None:
        return []
    own = {name: value for name, value in years.items() if name != "persistence"}
    return ["", "[years]", *toml_lines(own), "", "[years.persistence]", *toml_lines(years["persistence"])]


def population_lines(population: Population) -> list[str]:
    """The `[population]` table, as scenario files have it."""
    refuse_bills(population)
    lines = ["", "[population]", f'membership = "{population.membership}"']
    for segment in population.segments:
        figures = {"name": segment.name, "share": segment.share, "p_user": segment.p_user}
        severity = segment.users_severity.model_dump(exclude_none=True)
        lines += ["", "[[population.segments]]", *toml_lines({**figures, "severity": severity})]
    return lines


def toml_lines(table: Mapping[str, Any]) -> list[str]:
    """A table as TOML has it, a line for each key."""
    return [f"{name} = {toml_value(value)}" for name, value in table.items()]


def toml_value(value: Any) -> str:
    """A value as TOML has it, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {toml_value(part)}" for key, part in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    if isinstance(value, float):
        return "inf" if math.isinf(value) else repr(float(value))
    return str(value)


def _key(key: Any) -> str:
    text = str(key)
    return text if text.isidentifier() and text.isascii() else json.dumps(text, ensure_ascii=False)


def model_population(path: str | os.PathLike[str]) -> Population:
    """The population of a model file.

    Raises
    ------
    SimulatorError
        Where the file cannot be read or is no model file.
    """
    return read_model(path)[0]


def read_model(path: str | os.PathLike[str]) -> tuple[Population, dict[str, Drawn], dict[str, Any]]:
    """Population, parameter sets and provenance of a model file."""
    source = Path(path).name or str(path)
    raw = _raw(Path(path), source)
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SimulatorError(f"{source}: schema_version", None, f"is not {SCHEMA_VERSION}", "fit the model afresh")
    strangers = sorted(set(raw) - {"schema_version", "provenance", "population", "parameter_sets", "years"})
    provenance = raw.get("provenance", {})
    is_told = isinstance(provenance, dict) and isinstance(provenance.get("currency", ""), str)
    if strangers or "population" not in raw or not is_told:
        raise SimulatorError(source, None, "is not a model file", "name a file that `simulator fit` wrote")
    try:
        population = Population.model_validate(raw["population"])
    except ValidationError as error:
        raise mistakes_in(error, raw["population"], source) from None
    return population, _sets_in(raw.get("parameter_sets", []), source), provenance


def _sets_in(raw: Any, source: str) -> dict[str, Drawn]:
    found: dict[str, Drawn] = {}
    for part in raw if isinstance(raw, list) else [raw]:
        named = isinstance(part, dict) and isinstance(part.get("segment"), str) and part["segment"] not in found
        if not named or not all(_is_numbers(values) for name, values in part.items() if name != "segment"):
            bound = "are not tables of one segment each with lists of numbers"
            raise SimulatorError(f"{source}: parameter_sets", None, bound, "fit the model afresh")
        found[part["segment"]] = {name: tuple(values) for name, values in part.items() if name != "segment"}
    return found


def _is_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, int | float) for value in values)


def _raw(path: Path, source: str) -> dict[str, Any]:
    try:
        return read_toml(path)
    except SimulatorError as error:
        # only what is wrong: a line of the file may be a patient's, where another file is named by mistake
        bound = error.bound.partition(":")[0]
        mend = "fit the model afresh" if path.is_file() else "check the name"
        raise SimulatorError(source, None, bound, mend) from None


class ModelPopulation(Term):
    """Who is covered, with the segments of a fitted model."""

    model: Annotated[str, Field(min_length=1)]
    """Model file that `simulator fit` wrote; its path from the scenario's folder."""
    parameter_uncertainty: Annotated[bool, Field(strict=True)] = False
    """Whether replicates take the model's parameter sets in turn, so that doubt about parameters is drawn too."""
    membership: Literal["fixed", "sampled"] | None = None
    """In place of the model's."""
    units: tuple[Unit, ...] | None = None
    """Disjoint populations drawn together, in place of a list of sizes."""
    rare_services: tuple[RareService, ...] | None = None
    """In place of the model's."""


def from_model_file(raw: Any, info: ValidationInfo) -> Any:
    """What a scenario says about its population, with the contents of the model file that it names."""
    if not isinstance(raw, dict) or "model" not in raw:
        return raw
    for name in ("segments", "parameter_sets"):
        if name in raw:
            raise mistake(f"has {name} beside a model, which has its own", f"take {name} or model out", value=None)
    asked = ModelPopulation.model_validate(raw)
    path = Path((info.context or {}).get("folder", ".")) / asked.model
    contents = _contents(path, asked, info.data.get("currency"))
    beside = asked.model_dump(exclude={"model", "parameter_uncertainty"}, exclude_none=True)
    return contents.model_dump(exclude_none=True) | beside


def years_from_model_file(raw: Any, info: ValidationInfo) -> Any:
    """[years] with the persistence, and leavers where it has none, of the model file that it names."""
    asked = raw.get("persistence") if isinstance(raw, dict) else None
    if not isinstance(asked, dict) or "model" not in asked:
        return raw
    path, at = Path((info.context or {}).get("folder", ".")) / str(asked["model"]), ("persistence", "model")
    try:
        found = _raw(path, path.name).get("years")
    except SimulatorError as error:
        raise _at(error, at) from None
    if not isinstance(found, dict) or not isinstance(found.get("persistence"), dict) or len(asked) > 1:
        bound = "names a file without the years of a fit, or something beside it"
        raise _at(SimulatorError("", None, bound, "fit with --person and --year, and name that model alone"), at)
    own, population = dict(found["persistence"]), info.data.get("population")
    if len(own.get("strengths", ())) != getattr(population, "n_sets", 0):
        own.pop("strengths", None)
    return {"leavers": found.get("leavers", 0.0)} | raw | {"persistence": own}


def _at(error: SimulatorError, at: tuple[str, ...]) -> ValidationError:
    found = [InitErrorDetails(type=mistake(str(m), value=None), loc=at, input=None) for m in error.mistakes]
    return ValidationError.from_exception_data("", found)


def _contents(path: Path, asked: ModelPopulation, currency: str | None) -> Population:
    try:
        population, sets, provenance = read_model(path)
        if asked.parameter_uncertainty:
            population = _with_sets(population, sets, path.name)
    except SimulatorError as error:
        raise _at(error, ("model",)) from None
    money = provenance.get("currency", currency)
    if currency is not None and money != currency:
        raise mistake(f"names a model in {money} beside a scenario in {currency}", f'write currency = "{money}"')
    return population


def _with_sets(population: Population, sets: dict[str, Drawn], source: str) -> Population:
    if not sets:
        mend = "fit with --sets 100, or leave parameter_uncertainty out"
        raise SimulatorError(source, None, "holds no parameter sets", mend)
    raw = {"parameter_sets": [{"segment": name, **drawn} for name, drawn in sets.items()]}
    try:
        return Population.model_validate(population.model_dump(exclude_none=True) | raw)
    except ValidationError as error:
        raise mistakes_in(error, raw, source) from None
