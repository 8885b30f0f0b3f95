"""Numbers as people write them."""

from __future__ import annotations

import math
import re

import pytest
import xarray as xr
from conftest import ROOT, make
from simulator.present.page import Page, Table
from simulator.present.text import (
    DRAWN_NOTE,
    amount,
    exact_amount,
    explained,
    full_money,
    minimum_population,
    money,
    percent,
    threshold_label,
)
from simulator.present.text_check import _figure, _Money
from simulator.present.text_stress import _hurt

import simulator as sim


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (25_000, "£25k"),
        (1_500_000, "£1.5m"),
        (935e6, "£935m"),
        (6e9, "£6bn"),
        (487, "£487"),
        (-30e6, "−£30m"),
        (math.inf, "none"),
        (-math.inf, "−£∞"),
        (-1.5, "−£1.5"),
        (-0.0, "£0"),
        (999.6, "£1k"),
        (999_700, "£1m"),
        (-999_600_000, "−£1bn"),
    ],
)
def test_money(amount: float, shown: str) -> None:
    assert money(amount, "GBP") == shown


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (-1.5, 2, "−£1.50"),
        (-1_234.4, 0, "−£1,234"),
        (1_234_567.891, 2, "£1,234,567.89"),
        (-0.001, 2, "£0.00"),
        (-math.inf, 2, "−£∞"),
    ],
)
def test_money_in_full_has_its_sign_first(value: float, decimals: int, shown: str) -> None:
    assert full_money(value, "GBP", decimals) == shown


def test_money_has_its_sign_before_the_currency_wherever_it_is_made() -> None:
    """Nobody but the two that say how money is written puts a currency before a number."""
    home = {"numerals.py": "SYMBOLS", "text.py": "SYMBOLS"}
    for path in (ROOT / "simulator").rglob("*.py"):
        found = path.read_text(encoding="utf-8")
        assert "SYMBOLS" not in found or path.name in home, path
        assert path.name == "text.py" or not re.search(r"[£$€]\{|sign_of\([a-z.]*\)\}\{", found), path
    assert re.search(r"[£$€]\{", "£{value:.2f}"), "the check must be able to fail"
    described = sim.describe(make())
    below = described | {"mean": -1.5, "cv": "-inf"}
    assert "−£1.50" in _Money("GBP").show(-1.5, 2) and "£-" not in str(sim.table(below))
    assert _figure("-inf") == "−infinite" and _figure(None) == "not estimable"


def test_money_of_other_currencies() -> None:
    assert money(2_000, "USD") == "$2k"
    assert money(2_000, "NZD") == "NZD 2k"


@pytest.mark.parametrize(
    ("value", "se", "shown"),
    [
        (0.0431, 0.0004, "4.31% ± 0.04"),
        (0.31, 0.0047, "31.0% ± 0.5"),
        (0.5, 0.012, "50.0% ± 1.2"),
        (0.00274, 0.000019, "0.2740% ± 0.0019"),
        (0.5, 0.0, "50% as drawn"),
        (math.nan, 0.1, "not estimable"),
        (0.2, math.nan, "not estimable"),
        (-0.0431, 0.0004, "−4.31% ± 0.04"),
    ],
)
def test_percentages_are_rounded_to_their_error(value: float, se: float, shown: str) -> None:
    assert percent(value, se) == shown


def test_money_whose_draws_are_all_alike_is_not_called_exact() -> None:
    assert amount(-467_123.0, 0.0, "GBP") == "−£467.12k as drawn"
    assert amount(1e-7, 0.0, "GBP") == "£0 as drawn"
    assert amount(-467_123.0, 210.0, "GBP") == "−£467.12k ± 0.21k"
    assert exact_amount(-467_123.0, "GBP") == "−£467.12k exactly"


def test_what_as_drawn_means_is_said_where_it_is_said() -> None:
    drawn, other = (
        Page("", (), [Table(["party", "surplus"], [["payer", cell]])]) for cell in ("£0 as drawn", "£1 ± 1")
    )
    assert explained(drawn).parts[-1] == DRAWN_NOTE and explained(other) == other


def test_percentiles_as_heads() -> None:
    assert threshold_label(0.99, "1", "GBP") == "percentile 99"
    assert threshold_label(0.999, "1", "GBP") == "percentile 99.9"
    assert threshold_label(1.0, "1", "GBP") == threshold_label(math.inf, "GBP per year", "GBP") == "no exclusion"


def test_a_minimum_is_rounded_and_its_interval_outwards() -> None:
    answer = xr.Dataset(
        {
            "minimum_population": ("threshold", [12_345.0, 0.0, math.inf, math.inf]),
            "minimum_population_interval": (
                ("threshold", "bound"),
                [[12_190.0, 12_410.0], [0.0, 7_010.0], [88_900.0, math.inf], [math.inf, math.inf]],
            ),
        }
    )
    said = [minimum_population(answer, position, 100_000, 5_000) for position in range(4)]
    assert said == [
        "12,000 (12,000 to 13,000)",
        "≤ 5,000 (up to 7,100)",
        "over 100,000 (at least 88,000)",
        "over 100,000",
    ]


@pytest.mark.parametrize(
    ("share", "error", "shown"),
    [
        (-0.00513, 0.000032, "−0.513% ± 0.003"),
        (-0.01596, 0.000016, "−1.596% ± 0.002"),
        (-0.01596, 0.000004, "−1.596% ± < 0.001"),
        (-0.105572, 0.000161, "−10.557% ± 0.016"),
    ],
)
def test_an_error_of_a_stress_is_told_or_truly_bounded(share: float, error: float, shown: str) -> None:
    cell = xr.Dataset({"surplus_difference_share": share, "surplus_difference_share_se": error})
    assert _hurt(cell).rstrip(" █▓▒░") == shown
