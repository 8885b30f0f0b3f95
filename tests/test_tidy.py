"""From a Dataset to long rows and JSON."""

from __future__ import annotations

import io
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import ROOT

from simulator.numerals import from_plain
from simulator.present.tidy import LAST, as_csv, as_json, cells, dataset_json, stacked, tidy, tidy_records

ANSWER = xr.Dataset(
    {
        "cv": (("people", "threshold"), [[0.1, 0.2], [0.05, math.nan]], {"units": "1"}),
        "cv_se": (("threshold", "people"), [[0.01, 0.02], [0.03, math.inf]]),  # another order of dims
        "p": ("people", [0.5, 0.0], {"units": "1"}),
        "p_interval": (("bound", "people"), [[0.4, 0.0], [0.6, 0.01]]),
        "limit": ((), 7.0, {"units": "GBP per year", "basis": "exact"}),
    },
    coords={"people": [1_000, 5_000], "threshold": [25_000.0, math.inf], "bound": ["lower", "upper"]},
    attrs={"title": "t", "alarm": math.inf, "scenario": "{}"},
)


def test_each_figure_and_place_is_a_row_with_its_own_error() -> None:
    rows = tidy(ANSWER)
    assert list(rows.columns) == ["figure", "people", "threshold", *LAST]
    assert len(rows) == 4 + 2 + 1
    for n in (1_000, 5_000):
        for d in (25_000.0, math.inf):
            (row,) = rows[(rows["figure"] == "cv") & (rows["people"] == n) & (rows["threshold"] == d)].to_dict(
                "records"
            )
            assert row["value"] == pytest.approx(float(ANSWER["cv"].sel(people=n, threshold=d)), nan_ok=True)
            assert row["error"] == float(ANSWER["cv_se"].sel(people=n, threshold=d))
    limit = rows[rows["figure"] == "limit"].iloc[0]
    assert (limit["value"], limit["unit"], limit["basis"]) == (7.0, "GBP per year", "exact")
    chance = rows[rows["figure"] == "p"]
    assert chance["lower"].tolist() == [0.4, 0.0] and chance["upper"].tolist() == [0.6, 0.01]
    assert set(chance["basis"]) == {"estimated"}


def test_a_figure_that_every_draw_gives_alike_is_told_from_an_estimate() -> None:
    rows = tidy(xr.Dataset({"a": ("p", [1.0, 2.0]), "a_se": ("p", [0.0, 0.1])}, {"p": ["payer", "provider"]}))
    assert rows["basis"].tolist() == ["constant", "estimated"]


def test_what_is_infinite_keeps_its_sign_in_json_and_back() -> None:
    told = json.loads(as_json({"a": [-np.inf, np.float64(np.inf), float("nan"), 1.5], "b": xr.DataArray(-np.inf)}))
    assert told == {"a": ["-inf", "inf", None, 1.5], "b": "-inf"}
    assert [from_plain(one) for one in told["a"][:2]] == [-np.inf, np.inf] and np.isnan(from_plain(None))
    rows = tidy_records([{"name": "x", "mean": "-inf", "cv": "inf"}], ["name"], lambda _: "1")
    assert rows["value"].tolist() == [-np.inf, np.inf]


def test_nothing_else_turns_infinity_into_text() -> None:
    """Thresholds, which are never below 0, have a home of their own, and a TOML file writes infinity in its own way."""
    made = [path.name for path in (ROOT / "simulator").rglob("*.py") if re.search(r'"inf" if', path.read_text("utf-8"))]
    assert sorted(made) == ["model_file.py", "numerals.py", "terms.py"]


def test_csv_keeps_whole_numbers_infinity_and_what_is_unknown() -> None:
    text = as_csv(tidy(ANSWER, design="a, b"))
    back = pd.read_csv(io.StringIO(text))
    assert "1000," in text and "1000.0" not in text
    assert back["design"].unique().tolist() == ["a, b"]
    assert math.isinf(back["threshold"].max()) and back["value"].isna().sum() == 1


def test_json_is_strict_and_nests_further_dims() -> None:
    told = json.loads(as_json(dataset_json(ANSWER, ("people",))), parse_constant=pytest.fail)
    assert told["title"] == "t" and told["alarm"] == "inf" and told["limit"] == 7.0 and "scenario" not in told
    first, second = told["cells"]
    assert first["people"] == 1_000 and first["cv"] == {"25000.0": 0.1, "inf": 0.2}
    assert second["cv"]["inf"] is None and second["cv_se"]["inf"] == "inf"
    assert second["p_interval"] == {"lower": 0.0, "upper": 0.01}
    assert len(cells(ANSWER, ("people", "threshold"))) == 4


def test_records_are_rows_too_and_tables_are_stacked() -> None:
    rows = tidy_records([{"name": "a", "mean": 5.0, "top": "inf", "parts": [1]}], ("name",), lambda key: f"u:{key}")
    assert rows["figure"].tolist() == ["mean", "top"] and rows["value"].tolist() == [5.0, math.inf]
    assert set(rows["basis"]) == {"exact"} and rows["unit"].tolist() == ["u:mean", "u:top"]
    both = stacked([rows, tidy(ANSWER)])
    assert len(both) == 9 and list(both.columns) == ["figure", "name", "people", "threshold", *LAST]


def test_units_of_a_population_are_places_and_not_what_a_figure_counts() -> None:
    rows = tidy(xr.Dataset({"cv": ("unit", [0.1, 0.2], {"units": "1"})}, {"unit": ["old town", "harbour"]}))
    assert rows["place"].tolist() == ["old town", "harbour"] and set(rows["unit"]) == {"1"}
    assert rows.columns.is_unique
