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
# **In short.** A contract with half of savings and losses breaks the limit of 2% in bad years. The program searches its
# shares and its stop-loss, and answers with two alternatives. They are the cheapest, which leaves little incentive, and
# the strongest incentive, which costs the commissioner a few pounds a head.
#
# The provider should lose over 2% of its revenue in at most 5% of years, and expect to lose no more than 0.1%.

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
# Each point is a design within the limits; none that was tried is both cheaper and stronger.

# %%
ax = sim.plots.frontier(answer)

# %% [markdown]
# The limits bind in different places: the cheapest terms are held back by the provider's expected surplus, the
# strongest by its worst years.

# %% [markdown]
# ## What to conclude, and what not
#
# * Decide first how much incentive is wanted: the alternatives differ in that, and both keep the limits.
# * The limits hold under the scenario's assumptions. Stress the terms that are chosen before anybody signs.
# * The search changes only the terms that it was given; another form of contract may do better.
