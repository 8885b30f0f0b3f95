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
# # How large are shocks really?
#
# **In short.** Results of many organisations of different sizes, over several years, tell lasting differences from
# luck: of **150** invented ones that differ by a lasting **3%**, the 95% interval is **2.5% to 3.2%**. Luck alone
# explains about **a quarter** of the spread at 13,000 people, and as a prediction of later years it fails at every
# size. A variance that was fitted on the years before holds.

# %% [markdown]
# ## Rows whose truth is known
#
# Lasting differences of 3% (sd), differences of 1.5% that are new each year, 1% common to all in a year, and luck of
# 2.1 / √people. Real rows have the same columns: an organisation, a year, its people, its overspend as a fraction.

# %%
# %config InlineBackend.figure_formats = ["svg"]
from pathlib import Path

import numpy as np
import pandas as pd

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
TRUE = {"lasting": 0.03, "yearly": 0.015, "common_year": 0.01}
LUCK = 2.1


def panel(lasting: float, yearly: float, common_year: float, count: int = 150, years: int = 8) -> pd.DataFrame:
    """Results of organisations of 3,000 to 60,000 people."""
    rng = np.random.default_rng(20261201)
    people = np.exp(rng.uniform(np.log(3_000), np.log(60_000), count)).round()
    lasts, new = lasting * rng.normal(size=(count, 1)), yearly * rng.normal(size=(count, years))
    luck = LUCK * rng.normal(size=(count, years)) / np.sqrt(people)[:, None]
    result = common_year * rng.normal(size=years) + lasts + new + luck
    who, when = np.repeat(np.arange(count), years), np.tile(np.arange(2011, 2011 + years), count)
    return pd.DataFrame(
        {"organisation": who, "year": when, "people": np.repeat(people, years), "result": result.ravel()}
    )


rows = panel(**TRUE)

# %% [markdown]
# ## The estimate

# %%
answer = sim.spread(rows, deviation="result", luck=LUCK)
for effect, true in TRUE.items():
    low, high = answer[f"{effect}_sd_interval"].values
    print(f"{effect}: {float(answer[f'{effect}_sd']):.2%} ({low:.2%} to {high:.2%}); true {true:.1%}")
    assert low <= true <= high
low, high = answer["lasting_sd_interval"].values
assert f"{low:.1%} to {high:.1%}" == "2.5% to 3.2%"
assert (f"{TRUE['lasting']:.0%}", str(answer.attrs["organisations"])) == ("3%", "150")

# %% [markdown]
# The control: with luck alone the interval of the lasting difference includes 0.

# %%
luck_only = sim.spread(panel(0.0, 0.0, 0.01), deviation="result", luck=LUCK)
print("luck alone, lasting differences:", [f"{end:.2%}" for end in luck_only["lasting_sd_interval"].values])
assert float(luck_only["lasting_sd_interval"].sel(bound="lower")) == 0

# %% [markdown]
# ## The shocks that this implies
#
# The table ends with `[[shocks]]` for a scenario file. `simulator spread ROWS --into SCENARIO` writes a copy with them.

# %%
table = str(sim.table(answer))
print(table[table.index("[[shocks]]") :])

# %% [markdown]
# What these do to a scenario: the exact chance of an overspend above 3%. A population of any size keeps the shocks, so
# size no longer helps much.

# %%
scenario = sim.load(configs / "east_sussex.toml").with_simulation(
    population_sizes=(30_000, 300_000), thresholds=(float("inf"),)
)
kept = [{"name": effect, "cv": float(answer[f"{effect}_sd"]), "per": "unit"} for effect in ("lasting", "yearly")]
kept.append({"name": "common year", "cv": float(answer["common_year_sd"])})
shocked = sim.Scenario.model_validate(scenario.model_dump() | {"shocks": kept})
for name, one in (("luck alone", scenario), ("with shocks", shocked)):
    chance = sim.exact(one, margins=(0.03,))["p_overspend"].isel(threshold=-1).squeeze()
    print(f"{name}: {', '.join(f'{float(value):.1%} at {int(n):,}' for n, value in chance.to_series().items())}")

# %% [markdown]
# ## Would it have predicted?
#
# Fitted on 2011 to 2015, judged on 2016 to 2018. A gap is counted in standard errors: clustered by organisation, and at
# least that of independent results, since few organisations in a band may agree by chance.

# %%
judged = sim.backtest(rows, LUCK, deviation="result", after=2015)
ax = sim.plots.observed_spread(judged)
least = np.sqrt(judged["level"] * (1 - judged["level"]) / judged["judged"])
gap = abs(judged["coverage"] - judged["level"]) / np.maximum(judged["coverage_se"], least)
print(gap.max("level").round(1).to_pandas())
assert float(gap.sel(model="fitted").max()) < 3
assert float(gap.sel(model="luck").max("level").min()) > 3
share = float(judged["luck_share"].sel(people_from=10_000))
print(f"luck explains {share:.0%} of the spread at {float(judged['people_usual'].sel(people_from=10_000)):,.0f} people")
assert ("a quarter" if 0.2 < share < 0.3 else share) == "a quarter"

# %% [markdown]
# ## What to conclude, and what not
#
# * A shock need not be assumed: it can be estimated, with an interval, from results of organisations over years.
# * An interval holds the truth in 95 of 100 panels. This is one panel; another seed may miss.
# * The invented rows have normal differences, the same at every size. In real ones lasting differences fall with size:
#   look at `lasting_sd_by_size` before you carry an estimate to a larger population.
# * A budget that follows an organisation's own past already contains its lasting difference: leave that shock out.
# * The sd of luck was given. Where it is estimated, the noise of budgets is part of it.
