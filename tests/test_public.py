"""The public face: names, their homes, and the examples of the README."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import matplotlib
import pytest
from conftest import ROOT

import simulator as sim
from simulator import deprecated
from simulator.fitting.fit import model_population

matplotlib.use("Agg")

FROM_THE_FIRST = """
Banded Cap CarveOut Coinsure Design Scenario SimulatorError beside_published by_unit calibrate compare compare_rules
describe detection exact exact_curve exact_settlement exceedance extend fair_price fan fit fit_bands funnel layers
load load_designs load_minimum_rate load_stresses luck merge minimum_by_target minimum_population model_population
open_ledger payoff plots retained_cost reverse_stress save sensitivity settle settle_actuals simulate stress summarise
table variance_by_source viable_terms viable_threshold
"""


def test_no_name_is_lost_without_notice() -> None:
    """What version 0.1 had is public still, or in the table of those that have left."""
    assert set(FROM_THE_FIRST.split()) - set(sim.__all__) == set(deprecated.NAMES)


def test_public_names_stand_under_one_job_each() -> None:
    assert [name for names in sim.JOBS.values() for name in names] == sim.__all__ == list(dict.fromkeys(sim.__all__))
    # 52 since several years, their rows and contracts, and the search for terms have answers of their own
    assert len(sim.__all__) <= 52 and set(sim.__all__) <= set(dir(sim))


@pytest.mark.parametrize("name", sim.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert len(getattr(sim, name).__doc__ or "") > 20


def test_a_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulate_all'"):
        _ = sim.simulate_all  # type: ignore[attr-defined]


def test_importing_the_package_loads_no_numerical_library() -> None:
    probe = "import sys, simulator; print([m for m in ('numpy', 'numba', 'xarray') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.slow
def test_a_users_types_are_checked(tmp_path: Path) -> None:
    """The names are lazy, and mypy knows them all the same."""
    program = "import simulator as sim\nfound = sim.load('a.toml').resized([100])\nsim.exact(found, sim.Cap(at=9.0))\n"
    (tmp_path / "right.py").write_text(program + "".join(f"sim.{name}\n" for name in sim.__all__))
    (tmp_path / "wrong.py").write_text(program.replace("'a.toml'", "1.5") + "sim.simulate_all\n")
    told = {
        name: subprocess.run([sys.executable, "-m", "mypy", tmp_path / name], capture_output=True, text=True, cwd=ROOT)
        for name in ("right.py", "wrong.py")
    }
    assert told["right.py"].returncode == 0, told["right.py"].stdout
    assert "[arg-type]" in told["wrong.py"].stdout and "[attr-defined]" in told["wrong.py"].stdout


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)


@pytest.mark.heavy
@pytest.mark.no_cover
def test_the_readmes_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    full = sim.load

    def smaller(path: str) -> sim.Scenario:

        return full(path).with_simulation(replicates=300, population_sizes=(1_000, 20_000))

    monkeypatch.setattr(sim, "load", smaller)
    (code,) = _blocks("python")
    names: dict[str, object] = {}
    exec(code, names)
    assert names["summary"].attrs["check"] == "passed"  # type: ignore[attr-defined]


def test_the_readmes_scenario_is_one() -> None:
    (text,) = _blocks("toml")
    assert sim.Scenario.model_validate(tomllib.loads(text)).shocks[0].cv == 0.015


def test_the_readmes_commands_exist() -> None:
    from simulator.present.cli.main import main

    verbs = set(re.findall(r"`simulator ([a-z]\w*)", (ROOT / "README.md").read_text()))
    assert verbs and verbs <= set(main.commands)


def test_files_that_the_words_name_exist() -> None:
    from simulator.present.cli.main import main

    words = (ROOT / "README.md").read_text() + "".join(verb.help or "" for verb in main.commands.values())
    named = set(re.findall(r"configs/[\w./-]+\.toml", words))
    assert len(named) > 5
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


@pytest.mark.heavy
@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_every_scenario_loads(path: Path) -> None:
    if path.stem.endswith("_model"):
        assert model_population(path).segments
    else:
        assert sim.load(path).title
