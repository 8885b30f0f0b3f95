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
# # Where to cut?
#
# **In short.** A cap of £50,000 on one patient's annual cost takes **4.6%** of the cost and **52%** of the variance
# off the budget, and a pool of 540,000 people must charge **£88.81** a head for it. With any cap up to **£65,900**,
# 20,000 people are enough for a chance of at most 5% of overspending by more than 3%. Of all rules that remove the
# same money, a cap leaves the least risk.
#
# A few patients account for most of the risk. Remove their costs above some threshold, and a smaller population can
# live on a fixed budget. But somebody must pay what is removed, and whoever no longer pays for a patient no longer
# gains by caring for that patient better. Where should the threshold be, which kind of rule should it be, and what is a
# fair price for the excess?
#
# The population is East Sussex; every step below uses the same simulated years.

# %%
# %config InlineBackend.figure_formats = ["svg"]
import math
from pathlib import Path

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
scenario = sim.load(configs / "east_sussex.toml")
ledger = sim.simulate(scenario, progress=False)
summary = sim.summarise(ledger, margins=(0.03,))
print(summary.attrs["check_sentence"])

# %% [markdown]
# ## What a threshold removes
#
# Few of the patients, little of the cost, much of the variance. That is why exclusion is worth the trouble.

# %%
ax = sim.plots.threshold_effect(summary)

# %% [markdown]
# ## What it does for the smallest viable population
#
# Each cell is the chance that cost exceeds the budget by more than 3%; the line is where that happens in one year
# in twenty. Along the line, a lower threshold makes a smaller population enough.

# %%
least = sim.minimum_by_target(summary, (0.05,), margin=0.03)
ax = sim.plots.heat_map(summary.assign(least))

# %% [markdown]
# How strict is one year in twenty? The same simulated years answer for other targets.

# %%
ax = sim.plots.minimum_by_target(sim.minimum_by_target(summary, margin=0.03))

# %% [markdown]
# The question can be reversed: what is the highest threshold at which a given population is large enough? These figures
# are calculated without simulation.

# %%
highest = {}
for members in (15_000, 20_000, 25_000, 30_000):
    threshold = highest[members] = sim.viable_threshold(scenario, members, margin=0.03, at_most=0.05)
    print(f"{members:,} people: cap one patient's annual cost at £{threshold:,.0f} or less")

# %% [markdown]
# ## What a pool must charge for it
#
# Somebody pays the excess: the commissioner, a risk pool of the whole county, a reinsurer. The fair price is what it
# expects to pay, plus a margin for its own luck. Here the pool has all 540,000 people and adds two standard deviations.

# %%
priced = sim.fair_price(scenario, pool_members=540_000, k=2.0)
sim.table(priced)

# %% [markdown]
# The higher the threshold, the lower the price and the larger the loading within it: a pool for the costliest few needs
# many members.
#
# ## Which kind of rule
#
# Every rule looks good if it may remove more than the others. So let each remove the same £60 per head on average,
# and compare the budget risk that is left for 50,000 people.

# %%
rules = sim.compare_rules(scenario, 50_000, expected_excess_pmpy=60.0, pool_members=540_000, k=2.0)
sim.table(rules)

# %% [markdown]
# The figures in bold at the top of this page are these, or the next cell fails:

# %%
cap, none = (summary.isel(population_size=-1).sel(threshold=at) for at in (50_000.0, math.inf))
told = [f"{1 - float(cap['exact_mean'] / none['exact_mean']):.1%}"]
told.append(f"{1 - float(cap['exact_sd'] / none['exact_sd']) ** 2:.0%}")
told.append(f"£{float(priced['price_pmpy'].sel(threshold=50_000)):.2f}")
told.append(f"£{float(f'{highest[20_000]:.3g}'):,.0f}")
assert told == ["4.6%", "52%", "£88.81", "£65,900"], told

# %% [markdown]
# For the same money a cap leaves the least risk: no rule on one patient's cost does better. Coinsurance is nearly as
# good, and leaves the provider a fifth of the cost of the costliest patients. Carving out whole patients is the worst
# value: their cost below the threshold was not the problem.
#
# ## What to conclude, and what not
#
# * A cap of £50,000 removes about a twentieth of the cost and half of the variance. Lower caps add less and less: at
#   £25,000 a tenth of the money is no longer the provider's concern.
# * Prefer a cap, or coinsurance if incentives matter; carve patients out only if their care is commissioned elsewhere.
# * The price of a high threshold depends on the far tail, which published figures do not fix. Compare
#   `east_sussex_light.toml` and `east_sussex_heavy.toml` before signing.
# * Nothing here says how care changes when a patient nears the threshold: that is behaviour, and not in the model.
