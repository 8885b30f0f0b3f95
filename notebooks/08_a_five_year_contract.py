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
# # A five-year contract: does the reserve last, and does a saving pay?
#
# **In short.** A reserve must be larger for the whole contract than for one year, the more so as costly people stay
# costly. A benchmark that is made anew every year takes a lasting saving away after one year. A fixed overhead decides
# how large and how long a contract must be for an investment to pay.

# %%
# %config InlineBackend.figure_formats = ["svg"]
from pathlib import Path

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
file = sim.load(configs / "east_sussex_years.toml")
scenario = file.with_simulation(replicates=400, population_sizes=(10_000, 40_000), thresholds=(float("inf"),))
ledger = sim.simulate(scenario, progress=False)

# %% [markdown]
# ## Does the reserve last?
#
# The provider is at full risk. A reserve of 3% of the first year's budget meets its deficits, and gets half of its
# surpluses.

# %%
parties = [{"name": "payer", "funds": 1.0}, {"name": "provider", "delivers": 1.0}, {"name": "reserve"}]
pool = {"kind": "risk_pool", "pool": "reserve", "protects": ["provider"], "opening": 0.03, "from_gains": 0.5}
reserve = sim.Design(name="reserve", parties=parties, transfers=[pool | {"carries": True}])
answer = sim.over_years(sim.settle(ledger, reserve))
ax = sim.plots.reserve_fan(answer, members=10_000)
needed = answer["opening_needed"].sel(design="reserve").to_series()
for size, share in needed.items():
    print(f"{size:,} people: an opening balance of {share:.1%} of the budget lasts five years with 95% probability")

# %% [markdown]
# ## Does rebasing take our savings away?
#
# The provider saves 1% of cost in every year. Its gain in each year, against the same contract without the saving, as a
# share of what is saved:

# %%
gain = {"investment": {"by": "provider"}}  # a saving that costs nothing
past = {"kind": "past_years", "weights": [0.1, 0.3, 0.6], "correlation": [0.3]}
rules = {
    "never rebased": past,
    "rebased every year, last year alone": past | {"weights": [1.0], "rebase_every": 1},
    "rebased every 3 years": past | {"rebase_every": 3},
    "every 3 years, half given back": past | {"rebase_every": 3, "savings_returned": 0.5},
}
designs = [sim.Design(name=name, budget=budget, savings=0.01, contract=gain) for name, budget in rules.items()]
outcome = sim.settle(ledger, designs).sel(population_size=40_000, party="provider")
saved = 0.01 * outcome["system_cost"].sel(design="never rebased").mean("replicate") / 0.99
kept = (outcome["investment_gain"].mean("replicate") / saved).transpose("design", "year")
print(kept.to_pandas().round(2).to_string())
assert abs(float(kept.sel(design="never rebased").min()) - 1) < 0.02
assert abs(float(kept.sel(design="rebased every year, last year alone", year=2))) < 0.02

# %% [markdown]
# ## When is an investment paid back?
#
# £1m at the start and £300,000 a year, whatever the number of people; the saving grows to 2% by the third year.

# %%
invested = sim.Design(
    name="investment",
    savings=[0.0, 0.01, 0.02],
    contract={"investment": {"by": "provider", "set_up": 1_000_000.0, "overhead": 300_000.0}},
)
answer = sim.over_years(sim.settle(ledger, invested, discount_rate=0.035))
ax = sim.plots.payback(answer)
gain = answer["system_npv"].sel(design="investment").transpose("population_size", "year") / 1e6
print("net gain of all parties since year 1, £m, discounted at 3.5%, by people and length")
print(gain.to_pandas().round(2).to_string())
assert gain.sel(year=5, population_size=10_000) < 0 < gain.sel(year=5, population_size=40_000)

# %% [markdown]
# ## What to conclude, and what not
#
# * Ask for the opening balance that lasts the whole contract, and not one year alone.
# * Read the rebasing clause before you count savings.
# * Overhead that does not grow with the list needs a large list or a long contract.
# * The saving is assumed; whether it happens is no question for a simulation of luck.
