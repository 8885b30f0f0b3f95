"""Exact chances of totals with steps: a cap below nearly all costs, near-fixed prices, few users; against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

import simulator as sim

MARGINS = (0.01, 0.03, 0.05, 0.10)


def scenario(size, segments, thresholds=(math.inf,), **others):
    return sim.Scenario.model_validate(
        {
            "schema_version": 1,
            "title": "Steps",
            "currency": "GBP",
            "population": {"segments": segments, **others.pop("population", {})},
            "simulation": {"replicates": 400, "population_sizes": [size], "thresholds": list(thresholds), "seed": 3},
            **others,
        }
    )


def segment(name, share, p_user, family, mean, cv):
    severity = {"family": family, "mean": float(mean), "cv": float(cv)}
    return {"name": name, "share": float(share), "p_user": float(p_user), "severity": severity}


# ── oracles that share no code ───────────────────────────────────────────────────────────────────


def gamma_total(x, n, p, mean, cv):
    """P(total > x) of gamma prices: given how many users there are, the total is gamma again."""
    users = np.arange(n + 1)
    chance = stats.binom.pmf(users, n, p)
    above = np.append(0.0 if x >= 0 else 1.0, special.gammaincc(users[1:] / cv**2, x / (mean * cv**2)))
    return float(chance @ above)


def sf_of(family, mean, cv):
    if family == "gamma":
        return lambda x: special.gammaincc(cv**-2, np.maximum(x, 0.0) / (mean * cv**2))
    sigma = math.sqrt(math.log(1 + cv**2))
    return lambda x: special.ndtr((math.log(mean) - sigma**2 / 2 - np.log(np.maximum(x, 1e-300))) / sigma)


def convolved(x, people, cap, fine):
    """P(total > x) by convolving everybody's cost, on a grid of which the cap is a multiple."""
    step = cap / fine
    mean = sum(n * p * min(mean, cap) for n, p, _, mean, _ in people)
    sd = math.sqrt(sum(n * p for n, p, *_ in people)) * cap
    length = 2 ** math.ceil(math.log2((mean + 12 * sd + 12 * cap) / step))
    transform = np.ones(length // 2 + 1, complex)
    for n, p, family, mean, cv in people:
        at = np.arange(fine) * step
        sf = sf_of(family, mean, cv)
        user = np.zeros(length)
        user[:fine] = -np.diff(np.append(1.0, sf(at + step / 2)))
        user[fine] = sf(cap - step / 2)
        transform *= (1 - p + p * np.fft.rfft(user)) ** n
    chance = np.fft.irfft(transform, length)
    place = math.floor(x / step)
    # half of what lies within half a step of x is above it, but for multiples of the cap, which lie below
    share = x / step - place
    above = chance[place + 1 :].sum()
    nearby = chance[place + 1] if (place + 1) % fine else 0.0
    return float(above - nearby * max(share - 0.5, 0.0) + (chance[place] if place % fine else 0.0) * max(0.5 - share, 0))


# ── random laws with steps ───────────────────────────────────────────────────────────────────────


def drawn(seed):
    """A scenario, a threshold, and P(total > x) in closed form or by convolution."""
    rng = np.random.default_rng(seed)
    kind = seed % 4
    users = float(np.exp(rng.uniform(math.log(3), math.log(300))))
    n = int(users / rng.uniform(0.0005, 0.02))
    if kind == 0:
        # near-fixed prices
        mean, cv = 10 ** rng.uniform(2, 5), math.exp(rng.uniform(math.log(0.003), math.log(0.05)))
        made = scenario(n, [segment("a", 1, users / n, "gamma", mean, cv)])
        return made, math.inf, lambda x: gamma_total(x, n, users / n, mean, cv)
    if kind == 1:
        # few users, of any spread
        users, mean, cv = rng.uniform(0.3, 12), 10 ** rng.uniform(2, 5), math.exp(rng.uniform(-3, 0.7))
        n = int(users / rng.uniform(0.001, 0.5)) + 1
        made = scenario(n, [segment("a", 1, users / n, "gamma", mean, cv)])
        return made, math.inf, lambda x: gamma_total(x, n, users / n, mean, cv)
    cap = float(np.round(10 ** rng.uniform(3, 5)))
    if kind == 2:
        p, family, mean, cv = users / n, rng.choice(["lognormal", "gamma"]), cap * rng.uniform(1.8, 4), rng.uniform(0.1, 0.3)
        made = scenario(n, [segment("a", 1, p, family, mean, cv)], [cap])
        people = [(n, p, family, mean, cv)]
    else:
        half = n // 2
        p, q = users / n * rng.uniform(0.2, 0.9), users / n
        laws = [("lognormal", cap * rng.uniform(1.8, 4), rng.uniform(0.1, 0.3)) for _ in range(2)]
        made = scenario(
            2 * half, [segment("a", 0.5, p, *laws[0]), segment("b", 0.5, q, *laws[1])], [cap]
        )
        people = [(half, p, *laws[0]), (half, q, *laws[1])]
    return made, cap, lambda x: convolved(x, people, cap, 1024)


def gap(seed):
    """Largest |exact − truth| beside the stated error."""
    made, threshold, truth = drawn(seed)
    answer = sim.exact(made, margins=MARGINS).isel(population_size=0).sel(threshold=threshold)
    budget = float(answer["budget"])
    wanted = np.array([truth((1 + margin) * budget) for margin in MARGINS])
    return np.abs(answer["p_overspend"].values - wanted), float(answer["probability_error"])
