"""One more statistic, sharing term, cost family, picture and verb: each touches the files that CONTRIBUTING names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = "simulator"
TERM, FAMILY = f"{PACKAGE}/contracts/sharing.py", f"{PACKAGE}/costs/families/two_figures.py"
UNION, STATISTIC = f"{PACKAGE}/costs/families/union.py", f"{PACKAGE}/analysis/statistics/statistic.py"
PICTURE, VERB = f"{PACKAGE}/present/plots/chance_by_size.py", f"{PACKAGE}/present/cli/verbs/heads.py"
PLOTS = f"{PACKAGE}/present/plots/__init__.py"

# what is written: a new file, or a text that goes before another in a file that is there
ADDED = {
    "Adding a statistic": {
        STATISTIC: [(
            "    Statistic(\n        name=\"mean_overspend_worst_5pc\"",
            '    Statistic(\n        name="p_loss_of_all", sentence="P(cost > twice the budget)", moments=0,\n'
            "        estimate=lambda sample: sample.mean((sample.overspend > 1.0).astype(float)),\n    ),\n",
        )],
    },
    "Adding a sharing term": {
        TERM: [
            ("Sharing = FullRisk", '''class Halved(SettlementTerm):
    """Half of every settlement."""

    kind: Literal["halved"] = "halved"

    def apply(self, settlement: Array, context: Context) -> Array:
        """Half of it."""
        return 0.5 * settlement


'''),
            ("FullRisk | NoRisk", "Halved | "),
        ],
    },
    "Adding a cost family": {
        FAMILY: [("class Weibull(WithMeanAndCv)", '''class Exponential(WithMeanAndCv):
    """Constant hazard, of costs above a floor."""

    family: Literal["exponential"] = "exponential"
    floor: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv"), ("floor", "scale"))

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float]:
        return mean * (1 - cv), mean * cv

    def sf(self, x: ArrayLike) -> Array:
        floor, scale = self._law
        return np.exp(-np.maximum(np.asarray(x) - floor, 0.0) / scale)

    def isf(self, s: ArrayLike) -> Array:
        floor, scale = self._law
        return floor - scale * np.log(s)


''')],
        UNION: [
            ("    | Annotated[Gamma, Tag", '    | Annotated[Exponential, Tag("exponential")]\n'),
            ("from .two_figures import ", "from .two_figures import Exponential\n"),
        ],
    },
    "Adding a plot": {
        PICTURE: '''"""How likely is an overspend?"""

from operator import attrgetter

import xarray as xr

from ..picture import EITHER, Picture
from .style import finish, house_axes, made_by

DRAWN = ("p_overspend",)


@made_by("summarise", "p_overspend")
def chance_by_size(summary: xr.Dataset, ax=None):
    """The chance of an overspend."""
    axes = house_axes(ax)
    axes.plot(summary["population_size"], summary["p_overspend"].isel(threshold=-1, margin=0))
    return finish(axes, summary, __doc__)


PICTURE = Picture(chance_by_size, EITHER, attrgetter("summary"), attrgetter("statistics"))
''',
        PLOTS: [("from .exceedance_curve", "from .chance_by_size import chance_by_size as chance_by_size\n")],
    },
    "Adding a verb": {
        VERB: '''"""`simulator heads`: how many people."""

import click

from ..shell import Rendered, Verb, check_forms, clear_errors, emit, load_with, outputs


@click.command(cls=Verb)
@click.argument("scenario")
@outputs
def heads(scenario: str) -> None:
    """Print the sizes of SCENARIO.

    Example: simulator heads configs/east_sussex.toml
    """
    with clear_errors():
        from ....analysis.statistics.describe import describe
        from ...answers.description import long_rows, page

        check_forms(scenario)
        found = describe(load_with(scenario, None, None))
        emit(Rendered(lambda: page(found), lambda: found, lambda: long_rows(found)))
''',
    },
}  # fmt: skip

ASKED = """
import simulator as sim, matplotlib
matplotlib.use("Agg")
from click.testing import CliRunner
from simulator.present.cli.main import main
from simulator.present.pictures import PICTURES
raw = {"title": "t", "currency": "GBP",
       "simulation": {"replicates": 40, "population_sizes": [200, 400],
                      "thresholds": [5_000.0, float("inf")], "seed": 1},
       "population": {"segments": [{"name": "a", "share": 1.0, "p_user": 0.8,
                                    "severity": {"family": "exponential", "mean": 900.0, "cv": 0.5}}]},
       "designs": [{"name": "d", "exclusion": {"kind": "cap", "at": 5_000.0}, "terms": [{"kind": "halved"}]}]}
scenario = sim.Scenario.model_validate(raw)
assert abs(sim.describe(scenario)["mean"] / 720 - 1) < 1e-6
ledger = sim.simulate(scenario, progress=False)
summary = sim.summarise(ledger)
assert {"p_loss_of_all", "p_loss_of_all_se"} <= set(summary) and summary["p_loss_of_all"].attrs["units"] == "1"
whole = sim.settle(ledger, sim.Design(name="w", exclusion=sim.Cap(at=5_000.0)))["surplus"].isel(design=0, drop=True)
half = sim.settle(ledger, scenario.designs[0])["surplus"].isel(design=0, drop=True)
assert abs(float((half / whole).sel(party="provider").mean()) - 0.5) < 1e-9
sim.plots.chance_by_size(summary)
assert PICTURES["chance-by-size"].question == "How likely is an overspend?"
assert CliRunner().invoke(main, ["heads", "CONFIG"]).exit_code == 0
print("all five")
"""


def copied(folder: Path, left_out: tuple[str, str] = ("", "")) -> Path:
    """The package and its compiled loops with all additions, but for one file of one of them."""
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("*.pyc*", "*.tmp*"))
    for kind, files in ADDED.items():
        for name, change in files.items():
            if (kind, name) != left_out:
                write(folder / name, change)
    return folder


def write(file: Path, change: str | list[tuple[str, str]]) -> None:
    if isinstance(change, str):
        file.write_text(change)
        return
    text = file.read_text()
    for place, added in change:
        assert text.count(place) >= 1, (file, place)
        text = text.replace(place, added + place, 1)
    file.write_text(text)


def asked_of(folder: Path) -> subprocess.CompletedProcess[str]:
    code = ASKED.replace("CONFIG", str(ROOT / "configs" / "east_sussex.toml"))
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True)


@pytest.mark.heavy
def test_one_of_each_is_added_in_its_files(tmp_path: Path) -> None:
    found = asked_of(copied(tmp_path))
    assert found.stdout == "all five\n", found.stderr[-2_000:]


@pytest.mark.heavy
def test_each_of_these_files_is_needed(tmp_path: Path) -> None:
    """A control: without the family's place in the union nobody knows it."""
    found = asked_of(copied(tmp_path, ("Adding a cost family", UNION)))
    assert found.returncode and "exponential" in found.stderr


def test_the_files_are_those_that_contributing_names() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for kind, files in ADDED.items():
        section = re.search(rf"^### {kind}\n(.*?)^##", text, flags=re.M | re.S)
        assert section, kind
        for name in files:
            folder, file = name.removeprefix(f"{PACKAGE}/").rsplit("/", 1)
            assert file in section[1] or f"{folder}/`" in section[1], (kind, name)


def test_contributing_shows_each_in_about_ten_lines() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for kind in ADDED:
        block = re.search(rf"^### {kind}\n(?:(?!^##).)*?^```python\n(.*?)^```", text, flags=re.M | re.S)
        assert block, kind
        lines = [line for line in block[1].splitlines() if line.strip()]
        assert 5 <= len(lines) <= 12, (kind, len(lines))
