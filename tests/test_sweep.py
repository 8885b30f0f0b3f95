"""Paths into a scenario, and one question for several values of some inputs."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT, every, make
from hypothesis import given
from hypothesis import strategies as st

import simulator as sim
from simulator import effort
from simulator.ledger.swept import points_of
from simulator.paths import changeable, changed, steps_of

RICH = (
    "uncertain",
    "east_sussex",
    "east_sussex_heavy",
    "east_sussex_systematic",
    "arrangements/08-mid-nottinghamshire",
)


@functools.cache
def rich(name: str) -> sim.Scenario:
    return sim.load(ROOT / "configs" / f"{name}.toml")


def leaves(held: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure and word of a scenario by its path, as an error writes it."""
    if isinstance(held, dict):
        for key, part in held.items():
            yield from leaves(part, f"{path}.{key}".removeprefix("."))
    elif isinstance(held, list):
        for place, part in enumerate(held):
            yield from leaves(part, f"{path}[{part.get('name', place) if isinstance(part, dict) else place}]")
    else:
        yield path, held


def value_at(scenario: sim.Scenario, path: str) -> Any:
    found = changeable(scenario)
    for step in steps_of(found, path):
        found = found[step]
    return found


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else 30_000.0 if math.isinf(value) else value * 1.0009765625 or 0.001
    return f"{value} changed"


@pytest.mark.heavy
@pytest.mark.parametrize("name", every(2, RICH))
def test_every_leaf_is_found_and_changed_alone(name: str) -> None:
    """Whatever stands at any path can be replaced, and nothing else changes with it."""
    scenario = rich(name)
    known = dict(leaves(changeable(scenario)))
    assert len(known) > 45
    for path, value in known.items():
        assert value_at(scenario, path) is value or value_at(scenario, path) == value
        made = changed(scenario, {path: other(value)})
        found = dict(leaves(made))
        wanted = path.rpartition("[")[0] + f"[{other(value)}]" if path.endswith(".name") else path
        assert found.get(wanted, other(value)) == other(value)
        if not path.endswith(".name"):
            assert {one for one, now in found.items() if now != known[one]} == {path}


@pytest.mark.heavy
@pytest.mark.parametrize("name", every(2, RICH, 1))
def test_a_scenario_has_the_value_or_says_at_its_path_why_not(name: str) -> None:
    scenario, taken = rich(name), []
    numbers = [(p, v) for p, v in leaves(changeable(scenario)) if isinstance(v, float) and not math.isinf(v)]
    for place in np.random.default_rng(4).permutation(len(numbers))[:10]:
        path, value = numbers[place]
        try:
            made = scenario.with_(path, other(value))
        except sim.SimulatorError as error:  # such as shares, which then add up to more than 1
            assert error.path.startswith("scenario: "), path
        else:
            taken.append(path)
            assert value_at(made, path) == other(value) and made.with_(path, value) == scenario
    assert len(taken) >= 4


SMALL = rich("uncertain")
COMPLEX = "population.segments[complex]"
SPLICED = {
    "family": "spliced", "at": 60_000.0,
    "body": {"family": "lognormal", "mean": 7_000.0, "cv": 1.2}, "tail": {"family": "pareto", "alpha": 2.6},
}  # fmt: skip


def test_the_figures_of_a_family_stay_as_they_were_given() -> None:
    severity = SMALL.with_("population.segments[complex].severity.cv", 2).population.segments[1].severity
    assert severity.model_dump(exclude_none=True) == {"family": "lognormal", "mean": 7_000.0, "cv": 2.0}
    spliced = SMALL.with_("population.segments[complex].severity", SPLICED)
    tail = spliced.with_("population.segments[complex].severity.tail.alpha", np.float64(2.4)).population.segments[1]
    assert tail.severity.model_dump(exclude_none=True) == SPLICED | {"tail": {"family": "pareto", "alpha": 2.4}}


def test_several_at_once_and_what_need_not_be_there() -> None:
    shares = {"population.segments[mostly well].share": 0.9, "population.segments[complex].share": 0.1}
    assert [one.share for one in SMALL.with_(shares).population.segments] == [0.9, 0.1]
    shocked = SMALL.with_("shocks", [{"name": "prices", "cv": 0.01}])
    assert shocked.with_("shocks[prices].segments", ["complex"]).shocks[0].segments == ("complex",)
    assert shocked.with_("shocks[0].cv", 0.02).shocks[0].cv == 0.02 and shocked.with_("shocks", ()) == SMALL
    by_mu = {
        f"population.segments[complex].severity.{k}": v
        for k, v in {"mean": None, "cv": None, "mu": 8, "sigma": 1}.items()
    }
    assert SMALL.with_(by_mu).population.segments[1].users_severity.model_dump()["sigma"] == 1


NAMES = "'mostly well', 'complex'"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("population.segments[complx].share",
         f"has no 'complx' in population.segments; did you mean 'complex'? There are: {NAMES}"),
        (f"{COMPLEX}.severity.tail.alpha",
         f"has no 'tail' in {COMPLEX}.severity; there are: 'mean', 'cv', 'family', 'mu', 'sigma'"),
        ("population.segments.complex.share",
         f"needs an item of population.segments; name it in brackets, as in {COMPLEX}"),
        ("population.segments[7].share", f"has no '7' in population.segments; there are: {NAMES}"),
        (f"{COMPLEX}.share.x", f"leads into {COMPLEX}.share, which has no parts here (0.04); give all of it"),
        ("population.units[North].members", "leads into population.units, which has no parts here ([]); give all of"),
        ("shock", "has no 'shock' in the scenario; did you mean 'shocks'? There are: 'schema_version', 'title', "),
        ("simulation.", "stops at simulation; there are: 'replicates', "),
        ("", "stops at the scenario; there are: 'schema_version', "),
    ],
)  # fmt: skip
def test_a_wrong_path_says_which_part_does_not_exist_and_what_there_is(path: str, said: str) -> None:
    with pytest.raises(sim.SimulatorError) as error:
        SMALL.with_(path, 1.0)
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("simulation.seed", -1, ": -1 must be at least 0"),
        (f"{COMPLEX}.p_user", 2, ": 2 must be at most 1"),
        (f"{COMPLEX}.severity.cv", "1.8", ": '1.8' is not a number; write 1.8, without quotes"),
        (f"{COMPLEX}.severity", {"family": "lognormal", "mean": 9.0}, ": has mean, which does not determine it; give"),
    ],
)
def test_a_bad_value_gets_the_scenarios_own_sentence(path: str, value: object, said: str) -> None:
    with pytest.raises(sim.SimulatorError) as error:
        SMALL.with_(path, value)
    assert str(error.value).startswith(f"scenario: {path}{said}")


@given(st.text(alphabet="ab.[] 1", min_size=1, max_size=12), st.text(alphabet="ab.[] 1", min_size=1, max_size=12))
def test_any_name_can_stand_in_brackets(one: str, two: str) -> None:
    """Names with dots and brackets too, unless one is all of another and what a path might go on with."""
    raw = {"units": [{"name": one, "x": 1}, {"name": two, "x": 2}]}
    if one != two and not any(a.startswith(f"{b}]") for a, b in ((one, two), (two, one))):
        assert [steps_of(raw, f"units[{name}].x") for name in (one, two)] == [["units", 0, "x"], ["units", 1, "x"]]


# ── sweeps ───────────────────────────────────────────────────────────────────────────────────────

CV = "shocks[prices].cv"
SHOCKED = make(
    simulation={"replicates": 400, "population_sizes": [2_000, 20_000], "thresholds": [5_000.0, math.inf], "seed": 3},
    shocks=[{"name": "prices", "cv": 0.02}],
)


ONE = SHOCKED.with_({"simulation.population_sizes": [2_000], "simulation.thresholds": [5_000.0]})


def exactly(scenario: sim.Scenario) -> xr.Dataset:
    return sim.exact(scenario, margins=(0.03,))


def test_a_sweep_is_its_single_runs_bit_for_bit() -> None:
    swept = sim.sweep(SHOCKED, {CV: [0.01, 0.02], "simulation.seed": np.arange(3, 5)}, sim.simulate)
    assert dict(swept.sizes) | {"cv": 2, "seed": 2, "replicate": 400} == dict(swept.sizes)
    assert swept["cv"].attrs["long_name"] == CV
    for cv in (0.01, 0.02):
        for seed in (3, 4):
            alone = sim.simulate(SHOCKED.with_({CV: cv, "simulation.seed": seed}))
            ((_, point),) = points_of(swept.sel(cv=cv, seed=seed))
            assert set(point.variables) == set(alone.variables)
            assert all((point[name].values == alone[name].values).all() for name in alone.variables)
            assert point.attrs["scenario_id"] == alone.attrs["scenario_id"]
    assert "scenario_id" not in swept.attrs and swept.attrs["currency"] == "GBP"


def test_the_whole_path_is_the_name_where_the_answer_or_another_input_has_the_last_part() -> None:
    assert CV in sim.sweep(ONE, {CV: [0.01]}, exactly).dims  # an exact answer has a cv
    two = {"population.segments[0].p_user": [0.8], "population.segments[1].p_user": [0.9]}
    assert set(two) <= set(sim.sweep(SMALL, two, lambda scenario: xr.Dataset({"cost": 1.0})).dims)


def test_common_draws_make_differences_precise() -> None:
    """Between two sizes of a shock; with seeds of their own, which must be worse, the error is many times as large."""

    def cost(scenario: sim.Scenario) -> xr.Dataset:
        return sim.simulate(scenario)[["gross_cost"]]

    swept = sim.sweep(SHOCKED, {CV: [0.02, 0.025], "simulation.seed": [3, 4]}, cost)["gross_cost"].isel(
        population_size=-1
    )
    low, high = swept.sel(cv=0.02, seed=3), swept.sel(cv=0.025, seed=3)
    apart = swept.sel(cv=0.025, seed=4)
    assert float((high - low).std()) < 0.35 * float((apart - low).std())


@pytest.mark.heavy
def test_a_table_shows_a_block_a_value_and_a_picture_wants_one() -> None:
    swept = sim.sweep(ONE, {CV: [0.01, 0.02], "simulation.cut": {"low": 4_000.0}}, exactly)
    page = str(sim.table(swept))
    alone = [sim.table(exactly(ONE.with_({CV: cv, "simulation.cut": 4_000.0}))) for cv in (0.01, 0.02)]
    for cv, one in zip((0.01, 0.02), alone, strict=True):
        assert f"{CV} {cv}, cut low" in page and str(one).partition("\n\n")[2] in page
        assert str(sim.table(swept.sel({CV: cv}))).partition("\n\n")[2] == str(one).partition("\n\n")[2]
    summary = sim.sweep(SHOCKED, {"shocks[0].cv": [0.01, 0.02]}, lambda one: sim.summarise(sim.simulate(one)))
    with pytest.raises(sim.SimulatorError, match=r"variance_by_size: is given many answers of a sweep; select one"):
        sim.plots.variance_by_size(summary)
    axes = sim.plots.variance_by_size(summary.isel({"shocks[0].cv": [1]}))
    assert "cv 0.02" in " ".join(
        text.get_text() for text in axes.figure.findobj(lambda part: hasattr(part, "get_text"))
    )


def test_what_only_some_answers_have_is_joined_and_taken_apart() -> None:
    few = {"few": [5_000.0], "more": [5_000.0, math.inf]}
    swept = sim.sweep(ONE, {"simulation.thresholds": few}, exactly)
    assert swept.sizes["threshold"] == 2 and np.isnan(swept["sd_cost"].sel(thresholds="few", threshold=math.inf)).all()
    assert [one.sizes["threshold"] for _, one in points_of(swept)] == [1, 2]


def test_a_sweep_survives_a_file(tmp_path: Any) -> None:
    swept = sim.sweep(ONE, {CV: [0.01, 0.02]}, exactly)
    swept.to_netcdf(tmp_path / "swept.nc", engine="h5netcdf")
    assert str(sim.table(xr.load_dataset(tmp_path / "swept.nc", engine="h5netcdf"))) == str(sim.table(swept))


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []
    each = effort.each
    monkeypatch.setattr(effort, "each", lambda items, name: told.append((name, len(items))) or each(items, name))
    sim.sweep(SHOCKED, {CV: [0.01, 0.02]}, lambda scenario: xr.Dataset({"cost": 1.0}))
    assert told == [("sweep", 2)]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({CV: 0.01}, f"inputs: {CV}: 0.01 is no list of numbers or words"),
        ({CV: []}, f"inputs: {CV}: [] is no list of numbers or words"),
        ({CV: "0.01"}, f"inputs: {CV}: '0.01' is no list of numbers or words"),
        ({"shocks": [[], []]}, "inputs: shocks: [[], []] is no list of numbers or words; give one, or {name: value}"),
        ({CV: [0.01, 0.01]}, f"inputs: {CV}: holds a value twice"),
        ({CV: [0.01, -1.0]}, f"scenario: {CV}: -1.0 must be above 0"),
        ({"shocks[price].cv": [0.01]}, "shocks[price].cv: has no 'price' in shocks; did you mean 'prices'?"),
    ],
)
def test_a_bad_input_is_refused_before_anything_is_worked_out(inputs: dict[str, Any], said: str) -> None:
    def never(scenario: sim.Scenario) -> xr.Dataset:
        raise AssertionError

    with pytest.raises(sim.SimulatorError) as error:
        sim.sweep(SHOCKED, inputs, never)
    assert str(error.value).startswith(said)


def test_an_answer_is_a_dataset() -> None:
    with pytest.raises(sim.SimulatorError, match="answer: 'float' is no Dataset; give a function of a Scenario to one"):
        sim.sweep(SHOCKED, {CV: [0.01]}, lambda scenario: 1.0)  # type: ignore[arg-type,return-value]
