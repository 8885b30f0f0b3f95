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

import simulator as sim
from simulator.present.answers.shared import figure_of
from simulator.present.figure import Figure, amount, exact_share, full_money, percent
from simulator.present.report import gather, write_workbook
from simulator.present.report.gather import Contents
from simulator.present.report.sections import minimum_told
from simulator.present.report.workbook import _code, _summary_tables, long_table
from simulator.present.tables import STANDARD_ERROR, Table

pytest.importorskip("python_calamine")

SHEETS = ("Answer", "Every figure", "Charts", "Assumptions", "Sources and limits", "Glossary")
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


@pytest.mark.heavy
def test_the_summary_holds_the_datasets_numbers_with_their_errors(contents: Contents, book: Path) -> None:
    rows, summary = table(book, "Answer", "Population (people)"), contents.summary
    worst = summary.sel(quantile_level=0.95)
    for head, figure in (
        ("Mean cost of a year (GBP)", summary["mean_cost"]),
        ("Mean cost of a year (GBP): ± s.e.", summary["mean_cost_se"]),
        ("Year-to-year risk (coefficient of variation)", summary["cv"]),
        ("Year-to-year risk (coefficient of variation): ± s.e.", summary["cv_se"]),
        ("Mean of the costliest 5% of years (GBP)", worst["tvar"]),
        ("Chance", summary["p_overspend"].sel(margin=0.03)),
        ("Chance: 95% lower", summary["p_overspend_interval"].sel(margin=0.03, bound="lower")),
        ("Chance: 95% upper", summary["p_overspend_interval"].sel(margin=0.03, bound="upper")),
    ):
        assert rows[head].astype(float).tolist() == pytest.approx(flat(figure), rel=1e-14), head
    assert rows["Population (people)"].tolist() == np.repeat([300.0, 1_000.0, 4_000.0], 3).tolist()


def test_smallest_populations_are_numbers_and_what_no_number_can_say_is_words(contents: Contents, book: Path) -> None:
    rows = table(book, "Answer", "Cap on a patient’s cost")
    answer, head = contents.minimum(0.03), "above 3%"
    for column, values in (
        (head, answer["minimum_population"].values),
        (f"{head}: 95% lower", answer["minimum_population_interval"].sel(bound="lower").values),
        (f"{head}: 95% upper", answer["minimum_population_interval"].sel(bound="upper").values),
    ):
        if column in rows:
            told = [value if math.isfinite(value) and value else math.nan for value in values.tolist()]
            shown = [cell if isinstance(cell, int | float) else math.nan for cell in rows[column]]
            assert shown == pytest.approx(told, nan_ok=True), column
    words = [cell for cell in rows[head] if isinstance(cell, str)]
    assert set(words) <= {"over 4,000", "300 or fewer"}
    assert len(words) == int((~np.isfinite(answer["minimum_population"]) | (answer["minimum_population"] == 0)).sum())


def test_a_limit_of_the_grid_is_told_in_words(contents: Contents) -> None:
    for value, said in ((0.0, "300 or fewer"), (math.inf, "over 4,000")):
        answer = contents.minimum(0.03)
        edge = answer.assign(
            minimum_population=xr.full_like(answer["minimum_population"], value),
            minimum_population_interval=xr.full_like(answer["minimum_population_interval"], value),
        )
        told = minimum_told(_Fixed(contents, edge), 0.03, 0)
        assert told.text == said and told.is_bound and not told.beside


class _Fixed:
    """Contents whose smallest populations are given."""

    def __init__(self, contents: Contents, answer: xr.Dataset) -> None:
        self.summary, self.minimum = contents.summary, lambda margin: answer


def test_parties_are_rows_of_numbers(contents: Contents, tmp_path: Path) -> None:
    assert contents.compared is not None
    provider = contents.compared.sel(design="shared", party="provider", quantile_level=0.05).isel(population_size=-1)
    (shared,) = [one.apart() for one in _summary_tables(contents) if one.title.startswith("shared: each party")]
    (row,) = [dict(zip(shared.head, row, strict=True)) for row in shared.rows if row[0] == "provider"]
    for head, name in (
        ("Standard deviation", "sd_surplus"),
        ("1 year in 20 is below", "worst_surplus"),
        ("Chance of a loss", "p_loss"),
        ("Share of the risk", "risk_share"),
    ):
        assert row[head].value == float(provider[name]), head
        error = float(provider[f"{name}_se"])
        shown = row.get(f"{head}: {STANDARD_ERROR}")
        assert (shown is None) == (error <= 1e-9 * max(1.0, abs(row[head].value))) and (
            not shown or shown.value == error
        )
    exact = float(provider["exact_surplus"])
    known = exact if math.isfinite(exact) else float(provider["expected_surplus"])
    assert row["Average result"].value == known


def test_parties_stand_in_the_sheet(contents: Contents, book: Path) -> None:
    told = pd.read_excel(book, sheet_name="Answer", engine="calamine", header=None)
    assert contents.compared is not None
    cell = contents.compared.sel(design="shared", party="provider").isel(population_size=-1)
    rows = told[told[0] == "provider"]
    assert any(float(cell["sd_surplus"]) == pytest.approx(one, rel=1e-14) for one in rows.iloc[:, 1:].to_numpy().ravel()
               if isinstance(one, float))  # fmt: skip


@pytest.mark.heavy
def test_stresses_are_rows_of_numbers(tmp_path: Path) -> None:
    designs = [{"name": "capped", "exclusion": {"kind": "cap", "at": 20_000.0}, "terms": DESIGNS[0]["terms"]}]
    stresses = [{"name": "dearer", "changes": [{"kind": "inflation", "by": 0.04}]}]
    simulation = {"replicates": 60, "population_sizes": [1_000, 4_000], "thresholds": [20_000.0, math.inf]}
    stressed = gather(sim.simulate(make(simulation=simulation, designs=designs, stresses=stresses), progress=False))
    write_workbook(stressed, tmp_path / "book.xlsx")
    told = pd.read_excel(tmp_path / "book.xlsx", sheet_name="Answer", engine="calamine", header=None)
    assert stressed.stressed is not None
    at = {"design": "capped", "stress": "dearer"}
    (place,) = np.flatnonzero(told[0] == "dearer")
    shown = dict(zip(told.iloc[place - 1], told.iloc[place], strict=True))
    found = stressed.stressed.sel(at, drop=True)
    parties = [str(name) for name in found["party"].values if name in shown]
    assert parties and told[0].astype(str).str.startswith("capped: what each stress costs").any()
    for party in parties:
        wanted = found.sel(party=party)
        assert shown[party] == pytest.approx(float(wanted["surplus_difference_share"]), rel=1e-12)
        error = float(wanted["surplus_difference_share_se"])
        assert shown[f"{party}: ± s.e."] == pytest.approx(error, rel=1e-12) or error <= 1e-9
    assert max(abs(shown[party]) for party in parties) > 0.01


def test_assumptions_are_numbers(contents: Contents, book: Path) -> None:
    segments, shocks = table(book, "Assumptions", "segment"), table(book, "Assumptions", "shock")
    given = contents.scenario["population"]["segments"]
    assert segments["people"].astype(float).tolist() == [one["share"] for one in given]
    assert contents.described is not None
    means = [one["mean"] for one in contents.described["segments"]]
    assert segments["mean a head"].astype(float).tolist() == pytest.approx(means, rel=1e-14)
    assert shocks["cv"].tolist() == pytest.approx([0.015, 0.015])  # one shock, and all together
    assert table(book, "Sources and limits", "What")["Value"][0] == 400


@pytest.mark.parametrize(
    ("value", "error", "decimals", "code"),
    [(0.000423, 0.000003, 5, "0.00000%"), (0.04, 0.002, 2, "0.00%"), (0.5, math.nan, 2, "0.00%")],
)
def test_a_share_has_the_decimals_that_its_error_asks(value: float, error: float, decimals: int, code: str) -> None:
    shown = percent(value, error)
    assert shown.decimals >= decimals - 1
    if error > 0:
        assert f"{100 * error:.{shown.decimals}f}".strip("0.")  # the error is not rounded to nothing
    assert _code("1", decimals, "GBP") == code


@pytest.mark.parametrize("error", [0.0, 1e-17, 4e-13])
@pytest.mark.parametrize(("value", "decimals"), [(0.10004245769, 2), (0.1, 2), (0.00012345, 4), (0.0, 2), (-0.025, 2)])
def test_a_share_without_an_error_has_three_figures_and_not_nine_decimals(
    value: float, decimals: int, error: float
) -> None:
    assert percent(value, error).decimals == decimals


def test_an_error_that_is_rounding_is_not_told(contents: Contents) -> None:
    summary = contents.summary.isel(population_size=0, threshold=0)
    for name, value, error in (("cv", 0.10004245769, 1e-17), ("mean_cost", 1e8, 1e-3), ("cv", 0.1, 0.0)):
        cell = summary.assign({name: summary[name] * 0 + value, f"{name}_se": summary[f"{name}_se"] * 0 + error})
        cell[name].attrs = summary[name].attrs
        told = Table(["a", "b"], [["x", figure_of(cell, name, "GBP")]])
        assert told.apart().head == ["a", "b"]
        more = cell.assign({f"{name}_se": cell[f"{name}_se"] + 0.01 * value})
        assert Table(["a", "b"], [["x", figure_of(more, name, "GBP")]]).apart().head == [
            "a",
            "b",
            f"b: {STANDARD_ERROR}",
        ]


@pytest.mark.heavy
def test_no_cell_of_the_workbook_shows_an_error_of_nothing(contents: Contents) -> None:
    nearly = {name: contents.summary[name] * 0 + 1e-17 for name in ("cv_se", "p_overspend_se")}
    alike = contents._replace(summary=contents.summary.assign(nearly))
    for one in (contents, alike):
        tables = [table.apart() for table in _summary_tables(one)]
        pairs = [(table.head, table.rows) for table in tables] + [long_table(one)]
        errors = [row[at] for head, rows in pairs for row in rows for at, name in enumerate(head)
                  if name == "error" or STANDARD_ERROR in name]  # fmt: skip
        told = [error for error in errors if isinstance(error, Figure)]
        assert len(told) > 50
        for error in told:
            places = error.decimals + 2 * (error.unit == "1")
            assert round(error.value, places) > 0 and error.decimals <= 7, error


def test_money_is_told_in_its_currency() -> None:
    assert (amount(1_234_567.0, 900.0, "GBP").decimals, amount(876.191, math.nan, "GBP").decimals) == (0, 2)
    assert full_money(1.5, "GBP", 2).unit == "GBP" and exact_share(0.27).unit == "1"
    assert _code("GBP", 0, "GBP") == '"£"#,##0' and _code("CHF", 2, "CHF") == '"CHF "#,##0.00'
    assert _code("people", 0, "GBP") == "#,##0" and _code("number", 3, "GBP") == "0.000"


def test_sheets_print_one_page_wide_with_their_heads_repeated(book: Path) -> None:
    for number in range(1, 7):
        sheet = texts(book, f"xl/worksheets/sheet{number}.xml")
        assert 'orientation="landscape"' in sheet and 'fitToHeight="0"' in sheet and "<pageSetUpPr fitToPage" in sheet
    titles = re.findall(r'<definedName name="_xlnm.Print_Titles"[^>]*>([^<]*)<', texts(book, "xl/workbook.xml"))
    assert {title.replace("'", "") for title in titles} == {f"{name}!$1:$1" for name in SHEETS}


def test_the_long_table_can_be_filtered_and_the_glossary_names_itself_once(book: Path) -> None:
    with zipfile.ZipFile(book) as opened:
        tables = [opened.read(name).decode() for name in opened.namelist() if name.startswith("xl/tables/")]
    (long,) = [one for one in tables if 'displayName="LongTable"' in one]
    assert "<autoFilter ref=" in long
    cells = pd.read_excel(book, sheet_name="Glossary", engine="calamine", header=None)
    assert (cells[0] == "Glossary").sum() == 1


def test_heads_are_set_as_their_values(contents: Contents, book: Path) -> None:
    styles = re.search(r"<cellXfs.*?</cellXfs>", texts(book, "xl/styles.xml"), re.S)
    assert styles is not None
    forms = re.findall(r"<xf .*?(?:/>|</xf>)", styles[0], re.S)
    long = texts(book, "xl/worksheets/sheet2.xml")
    head = [forms[int(form)] for form in re.findall(r'<c r="[A-Z]+1" s="(\d+)"', long)]
    right = {name for name, form in zip(long_table(contents)[0], head, strict=True) if 'horizontal="right"' in form}
    assert {"value", "error", "lower", "population_size"} <= right
    assert not right & {"figure", "meaning", "rule", "unit", "basis", "design", "party"}


def test_what_rounding_leaves_of_nothing_is_nothing(contents: Contents) -> None:
    assert contents.compared is not None
    for name in contents.compared.data_vars:
        values = abs(contents.compared[name].values)
        assert not ((values > 0) & (values < 1e-12)).any(), name
    status_quo = contents.compared["risk_share_se"].isel(design=0)
    assert float(status_quo.max()) == 0.0
