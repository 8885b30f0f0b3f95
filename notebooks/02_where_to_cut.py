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
# A few patients carry most of the risk. Take their costs out, above some threshold, and a smaller population can
# live on a fixed budget. But what is taken out must be paid by somebody, and whoever no longer pays for a patient
# no longer gains by caring for him better. Where should the cut be, of which kind, and what is a fair price for the
# rest?
#
# The population is East Sussex; every step below uses the same draws.

# %%
from pathlib import Path

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
scenario = sim.load(configs / "east_sussex.toml")
ledger = sim.simulate(scenario, progress=False)
summary = sim.summarise(ledger, margins=(0.03,))
print(summary.attrs["check_sentence"])

# %% [markdown]
# ## What a threshold takes out
#
# Few of the patients, little of the cost, most of the variance. That is why exclusion is worth its trouble at all.

# %%
ax = sim.plots.threshold_effect(summary)

# %% [markdown]
# ## What it does for the smallest viable population
#
# Each cell is the chance that cost exceeds the budget by more than 3%; the line is where that happens in one year
# of twenty. Along the line, a smaller population is bought with a lower threshold.

# %%
least = sim.minimum_by_target(summary, (0.05,), margin=0.03)
ax = sim.plots.heat_map(summary.assign(least))

# %% [markdown]
# How strict is one year of twenty? The same draws answer for other targets.

# %%
ax = sim.plots.minimum_by_target(sim.minimum_by_target(summary, margin=0.03))

# %% [markdown]
# The question can be turned round: what is the highest threshold at which a list of this size is viable? These
# are exact, without draws.

# %%
for members in (15_000, 20_000, 25_000, 30_000):
    threshold = sim.viable_threshold(scenario, members, margin=0.03, at_most=0.05)
    print(f"{members:,} people: cap one patient's annual cost at £{threshold:,.0f} or less (exact)")

# %% [markdown]
# ## What a pool must charge for it
#
# Somebody takes the excess: the commissioner, a risk pool of all of the county, a reinsurer. The fair price is what
# it expects to pay, and more for its own luck. Here the pool has all 540,000 people and asks for two standard
# deviations.

# %%
sim.table(sim.fair_price(scenario, pool_members=540_000, k=2.0))

# %% [markdown]
# The higher the threshold, the less is paid and the larger the part of it that is loading: a pool for the costliest
# few needs many members.
#
# ## Which kind of cut
#
# Every rule looks good if it may remove more than the others. So let each remove the same £60 a head on average,
# and compare what is left of the budget's risk for 50,000 people.

# %%
rules = sim.compare_rules(scenario, 50_000, expected_excess_pmpy=60.0, pool_members=540_000, k=2.0)
sim.table(rules)

# %% [markdown]
# For the same money a cap leaves the least risk: nobody can do better with a rule on one patient's cost.
# Coinsurance is nearly as good, and leaves the provider a stake of a fifth in the costliest patients. Carving
# patients out as a whole is the worst buy: below the threshold their cost was not the problem.
#
# ## What to conclude, and what not
#
# * A cap of £50,000 takes about a twentieth of the cost and half of the variance. Going further down buys less and
#   less: below £25,000 a tenth of the money is no longer the provider's concern.
# * Prefer a cap, or coinsurance where incentive matters; carve patients out only where care itself is commissioned
#   elsewhere.
# * The price of a high threshold depends on the far tail, which published figures do not fix. Compare
#   `east_sussex_light.toml` and `east_sussex_heavy.toml` before signing.
# * Nothing here says how patients' care changes when a threshold is near: that is behaviour, and not in the model.
