"""One overall concentration over several segments: exact for light, central and heavy tails."""

import copy
import math

import pytest

import simulator as sim
from simulator.costs.model import calibrate_population
from simulator.scenario import scenario_from

BANDS = (("young", 0.5, 0.7, 400.0), ("middle", 0.3, 0.85, 1_500.0), ("old", 0.2, 0.95, 5_000.0))


def severity(family, mean):
    if family != "spliced":
        return {"family": family, "mean": mean}
    body, tail = {"family": "lognormal", "mean": mean}, {"family": "pareto", "alpha": 2.3}
    return {"family": "spliced", "body": body, "tail": tail, "at": 60_000.0}


def population(family):
    return {
        "segments": [
            {"name": name, "share": share, "p_user": p_user, "severity": severity(family, mean)}
            for name, share, p_user, mean in BANDS
        ]
    }


def raw(target=0.52, variants=("gamma", "spliced"), **changes):
    return {
        "title": "three bands",
        "simulation": {"population_sizes": [1_000], "thresholds": [50_000.0, math.inf]},
        "population": population("lognormal") | {"calibrate": {"top_share": {"0.05": target}}} | changes,
        "variants": {f"of {family}": {n: severity(family, mean) for n, _, _, mean in BANDS} for family in variants},
    }


def concentration(scenario):
    return sim.describe(scenario)["top_share"]["0.05"]


@pytest.fixture(scope="module")
def scenario():
    return scenario_from(raw(variants=("gamma", "weibull", "lomax", "spliced")))


@pytest.mark.parametrize("name", ["central", "of gamma", "of weibull", "of lomax", "of spliced"])
def test_the_whole_population_has_the_concentration_with_every_tail(scenario, name):
    made = scenario.variant(name)
    assert concentration(made) == pytest.approx(0.52, abs=1e-6)
    means = [row["mean"] for row in sim.describe(made)["segments"]]
    assert means == pytest.approx([p_user * mean for _, _, p_user, mean in BANDS], rel=1e-8)
    bodies = [getattr(segment.severity, "body", segment.severity) for segment in made.population.segments]
    assert len({round(body.cv, 12) for body in bodies}) == 1


def test_the_figures_agree_with_closed_forms(scenario):
    """Of a mixture of lognormals, by the normal law alone."""
    cdf = lambda z: math.erfc(-z / math.sqrt(2)) / 2  # noqa: E731
    users = [(share * p_user, mean) for _, share, p_user, mean in BANDS]
    sigma = math.sqrt(math.log(1 + scenario.population.segments[0].severity.cv ** 2))
    score = lambda x, mean: (math.log(x / mean) + sigma**2 / 2) / sigma  # noqa: E731
    low, high = 1.0, 1e6
    for _ in range(200):
        cost = math.sqrt(low * high)
        low, high = (cost, high) if sum(w * cdf(-score(cost, m)) for w, m in users) > 0.05 else (low, cost)
    above = sum(w * m * cdf(sigma - score(cost, m)) for w, m in users)
    assert above / sum(w * m for w, m in users) == pytest.approx(0.52, abs=1e-6)


def test_each_segment_alone_at_the_target_is_another_population(scenario):
    """What copying the overall share to each band would give: the control."""
    alone = raw(variants=())
    del alone["population"]["calibrate"]
    for segment in alone["population"]["segments"]:
        mean = segment["severity"]["mean"] * segment["p_user"]
        segment["severity"] = {"calibrate": {"family": "lognormal", "mean": mean, "top_share": {"0.05": 0.52}}}
    assert concentration(scenario_from(alone)) > 0.6


def test_a_scenario_holds_what_was_solved(scenario):
    again = scenario_from(scenario.model_dump())
    assert again == scenario
    assert scenario.population.calibrate is None
    assert scenario.with_simulation(replicates=7).scenario_id == scenario.scenario_id
    python = calibrate_population(population("lognormal"), top_share={0.05: 0.52})
    assert python.segments == scenario.population.segments


def test_what_is_given_stays_and_units_of_their_own_mix_count():
    given = population("lognormal")
    given["segments"][2]["severity"] |= {"cv": 1.2}
    given["units"] = [{"name": "a", "members": 500}, {"name": "b", "members": 500, "shares": {"old": 1.0}}]
    made = calibrate_population(given, top_share={0.1: 0.5})
    assert made.segments[2].severity.cv == 1.2
    asked = scenario_from({"title": "t", "simulation": {}, "population": made.model_dump(exclude_none=True)})
    assert sim.describe(asked)["top_share"]["0.1"] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"target": 0.12}, "population.calibrate.top_share: the costliest 5% of people cannot hold 12% of "
         "cost: with these families and means they hold 18.05% to 98.35%; give a share between these"),
        ({"calibrate": {"top_share": {"0.05": 0.5, "0.01": 0.2}}}, "calibrate.top_share: has 2 targets for one figure"),
        ({"calibrate": {"top_share": {}}}, "population.calibrate.top_share: has 0 targets"),
        ({"calibrate": {"top_share": {"0.05": 52.0}}}, "top_share.0.05: 52.0 must be below 1; write 52% as 0.52"),
        ({"calibrate": {"cv": 2.0, "top_share": {"0.05": 0.5}}}, "population.calibrate.cv: is not a key"),
        ({"calibrate": 3}, "population.calibrate: 3 is not a table"),
        ({"target": 0.8, "variants": ("lomax",)}, "variants.of lomax: the costliest 5% of people cannot hold 80%"),
        ({"segments": [{"name": "a", "share": 1.0, "severity": {"family": "gamma", "mean": 5.0, "cv": 1.0}}]},
         "top_share: has nothing to solve for; leave cv out"),
        ({"segments": [{"name": "a", "share": 0.5, "severity": {"family": "gamma", "mean": 5.0}}]},
         "population.segments: has shares that add up to 0.5, not 1"),
        ({"segments": [{"name": "a", "share": 1.0, "severity": {"family": "gamma", "mean": "5"}}]}, "write 5, without"),
        ({"segments": 4}, "population"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(changes, sentence):
    with pytest.raises(sim.SimulatorError) as caught:
        scenario_from(raw(**({"variants": ()} | copy.deepcopy(changes))))
    assert sentence in str(caught.value)
    assert len(caught.value.mistakes) == 1


def test_an_open_severity_needs_a_target():
    left = raw(variants=())
    del left["population"]["calibrate"]
    with pytest.raises(sim.SimulatorError, match="has mean, which does not determine it"):
        scenario_from(left)
