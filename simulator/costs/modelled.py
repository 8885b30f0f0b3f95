"""A population in a model file: `population = { model = "model.toml" }` becomes what the file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails

from ..errors import SimulatorError, mistake, mistakes_in
from ..terms import Term
from .model import Population, Unit
from .segment import RareService


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


def _contents(path: Path, asked: ModelPopulation, currency: str | None) -> Population:
    from .model_file import read_model

    try:
        population, sets, provenance = read_model(path)
        if asked.parameter_uncertainty:
            population = _with_sets(population, sets, path.name)
    except SimulatorError as error:
        found = [InitErrorDetails(type=mistake(str(m), value=None), loc=("model",), input=None) for m in error.mistakes]
        raise ValidationError.from_exception_data("", found) from None
    money = provenance.get("currency", currency)
    if currency is not None and money != currency:
        raise mistake(f"names a model in {money} beside a scenario in {currency}", f'write currency = "{money}"')
    return population


def _with_sets(population: Population, sets: dict[str, dict[str, tuple[float, ...]]], source: str) -> Population:
    if not sets:
        raise SimulatorError(
            source, None, "holds no parameter sets", "fit with --sets 100, or leave parameter_uncertainty out"
        )
    raw = {"parameter_sets": [{"segment": name, **drawn} for name, drawn in sets.items()]}
    try:
        return Population.model_validate(population.model_dump(exclude_none=True) | raw)
    except ValidationError as error:
        raise mistakes_in(error, raw, source) from None
