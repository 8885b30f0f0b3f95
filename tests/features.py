"""Everything that a scenario file may hold, as features with levels that are joined at will.

A level is a function that changes a file's mapping, or None where the feature is absent. A new feature, or a new level
of one, is one line in `FEATURES`; `tests/test_pairwise.py` then has it meet all others and every verb.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

from covering import Row

import simulator as sim

Raw = dict[str, Any]
Level = Callable[[Raw], None] | None


BASE: Raw = {
    "title": "where features meet",
    "currency": "GBP",
    "simulation": {
        "replicates": 200, "population_sizes": [20_000], "thresholds": [5_000.0, 20_000.0, math.inf], "seed": 7,
    },
    "population": {
        "membership": "fixed",
        "segments": [
            {
                "name": "well", "share": 0.7, "p_user": 0.6,
                "severity": {"family": "lognormal", "mean": 1_000.0, "cv": 1.5},
            },
            {"name": "complex", "share": 0.3, "severity": {"family": "lomax", "scale": 20_000.0, "alpha": 6.0}},
        ],
    },
    "designs": [{"name": "asked"}],
    "ranges": [
        {"name": "prices", "low": -0.02, "high": 0.03, "change": {"kind": "inflation", "by": 0.0}},
        {"name": "mix", "low": -0.1, "high": 0.1, "change": {"kind": "prevalence", "segment": "complex", "by": 0.0}},
    ],
}  # fmt: skip
"""What every scenario begins as."""


# ── how a level changes the mapping ──────────────────────────────────────────────────────────────


def whole(**parts: Any) -> Level:
    """Parts of the scenario itself."""
    return lambda raw: raw.update(copy.deepcopy(parts))


def simulated(**parts: Any) -> Level:
    """Parts of [simulation]."""
    return lambda raw: raw["simulation"].update(parts)


def peopled(**parts: Any) -> Level:
    """Parts of [population]."""
    return lambda raw: raw["population"].update(copy.deepcopy(parts))


def costing(**severity: Any) -> Level:
    """The severity of the first segment."""
    return lambda raw: raw["population"]["segments"][0].update(severity=copy.deepcopy(severity))


def designed(**parts: Any) -> Level:
    """Parts of the design; the thresholds of its rule are the first two of the grid, whatever they are."""

    def apply(raw: Raw) -> None:
        given = copy.deepcopy(parts)
        if "exclusion" in given:
            given["exclusion"] = _on_grid(given["exclusion"], raw)
        (own,) = [design for design in raw["designs"] if design["name"] == "asked"]
        own["parties"] = [*given.pop("parties", own.get("parties", [])), *given.pop("joining", [])]
        for name in ("terms", "transfers"):
            given[name] = [*own.get(name, []), *given.get(name, [])]
        own.update({name: value for name, value in given.items() if value != []})
        if "budget" in own:
            own["budget"] = own["budget"] | raw.get("_adjusted", {})

    return apply


def _on_grid(rule: Raw, raw: Raw) -> Raw:
    grid = raw["simulation"]["thresholds"]
    labels = grid["percentiles"] if isinstance(grid, dict) else grid
    places = {"low": labels[0], "high": labels[min(1, len(labels) - 1)]}
    rule = {name: places.get(value, value) if isinstance(value, str) else value for name, value in rule.items()}
    if "bands" in rule:
        bands = {places[band["at"]]: band["share"] for band in rule["bands"]}
        rule["bands"] = [{"at": at, "share": share} for at, share in bands.items()]
    return rule


def beside(name: str, **parts: Any) -> Level:
    """Another design."""
    return lambda raw: raw["designs"].append({"name": name, **copy.deepcopy(parts)})


def stressed(*changes: Raw) -> Level:
    """Stresses of one change each."""
    return whole(stresses=[{"name": change["kind"], "changes": [change]} for change in changes])


def divided(above: float | None = None, kappa: float = math.inf, **factors: float) -> Level:
    """Two services, and a design that is settled by service."""

    def apply(raw: Raw) -> None:
        who = {"providers": {"provider": 1.0}, "funders": {"commissioner": 1.0}}
        rare = [one["name"] for one in raw["population"].get("rare_services", ()) if one.get("in_scope", True)]
        acute = {"name": "acute", "share": {"well": 0.6, "complex": 0.5}, "rare_services": rare, **who, **factors}
        other = {"name": "other", "share": {"well": 0.4, "complex": 0.5}, "form": "block", **who}
        law = {"kappa": kappa} | ({} if above is None else {"above": above})
        if above is not None:
            acute["share_above"], other["share_above"] = 0.8, 0.2
        raw.update(services=[acute, other], service_split=law)
        parties = [{"name": "commissioner"}, {"name": "provider"}]
        raw["designs"].append({"name": "by service", "services": {"acute": "capitated"}, "parties": parties})

    return apply


TWO = [{"name": "commissioner", "funds": 1.0}, {"name": "provider", "delivers": 1.0}]
THREE = [
    {"name": "commissioner", "funds": 1.0},
    {"name": "provider", "delivers": 0.6, "loss_limit": 0.05},
    {"name": "community", "delivers": 0.4, "variable_share": 0.5},
]
MEASURES = [{"name": f"measure {k}", "target": 0.75, "mean": 0.8, "sd": 0.05} for k in (1, 2)]
UNITS = [{"name": "north", "members": 8_000}, {"name": "south", "members": 12_000}]
RARE = {"name": "transplants", "rate_per_100k": 200.0, "price": {"family": "gamma", "mean": 12_000.0, "cv": 0.4}}
MIXTURE = [
    {"weight": 0.9, "severity": {"family": "gamma", "mean": 700.0, "cv": 1.2}},
    {"weight": 0.1, "severity": {"family": "lomax", "mean": 5_000.0, "cv": 1.3}},
]
CORRIDOR = {"upto": 0.02, "rate": 1.0}
OBSERVED = [120.0, 40.5, 950.25, 2_000.0, 8_800.0, 31_000.0]


def solved_together(raw: Raw) -> None:
    """The spread of one segment from the concentration of all."""
    raw["population"]["segments"][0]["severity"] = {"family": "lognormal", "mean": 1_000.0}
    raw["population"]["calibrate"] = {"top_share": {"0.05": 0.4}}


FEATURES: dict[str, dict[str, Level]] = {
    # the grid and the parties come first: a design's rule and transfers follow them
    "thresholds": {
        "money": None,
        "money without inf": simulated(thresholds=[5_000.0, 20_000.0]),
        "one": simulated(thresholds=[20_000.0]),
        "no exclusion": simulated(thresholds=[math.inf]),
        "percentiles": simulated(thresholds={"percentiles": [0.95, 0.99]}),
        "percentiles to 1": simulated(thresholds={"percentiles": [0.95, 0.99, 1.0]}),
        "percentiles by segment": simulated(thresholds={"percentiles": [0.95, 1.0], "by": "segment"}),
    },
    "sums": {"body": None, "single": simulated(sums="single")},
    "parties": {"two": designed(parties=TWO), "three": designed(parties=THREE, split="equal")},
    "family": {
        "lognormal": None,
        "gamma": costing(family="gamma", mean=1_000.0, cv=1.4),
        "burr": costing(family="burr", c=1.8, d=3.0, scale=1_500.0),
        "spliced": costing(
            family="spliced", body={"family": "lognormal", "mean": 900.0, "cv": 1.2},
            tail={"family": "pareto", "alpha": 4.5}, at=8_000.0,
        ),
        "mixture": costing(family="mixture", components=MIXTURE),
        "observed": costing(family="empirical", values=OBSERVED, weights=[9.0, 20.0, 6.0, 3.0, 0.5, 0.125]),
        "quantiles": costing(family="empirical", quantiles={"0": 0.0, "0.5": 300.0, "0.9": 2_500.0, "1": 60_000.0}),
        "calibrated": costing(calibrate={"family": "lognormal", "mean": 600.0, "top_share": {"0.05": 0.5}}),
        "solved together": solved_together,
    },
    "variants": {
        "none": None,
        "light": whole(variants={"light": {"complex": {"family": "lomax", "scale": 24_000.0, "alpha": 7.0}}}),
    },
    "membership": {"fixed": None, "sampled": peopled(membership="sampled")},
    "units": {
        "none": None,
        "alike": peopled(units=UNITS),
        "own shares": peopled(units=[UNITS[0], UNITS[1] | {"shares": {"well": 0.4, "complex": 0.6}}]),
    },
    "rare services": {
        "none": None,
        "in scope": peopled(rare_services=[RARE]),
        "out of scope": peopled(rare_services=[RARE | {"in_scope": False}]),
    },
    "shocks": {
        "none": None,
        "common": whole(shocks=[{"name": "prices", "cv": 0.03}]),
        "of a segment": whole(shocks=[{"name": "winter", "cv": 0.05, "segments": ["complex"]}]),
        "rare": whole(shocks=[{"name": "epidemic", "probability": 0.1, "by": 0.1}]),
        "of each unit": whole(shocks=[{"name": "prices", "cv": 0.03, "per": "unit"}]),
        "correlated": whole(
            shocks=[
                {"name": "winter", "cv": 0.03, "segments": ["complex"]},
                {"name": "epidemic", "probability": 0.1, "by": 0.1, "segments": ["well"]},
            ],
            shock_correlations=[{"between": ["winter", "epidemic"], "value": 0.5}],
        ),
    },
    "parameter sets": {
        "none": None,
        "two": peopled(parameter_sets=[
            {"segment": "well", "p_user": [0.55, 0.65]}, {"segment": "complex", "scale": [19_000.0, 21_500.0]},
        ]),
    },
    "rule": {
        "none": None,
        "swept cap": designed(exclusion={"kind": "cap"}),
        "cap": designed(exclusion={"kind": "cap", "at": "high"}),
        "coinsured": designed(exclusion={"kind": "coinsure", "at": "low", "share": 0.8}),
        "banded": designed(exclusion={
            "kind": "banded", "bands": [{"at": "low", "share": 0.5}, {"at": "high", "share": 0.9}],
        }),
        "carve-out": designed(exclusion={"kind": "carve_out", "at": "high"}),
        "carve-out, capitation kept": designed(exclusion={"kind": "carve_out", "at": "high", "keep_capitation": True}),
    },
    "adjustments": {
        "none": None,
        "trend and discount": whole(_adjusted={"trend": 0.02, "discount": 0.01}),
        "loading": whole(_adjusted={"loading": 0.01}),
        "standard errors": whole(_adjusted={"loading": {"k": 1.0, "members": 10_000}}),
    },
    "budget": {
        "expected": designed(budget={"kind": "per_head"}),
        "per head": designed(budget={"kind": "per_head", "amount": 1_700.0}),
        "retained": designed(budget={"kind": "per_head", "basis": "retained"}),
        "by segment": designed(budget={"kind": "by_segment", "amounts": {"well": 600.0, "complex": 4_000.0}}),
        "past years": designed(budget={"kind": "past_years", "weights": [0.4, 0.6], "correlation": [0.4, 0.3]}),
    },
    "terms": {
        "full risk": None,
        "two-sided": designed(terms=[{"kind": "share", "gain": 0.5, "loss": 0.3}]),
        "one-sided": designed(terms=[{"kind": "share", "gain": 0.5, "loss": 0.0}]),
        "corridor": designed(terms=[{"kind": "bands", "gains": [CORRIDOR, {"upto": 0.1, "rate": 0.5}]}]),
        "gate": designed(terms=[{"kind": "minimum_rate", "rate": 0.02}, {"kind": "share", "gain": 0.5, "loss": 0.5}]),
        "gate by size": designed(terms=[{"kind": "minimum_rate"}, {"kind": "share", "gain": 0.5, "loss": 0.5}]),
        "stop-loss": designed(terms=[{"kind": "loss_relief", "amount": 10_000.0}]),
    },
    "quality": {
        "none": None,
        "fixed": designed(quality={"score": 0.8}, terms=[{"kind": "quality_multiplier"}]),
        "drawn": designed(
            quality={"measures": MEASURES, "correlation": 0.2, "standard": 0.5}, terms=[{"kind": "quality_gate"}],
            transfers=[{"kind": "outcomes_payment", "share": 0.02}],
        ),
    },
    "transfers": {
        "none": None,
        "risk pool": designed(joining=[{"name": "board"}], transfers=[{
            "kind": "risk_pool", "pool": "board", "opening": 0.01, "contributions": {"commissioner": 0.01},
            "protects": ["provider"],
        }]),
        "fixed": designed(transfers=[
            {"kind": "fixed_transfer", "payer": "commissioner", "receiver": "provider", "of_budget": 0.01},
        ]),
        "follow patients": designed(parties=THREE, transfers=[
            {"kind": "follow_patients", "providers": ["provider", "community"], "sd": 0.02, "cap": 0.03},
        ]),
    },
    "premium": {
        "none": None,
        "prospective": designed(protection={"payer": "commissioner"}),
        "loaded": designed(protection={"payer": "commissioner", "premium_from": "provider", "loading": 0.2}),
    },
    "accounts": {
        "none": None,
        "savings": designed(savings=0.04, transfers=[
            {"kind": "own_cost", "name": "setting up", "party": "provider", "of_budget": 0.01},
        ]),
        "allocation": whole(do_nothing=0.03, allocations=[{"funder": "commissioner", "per_head": 1_750.0}]),
    },
    "services": {
        "none": None,
        "two": divided(kappa=3.0),
        "with factors, dear patients": divided(above=20_000.0, activity_cv=0.02, price_cv=0.02),
    },
    "search": {
        "none": None,
        "loss limit": whole(search={
            "points": 16, "figures": [{"path": "parties[provider].loss_limit", "between": [0.0, 0.1]}],
            "limits": [{"party": "provider", "worst": 0.05}],
        }),
    },
    "stresses": {
        "mean, inflation": stressed(
            {"kind": "mean_cost", "segment": "well", "by": 0.05}, {"kind": "inflation", "by": 0.03}),
        "baseline, savings": stressed(
            {"kind": "baseline_error", "by": 0.02}, {"kind": "failed_savings", "planned": 0.05, "failed": 0.5}),
        "prevalence, shift": stressed(
            {"kind": "prevalence", "segment": "complex", "by": 0.1}, {"kind": "cost_shift", "share": 0.03}),
        "epidemic, treatment": stressed(
            {"kind": "epidemic", "probability": 0.1, "by": 0.05},
            {"kind": "new_treatment", "price": 80_000.0, "per_100k": 20.0}),
        "up-coding, leakage": stressed(
            {"kind": "up_coding", "source": "well", "recorded_as": "complex", "share": 0.05},
            {"kind": "leakage", "share": 0.03}),
        "price, activity, elsewhere": stressed(
            {"kind": "price", "by": 0.02}, {"kind": "activity", "by": 0.03}, {"kind": "elsewhere", "share": 0.05}),
        "tail": stressed({"kind": "tail_index", "by": -0.1}, {"kind": "inflation", "by": 0.02}),
        "size of a shock": lambda raw: stressed(
            *[{"kind": "shock_size", "of": one["name"], "by": 0.5} for one in raw.get("shocks", ()) if "cv" in one][:1],
            {"kind": "inflation", "by": 0.02})(raw),
    },
    "other designs": {
        "none": None,
        "full risk": beside("full risk"),
        "swept": beside("swept", exclusion={"kind": "coinsure", "share": 0.8}),
    },
    "sizes": {
        "one": None,
        "three": lambda raw: raw["population"].get("units") or simulated(population_sizes=[5_000, 20_000, 50_000])(raw),
    },
    "currency": {"GBP": None, "NZD": whole(currency="NZD")},
}  # fmt: skip
"""Every feature and its levels: one line each."""


def names() -> dict[str, list[str]]:
    """The names of the levels, by feature."""
    return {feature: list(levels) for feature, levels in FEATURES.items()}


def raw_of(row: Row) -> Raw:
    """The mapping of a row's scenario file."""
    raw = copy.deepcopy(BASE)
    for feature, levels in FEATURES.items():
        apply = levels[row[feature]]
        if apply is not None:
            apply(raw)
    raw.pop("_adjusted", None)
    if raw["population"].get("units"):
        del raw["simulation"]["population_sizes"]
    return raw


def scenario_of(raw: Raw) -> sim.Scenario:
    """The scenario of a mapping."""
    return sim.Scenario.model_validate(raw)


def toml_of(raw: Raw) -> str:
    """A scenario file: one line a key, everything within written inline."""
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in raw.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return "inf" if math.isinf(value) else repr(value)
    return json.dumps(value)


# ── the same question, asked otherwise ───────────────────────────────────────────────────────────

_MONEY = ("mean", "scale", "at", "amount", "price")


def in_quarters(raw: Raw) -> Raw:
    """The same money in a unit of which four make one: every amount is four times as large."""
    made = copy.deepcopy(raw)
    thresholds = made["simulation"]["thresholds"]
    if isinstance(thresholds, list):
        made["simulation"]["thresholds"] = [4 * amount for amount in thresholds]
    for segment in made["population"]["segments"]:
        segment["severity"] = _quartered(segment["severity"])
    for service in made["population"].get("rare_services", ()):
        service["price"] = _quartered(service["price"])
    for drawn in made["population"].get("parameter_sets", ()):
        drawn.update({name: [4 * value for value in drawn[name]] for name in drawn.keys() & set(_MONEY)})
    for design in made["designs"]:
        _quarter_design(design, isinstance(thresholds, list))
    return made


def _quartered(severity: Raw) -> Raw:
    made: Raw = {}
    for name, value in severity.items():
        if name in _MONEY:
            made[name] = 4 * value
        elif name == "values":
            made[name] = [4 * cost for cost in value]
        elif name == "quantiles":
            made[name] = {level: 4 * cost for level, cost in value.items()}
        elif name in ("body", "tail", "calibrate", "severity"):
            made[name] = _quartered(value) if isinstance(value, dict) else value
        elif name == "components":
            made[name] = [_quartered(part) for part in value]
        else:
            made[name] = value
    return made


def _quarter_design(design: Raw, in_money: bool) -> None:
    rule, budget = design.get("exclusion", {}), design.get("budget", {})
    for step in [rule, *rule.get("bands", ())] if in_money else ():
        step.update({"at": 4 * step["at"]} if "at" in step else {})
    for step in (budget, *design.get("terms", ())):
        step.update({"amount": 4 * step["amount"]} if "amount" in step else {})
    if "amounts" in budget:
        budget["amounts"] = {name: 4 * amount for name, amount in budget["amounts"].items()}


def halved(raw: Raw) -> Raw:
    """The segment "complex" as two halves with the same cost."""
    made = copy.deepcopy(raw)
    population = made["population"]
    (own,) = [segment for segment in population["segments"] if segment["name"] == "complex"]
    own["share"] /= 2
    population["segments"].append(own | {"name": "other half"})
    for unit in population.get("units", ()):
        if "shares" in unit:
            unit["shares"]["complex"] /= 2
            unit["shares"]["other half"] = unit["shares"]["complex"]
    sets = population.get("parameter_sets", [])
    sets += [part | {"segment": "other half"} for part in sets if part["segment"] == "complex"]
    for shock in made.get("shocks", ()):
        if "complex" in shock.get("segments", []):
            shock["segments"] = [*shock["segments"], "other half"]
    for design in made["designs"]:
        amounts = design.get("budget", {}).get("amounts")
        if amounts:
            amounts["other half"] = amounts["complex"]
    return made


def turned(raw: Raw) -> Raw:
    """Segments, units, designs and parties in the opposite order."""
    made = copy.deepcopy(raw)
    for holder, name in ((made["population"], "segments"), (made["population"], "units"), (made, "designs")):
        if name in holder:
            holder[name] = holder[name][::-1]
    for design in made["designs"]:
        if "parties" in design:
            design["parties"] = design["parties"][::-1]
    return made
