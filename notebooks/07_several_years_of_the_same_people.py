# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What do several years of the same people change?
#
# **In short.** People who are costly this year are likely to be costly again, so three pooled years are worth less than
# two independent years. A benchmark from past years shares some of the luck of the year it is compared with. And
# costly people cost much less in the next year with no intervention at all.

# %%
# %config InlineBackend.figure_formats = ["svg"]
from pathlib import Path

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
scenario = sim.load(configs / "east_sussex_years.toml")
implied = sim.persistence(scenario)
ax = sim.plots.regression_to_the_mean(implied)

# %% [markdown]
# The costliest 1% of people cost 25 times the mean in one year and 10 times in the next. A scheme that enrols them and
# claims the difference as a saving claims what would have happened anyway.
#
# ## What pooling years is worth

# %%
ax = sim.plots.pooled_worth(implied)

# %% [markdown]
# With a cap, pooling is worth less: the cost below the cap is the more persistent part.
#
# ## The same result from simulated years
#
# The ledger has a dimension `year`: years before the contract (0, −1, …) and contract years. `pool_years` adds
# years with weights into one ledger: three years together, or this year less a benchmark.

# %%
few = scenario.with_simulation(replicates=400, population_sizes=(20_000,), thresholds=(50_000.0, float("inf")))
ledger = sim.simulate(few, progress=False)
summary = sim.summarise(ledger)
print(summary.attrs["check_sentence"])
one, three = summary["cv"].sel(year=1), sim.summarise(sim.pool_years(ledger, {1: 1, 2: 1, 3: 1}))["cv"]
exactly = sim.exact(few, pool_years={1: 1, 2: 1, 3: 1})["cv"]
for threshold, name in ((50_000.0, "cap £50k"), (float("inf"), "no cap")):
    at = {"threshold": threshold, "population_size": 20_000}
    told = [float(part.sel(at)) for part in (one, three, exactly)]
    print(f"{name}: one year {told[0]:.2%}, three together {told[1]:.2%} (exact: {told[2]:.2%})")

# %% [markdown]
# ## A benchmark from the years before
#
# The benchmark has weights of 10%, 30% and 60% on the three years before the contract. Many of the people are the same,
# so part of their luck recurs, and the difference varies less than it would with unrelated years.

# %%
weights = {1: 1.0, 0: -0.6, -1: -0.3, -2: -0.1}
covariance = sim.year_covariance(few)["covariance"].sel(population_size=20_000, threshold=float("inf"))
by_year = covariance.coords["year"].to_series().map(lambda year: weights.get(year, 0.0)).to_numpy()
together = float(by_year @ covariance.values @ by_year) ** 0.5
apart = float(sum(weight**2 * covariance.sel(year=year, year_other=year) for year, weight in weights.items())) ** 0.5
mean = float(summary["exact_mean"].sel(year=1, population_size=20_000, threshold=float("inf")))
print(f"this year less its benchmark: sd {together / mean:.2%} of a year's cost; unrelated years: {apart / mean:.2%}")
assert together < apart

# %% [markdown]
# ## What to conclude, and what not
#
# * Do not count three pooled years as three: use `pooled_worth`, or the exact distribution of their sum.
# * Judge a programme for costly people against the fall that happens with no intervention.
# * Persistence is that of published figures from another country; none for East Sussex is known.
