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
# # Who carries the risk?
#
# **In short.** Under full risk the provider's result moves with the whole cost, and under Whittington's agreement by
# **30%** as much. The Alternative Quality Contract gives it **£11.2m** a year on average, for quality. The Medicare
# programme pays a provider that saved nothing in **14%** of years, and one that saved 2% in **50%**.
#
# Four well-known agreements say who pays what a fixed budget does not cover:
#
# * **Mid-Nottinghamshire** (2016): a capitated budget for an alliance; two acute trusts compete for patients within
#   a cap and a collar; 1.8% of the contract is paid for outcomes, to all partners or to none.
# * **Alternative Quality Contract** (Massachusetts): the better the quality, the larger the premium and the gain,
#   and the smaller the loss.
# * **Medicare Shared Savings Program, ENHANCED track**: savings shared from the first dollar, once they reach a minimum
#   rate.
# * **Whittington** (2012): last year's outturn, and 30% of every change in activity.
#
# Each comes from a file in `configs/arrangements/` that says what is published and what is assumed. To compare them,
# each is applied here to the same population, 100,000 people of East Sussex with a common shock of 1.5% (assumed), with
# the expected cost as its budget and no cap. So only the agreement differs.

# %%
# %config InlineBackend.figure_formats = ["svg"]
from math import inf
from pathlib import Path

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
county = sim.load(configs / "east_sussex_shock.toml")
scenario = county.with_({"simulation.population_sizes": [100_000], "simulation.thresholds": [inf]})
ledger = sim.simulate(scenario, progress=False)

# %% [markdown]
# An arrangement file has its own population and budget. We take its last design without them: then the budget is the
# exact expected cost of the people above.

# %%
two = [{"name": "commissioner", "funds": 1.0}, {"name": "provider", "delivers": 1.0}]


def carried_over(file: str, name: str, **changes: object) -> sim.Design:
    design = sim.load(configs / "arrangements" / f"{file}.toml").designs[-1].model_dump(exclude={"budget", "exclusion"})
    return sim.Design.model_validate(design | {"name": name} | changes)


designs = [
    sim.Design.model_validate({"name": "full risk", "parties": two}),
    carried_over("20-whittington", "Whittington"),
    carried_over("21-alternative-quality-contract", "AQC", parties=two),
    carried_over("04-mssp", "MSSP ENHANCED", parties=two),
    carried_over("08-mid-nottinghamshire", "Mid-Nottinghamshire"),
]
compared = sim.compare(sim.settle(ledger, designs))
print(f"largest imbalance of the accounts: {compared.attrs['imbalance']:.0e} of the budget, which is rounding")

# %% [markdown]
# ## Who carries what
#
# The picture first: each party's average result, and its result in its own bad year.

# %%
ax = sim.plots.who_bears(compared)

# %% [markdown]
# The same in figures. The share of risk is a party's part of the variance of all surpluses together.

# %%
sim.table(compared)

# %% [markdown]
# ## Calculated and simulated
#
# If an agreement depends only on the total cost, each party's average result needs no simulation. The simulation must
# agree with it within its error. If an agreement depends on more, the program says why it must be simulated.

# %%
exact = sim.exact_settlement(scenario, designs).isel(population_size=-1)
for name, reason in exact["needs_draws"].to_series().items():
    print(f"{name}: {f'must be simulated, since {reason}' if reason else 'calculated'}")

# %%
simulated = compared.isel(population_size=-1)[["expected_surplus", "expected_surplus_se"]]
calculated = exact["design"][exact["needs_draws"] == ""]
both = simulated.assign(exact_surplus=exact["expected_surplus"]).sel(design=calculated, party="provider")
both["standard_errors_off"] = (both["expected_surplus"] - both["exact_surplus"]) / both["expected_surplus_se"]
columns = ["exact_surplus", "expected_surplus", "expected_surplus_se", "standard_errors_off"]
both[columns].to_dataframe()[columns].round(dict.fromkeys(columns[:3], 0) | {"standard_errors_off": 1})

# %% [markdown]
# ## The payoff: the agreement alone
#
# No simulation here: each party's surplus when the cost is a given share of the budget. The slope is the party's stake
# in one more pound saved or spent; on the flat parts the agreement protects it.

# %%
payoffs = sim.payoff(designs, scenario=scenario, members=100_000)
for design in ("AQC", "MSSP ENHANCED", "Mid-Nottinghamshire"):
    ax = sim.plots.payoff_diagram(payoffs, design=design)

# %% [markdown]
# ## From the capitation to the surplus
#
# One agreement in full: where each pound of Mid-Nottinghamshire's capitation goes in a bad year.

# %%
ax = sim.plots.layer_waterfall(sim.layers(ledger, designs[-1]))

# %% [markdown]
# ## Do they pay for real savings, or for luck?
#
# An agreement that shares savings should pay when something was saved, and not otherwise. In the first column nothing
# was saved at all: that is how often luck, the shock and, in the quality contract, quality pay the provider anyway.

# %%
sharing = [design for design in designs if design.name in ("MSSP ENHANCED", "AQC")]
detected = sim.detection(scenario, sharing, savings=(0.0, 0.01, 0.02, 0.04), replicates=4_000)
sim.table(detected)

# %% [markdown]
# The figures in bold at the top of this page are these, or the next cell fails:

# %%
spread = compared["sd_surplus"].isel(population_size=-1).sel(party="provider")
told = [f"{float(spread.sel(design='Whittington') / spread.sel(design='full risk')):.0%}"]
gain = compared["expected_surplus"].isel(population_size=-1).sel(party="provider", design="AQC")
told.append(f"£{float(gain) / 1e6:.1f}m")
paid = detected["p_paid"].isel(population_size=-1).sel(design="MSSP ENHANCED")
told += [f"{float(paid.sel(saving=saving)):.0%}" for saving in (0.0, 0.02)]
assert told == ["30%", "£11.2m", "14%", "50%"], told

# %% [markdown]
# ## What to conclude, and what not
#
# * Under full risk the provider carries all of it. Whittington leaves it three tenths: 40% of the cost does not change
#   within the year (assumed), and half of the rest is paid back (published: 30% of every change).
# * The quality contract moves *expected* money to the provider for good quality, and half of the variance is his. So it
#   nearly always pays, saving or none: a payment says nothing about savings.
# * The shared savings programme moves little expected money, and puts more of the risk on the commissioner: savings
#   below the minimum rate earn nothing. A provider who saved nothing is paid in about one year in seven, and one who
#   saved 2% only in every second year.
# * In Mid-Nottinghamshire the risk is shared by influence, and the contract adds risks of its own: patients who change
#   provider, and outcomes that are paid to all or to none. So a party's share of the risk may differ from its share of
#   the money: the community carries nearly half of the risk, and delivers about a quarter of the care.
# * These agreements are applied to another population, with assumed scores and shares: look at the pattern, not at the
#   pounds.
