"""The workbook: numbers are numbers with their errors beside them, and what a number cannot say is a note."""

from __future__ import annotations

import math
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import make
from simulator.present.report.figures import SE, Figure, _pair, amount, figure_tables, minimum_note, share

import simulator as sim
from simulator.present.report import gather, write_workbook
from simulator.present.report.gather import Contents
from simulator.present.report.long import LONG, long_rows
from simulator.present.report.workbook import _code

pytest.importorskip("python_calamine")

DESIGNS = [{"name": "shared", "terms": [{"kind": "cap_and_collar", "cap": 0.05, "collar": -0.05}]}]


@pytest.fixture(scope="module")
def contents() -> Contents:
    simulation = {"replicates": 400, "population_sizes": [300, 1_000, 4_000]}
    shocks = [{"name": "winter", "cv": 0.015}]
    return gather(sim.simulate(make(simulation=simulation, designs=DESIGNS, shocks=shocks), progress=False))


@pytest.fixture(scope="module")
def book(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("book") / "book.xlsx"
    write_workbook(contents, path)
    return path


def table(book: Path, sheet: str, first: str) -> pd.DataFrame:
    """The table whose head begins with a word."""
    cells = pd.read_excel(book, sheet_name=sheet, engine="calamine", header=None)
    start = int(np.flatnonzero(cells[0] == first)[0])
    empty = np.flatnonzero(cells.iloc[start:][0].isna())
    end = start + (int(empty[0]) if empty.size else len(cells) - start)
    body = cells.iloc[start + 1 : end].reset_index(drop=True)
    return body.set_axis(cells.iloc[start], axis=1).loc[:, lambda rows: rows.columns.notna()]


def texts(book: Path, part: str) -> str:
    with zipfile.ZipFile(book) as opened:
        return opened.read(part).decode()


def flat(figure: xr.DataArray) -> list[float]:
    return figure.transpose("population_size", "threshold").values.ravel().tolist()


def test_the_summary_holds_the_datasets_numbers_with_their_errors(contents: Contents, book: Path) -> None:
    rows, summary = table(book, "Summary", "Population (people)"), contents.summary
    worst = summary.sel(quantile_level=0.95)
    for head, figure in (
        ("Mean cost of a year (GBP)", summary["mean_cost"]),
        ("Mean cost of a year: ± s.e.", summary["mean_cost_se"]),
        ("Coefficient of variation", summary["cv"]),
        ("Coefficient of variation: ± s.e.", summary["cv_se"]),
        ("Mean of the costliest 5% of years (GBP)", worst["tvar"]),
        ("Chance", summary["p_overspend"].sel(margin=0.03)),
        ("Chance: 95% lower", summary["p_overspend_interval"].sel(margin=0.03, bound="lower")),
        ("Chance: 95% upper", summary["p_overspend_interval"].sel(margin=0.03, bound="upper")),
    ):
        assert rows[head].astype(float).tolist() == pytest.approx(flat(figure), rel=1e-14), head
    assert rows["Population (people)"].tolist() == np.repeat([300.0, 1_000.0, 4_000.0], 3).tolist()


def test_smallest_populations_are_numbers_and_their_limits_are_notes(contents: Contents, book: Path) -> None:
    rows = table(book, "Summary", "Patient-level rule")
    asked = rows[rows["Overspend above"] == 0.03]
    answer = contents.minimum(0.03)
    for head, values in (
        ("People", answer["minimum_population"].values),
        ("People: 95% lower", answer["minimum_population_interval"].sel(bound="lower").values),
        ("People: 95% upper", answer["minimum_population_interval"].sel(bound="upper").values),
    ):
        told = [value if math.isfinite(value) and value else math.nan for value in values.tolist()]
        assert asked[head].astype(float).tolist() == pytest.approx(told, nan_ok=True)
    unreached = asked["People"].isna()
    assert asked[unreached]["Note"].str.contains("> 4,000|300, the smallest").all()


def test_a_limit_of_the_grid_is_told_in_words(contents: Contents) -> None:
    inf = math.inf
    assert minimum_note(contents, 0.0, [0.0, 0.0]) == "300, the smallest size simulated, are already enough"
    assert minimum_note(contents, inf, [900.0, inf]) == "> 4,000: not even the largest size simulated is enough"
    assert minimum_note(contents, 900.0, [0.0, inf]) == "lower end ≤ 300; upper end > 4,000"
    assert minimum_note(contents, 900.0, [800.0, 950.0]) == ""


def test_parties_are_rows_of_numbers(contents: Contents, book: Path) -> None:
    rows = table(book, "Summary", "Design")
    assert contents.compared is not None
    shared = contents.compared.sel(design="shared").isel(population_size=-1)
    found = rows[(rows["Design"] == "shared") & (rows["Party"] == "provider")].iloc[0]
    provider = shared.sel(party="provider")
    assert float(found["Expected surplus (GBP)"]) == pytest.approx(float(provider["expected_surplus"]), rel=1e-14)
    assert float(found["Expected surplus: ± s.e."]) == pytest.approx(float(provider["expected_surplus_se"]), rel=1e-14)


def test_stresses_are_rows_of_numbers(tmp_path: Path) -> None:
    designs = [{"name": "capped", "exclusion": {"kind": "cap", "at": 20_000.0}, "terms": DESIGNS[0]["terms"]}]
    stresses = [{"name": "dearer", "changes": [{"kind": "inflation", "by": 0.04}]}]
    simulation = {"replicates": 60, "population_sizes": [1_000, 4_000], "thresholds": [20_000.0, math.inf]}
    stressed = gather(sim.simulate(make(simulation=simulation, designs=designs, stresses=stresses), progress=False))
    write_workbook(stressed, tmp_path / "book.xlsx")
    told = pd.read_excel(tmp_path / "book.xlsx", sheet_name="Summary", engine="calamine", header=None)
    assert stressed.stressed is not None
    at = {"design": "capped", "stress": "dearer"}
    cells = told[told[1] == "dearer"]
    assert len(cells) and set(cells[0]) == {"capped"}
    for _, row in cells.iterrows():
        wanted = stressed.stressed.sel(at, drop=True).sel(party=row[2])
        assert row[3] == pytest.approx(float(wanted["surplus_difference_share"]), rel=1e-12)
        assert row[4] == pytest.approx(float(wanted["surplus_difference_share_se"]), rel=1e-12)
    assert cells[3].abs().max() > 0.01


def test_assumptions_are_numbers(contents: Contents, book: Path) -> None:
    segments, shocks = table(book, "Scenario", "Segment"), table(book, "Scenario", "Shock")
    given = contents.scenario["population"]["segments"]
    assert segments["Share of people"].astype(float).tolist() == [one["share"] for one in given]
    assert contents.described is not None
    means = [one["mean"] for one in contents.described["segments"]]
    assert segments["Mean cost a head"].astype(float).tolist() == pytest.approx(means, rel=1e-14)
    assert shocks["Coefficient of variation"].tolist() == [0.015]
    assert table(book, "Provenance", "What")["Value"][0] == 400


@pytest.mark.parametrize(
    ("value", "error", "decimals", "code"),
    [(0.000423, 0.000003, 5, "0.00000%"), (0.04, 0.002, 2, "0.00%"), (0.5, math.nan, 2, "0.00%")],
)
def test_a_share_has_the_decimals_that_its_error_asks(value: float, error: float, decimals: int, code: str) -> None:
    shown = share(value, error)
    assert shown is not None and shown.decimals >= decimals - 1
    if error > 0:
        assert f"{100 * error:.{shown.decimals}f}".strip("0.")  # the error is not rounded to nothing
    assert _code("share", decimals, "GBP") == code


@pytest.mark.parametrize("error", [0.0, 1e-17, 4e-13, math.nan])
@pytest.mark.parametrize(("value", "decimals"), [(0.10004245769, 2), (0.1, 2), (0.00012345, 4), (0.0, 2), (-0.025, 2)])
def test_a_share_without_an_error_has_three_figures_and_not_nine_decimals(
    value: float, decimals: int, error: float
) -> None:
    shown = share(value, error)
    assert shown is not None and shown.decimals == decimals


def test_an_error_that_is_rounding_is_not_told(contents: Contents) -> None:
    summary = contents.summary.isel(population_size=0, threshold=0)
    for name, value, error in (("cv", 0.10004245769, 1e-17), ("mean_cost", 1e8, 1e-3), ("cv", 0.1, 0.0)):
        cell = summary.assign({name: summary[name] * 0 + value, f"{name}_se": summary[f"{name}_se"] * 0 + error})
        cell[name].attrs = summary[name].attrs
        assert _pair(cell, name)[1] is None
        assert _pair(cell.assign({f"{name}_se": cell[f"{name}_se"] + 0.01 * value}), name)[1] is not None


def test_no_cell_of_the_workbook_shows_an_error_of_nothing(contents: Contents) -> None:
    nearly = {name: contents.summary[name] * 0 + 1e-17 for name in ("cv_se", "p_overspend_se")}
    alike = contents._replace(summary=contents.summary.assign(nearly))
    for one in (contents, alike):
        heads = [head for head, _ in LONG]
        tables = [(heads, long_rows(one)), *((table.head, table.rows) for table in figure_tables(one))]
        errors = [row[at] for head, rows in tables for row in rows for at, name in enumerate(head) if SE in name]
        told = [error for error in errors if isinstance(error, Figure)]
        assert len(told) > 50
        for error in told:
            places = error.decimals + 2 * (error.form == "share")
            assert round(error.value, places) > 0 and error.decimals <= 7, error


def test_money_is_told_in_its_currency() -> None:
    assert amount(1_234_567.0, 900.0) == Figure(1_234_567.0, "money", 0)
    assert amount(876.191, math.nan) == Figure(876.191, "money", 2)
    assert _code("money", 0, "GBP") == '"£"#,##0' and _code("money", 2, "CHF") == '"CHF "#,##0.00'


def test_sheets_print_one_page_wide_with_their_heads_repeated(book: Path) -> None:
    for number in range(1, 6):
        sheet = texts(book, f"xl/worksheets/sheet{number}.xml")
        assert 'orientation="landscape"' in sheet and 'fitToHeight="0"' in sheet and "<pageSetUpPr fitToPage" in sheet
    titles = re.findall(r'<definedName name="_xlnm.Print_Titles"[^>]*>([^<]*)<', texts(book, "xl/workbook.xml"))
    assert set(titles) == {f"{name}!$1:$1" for name in ("Summary", "Long", "Scenario", "Provenance", "Glossary")}


def test_the_long_table_can_be_filtered_and_the_glossary_names_itself_once(book: Path) -> None:
    with zipfile.ZipFile(book) as opened:
        tables = [opened.read(name).decode() for name in opened.namelist() if name.startswith("xl/tables/")]
    (long,) = [one for one in tables if 'displayName="LongTable"' in one]
    assert "<autoFilter ref=" in long
    cells = pd.read_excel(book, sheet_name="Glossary", engine="calamine", header=None)
    assert (cells[0] == "Glossary").sum() == 1


def test_heads_are_set_as_their_values(book: Path) -> None:
    styles = re.search(r"<cellXfs.*?</cellXfs>", texts(book, "xl/styles.xml"), re.S)
    assert styles is not None
    forms = re.findall(r"<xf .*?(?:/>|</xf>)", styles[0], re.S)
    long = texts(book, "xl/worksheets/sheet2.xml")
    head = {cell: forms[int(form)] for cell, form in re.findall(r'<c r="([A-Z]+)1" s="(\d+)"', long)}
    assert 'horizontal="right"' in head["L"] and 'horizontal="right"' in head["C"]
    assert 'horizontal="right"' not in head["A"] and 'horizontal="right"' not in head["B"]


def test_what_rounding_leaves_of_nothing_is_nothing(contents: Contents) -> None:
    assert contents.compared is not None
    for name in contents.compared.data_vars:
        values = abs(contents.compared[name].values)
        assert not ((values > 0) & (values < 1e-12)).any(), name
    status_quo = contents.compared["risk_share_se"].isel(design=0)
    assert float(status_quo.max()) == 0.0
