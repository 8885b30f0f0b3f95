"""`simulator plot` as a user meets it: every kind from a small file, and refusals in one sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import UNITS, diagonal, every, make
from PIL import Image
from test_plots import DESIGNS, RANGES, SEARCH, STRESSES, fitted, over_years, overlaps, results, settled_years

import simulator as sim
from simulator.analysis.answer import answer
from simulator.present.cli.main import main
from simulator.present.cli.shell import _PICTURES
from simulator.present.figure import NO_ERROR, SAME_EVERY_YEAR, errors_shown
from simulator.present.pictures import PICTURES
from simulator.present.plot_request import PlotRequest, open_any
from simulator.runs import kept_json

SMALL = {"replicates": 60, "population_sizes": [500, 2_000, 8_000], "thresholds": [5_000.0, 20_000.0, math.inf]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    full = make(simulation=SMALL, designs=DESIGNS, stresses=STRESSES, ranges=RANGES)
    ledger = sim.simulate(full, progress=False)
    kept = {
        "run": ledger,
        "plain": sim.simulate(make(simulation=SMALL), progress=False),
        "units": sim.simulate(make(population={"units": UNITS}), progress=False),
        "settled": sim.settle(ledger, full.designs),
        "stressed": sim.stress(full, replicates=40),
        "ranged": sim.sensitivity(full, points=4),
        "curves": fitted(),
        "exact": sim.exact(full).assign_attrs(scenario=kept_json(full)),
        "sized": sim.minimum_population(full, margin=0.1, at_most=0.2, replicates=40),
        "luck": sim.luck(full, 2_000, 0.05),
        "proposed": sim.propose(full, SEARCH, replicates=100, points=16),
        "years": sim.persistence(over_years(full)),
        "settled years": settled_years(full),
        "judged": sim.backtest(results(), 2.0, deviation="result", after=2),
    }
    for name, one in kept.items():
        sim.save(one, folder / f"{name}.nc")
    return {name: folder / f"{name}.nc" for name in kept}


def call(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["plot", *map(str, arguments)])
    plt.close("all")
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


OTHER = {
    "funnel": "units", "places": "units", "fit-diagnostics": "curves", "minimum-population": "sized",
    "frontier": "proposed", "regression-to-the-mean": "years", "pooled-worth": "years", "observed-spread": "judged",
    "cumulative-surplus": "settled years", "reserve-fan": "settled years", "payback": "settled years",
    "pit-histogram": "judged",
}  # fmt: skip
BEGINS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
NAMES = ("a.png", "A.SVG", "größe, two words.Pdf")


@pytest.mark.heavy
@pytest.mark.parametrize(("kind", "name"), diagonal(list(PICTURES), NAMES, 2))
def test_every_kind_is_drawn_in_every_form_with_its_numbers(
    kind: str, name: str, files: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / name
    code, said = call(files[OTHER.get(kind, "run")], "--kind", kind, "-o", out)
    assert (code, said) == (0, "")
    assert set(BEGINS) == set(_PICTURES) and out.read_bytes().startswith(BEGINS[out.suffix.lower()])
    figures = pd.read_csv(out.with_suffix(".csv"))
    assert {"figure", "value", "error", "unit", "basis"} <= set(figures) and len(figures) > 3
    assert sorted(tmp_path.iterdir()) == sorted([out, out.with_suffix(".csv")])


@pytest.mark.heavy
def test_the_places_of_an_answer_are_drawn_from_its_file(tmp_path: Path) -> None:
    few = make(population={"units": UNITS}, simulation={"replicates": 40})
    sim.save(answer(few, margin=0.1, at_most=0.2), tmp_path / "answer.nc")
    code, said = call(tmp_path / "answer.nc", "--kind", "places", "-o", tmp_path / "a.png")
    assert (code, said) == (0, "") and (tmp_path / "a.png").exists()


FROM_EXACT = {"variance-by-size", "heat-map", "minimum-by-target", "payoff-diagram", "risk-split", "tornado"}
MADE = {
    "exact": FROM_EXACT | {"stress-heat-map"},
    "sized": {"minimum-population"},
    "settled": {"who-bears", "payoff-diagram", "risk-split", "tornado", "stress-heat-map"},
    "stressed": {"stress-heat-map"},
    "ranged": {"tornado"},
    "curves": {"fit-diagnostics"},
    "luck": set(),
}


@pytest.mark.heavy
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", MADE)
def test_what_a_file_cannot_give_is_refused_with_what_it_can(
    file: str, step: int, files: dict[str, Path], tmp_path: Path
) -> None:
    """Every fourth kind, another fourth for the next file; or all."""
    listed = call(files[file], "--kind", "list")[1].splitlines()
    assert {line.split()[0] for line in listed if MADE[file]} == MADE[file]
    for kind in sorted(set(PICTURES) - MADE[file])[list(MADE).index(file) % step :: step]:
        code, said = call(files[file], "--kind", kind, "-o", tmp_path / "a.png")
        assert code == 2 and len(said.splitlines()) == 1 and not list(tmp_path.iterdir()), said
        instead = said.rpartition("; ")[2].strip().removeprefix("or draw ")
        assert set(instead.split(", ")) == (MADE[file] or {"no picture can be drawn from this file"})


@pytest.mark.heavy
@pytest.mark.parametrize("kind", every(2, sorted(FROM_EXACT)))
def test_exact_figures_are_drawn_as_exact(kind: str, files: dict[str, Path], tmp_path: Path) -> None:
    if kind == "variance-by-size":
        assert call(files["exact"], "--kind", kind, "-o", tmp_path / "a.svg") == (0, "")
        figures = pd.read_csv(tmp_path / "a.csv")
    else:  # its figures alone: every kind is drawn above
        asked = PlotRequest("exact.nc", open_any(str(files["exact"])))
        figures = PICTURES[kind].figures(PICTURES[kind].make(asked))
    drawn = figures[~figures["figure"].str.startswith("minimum_population")]  # read off between two sizes
    assert drawn["error"].isna().all() and set(drawn["basis"]) <= {"exact"}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("kind", "file"), [("who-bears", "settled"), ("stress-heat-map", "stressed"), ("tornado", "ranged")]
)
def test_answers_are_drawn_as_they_are(kind: str, file: str, files: dict[str, Path], tmp_path: Path) -> None:
    assert call(files[file], "--kind", kind, "-o", tmp_path / "a.svg")[0] == 0
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


@pytest.mark.heavy
def test_the_numbers_are_the_datasets(files: dict[str, Path], tmp_path: Path) -> None:
    assert call(files["run"], "--kind", "variance_by_size", "-o", tmp_path / "a.png")[0] == 0
    figures = pd.read_csv(tmp_path / "a.csv")
    summary = sim.summarise(sim.open_ledger(files["run"]))
    cv = figures[(figures["figure"] == "cv") & np.isinf(figures["threshold"])]["value"]
    np.testing.assert_allclose(cv, summary["cv"].sel(threshold=math.inf))
    assert set(figures["figure"]) == {"cv", "exact_cv"}
    error = figures[(figures["figure"] == "cv") & np.isinf(figures["threshold"])]["error"]
    np.testing.assert_allclose(error, summary["cv_se"].sel(threshold=math.inf))


@pytest.mark.heavy
def test_the_target_is_chosen(files: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("heat-map", "minimum-by-target"):
        found = {}
        for at_most in (0.05, 0.3) if kind == "heat-map" else (0.3,):
            out = tmp_path / f"{kind}-{at_most}.svg"
            assert call(files["run"], "--kind", kind, "--at-most", at_most, "-o", out) == (0, "")
            figures = pd.read_csv(out.with_suffix(".csv"))
            least = figures[(figures["figure"] == "minimum_population") & (figures["at_most"] == at_most)]
            found[at_most] = least["value"].to_numpy()
            summary = sim.summarise(sim.open_ledger(files["run"]))
            asked = sim.minimum_by_target(summary, (at_most,))["minimum_population"].values[0]
            np.testing.assert_allclose(found[at_most], asked)
        assert len(found) == 1 or not np.array_equal(found[0.05], found[0.3])


@pytest.mark.heavy
def test_the_figures_are_told_as_json_and_csv(files: dict[str, Path], tmp_path: Path) -> None:
    call_ = (files["run"], "--kind", "heat-map", "-o", tmp_path / "a.png")
    code, text = call(*call_, "--json")
    told = json.loads(text)
    assert code == 0 and told["kind"] == "heat-map" and told["picture"] == str(tmp_path / "a.png")
    rows = pd.read_csv(tmp_path / "a.csv")
    assert len(told["figures"]) == len(rows) and told["figures"][0]["value"] == pytest.approx(rows["value"][0])
    assert call(*call_, "--csv", "-")[1] == (tmp_path / "a.csv").read_text()
    assert call(*call_, "--csv", tmp_path / "b.csv")[1] == ""
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()
    code, said = call(*call_, "--csv", tmp_path / "a.png")
    assert code == 2 and "names the picture" in said


IDLE = {"members": 500, "threshold": 5_000.0, "margin": 0.02, "at_most": 0.1, "design": "full risk"}


@pytest.mark.parametrize("kind", PICTURES)
def test_an_option_that_does_nothing_is_refused(kind: str, files: dict[str, Path], tmp_path: Path) -> None:
    for name, value in IDLE.items():
        option = f"--{name.replace('_', '-')}"
        if name not in PICTURES[kind].takes:
            code, said = call(files["run"], "--kind", kind, "-o", tmp_path / "a.png", option, value)
            assert code == 2 and f"{option}: does nothing for {kind}" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "file"), [("tornado", "ranged"), ("stress-heat-map", "stressed")])
def test_an_answer_cannot_be_asked_otherwise(kind: str, file: str, files: dict[str, Path], tmp_path: Path) -> None:
    code, said = call(files[file], "--kind", kind, "-o", tmp_path / "a.png", "--members", 77)
    assert code == 2 and "cannot change what" in said and len(said.splitlines()) == 1


LACKING = {
    "tornado": "tornado",
    "surplus_difference_share": "stress-heat-map",
    "payment": "who-bears",
    "observed_p_above": "fit-diagnostics",
    "exact_minimum_population": "minimum-population",
}


@pytest.mark.parametrize("name", LACKING)
def test_an_answer_that_was_made_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    sim.save(xr.Dataset({name: (("time",), [1.0, 2.0])}), tmp_path / "other.nc")
    code, said = call(tmp_path / "other.nc", "--kind", LACKING[name], "-o", tmp_path / "a.png")
    refusals = ("give all of what", "lacks a part of what", "holds ")
    assert code == 2 and any(one in said for one in refusals) and len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["other.nc"]


@pytest.mark.parametrize("cut", [0, 2_000, -500])
def test_a_damaged_file_is_refused(cut: int, files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "cut.nc").write_bytes(files["run"].read_bytes()[:cut])
    code, said = call(tmp_path / "cut.nc", "--kind", "heat-map", "-o", tmp_path / "a.png")
    assert code == 2 and "is damaged" in said and len(said.splitlines()) == 1


PARTIES = [
    {"name": "integrated commissioning board of the whole region", "funds": 1.0},
    *({"name": f"partner number {k} of the provider alliance", "delivers": 1 / 11} for k in range(11)),
]
LONG = "Integrated provider alliance, year three, with full upside and downside risk above the corridor, indexed"


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    designs = [
        {"name": LONG, "parties": PARTIES},
        {"name": f"{LONG} again", "parties": PARTIES, "terms": [{"kind": "share", "gain": 0.5, "loss": 0.3}]},
    ]
    full = make(simulation=SMALL | {"population_sizes": [500, 2_000]}, designs=designs, stresses=STRESSES[:1])
    path = tmp_path_factory.mktemp("twelve") / "twelve.nc"
    sim.save(sim.simulate(full, progress=False), path)
    return path


@pytest.mark.heavy
@pytest.mark.parametrize("kind", every(2, ["payoff-diagram", "who-bears", "layer-waterfall", "stress-heat-map"]))
def test_twelve_parties_with_long_names_stay_legible(kind: str, twelve: Path) -> None:
    one = PlotRequest("twelve.nc", open_any(str(twelve)))
    axes = PICTURES[kind].draw(PICTURES[kind].make(one), one)  # a warning of matplotlib's is an error here
    assert not overlaps(axes)
    assert max(len(line) for text in axes.texts for line in text.get_text().splitlines()) < 200
    assert all(len(label.get_text()) <= 46 for label in axes.get_yticklabels())
    plt.close("all")


def test_a_percentile_threshold_is_no_money(tmp_path: Path) -> None:
    designs = [{"name": "capped", "exclusion": {"kind": "cap", "at": 0.95}}]
    scenario = make(simulation=SMALL | {"thresholds": {"percentiles": [0.95, 1.0]}}, designs=designs)
    found = sim.layers(sim.simulate(scenario, progress=False), scenario.designs[0])
    assert "excess above percentile 95" in found["step"].values


@pytest.mark.heavy
def test_money_beside_a_row_has_the_digits_that_its_error_supports(files: dict[str, Path]) -> None:
    one = PlotRequest("run.nc", open_any(str(files["run"])))
    shown = PICTURES["who-bears"].make(one)

    def told() -> list[str]:
        axes = PICTURES["who-bears"].draw(shown, one)
        plt.close("all")
        return [text.get_text() for text in axes.texts if "£" in text.get_text()]

    with errors_shown():
        of_errors = told()
    pairs = [text.split(" ± ") for text in of_errors if "±" in text]
    assert pairs and all(_decimals(value) == _decimals(error) for value, error in pairs)
    assert all(text.endswith((f"({NO_ERROR})", f"({SAME_EVERY_YEAR})")) for text in of_errors if "±" not in text)
    plain = told()
    assert len(plain) == len(of_errors) and not any("±" in text or "(" in text for text in plain)
    assert all(_decimals(text) <= _decimals(value) for text, value in zip(plain, (t.split(" ")[0] for t in of_errors),
                                                                         strict=True))  # fmt: skip


def _decimals(told: str) -> int:
    return len(told.rstrip("kmbn").partition(".")[2])


def test_list_shows_every_kind_and_its_files() -> None:
    code, said = call("--kind", "list")
    assert code == 0 and len(said.strip().splitlines()) == len(PICTURES)
    assert all(f"{kind.name} " in said and kind.question in said and kind.files in said for kind in PICTURES.values())


@pytest.mark.heavy
def test_the_design_asked_for_is_drawn(files: dict[str, Path], tmp_path: Path) -> None:
    arguments = (files["run"], "--kind", "layer-waterfall", "-o", tmp_path / "a.svg", "--design")
    assert call(*arguments, "full risk")[0] == 0
    steps = pd.read_csv(tmp_path / "a.csv")["step"]
    assert "care: hospital" in set(steps)
    code, said = call(*arguments, "nobody's")
    assert code == 2 and "half and half, full risk" in said


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("file", "more", "word"),
    [
        ("run", ["--kind", "pie"], "is not a kind of picture"),
        ("plain", ["--kind", "who-bears"], "has no designs"),
        ("plain", ["--kind", "stress-heat-map"], "has no stresses"),
        ("plain", ["--kind", "tornado"], "has no ranges"),
        ("plain", ["--kind", "funnel"], "has no units"),
        ("units", ["--kind", "fan-by-size"], "one population size alone"),
        ("stressed", ["--kind", "heat-map"], "holds no draws"),
        ("run", ["--kind", "fit-diagnostics"], "holds no curves of a fit"),
        ("run", ["--kind", "threshold-effect", "--members", "7"], "is not in"),
        ("run", ["--kind", "fan-by-size", "--threshold", "7"], "is not in"),
    ],
)
def test_refusals_are_one_sentence_and_write_nothing(
    file: str, more: list[str], word: str, files: dict[str, Path], tmp_path: Path
) -> None:
    code, said = call(files[file], *more, "-o", tmp_path / "a.png")
    assert (code, word in said, "Traceback" in said) == (2, True, False), said
    assert len(said.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


def test_files_that_are_none_and_places_that_will_not_do_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    text = tmp_path / "a.toml"
    text.write_text("title = 'x'")
    for source, out, word in (
        ("absent.nc", "a.png", "does not exist"),
        (text, "a.png", "is not a netCDF-4 file"),
        (tmp_path, "a.png", "is a folder"),
        (files["run"], "a.gif", "no picture's"),
        (files["run"], "absent/a.png", "does not exist"),
    ):
        code, said = call(source, "--kind", "heat-map", "-o", tmp_path / out)
        assert (code, word in said) == (2, True), said
    assert call("--kind", "heat-map")[0] == 2


# ── a funnel of real rows, and of a simulated year ───────────────────────────────────────────────

ROWS = "practice,members,cost\nElm Road,8000,8100000\nHigh Street,12000,10900000\nRiverside,5500,9900000\n"


def funnel_of(tmp_path: Path, rows: str, *more: object) -> tuple[int, str]:
    asked, real = tmp_path / "asked.toml", tmp_path / "rows.csv"
    asked.write_text(FUNNEL)
    real.write_text(rows)
    words = ["plot", asked, "--kind", "funnel", "--actuals", real, "-o", tmp_path / "out.svg", *more]
    called = CliRunner().invoke(main, [str(word) for word in words])
    return called.exit_code, called.output


FUNNEL = """
title = "practices"
[simulation]
population_sizes = [10_000]
thresholds = [20_000]
[population]
[[population.segments]]
name = "all"
share = 1.0
p_user = 0.8
severity = { family = "lognormal", mean = 1_200.0, cv = 2.0 }
"""


@pytest.mark.heavy
def test_real_rows_are_drawn_from_the_shell_and_said_to_be_real(tmp_path: Path) -> None:
    code, said = funnel_of(tmp_path, ROWS)
    assert code == 0, said
    rows = pd.read_csv(tmp_path / "out.csv")
    ratio = rows[rows["figure"] == "ratio"].set_index("practice")["value"]
    together = (8.1e6 + 10.9e6 + 9.9e6) / 25_500
    assert ratio["Riverside"] == pytest.approx(1_800 / together) and len(ratio) == 3
    asked = PlotRequest(str(tmp_path / "asked.toml"), xr.Dataset(), actuals=str(tmp_path / "rows.csv"))
    words = drawn_words(PICTURES["funnel"].draw(PICTURES["funnel"].make(asked), asked))
    assert "Real rows: each practice" in words and "imulated" not in words and "Beyond the widest: " in words
    assert "Riverside" in words


def drawn_words(axes: plt.Axes) -> str:
    words = " ".join(" ".join(text.get_text() for text in axes.figure.findobj(plt.Text)).split())
    plt.close(axes.figure)
    return words


@pytest.mark.heavy
def test_a_simulated_year_says_so_in_the_title_and_below() -> None:
    ledger = sim.simulate(make(simulation={"replicates": 2}, population={"units": UNITS}), progress=False)
    axes = sim.plots.funnel(sim.funnel(ledger))
    assert axes.get_title(loc="left").startswith("One simulated year") or "One simulated year" in drawn_words(axes)
    words = drawn_words(sim.plots.funnel(sim.funnel(ledger)))
    assert "A simulated year, not real results" in words and "Real rows" not in words


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("practice,cost\na,1\n", "rows.csv: has no column members"),
        ("practice,members,cost\n", "rows.csv: holds no rows"),
        ("practice,members,cost\na,x,1\n", "rows.csv: members: holds figures that are not above 0"),
        ("practice,members,cost\na,10,-1\n", "rows.csv: cost: holds figures that are not above 0"),
        ("practice,members,cost,expected\na,10,5,0\n", "rows.csv: expected: holds figures that are not above 0"),
        ("", "rows.csv: is empty"),
    ],
)
def test_rows_that_cannot_be_drawn_are_refused_by_the_name_of_their_file(tmp_path: Path, rows: str, said: str) -> None:
    code, told = funnel_of(tmp_path, rows)
    assert code == 2 and said in told and told.count("\n") == 1 and not (tmp_path / "out.svg").exists()


def test_real_rows_are_for_the_funnel_alone_and_never_written_over(tmp_path: Path, files: dict[str, Path]) -> None:
    code, told = funnel_of(tmp_path, ROWS, "-o", tmp_path / "rows.svg")
    assert code == 2 and "names the file that is read" in told and (tmp_path / "rows.csv").read_text() == ROWS
    words = ["plot", files["plain"], "--kind", "heat-map", "--actuals", tmp_path / "rows.csv", "-o", tmp_path / "h.png"]
    called = CliRunner().invoke(main, [str(word) for word in words])
    assert called.exit_code == 2 and "--actuals: does nothing for heat-map" in called.output
    called = CliRunner().invoke(main, ["plot", str(tmp_path / "asked.toml"), "--kind", "funnel", "-o", "x.png"])
    assert called.exit_code == 2 and "run it first" in called.output


def test_a_slide_is_sixteen_by_nine_and_a_page_has_the_dots_of_paper(files: dict[str, Path], tmp_path: Path) -> None:
    sizes = {}
    for use in ("screen", "page", "slide"):
        out = tmp_path / f"{use}.png"
        code, said = call(files["run"], "--kind", "risk-split", "-o", out, "--for", use)
        assert (code, said) == (0, "")
        with Image.open(out) as image:
            sizes[use] = image.size
    assert sizes["slide"][0] / sizes["slide"][1] == pytest.approx(16 / 9, abs=0.01)
    assert sizes["page"][0] == pytest.approx(2 * sizes["screen"][0], abs=4)
