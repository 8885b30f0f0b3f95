"""`simulator plot` as a user meets it: every kind from a small file, and refusals in one sentence."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import UNITS, make
from test_plots import DESIGNS, RANGES, STRESSES, fitted

import simulator as sim
from simulator.present.cli import main
from simulator.present.kinds import KINDS

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
    }
    for name, one in kept.items():
        sim.save(one, folder / f"{name}.nc")
    return {name: folder / f"{name}.nc" for name in kept}


def call(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["plot", *map(str, arguments)])
    plt.close("all")
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


OTHER = {"funnel": "units", "fit-diagnostics": "curves"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_from_one_small_file_with_its_numbers(
    kind: str, files: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "a.png"
    code, said = call(files[OTHER.get(kind, "run")], "--kind", kind, "-o", out)
    assert code == 0, said
    assert out.read_bytes().startswith(b"\x89PNG")
    figures = pd.read_csv(tmp_path / "a.csv")
    assert {"figure", "value", "unit"} <= set(figures) and len(figures) > 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.png"]


@pytest.mark.parametrize(
    ("kind", "file"), [("who-bears", "settled"), ("stress-heat-map", "stressed"), ("tornado", "ranged")]
)
def test_answers_are_drawn_as_they_are(kind: str, file: str, files: dict[str, Path], tmp_path: Path) -> None:
    assert call(files[file], "--kind", kind, "-o", tmp_path / "a.svg")[0] == 0
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_the_numbers_are_the_datasets(files: dict[str, Path], tmp_path: Path) -> None:
    assert call(files["run"], "--kind", "variance_by_size", "-o", tmp_path / "a.png")[0] == 0
    figures = pd.read_csv(tmp_path / "a.csv")
    summary = sim.summarise(sim.open_ledger(files["run"]))
    cv = figures[(figures["figure"] == "cv") & np.isinf(figures["threshold"])]["value"]
    np.testing.assert_allclose(cv, summary["cv"].sel(threshold=math.inf))
    assert set(figures["figure"]) == {"cv", "cv_se", "exact_cv"}


def test_list_shows_every_kind_and_its_files() -> None:
    code, said = call("--kind", "list")
    assert code == 0 and len(said.strip().splitlines()) == len(KINDS)
    assert all(f"{kind.name} " in said and kind.question in said and kind.files in said for kind in KINDS.values())


def test_the_design_asked_for_is_drawn(files: dict[str, Path], tmp_path: Path) -> None:
    arguments = (files["run"], "--kind", "layer-waterfall", "-o", tmp_path / "a.svg", "--design")
    assert call(*arguments, "full risk")[0] == 0
    steps = pd.read_csv(tmp_path / "a.csv")["step"]
    assert "care: hospital" in set(steps)
    code, said = call(*arguments, "nobody's")
    assert code == 2 and "half and half, full risk" in said


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
