"""The East Sussex scenarios: current, sourced, and in agreement with published figures by code of the test's own."""

import csv
import importlib.util
import math
import tomllib
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

import simulator as sim

CONFIGS = Path(__file__).parents[1] / "configs"
VARIANTS = ["east_sussex", "east_sussex_light", "east_sussex_heavy"]
FILES = [*VARIANTS, "east_sussex_shock", "east_sussex_systematic"]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("build_east_sussex", CONFIGS / "build_east_sussex.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def described():
    return {name: sim.describe(sim.load(CONFIGS / f"{name}.toml")) for name in FILES}


def parsed(name):
    return tomllib.loads((CONFIGS / f"{name}.toml").read_text(encoding="utf-8"))


# ── the files ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_files_are_current(script, whole):
    """As `python configs/build_east_sussex.py --check` would say: of the one that needs one model solved, or of all."""
    central = {} if whole else {"": script.solve(script.lognormal)}
    one = CONFIGS / "east_sussex_systematic.toml"
    files = script.files() if whole else {one: script.text("", "systematic", central)}
    for path, text in files.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run configs/build_east_sussex.py"


def test_check_finds_a_stale_file(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "files", lambda: {tmp_path / "a.toml": "new", tmp_path / "b.toml": "same"})
    (tmp_path / "a.toml").write_text("old")
    (tmp_path / "b.toml").write_text("same")
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().out.startswith("a.toml is stale")
    assert (tmp_path / "a.toml").read_text() == "old"
    assert script.main([]) == 0
    assert (tmp_path / "a.toml").read_text() == "new"
    assert script.main(["--check"]) == 0


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_what_it_is_and_where_its_figures_come_from(name):
    text = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith("#:schema ../schemas/scenario.schema.json\n")
    for words in ("# Sources", "# Assumed (no source)", "Asaria 2017", "Barnett et al. 2012", "The scopes differ"):
        assert words in text
    assert all("assumed" in line for line in text.splitlines() if line.startswith(("p_user", "cv =")))
    assert text.count("(Asaria 2017), £") == 6


@pytest.mark.parametrize("name", FILES)
def test_a_file_asks_the_question(name):
    found = parsed(name)
    assert found["schema_version"] == 1
    assert found["simulation"] == {
        "replicates": 10_000,
        "population_sizes": [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 540_000],
        "thresholds": [25_000, 50_000, 100_000, 250_000, math.inf],
        "seed": 20170401,
    }
    assert math.fsum(segment["share"] for segment in found["population"]["segments"]) == pytest.approx(1, abs=1e-12)
    assert len(found["population"]["segments"]) == 18


def test_only_one_file_has_a_shock_and_differs_in_nothing_else():
    assert not any("shocks" in parsed(name) for name in VARIANTS)
    central, shaken = parsed("east_sussex"), parsed("east_sussex_shock")
    assert shaken.pop("shocks") == [{"name": "prices and winter", "cv": 0.015}]
    assert set(central.pop("variants")) == {"light", "heavy"}
    assert {key for key in central if central[key] != shaken[key]} == {"title"}


# ── against published figures ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", FILES)
def test_published_mean_and_concentration(described, name):
    found = described[name]
    assert found["mean"] == pytest.approx(1_731, abs=0.02)
    assert found["top_share"]["0.05"] == pytest.approx(0.514, abs=0.00005)
    assert found["top_share"]["0.01"] < 0.32
    assert 0.10 <= found["zero_share"] <= 0.20
    top = found["top_share"]["0.05"] * 952 / 0.05
    assert top == pytest.approx(9_789, rel=0.001)  # of £952 a head (Health Foundation 2019)


def test_segments_explain_what_published_predictors_do(described):
    central = described["east_sussex"]
    assert 0.09 < central["r_squared"] < 0.12
    shares = np.array([row["share_of_people"] for row in central["segments"]]).reshape(6, 3)
    means = np.array([row["mean"] for row in central["segments"]]).reshape(6, 3)
    ages = (shares * means).sum(axis=1) / shares.sum(axis=1)
    by_age = float(shares.sum(axis=1) @ (ages - central["mean"]) ** 2) / central["sd"] ** 2
    assert 0.015 < by_age < 0.037


def test_people_with_several_conditions(described):
    """1 in 4 adults, with over 55% of hospital cost (Health Foundation 2018)."""
    rows = [row for row in described["east_sussex"]["segments"] if "0-15" not in row["name"]]
    several = [row for row in rows if "mostly well" not in row["name"]]
    adults = sum(row["share_of_people"] for row in rows)
    assert sum(row["share_of_people"] for row in several) / adults == pytest.approx(0.25, abs=0.025)
    assert sum(row["share_of_cost"] for row in several) > 0.55


def test_variants_agree_at_a_cap_and_part_without_one(described):
    capped = {name: described[name]["thresholds"][1]["cv"] for name in VARIANTS}
    assert all(2.615 < cv < 2.645 for cv in capped.values())
    central, light, heavy = (described[name]["cv"] for name in VARIANTS)
    assert central == pytest.approx(3.51, abs=0.01)
    assert light == pytest.approx(2.84, abs=0.02)
    assert heavy == pytest.approx(4.30, abs=0.01)
    assert described["east_sussex_heavy"]["tail_index"] == 2.3


def test_variants_are_ordered_by_the_cost_above_every_threshold(described):
    central, light, heavy = (
        [row["share_of_cost_above"] for row in described[name]["thresholds"][:-1]] for name in VARIANTS
    )
    assert all(a < b < c for a, b, c in zip(light, central, heavy, strict=True))


def test_segment_means_are_the_same_in_every_variant(described):
    means = [[row["mean"] for row in described[name]["segments"]] for name in VARIANTS]
    assert means[1] == pytest.approx(means[0], rel=1e-5)
    assert means[2] == pytest.approx(means[0], rel=1e-5)


def spend_by_band(data_folder, edges):
    """People and money of each age band in the published table."""
    people, money = defaultdict(float), defaultdict(float)
    with (data_folder / "nhs_spend_2014_15.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            band = next(i for i, (low, high) in enumerate(edges) if low <= int(row["age"].rstrip("+")) <= high)
            people[band] += float(row["population"])
            money[band] += float(row["population"]) * float(row["spend_per_head"])
    return [people[i] for i in range(len(edges))], [money[i] for i in range(len(edges))]


def test_age_bands_are_the_published_ones(data_folder, script):
    edges = [tuple(int(age) for age in band.ages.split("-")) for band in script.BANDS]
    people, money = spend_by_band(data_folder, edges)
    assert [band.share for band in script.BANDS] == pytest.approx([n / sum(people) for n in people], abs=1e-6)
    assert [band.spend for band in script.BANDS] == pytest.approx(
        [m / n for m, n in zip(money, people, strict=True)], abs=0.01
    )
    assert pytest.approx(1_839, abs=0.5) == script.ENGLAND_A_HEAD
    wrong, _ = spend_by_band(data_folder, [(0, 17), (18, 39), *edges[2:]])
    assert [band.share for band in script.BANDS] != pytest.approx([n / sum(wrong) for n in wrong], abs=1e-3)


def test_several_conditions_by_age_are_the_published_ones(data_folder, script):
    """Barnett et al. 2012, weighted by the people at each age."""
    published = ((0, 24, 0.019), (25, 44, 0.113), (45, 64, 0.304), (65, 84, 0.649), (85, 120, 0.815))
    for band in script.BANDS:
        low, high = (int(age) for age in band.ages.split("-"))
        pieces = [(max(low, a), min(high, b), rate) for a, b, rate in published if max(low, a) <= min(high, b)]
        spans = [(0, low - 1), *((a, b) for a, b, _ in pieces), (high + 1, 120)]
        people, _ = spend_by_band(data_folder, [span for span in spans if span[0] <= span[1]])
        inside = people[1:] if low else people
        rates = [rate for _, _, rate in pieces]
        expected = sum(n * rate for n, rate in zip(inside, rates, strict=False)) / sum(inside[: len(rates)])
        assert band.multimorbid == pytest.approx(expected, abs=1e-4)


# ── the same figures by other code ───────────────────────────────────────────────────────────────


class Users:
    """One family by scipy: survival function and E[Xᵏ; X > cost], k = 1, 2."""

    def __init__(self, severity):
        self.at = severity.get("at", math.inf)
        self.alpha = severity.get("tail", {}).get("alpha")
        body = severity.get("body", severity)
        self.is_gamma = body["family"] == "gamma"
        if self.is_gamma:
            self.shape, self.scale = body["cv"] ** -2, body["mean"] * body["cv"] ** 2
            self.law = stats.gamma(self.shape, scale=self.scale)
        else:
            self.sigma = math.sqrt(math.log(1 + body["cv"] ** 2))
            self.mu = math.log(body["mean"]) - self.sigma**2 / 2
            self.law = stats.lognorm(self.sigma, scale=math.exp(self.mu))

    def sf(self, x):
        if x <= self.at:
            return self.law.sf(x)
        return self.law.sf(self.at) * (self.at / x) ** self.alpha

    def above(self, k, x):
        if x > self.at:
            return self.sf(x) * x**k * self.alpha / (self.alpha - k)
        tail = self.above(k, self.at * (1 + 1e-15)) if math.isfinite(self.at) else 0.0
        return self._body_above(k, x) - (self._body_above(k, self.at) if math.isfinite(self.at) else 0.0) + tail

    def _body_above(self, k, x):
        if self.is_gamma:
            rising = self.scale**k * math.gamma(self.shape + k) / math.gamma(self.shape)
            return rising * stats.gamma.sf(x, self.shape + k, scale=self.scale)
        score = (math.log(x) - self.mu) / self.sigma if x > 0 else -math.inf
        return math.exp(k * self.mu + (k * self.sigma) ** 2 / 2) * stats.norm.sf(score - k * self.sigma)


def closed_forms(segments, cap):
    """Mean, cv, cv capped, and the top-5% share, from the file alone."""
    parts = [(s["share"] * s["p_user"], Users(s["severity"])) for s in segments]
    mean = sum(w * users.above(1, 0.0) for w, users in parts)
    second = sum(w * users.above(2, 0.0) for w, users in parts)
    kept = mean - sum(w * (users.above(1, cap) - cap * users.sf(cap)) for w, users in parts)
    square = second - sum(w * (users.above(2, cap) - cap**2 * users.sf(cap)) for w, users in parts)
    cost = optimize.brentq(lambda x: sum(w * users.sf(x) for w, users in parts) - 0.05, 1, 1e6, rtol=1e-13)
    top = sum(w * users.above(1, cost) for w, users in parts) / mean
    return mean, math.sqrt(second / mean**2 - 1), math.sqrt(square / kept**2 - 1), top


@pytest.mark.parametrize("name", VARIANTS)
def test_closed_forms_of_the_files_agree(described, name):
    mean, cv, capped, top = closed_forms(parsed(name)["population"]["segments"], 50_000.0)
    assert described[name]["mean"] == pytest.approx(mean, rel=1e-10)
    assert described[name]["cv"] == pytest.approx(cv, rel=1e-9)
    assert described[name]["thresholds"][1]["cv"] == pytest.approx(capped, rel=1e-9)
    assert described[name]["top_share"]["0.05"] == pytest.approx(top, rel=1e-9)


def test_closed_forms_of_another_file_do_not_agree(described):
    segments = parsed("east_sussex")["population"]["segments"]
    segments[0]["severity"]["cv"] *= 1.01
    mean, cv, _, top = closed_forms(segments, 50_000.0)
    assert described["east_sussex"]["mean"] == pytest.approx(mean, rel=1e-9)
    assert described["east_sussex"]["cv"] != pytest.approx(cv, rel=1e-5)
    assert described["east_sussex"]["top_share"]["0.05"] != pytest.approx(top, rel=1e-5)
