"""Numbers as people write them, and that nobody reads them back."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT, make

import simulator as sim
from simulator.present.answers.description import Money, number
from simulator.present.answers.shared import minimum_population, people_enough, threshold_label
from simulator.present.answers.stress import table as stress_table
from simulator.present.figure import (
    DIGITS_NOTE,
    ERRORS_NOTE,
    UNKNOWN,
    amount,
    chance,
    errors_shown,
    exact_amount,
    exact_chance,
    exact_percent,
    exact_share,
    full_money,
    in_years,
    money,
    note,
    percent,
    percentage,
    ratio,
)

# ── money ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (487, "£487"),
        (999.6, "£1,000"),
        (1_450, "£1,450"),
        (9_990, "£9,990"),
        (9_999, "£10k"),
        (25_000, "£25k"),
        (999_700, "£1,000k"),
        (1_500_000, "£1,500k"),
        (12_340_000, "£12.3m"),
        (-30e6, "−£30m"),
        (-999_600_000, "−£1,000m"),
        (6e9, "£6,000m"),
        (13e9, "£13bn"),
        (math.inf, "none"),
        (-math.inf, "−£∞"),
        (-1.5, "−£1.50"),
        (2.0, "£2"),
        (-0.0, "£0"),
        (math.nan, UNKNOWN),
    ],
)
def test_money_is_in_thousands_from_ten_thousand_and_in_millions_from_ten_million(value: float, shown: str) -> None:
    assert str(money(value, "GBP")) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (-1.5, 2, "−£1.50"),
        (-1_234.4, 0, "−£1,234"),
        (1_234_567.891, 2, "£1,234,567.89"),
        (-0.001, 2, "£0.00"),
        (-math.inf, 2, "−£∞"),
        (math.nan, 2, UNKNOWN),
    ],
)
def test_money_in_full_has_its_sign_first(value: float, decimals: int, shown: str) -> None:
    assert str(full_money(value, "GBP", decimals)) == shown


def test_money_has_its_sign_before_the_currency_wherever_it_is_made() -> None:
    """Nobody but the one that says how money is written puts a currency before a number."""
    homes = {"numerals.py", "figure.py"}
    for path in (ROOT / "simulator").rglob("*.py"):
        found = path.read_text(encoding="utf-8")
        assert "SYMBOLS" not in found or path.name in homes, path
        assert path.name == "figure.py" or not re.search(r"[£$€]\{|sign_of\([a-z.]*\)\}\{", found), path
    assert re.search(r"[£$€]\{", "£{value:.2f}"), "the check must be able to fail"
    described = sim.describe(make())
    below = described | {"mean": -1.5, "cv": "-inf"}
    assert "−£1.50" in str(Money("GBP").show(-1.5, 2)) and "£-" not in str(sim.table(below))
    assert str(number("-inf")) == "−infinite" and str(number(None)) == UNKNOWN


def test_money_of_other_currencies() -> None:
    assert str(money(2_000, "USD")) == "$2,000"
    assert str(money(20_000, "NZD")) == "NZD 20k"


@pytest.mark.parametrize("value", [-0.3, -49.0, -0.0])
def test_an_amount_of_nothing_has_neither_sign_nor_letter(value: float) -> None:
    assert str(amount(value, 30_000.0, "GBP")) == "£0 (−£59k to £59k)"
    assert re.fullmatch("£0 ± 30k", _with_error(lambda: amount(value, 30_000.0, "GBP")))


def test_money_whose_draws_are_all_alike_is_not_called_exact() -> None:
    assert str(amount(-467_123.0, 0.0, "GBP")) == "−£467.12k"
    assert str(amount(1e-7, 0.0, "GBP")) == "£0"
    assert not amount(-467_123.0, 0.0, "GBP").varies and amount(-467_123.0, 1.0, "GBP").varies
    assert _with_error(lambda: amount(-467_123.0, 0.0, "GBP")) == "−£467.12k (same in every simulated year)"
    assert _with_error(lambda: amount(-467_123.0, 210.0, "GBP")) == "−£467.12k ± 0.21k"
    assert _with_error(lambda: exact_amount(-467_123.0, "GBP")) == "−£467.1k (no simulation error)"


def test_money_that_is_not_known_is_not_told_as_a_figure() -> None:
    assert str(amount(math.nan, math.nan, "GBP")) == str(amount(math.inf, 0.0, "GBP")) == UNKNOWN
    assert str(amount(1_250.0, math.nan, "GBP")) == "£1,250 (error unknown)"
    assert str(exact_amount(math.nan, "GBP")) == UNKNOWN


# ── the digits that an error supports ────────────────────────────────────────────────────────────


def _with_error(make_figure) -> str:
    with errors_shown():
        return str(make_figure())


@pytest.mark.parametrize(
    ("value", "error", "shown", "with_error"),
    [
        (0.0431, 0.0004, "4.3%", "4.31% ± 0.04"),
        (0.31, 0.0047, "31%", "31.0% ± 0.5"),
        (0.5, 0.012, "50%", "50.0% ± 1.2"),
        (0.5, 0.02, "50% (46% to 54%)", "50.0% ± 2.0"),
        (0.00274, 0.000019, "0.27%", "0.2740% ± 0.0019"),
        (0.5, 0.0, "50%", "50% (same in every simulated year)"),
        (math.nan, 0.1, UNKNOWN, UNKNOWN),
        (0.2, math.nan, UNKNOWN, UNKNOWN),
        (-0.0431, 0.0004, "−4.3%", "−4.31% ± 0.04"),
        (-0.000001, 0.00001, "−0.0001% (−0.0021 to 0.0019%)", "−0.0001% ± 0.0010"),
    ],
)
def test_percentages_are_rounded_to_their_error(value: float, error: float, shown: str, with_error: str) -> None:
    assert _with_error(lambda: percent(value, error)) == with_error
    if not percent(value, error).beside:  # the interval has digits of its own, below
        assert str(percent(value, error)) == shown


def test_an_interval_is_shown_where_it_is_wider_than_a_tenth() -> None:
    narrow, wide = percent(0.5, 0.0127), percent(0.5, 0.0128)
    assert not narrow.beside and narrow.text == "50%" and wide.beside
    low, high = (float(bound) for bound in re.findall(r"[\d.]+", wide.beside))
    assert (low, high) == pytest.approx((100 * (0.5 - 1.96 * 0.0128), 100 * (0.5 + 1.96 * 0.0128)), abs=0.051)
    assert wide.brief == "50%" and _with_error(lambda: wide.brief) == str(wide)
    assert ratio(2.0, 0.3).beside and not ratio(2.0, 0.01).beside


def test_the_digits_shown_are_those_that_the_error_supports() -> None:
    generator = np.random.default_rng(20170401)
    values, errors = 10 ** generator.uniform(-6, 0, 500), 10 ** generator.uniform(-9, -1, 500)
    plain = 0
    for value, error in zip(values.tolist(), errors.tolist(), strict=True):
        figure = percent(value, error)
        told = figure.text.removesuffix("%")
        last = 10.0 ** -len(told.partition(".")[2])
        assert abs(float(told) - 100 * value) <= max(0.5001 * last, 500 * error), figure  # tens, where that is all
        if not figure.beside:
            plain += 1
            assert 100 * error <= max(last, 1.0 if "." in told else 10.0) * 1.0001, figure
            assert last <= 1_001 * error or "." not in told, figure  # and none of them is left out
    assert 50 < plain < 450


def test_errors_are_shown_within_the_context_alone() -> None:
    assert note() == DIGITS_NOTE
    with errors_shown():
        assert note() == ERRORS_NOTE and "±" in str(percent(0.5, 0.01))
        with errors_shown(False):
            assert note() == DIGITS_NOTE and "±" not in str(percent(0.5, 0.01))
        assert note() == ERRORS_NOTE
    with pytest.raises(RuntimeError), errors_shown():
        raise RuntimeError
    assert note() == DIGITS_NOTE and "±" not in str(percent(0.5, 0.01))


# ── chances and shares ───────────────────────────────────────────────────────────────────────────


def test_a_chance_that_was_never_seen_is_bounded() -> None:
    never, always = chance(0.0, 0.01, (0.0, 0.0037)), chance(1.0, 0.01, (0.9963, 1.0))
    assert str(never) == never.brief == "below 0.37%" and str(always) == always.brief == "above 99.63%"
    assert never.interval == (0.0, 0.0037) and never.value == 0.0
    assert _with_error(lambda: chance(0.0, 0.0, (0.0, 0.0037))) == "below 0.37%"
    seen = chance(0.02, 0.004, (0.013, 0.029))
    assert seen.interval == (0.013, 0.029) and seen.beside == "(1.3 to 2.9%)"  # its own, not ± 1.96 errors
    assert str(chance(0.9996, 0.0003, (0.9988, 0.9999))) == "99.960% (99.880 to 99.990%)"


def test_exact_and_given_shares() -> None:
    told = (exact_share(0.0027), exact_share(-0.3), exact_share(0.0), exact_share(0.0111, True))
    assert [str(one) for one in told] == ["0.270%", "−30.0%", "0%", "+1.11%"]
    assert [str(exact_percent(one)) for one in (0.12345, 1e-7, 1 - 1e-7, 0.0, math.nan)] == [
        "12.35%", "below 0.01%", "above 99.99%", "0.00%", UNKNOWN,
    ]  # fmt: skip
    assert [str(exact_chance(one)) for one in (0.71, 0.00028, 0.0)] == ["71.00%", "0.028%", "0.00%"]
    assert [str(percentage(one)) for one in (0.03, 0.005, -0.02, 1.0)] == ["3%", "0.5%", "−2%", "100%"]
    assert percentage(0.005).decimals == 1 and percentage(0.03).basis == "given"
    assert (in_years(1 / 44), in_years(0.9)) == ("1 year in 44", "")


def test_percentiles_as_heads() -> None:
    assert threshold_label(0.99, "1", "GBP") == "percentile 99"
    assert threshold_label(0.999, "1", "GBP") == "percentile 99.9"
    assert threshold_label(1.0, "1", "GBP") == threshold_label(math.inf, "GBP per year", "GBP") == "no exclusion"


# ── people ───────────────────────────────────────────────────────────────────────────────────────


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
    found = [minimum_population(answer, position, 100_000, 5_000) for position in range(4)]
    assert [str(one) for one in found] == [
        "12,000 (12,000 to 13,000)",
        "5,000 or fewer (up to 7,100)",
        "over 100,000 (at least 88,000)",
        "over 100,000",
    ]
    assert [people_enough(one, 5_000, 100_000) for one in found] == [
        "12,000 people are enough (95% interval: 12,000 to 13,000)",
        "5,000 people, the smallest size tried, are already enough (95% interval: up to 7,100)",
        "not even 100,000 people, the largest size tried, are enough (95% interval: at least 88,000)",
        "not even 100,000 people, the largest size tried, are enough",
    ]


# ── stresses ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("share", "error", "shown"),
    [
        (-0.00513, 0.000032, "−0.513% ± 0.003"),
        (-0.01596, 0.000016, "−1.596% ± 0.002"),
        (-0.01596, 0.000004, "−1.596% ± < 0.001"),
        (-0.105572, 0.000161, "−10.557% ± 0.016"),
        (0.0, 0.0, "no change"),
    ],
)
def test_an_error_of_a_stress_is_told_or_truly_bounded(share: float, error: float, shown: str) -> None:
    cell = xr.Dataset(
        {
            "surplus_difference_share": (("stress", "party"), [[0.0], [share]]),
            "surplus_difference_share_se": (("stress", "party"), [[0.0], [error]]),
            "revenue": ("party", [1e6]),
        },
        coords={"stress": ["as agreed", "prices"], "party": ["payer"]},
    )
    told = _with_error(lambda: stress_table(cell, "", 3, shaded=True).rows[0][1])
    assert told.rstrip(" █▓▒░") == shown


# ── nobody reads a figure back from its text ─────────────────────────────────────────────────────

TEXTS = {"text", "beside", "short", "brief"}
READERS = {
    "startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit",
    "splitlines", "find", "index", "count", "replace", "strip", "rstrip", "lstrip", "isdigit",
    "search", "match", "fullmatch", "findall", "sub", "float", "int",
}  # fmt: skip
"""What takes a text to pieces, as a method of it or a function given it."""

FACTORIES = {
    "money", "money_text", "full_money", "pence", "amount", "exact_amount", "percent", "chance", "exact_percent",
    "exact_share", "exact_chance", "percentage", "people", "ratio", "plain_number", "minimum_population", "shown",
}  # fmt: skip


def rendered(node: ast.AST, names: set[str]) -> bool:
    """Whether an expression is the text of a figure: one of its texts, `str` of what a factory made, or so named."""
    if isinstance(node, ast.Attribute):
        return node.attr in TEXTS
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.JoinedStr):
        return any(rendered(part.value, names) for part in node.values if isinstance(part, ast.FormattedValue))
    if isinstance(node, ast.Call):
        told = getattr(node.func, "id", getattr(node.func, "attr", ""))
        return told in FACTORIES or (told == "str" and any(rendered(one, names) for one in node.args))
    return False


def reads(code: str) -> Iterator[int]:
    """Lines of a module that take the text of a figure to pieces."""
    for body in ast.walk(ast.parse(code)):
        if not isinstance(body, ast.FunctionDef | ast.Lambda):
            continue
        names = {
            target.id
            for node in ast.walk(body)
            if isinstance(node, ast.Assign) and rendered(node.value, set())
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(body):
            if isinstance(node, ast.Call):
                told = getattr(node.func, "id", getattr(node.func, "attr", ""))
                read = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
                if told in READERS and any(rendered(one, names) for one in read):
                    yield node.lineno
            elif isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
                if any(rendered(one, names) for one in node.comparators):
                    yield node.lineno
            elif isinstance(node, ast.Subscript) and rendered(node.value, set()):
                yield node.lineno


EXEMPT = {"figure.py", "tables.py"}
"""The formatter, and the table that sets its texts side by side."""


@pytest.mark.heavy
def test_no_code_reads_a_figure_back_from_its_text() -> None:
    found = {
        path.name: lines
        for path in Path(ROOT / "simulator").rglob("*.py")
        if path.name not in EXEMPT and (lines := list(reads(path.read_text(encoding="utf-8"))))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "number.beside.removeprefix('(')",
        "'±' in figure.text",
        "str(percent(a, b)).partition(' ')",
        "float(cell.text)",
        "re.search('x', str(money(a, b)))",
        "number.beside[1:-1]",
        "f'{people(n)}'.startswith('over')",
    ],
)
def test_what_reads_a_figure_is_found(line: str) -> None:
    assert list(reads(f"def f():\n    return {line}\n"))
    assert list(reads("def f():\n    told = str(percent(a, b))\n    return told.split()\n"))
    assert not list(reads("def f():\n    return name.split() if '_' in name else str(percent(a, b))\n"))


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [(2_412.0, 1_200.0, "£2,400"), (-2_795.0, 7_593.0, "−£3,000"), (-400.0, 7_000.0, "£0")],
)
def test_a_figure_without_its_interval_keeps_what_is_left_of_it(value: float, error: float, told: str) -> None:
    """One unit of the digits that the error supports may be more than the figure, which is not nothing for that."""
    assert amount(value, error, "GBP").brief == told


def test_pounds_from_a_hundred_on_are_whole() -> None:
    assert [str(exact_amount(one, "GBP")) for one in (99.5, 934.83, 1_234.4)] == ["£99.50", "£935", "£1,234"]
