"""One question for several values of some inputs."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

import xarray as xr

from ... import effort
from ...errors import SimulatorError
from ...ledger.swept import joined
from ...paths import changeable
from ...scenario import Scenario


def sweep(scenario: Scenario, inputs: Mapping[str, Any], answer: Callable[[Scenario], xr.Dataset]) -> xr.Dataset:
    """An answer for every combination of some inputs' values.

    All scenarios have the seed of the one that is given, and so are drawn from the same random numbers: a difference
    between two values has a smaller error than between independent runs.

    Parameters
    ----------
    scenario : Scenario
    inputs : mapping
        Paths as `Scenario.with_` takes them, each with a list of numbers or words, or a mapping of names to any values.
    answer : callable
        From a scenario to a Dataset: `exact`, or ``lambda s: summarise(simulate(s))``.

    Returns
    -------
    xarray.Dataset
        What `answer` gives, with a dim for each input: the last part of its path, or the whole path where the answer or
        another input has that name. `table` shows a block for each combination; a picture takes one that is selected.

    Raises
    ------
    SimulatorError
        Where a path or a value is not possible, before anything is worked out; where `answer` gives no Dataset.

    Examples
    --------
    >>> from simulator import exact, load
    >>> shocked = load("configs/east_sussex_shock.toml").resized([100_000], thresholds=[50_000.0])
    >>> dict(sweep(shocked, {"shocks[prices and winter].cv": [0.01, 0.02]}, lambda s: exact(s)[["sd_cost"]]).sizes)
    {'cv': 2, 'population_size': 1, 'threshold': 1}
    """
    grid = {path: _named(path, values) for path, values in inputs.items()}
    places = product(*(one.values() for one in grid.values()))
    scenarios = [scenario.with_(dict(zip(grid, place, strict=True))) for place in places]
    found = [answer(one) for one in effort.each(scenarios, "sweep")]
    for one in found:
        if not isinstance(one, xr.Dataset):
            raise SimulatorError("answer", type(one).__name__, "is no Dataset", "give a function of a Scenario to one")
    short = [re.split(r"\.(?![^\[]*\])", path)[-1] for path in grid]
    taken = {str(name) for one in found for name in (*one.variables, *one.dims)}
    dims = [path if name in taken or short.count(name) > 1 else name for name, path in zip(short, grid, strict=True)]
    return joined(found, {dim: list(one) for dim, one in zip(dims, grid.values(), strict=True)}, list(grid))


def _named(path: str, values: Iterable[Any]) -> dict[Any, Any]:
    listed = changeable(list(values)) if isinstance(values, Iterable) and not isinstance(values, str) else []
    if not listed or any(not isinstance(name, str | int | float) for name in listed):
        raise SimulatorError(f"inputs: {path}", values, "is no list of numbers or words", "give one, or {name: value}")
    if len(set(listed)) < len(listed):
        raise SimulatorError(f"inputs: {path}", None, "holds a value twice", "give each once")
    return dict(zip(listed, values.values() if isinstance(values, Mapping) else listed, strict=True))
