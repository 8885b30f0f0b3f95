"""Answers to one question for several values of inputs, as one Dataset; and each of them, out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..paths import changeable


def joined(answers: Sequence[xr.Dataset], inputs: Mapping[str, Sequence[Any]], paths: Sequence[str]) -> xr.Dataset:
    """The answers along new dims, over the product of which they are given."""
    parts = list(answers)
    for dim in reversed(list(inputs)):
        index = pd.Index(inputs[dim], name=dim)
        how: Any = {"data_vars": "all", "coords": "different", "compat": "equals", "combine_attrs": "override"}
        rows = [parts[k : k + index.size] for k in range(0, len(parts), index.size)]
        parts = [xr.concat(row, index, join="outer", **how) for row in rows]
    (made,) = parts
    for dim, path in zip(inputs, paths, strict=True):
        made[dim].attrs = {"long_name": path, "basis": "given"}
    told = [changeable(one.attrs) for one in answers]
    common = {name: value for name, value in told[0].items() if all(one.get(name) == value for one in told)}
    places = [json.dumps(place) for place in product(*(made[dim].values.tolist() for dim in inputs))]
    own = {key: {k: v for k, v in one.items() if k not in common} for key, one in zip(places, told, strict=True)}
    uneven = [d for d in answers[0].dims if any(not answers[0][d].equals(one[d]) for one in answers if d in one.dims)]
    made.attrs = common | {"swept": json.dumps({"dims": list(inputs), "uneven": uneven, "own": own})}
    return made


def points_of(answer: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    """Each of the joined answers as it was given, after its inputs in words; any other answer alone, after none."""
    known = json.loads(answer.attrs.get("swept", '{"dims": [], "uneven": [], "own": {}}'))
    dims = [dim for dim in known["dims"] if dim in answer.dims]
    places = np.ndindex(*(answer.sizes[dim] for dim in dims))
    return [_point(answer.isel(dict(zip(dims, place, strict=True))), **known) for place in places]


def _point(one: xr.Dataset, dims: list[str], uneven: list[str], own: dict[str, Any]) -> tuple[str, xr.Dataset]:
    values = {dim: one[dim].item() for dim in dims if dim in one.coords}
    said = ", ".join(f"{dim} {format(value, 'g' * isinstance(value, float))}" for dim, value in values.items())
    one = one.drop_vars(list(values))
    for dim in set(uneven) & set(one.dims):  # joined by what only other answers have
        one = one.dropna(dim, how="all")
    one.attrs = {k: v for k, v in one.attrs.items() if k != "swept"} | own.get(json.dumps([*values.values()]), {})
    return said, one.assign_attrs({"title": f"{one.attrs.get('title', '')} · {said}"} if said else {})
