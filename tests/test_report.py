"""The report and the workbook: every figure is the Dataset's, nothing is fetched, and what is hostile stays text."""

from __future__ import annotations

import json
import math
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import KINDS, alone, make
from html_tables import Read, read_report
from printed import agrees

import simulator as sim
from simulator.analysis.designs.exact_comparison import with_exact
from simulator.analysis.size.grid import minimum_on_grid
from simulator.contracts.design import with_reference
from simulator.present.cli.main import main
from simulator.present.figure import errors_shown
from simulator.present.report import gather, write_html, write_workbook
from simulator.present.report.answer import answer_text
from simulator.present.report.gather import Contents
from simulator.present.report.page import html_of
from simulator.present.report.workbook import long_table

matplotlib.use("Agg")

HOSTILE = '<script>alert(1)</script> $\\frac{ & "quoted"'
DESIGNS = [
    {
        "name": '=HYPERLINK("x","</script><img src=x onerror=alert(1)>")',
        "expresses": "@SUM(1)",
        "terms": [{"kind": "cap_and_collar", "cap": 0.05, "collar": -0.05}],
        "exclusion": {"kind": "cap"},
    },
    {"name": "own cap", "exclusion": {"kind": "cap", "at": 5_000.0}},
]


def designed(**changes) -> xr.Dataset:
    simulation = {"replicates": 400, "population_sizes": [300, 1_000, 4_000]}
    return sim.simulate(make(simulation=simulation, designs=DESIGNS, **changes), progress=False)


@pytest.fixture(scope="module")
def ledger() -> xr.Dataset:
    return designed(title=HOSTILE)


@pytest.fixture(scope="module")
def contents(ledger: xr.Dataset) -> Contents:
    return gather(ledger)


@pytest.fixture(scope="module")
def page(contents: Contents) -> str:
    return html_of(contents)


def grid_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="grid">(.*?)</script>', page, re.S)[1])


def expects(told: str, value: float, se: float, exact: float, interval: tuple[float, float] | None = None) -> bool:
    """Whether a printed figure is this value, or the exact one where that is known."""
    return agrees(told, value, se, interval) if math.isnan(exact) else agrees(told, exact, None)


def test_what_agrees_is_told_from_what_does_not() -> None:
    assert expects("£0", -12_100, 10_200, 0.0) and not expects("−£12k (−£32k to £8k)", -12_100, 10_200, 0.0)
    assert agrees("4.31% ± 0.04", 0.04312, 0.00041) and agrees("−£1.20m ± 0.03m", -1_203_000, 31_000)
    assert not agrees("4.31% ± 0.04", 0.0432, 0.00041) and not agrees("4.31% ± 0.04", 0.0431, 0.0006)
    assert agrees("4.3%", 0.0431, 0.0004) and not agrees("4.3%", 0.0437, 0.0004)
    assert not agrees("4.31%", 0.0431, 0.0004) and not agrees("4.3%", 0.0431, 0.00004)  # a digit too many, or too few
    assert not agrees("4%", 0.0431, 0.0026) and agrees("4.31% (3.80% to 4.82%)", 0.0431, 0.0026)  # wide
    assert not agrees("4.31% (3.80% to 4.83%)", 0.0431, 0.0026)
    assert agrees("4.31% ± < 0.01", 0.0431, 0.00004) and not agrees("4.31% ± < 0.01", 0.0431, 0.00006)
    assert (
        agrees("£5,000", 5_000, 0.0)
        and agrees("£5,020", 5_024, None)
        and not agrees("£5,020", 5_026, None)
        and not agrees("£5k", 5_600, None)
    )
    assert agrees("below 0.92%", 0.0, 0.0, (0.0, 0.0092)) and not agrees("below 0.92%", 0.0, 0.0, (0.0, 0.02))
    assert not agrees("below 0.92%", 0.001, 0.001, (0.0, 0.0092)) and not agrees("0%", 0.001, 0.0)


@pytest.mark.heavy
def test_every_figure_of_the_explorer_is_the_datasets(ledger: xr.Dataset, page: str) -> None:
    grid = grid_of(page)
    margins = [float(text.rstrip("%")) / 100 for text in grid["options"]["margin"]]
    summary = sim.summarise(ledger, margins=margins)
    for p, t, m in np.ndindex(3, 3, len(margins)):
        cell = summary.isel(population_size=p, threshold=t, margin=m)
        bounds = tuple(cell["p_overspend_interval"].values.tolist())
        assert agrees(
            grid["chance"][p][t][m]["text"], float(cell["p_overspend"]), float(cell["p_overspend_se"]), bounds
        )
    worst = summary.sel(quantile_level=0.95)
    for p, t in np.ndindex(3, 3):
        cell = worst.isel(population_size=p, threshold=t)
        budget, *figures = grid["figures"][p][t]
        assert agrees(budget, float(cell["budget"]), None)
        for told, name in zip(figures, ("mean_cost", "cv", "tvar"), strict=True):
            assert agrees(told, float(cell[name]), float(cell[f"{name}_se"]))


@pytest.mark.heavy
def test_every_party_of_every_design_has_the_figures_of_the_comparison(ledger: xr.Dataset, page: str) -> None:
    grid = grid_of(page)
    designs = with_reference(sim.Scenario.model_validate(json.loads(ledger.attrs["scenario"])).designs)
    compared = with_exact(sim.compare(sim.settle(ledger, designs))).isel(quantile_level=0)
    assert compared["exact_surplus"].notnull().any()
    assert grid["options"]["design"] == [design.name for design in designs]
    names = ("expected_surplus", "sd_surplus", "worst_surplus", "p_loss", "risk_share")
    seen = 0
    for d, design in enumerate(grid["designs"]):
        for p, at in enumerate(design["rows"]):
            for t, rows in enumerate(at):
                for party, *figures in rows:
                    cell = compared.isel(design=d, population_size=p, threshold=t).sel(party=party)
                    for told, name in zip(figures, names, strict=True):
                        value, se = float(cell[name]), float(cell[f"{name}_se"])
                        exact = float(cell["exact_surplus"]) if name == "expected_surplus" else math.nan
                        bounds = unseen(cell, name)
                        right = told == "—" if math.isnan(value) else expects(told, value, se, exact, bounds)
                        assert right, (told, name, value, se, exact)
                        seen += 1
    assert seen > 100
    assert [len(design["rules"]) for design in grid["designs"]] == [1, 3, 1]


def unseen(cell: xr.Dataset, name: str) -> tuple[float, float] | None:
    """The bounds of a chance that no year, or every one, showed."""
    bound = cell.attrs["unseen_bound"]
    return (1 - bound, bound) if name.startswith("p_") and float(cell[name]) in (0.0, 1.0) else None


# ── the tables as they are read ──────────────────────────────────────────────────────────────────

PARTY_FIGURES = ("expected_surplus", "sd_surplus", "worst_surplus", "p_loss", "risk_share")


def asked_of(ledger: xr.Dataset) -> dict[str, list[list[xr.Dataset]]]:
    """By caption, the cells of every table: their `value`, `se`, and `bound`s or `exact` beside it."""
    margins = [0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1]
    summary = sim.summarise(ledger, margins=margins)
    sizes, thresholds = range(3), range(3)

    def cell(of: xr.Dataset, name: str, **beside: xr.DataArray) -> xr.Dataset:
        return xr.Dataset({"value": of[name], "se": of[f"{name}_se"]} | beside)

    def grid(of: xr.Dataset, name: str) -> list[list[xr.Dataset]]:
        return [[cell(of.isel(population_size=p, threshold=t), name) for t in thresholds] for p in sizes]

    found = {}
    for margin in margins:
        above = summary.sel(margin=margin)
        rows = [[above.isel(population_size=p, threshold=t) for t in thresholds] for p in sizes]
        caption = (
            f"Chance of overspending by more than {100 * margin:g}% of the budget"
            if margin
            else "Chance of overspending"
        )
        found[caption] = [[cell(one, "p_overspend", bounds=one["p_overspend_interval"]) for one in row] for row in rows]
    worst = summary.sel(quantile_level=0.95)
    found["Mean cost of a year, after exclusion"] = grid(worst, "mean_cost")
    found["Year-to-year risk (coefficient of variation), after exclusion"] = grid(worst, "cv")
    found["Mean of the costliest 5% of years, after exclusion"] = grid(worst, "tvar")
    beside = summary.assign(exact_cv=summary["exact_sd"] / summary["exact_mean"])
    found["Year-to-year risk: standard deviation of retained cost, as a share of its mean"] = [
        [cell(one := beside.isel(population_size=p, threshold=t), "cv", exact=one["exact_cv"]) for t in thresholds]
        for p in sizes
    ]
    removed = [f"{part}_share" for part in ("cost_removed", "patients_above", "variance_removed")]
    largest = summary.isel(population_size=-1)
    found["Effect of each cap: share that it takes out, at 4,000 people"] = [
        [cell(largest.isel(threshold=t), name) for name in removed] for t in thresholds[:-1]
    ]
    fan = sim.fan(ledger).isel(threshold=-1)
    found["Overspend by population"] = [
        [cell(fan.isel(population_size=p, quantile_level=q), "overspend") for q in range(fan.sizes["quantile_level"])]
        for p in sizes
    ]
    designs = with_reference(sim.Scenario.model_validate(json.loads(ledger.attrs["scenario"])).designs)
    compared = with_exact(sim.compare(sim.settle(ledger, designs)))
    compared = compared.isel(quantile_level=0, population_size=-1, threshold=-1)
    for design in compared["design"].values:
        of = compared.sel(design=design)
        found[f"{design}: each party’s year among 4,000 people"] = [
            [cell(one := of.sel(party=party), name, **known(one, name)) for name in PARTY_FIGURES]
            for party in of["party"].values
        ]
    return found


def known(cell: xr.Dataset, name: str) -> dict[str, xr.DataArray]:
    if name == "expected_surplus":
        return {"exact": cell["exact_surplus"]}
    bounds = unseen(cell, name)
    return {} if bounds is None else {"bounds": xr.DataArray(list(bounds), dims="bound")}


def is_so(told: str, cell: xr.Dataset) -> bool:
    """Whether a printed cell is what was asked for; an exact figure leads where there is one."""
    bounds = tuple(cell["bounds"].values.tolist()) if "bounds" in cell else None
    return expects(told, float(cell["value"]), float(cell["se"]), float(cell.get("exact", math.nan)), bounds)


def wrong_cells(page: str, asked: dict[str, list[list[xr.Dataset]]]) -> list[str]:
    """Cells of a page that are not the Dataset's, and tables of figures that nobody asked for."""
    wrong = []
    for table in read_report(page)[0]:
        cells = next((asked[name] for name in asked if _is_of(table, name)), None)
        if cells is None:
            wrong += [table.caption] if " ± " in str(table.rows) and not table.caption.startswith(OF_EXPLORER) else []
            continue
        if [len(row) - 1 for row in table.rows] != [len(row) for row in cells]:
            wrong.append(f"form of {table.caption}")
            continue
        wrong += [
            f"{told} in {table.caption}"
            for row, row_cells in zip(table.rows, cells, strict=True)
            for told, cell in zip(row[1:], row_cells, strict=True)
            if not is_so(told, cell)
        ]
    return wrong


OF_EXPLORER = ("The retained cost", DESIGNS[0]["name"], "Contracts: what each pays")
"""Tables that the sliders fill, held to the grid, which is held to the Dataset above; and that of all contracts."""


def _is_of(table: Read, name: str) -> bool:
    if "each party’s year among" in name:
        return table.caption.startswith(f"{name},")
    return table.caption == name


@pytest.fixture(scope="module")
def asked(ledger: xr.Dataset) -> dict[str, list[list[xr.Dataset]]]:
    return asked_of(ledger)


@pytest.fixture(scope="module")
def page_of_errors(contents: Contents) -> str:
    """Its tables alone: the pictures are those of the other page."""
    with errors_shown(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.present.report.charts.inline_svg", lambda *_: "<svg></svg>")
        return html_of(contents)


@pytest.mark.heavy
def test_every_cell_of_every_table_is_the_datasets(
    page: str, page_of_errors: str, asked: dict[str, list[list[xr.Dataset]]]
) -> None:
    assert wrong_cells(page, asked) == wrong_cells(page_of_errors, asked) == []
    assert " ± " in page_of_errors and " ± " not in page
    captions = [table.caption for table in read_report(page)[0]]
    assert all(any(caption.startswith(name) for caption in captions) for name in asked)


@pytest.mark.heavy
def test_a_changed_digit_is_found_wherever_it_is(page_of_errors: str, asked: dict[str, list[list[xr.Dataset]]]) -> None:
    page = re.sub(r'<table id="contracts".*?</table>', "", page_of_errors, flags=re.DOTALL)
    explorer = range(page.index('id="explorer"'), page.index("All figures of the explorer"))
    found = re.finditer(r"<td>[−£]*(\d)[\d.,]*[km%]*(?:<span class=\"below\">)? (?:±|\(same in)", page)
    places = [place for place in found if place.start() not in explorer]
    assert len(places) > 100
    spread = places[:: len(places) // 24]
    for place in spread:
        other = str((int(place[1]) + 1) % 10)
        changed = page[: place.start(1)] + other + page[place.end(1) :]
        assert len(wrong_cells(changed, asked)) == 1, place[0]


@pytest.mark.heavy
def test_the_explorer_shows_the_cells_of_its_grid(page: str) -> None:
    grid = grid_of(page)
    at = {a["data-control"]: int(a["value"]) for tag, a in _Elements(page).found if "data-control" in a}
    place, threshold, margin, design = (at[name] for name in ("population", "threshold", "margin", "design"))
    tables = read_report(page)[0]
    (kept,) = (table for table in tables if table.caption == "The retained cost")
    shown = [row[1] for row in kept.rows]
    minimum = " ".join(grid["minimum"][threshold][margin]).strip()
    assert shown == [grid["chance"][place][threshold][margin]["text"], *grid["figures"][place][threshold], minimum]
    (parties,) = (table for table in tables if table.caption == f"{DESIGNS[0]['name']}: each party’s year")
    rules = grid["designs"][design]["rows"][place]
    assert parties.rows == rules[threshold if len(rules) > 1 else 0]


@pytest.mark.heavy
@pytest.mark.parametrize("caption", ["Smallest population with a chance", "Smallest population by the accepted"])
def test_minimum_populations_are_the_datasets(ledger: xr.Dataset, page: str, caption: str) -> None:
    table = next(table for table in read_report(page)[0] if table.caption.startswith(caption))
    by_target = "by the accepted" in caption
    heads = [row[0] for row in table.rows] if by_target else table.head[1:]
    asked = [float(re.search(r"([\d.]+)%", head)[1]) / 100 for head in heads]
    summary = sim.summarise(ledger, margins=sorted({*asked, 0.03}))
    seen = 0
    for k, figure in enumerate(asked):
        margin, at_most = (0.03, figure) if by_target else (figure, 0.05)
        answer = minimum_on_grid(summary, "p_overspend", at_most, margin=margin)
        for t in range(3):
            told = table.rows[k][t + 1] if by_target else table.rows[t][k + 1]
            value = float(answer["minimum_population"].isel(threshold=t))
            if math.isinf(value) or value == 0:
                assert told.startswith("over 4,000" if value else "300 or fewer"), told
                continue
            low, high = answer["minimum_population_interval"].isel(threshold=t).values
            number, bounds = told.split(" (")
            assert float(number.replace(",", "")) == pytest.approx(value, rel=0.06)
            parts = re.fullmatch(r"([\d,]+)(?: or fewer)? to (over )?([\d,]+)\)", bounds)
            least, most = (float(parts[k].replace(",", "")) for k in (1, 3))
            assert least == 300 if low == 0 else 0.9 * low <= least <= low, told
            assert most == 4_000 if math.isinf(high) else high <= most <= 1.1 * high, told
            seen += 1
    assert seen > 1


@pytest.mark.heavy
def test_the_answer_comes_first_with_its_interval(ledger: xr.Dataset, page: str) -> None:
    contents = gather(ledger, margin=0.1, at_most=0.1)
    answer = sim.summarise(ledger, margins=[0.1])
    found = minimum_on_grid(answer, "p_overspend", 0.1, margin=0.1).isel(threshold=-1)
    told = answer_text(contents)
    number = float(
        re.search(r"without exclusion, ([\d,]+) people are enough \(95% interval: ", told)[1].replace(",", "")
    )
    assert number == pytest.approx(float(found["minimum_population"]), rel=0.05)
    assert "overspending by more than 10% of the budget at or below 10%" in told and "Interpolated" in told
    assert page.index('class="answer"') < page.index("<table")


class _Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.heavy
def test_hostile_names_stay_text(page: str) -> None:
    elements = _Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert not [tag for tag, _ in elements.found if tag in ("img", "iframe", "object", "link")]
    assert not [key for _, attrs in elements.found for key in attrs if key.startswith("on")]
    assert HOSTILE in "".join(elements.text)
    assert grid_of(page)["options"]["design"][1] == DESIGNS[0]["name"]


@pytest.mark.heavy
def test_nothing_is_fetched_and_the_policy_allows_this_script_alone(page: str) -> None:
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]+[^\s\"'<>]*", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    policy = next(a["content"] for tag, a in _Elements(page).found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy
    assert len(page) < 3_000_000


@pytest.mark.heavy
def test_ids_are_given_once_and_references_lead_somewhere(page: str) -> None:
    found = [attrs for _, attrs in _Elements(page).found]
    ids = [attrs["id"] for attrs in found if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in found:
        wanted = attrs.get("aria-labelledby", "").split() + attrs.get("for", "").split()
        wanted += re.findall("^#(.*)", attrs.get("href", ""))
        wanted += re.findall(r"url\(#([^)]*)\)", " ".join(str(value) for value in attrs.values()))
        assert set(wanted) <= set(ids)


LIKE_OTHERS = {"fixed", "sampled", "units sampled", "percentiles by population"}
"""Kinds of ledger whose reports have nothing of their own."""
DRAWN = {"units", "parameter sets"}
"""Kinds whose pictures are drawn in the ordinary lane: those of others are like the ones of the ledger above."""


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("kind", "pictured"),
    [
        pytest.param(
            kind, pictured, marks=() if kind not in LIKE_OTHERS and pictured == (kind in DRAWN) else pytest.mark.slow
        )
        for kind in sorted(KINDS)
        for pictured in (True, False)
    ],
)
def test_every_kind_of_ledger_has_a_report(kind: str, pictured: bool, request: pytest.FixtureRequest) -> None:
    if not pictured:
        request.getfixturevalue("unpictured")
    contents = gather(sim.simulate(make(**KINDS[kind]), progress=False))
    page = html_of(contents)
    controls = [attrs["data-control"] for _, attrs in _Elements(page).found if "data-control" in attrs]
    assert "design" not in controls and {"margin", "population"} <= set(controls)
    if "percentiles" in kind:
        assert re.search(r"cap at percentile 95 \(£", page)
    if kind == "units":
        assert grid_of(page)["options"]["population"][-1] == "old town, 35 people"
    if kind == "rare":
        assert "transplants" in page and "together, out of scope" in page


def test_one_population_is_answered_by_its_chance() -> None:
    ledger = sim.simulate(make(simulation={"population_sizes": [250]}), progress=False)
    cell = sim.summarise(ledger).isel(population_size=0, threshold=-1).sel(margin=0.03)
    told = re.search(r"budget is (.+?) without exclusion", answer_text(gather(ledger)))[1]
    bounds = tuple(cell["p_overspend_interval"].values.tolist())
    assert agrees(told, float(cell["p_overspend"]), float(cell["p_overspend_se"]), bounds)


@pytest.mark.heavy
def test_observed_costs_stay_out_of_report_and_workbook(tmp_path: Path) -> None:
    costs = [417.25, 93.5, 2_001.75, 7_777.5, 12_345.75]
    scenario = alone({"family": "empirical", "values": costs}, simulation={"thresholds": [5_000.0, math.inf]})
    contents = gather(sim.simulate(scenario, progress=False))
    page = html_of(contents)
    write_workbook(contents, tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as book:
        text = page + "".join(book.read(name).decode() for name in book.namelist())
    assert "observed costs" in text and "error unknown" not in text
    for cost in costs:
        assert f"{cost:g}" not in text and f"{cost:,}" not in text


@pytest.mark.heavy
@pytest.mark.parametrize(("currency", "sign"), [("USD", "$"), ("NZD", "NZD ")])
@pytest.mark.usefixtures("unpictured")
def test_money_is_in_the_scenarios_currency(currency: str, sign: str) -> None:
    scenario = make(currency=currency, simulation={"population_sizes": [100, 250]})
    page = html_of(gather(sim.simulate(scenario, progress=False)))
    assert f"cap {sign}5,000" in page and "£" not in page


@pytest.mark.heavy
@pytest.mark.usefixtures("unpictured")
def test_a_run_that_failed_its_check_says_so_first(source: Path, tmp_path: Path) -> None:
    ledger = sim.open_ledger(source)
    sim.save(ledger.assign(gross_cost=ledger["gross_cost"] * 1.5), source)
    found = CliRunner().invoke(main, ["report", str(source), "-o", str(tmp_path / "r.html")])
    assert found.exit_code == 3 and "FAILED ITS OWN CHECK" in found.output
    page = (tmp_path / "r.html").read_text()
    assert page.index("FAILED ITS OWN CHECK") < page.index('class="answer"')


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def call(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["report", *map(str, arguments)])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "r.nc"
    simulation = {"replicates": 100, "population_sizes": [300, 1_000]}
    sim.save(sim.simulate(make(simulation=simulation, designs=DESIGNS[1:]), progress=False), path)
    return path


@pytest.mark.heavy
def test_the_command_writes_both_and_the_same_bytes_again(source: Path, tmp_path: Path) -> None:
    out, book = tmp_path / "r.html", tmp_path / "r.xlsx"
    assert call(source, "-o", out, "--xlsx", book, "--margin", 0.04)[0] == 0
    first = out.read_bytes(), book.read_bytes()
    assert b"overspending by more than 4% of the budget" in first[0]
    assert call(source, "-o", out, "--xlsx", book, "--margin", 0.04)[0] == 0
    assert (out.read_bytes(), book.read_bytes()) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.nc", "r.xlsx"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "has nothing to write"),
        (["-o", "r.txt"], "does not end in .html"),
        (["--xlsx", "r.xls"], "does not end in .xlsx"),
        (["-o", "absent/r.html"], "lies in a folder that does not exist"),
    ],
)
def test_mistakes_are_one_sentence(source: Path, monkeypatch, arguments: list[str], sentence: str) -> None:
    monkeypatch.chdir(source.parent)
    code, told = call(source, *arguments)
    assert code == 2 and sentence in told and len(told.splitlines()) == 1
    assert [path.name for path in source.parent.iterdir()] == ["r.nc"]


@pytest.mark.heavy
@pytest.mark.usefixtures("unpictured")
def test_a_rare_shock_and_whom_it_hits_are_told() -> None:
    shocks: list[dict] = [{"name": "strike", "probability": 0.2, "by": -0.1, "segments": ["well"]}]
    shocks += [{"name": "prices", "cv": 0.02}]
    ledger = sim.simulate(make(shocks=shocks, simulation={"population_sizes": [1_000]}), progress=False)
    told = html_of(gather(ledger))
    heads = ("shock", "cv", "comes", "hits")
    assert "".join(f'<th scope="col">{head}</th>' for head in heads) in told
    assert ">20.0% of years: cost -10%</td>" in told and ">well</td>" in told and ">2.0%</td>" in told


@pytest.mark.heavy
@pytest.mark.parametrize(("module", "option", "name"), [("jinja2", "-o", "r.html"), ("xlsxwriter", "--xlsx", "r.xlsx")])
def test_a_missing_extra_is_one_sentence(source: Path, monkeypatch, module: str, option: str, name: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    code, told = call(source, option, source.with_name(name))
    assert code == 2 and f"needs {module}, which is not installed" in told and "capitation-risk[report]" in told
    assert [path.name for path in source.parent.iterdir()] == ["r.nc"]


def test_a_ledger_without_its_scenario_is_refused(ledger: xr.Dataset) -> None:
    bare = ledger.copy()
    del bare.attrs["scenario"]
    with pytest.raises(sim.SimulatorError, match="does not carry its scenario"):
        gather(bare)


# ── the workbook ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def book(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("book") / "book.xlsx"
    write_workbook(contents, path)
    return path


def parts(book: Path, like: str) -> dict[str, str]:
    with zipfile.ZipFile(book) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist() if re.match(like, name)}


def test_the_long_table_holds_the_datasets_figures(ledger: xr.Dataset, book: Path) -> None:
    pytest.importorskip("python_calamine")
    long = pd.read_excel(book, sheet_name="Every figure", engine="calamine")
    summary = sim.summarise(ledger)
    for name in ("cv", "mean_cost", "cost_removed_share"):
        rows = long[long["figure"] == name]
        assert rows["value"].astype(float).tolist() == pytest.approx(summary[name].values.ravel().tolist(), rel=1e-14)
        errors = summary[f"{name}_se"].values.ravel().tolist()
        assert rows["error"].astype(float).fillna(0.0).tolist() == pytest.approx(errors, rel=1e-14)
        assert ("constant" in set(rows["basis"])) == (name == "cost_removed_share")  # where nothing goes
    chances = long[(long["figure"] == "p_overspend") & (long["margin"] == 0.03)]
    interval = summary["p_overspend_interval"].sel(margin=0.03)
    found = chances[["lower", "upper"]].to_numpy(float).ravel()
    assert found.tolist() == pytest.approx(interval.values.ravel().tolist())
    assert set(long[long["figure"] == "exact_mean"]["basis"]) == {"exact"}
    assert set(chances["threshold"].dropna()) == {5_000.0, 20_000.0}
    assert set(chances[chances["threshold"].isna()]["rule"]) == {"no exclusion"}
    assert set(long[long["figure"] == "cv"]["meaning"]) == {summary["cv"].attrs["long_name"]}
    assert {"expected_surplus", "risk_share", "minimum_population"} <= set(long["figure"])


def test_every_row_of_the_long_table_has_an_error_or_is_exact(contents: Contents) -> None:
    heads, rows = long_table(contents)
    long = pd.DataFrame([[getattr(cell, "value", cell) for cell in row] for row in rows], columns=heads)
    # no size simulated is enough: a smallest population that is not known
    assert set(long[long["value"].isna()]["figure"]) <= {"minimum_population"}
    known = long[long["value"].notna()]
    bare = known[known["error"].isna() & known["lower"].isna() & ~known["basis"].isin(["exact", "given", "constant"])]
    assert all(str(name).startswith("z_") for name in bare["figure"])  # whose standard error is 1
    drawn = long[long["basis"] == "estimated"]
    assert set(long["basis"]) == {"exact", "given", "constant", "estimated"} and not (drawn["error"] <= 0).any()
    assert not long.drop(columns=["value", "error", "lower", "upper"]).duplicated().any()


def test_text_is_text_and_no_cell_is_a_formula(book: Path) -> None:
    sheets = parts(book, "xl/worksheets/sheet")
    assert len(sheets) == 6 and not any("<f>" in sheet or "hyperlink" in sheet for sheet in sheets.values())
    shared = parts(book, "xl/sharedStrings")["xl/sharedStrings.xml"]
    assert "=HYPERLINK(" in shared and "@SUM(1)" in shared


def test_sheets_have_frozen_panes_and_named_tables(book: Path) -> None:
    names = re.findall(r'<sheet name="([\w ]+)"', parts(book, "xl/workbook.xml")["xl/workbook.xml"])
    assert names == ["Answer", "Every figure", "Charts", "Assumptions", "Sources and limits", "Glossary"]
    assert all('state="frozen"' in sheet for sheet in parts(book, "xl/worksheets/sheet").values())
    tables = [re.search(r'displayName="(\w+)"', table)[1] for table in parts(book, "xl/tables/").values()]
    assert "LongTable" in tables and len(tables) == len(set(tables))
    assert 'formatCode="0.00%"' in parts(book, "xl/styles")["xl/styles.xml"]


@pytest.mark.heavy
def test_a_full_disk_leaves_nothing(contents: Contents, page: str, tmp_path: Path, monkeypatch) -> None:
    def fail(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simulator.present.report.page.html_of", lambda contents: page)
    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(sim.SimulatorError, match="No space left"):
        write_html(contents, tmp_path / "r.html")
    assert not list(tmp_path.iterdir())
