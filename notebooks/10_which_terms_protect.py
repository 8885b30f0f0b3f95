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
# # Which terms protect at the least cost?
#
# **In short.** Sharing savings and losses equally leaves the provider with losses above its 2% limit in the worst
# years. The program varies the shares and the stop-loss, and proposes two alternatives. One has the cheapest terms,
# which leave little incentive, and the other the strongest incentive, which costs the commissioner a few pounds per
# head per year.
#
# The provider should lose more than 2% of its revenue in at most 5% of years, and expect to lose no more than 0.1%.

# %%
# %config InlineBackend.figure_formats = ["svg"]
from pathlib import Path

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
scenario = sim.load(configs / "search.toml")
answer = sim.propose(scenario, replicates=1_000, points=64)
sim.table(answer)

# %% [markdown]
# ## What a stronger incentive costs
#
# Each point is a design within the limits; no other that was tried is both cheaper and stronger.

# %%
ax = sim.plots.frontier(answer)

# %% [markdown]
# Different limits matter: the cheapest terms are limited by the provider's expected surplus, the strongest incentive
# by its worst years.

# %% [markdown]
# ## What to conclude, and what not
#
# * Decide first how much incentive is wanted: the alternatives differ in that, and both keep the limits.
# * The limits hold under the scenario's assumptions. Stress the chosen terms before anybody signs.
# * The search varies only the terms it was given; another form of contract may do better.
