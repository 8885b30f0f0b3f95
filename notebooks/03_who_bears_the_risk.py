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
# # Who bears the risk?
#
# Four agreements, much discussed, say who carries what a fixed budget does not cover:
#
# * **Mid-Nottinghamshire** (2016): a capitated budget for an alliance; two acute trusts compete for patients within
#   a cap and a collar; 1.8% of the contract is paid for outcomes, to all partners or to none.
# * **Alternative Quality Contract** (Massachusetts): the better the quality, the larger the premium and the gain,
#   and the smaller the loss.
# * **Medicare Shared Savings Program, ENHANCED track**: savings shared from the first dollar, behind a minimum
#   rate.
# * **Whittington** (2012): last year's outturn, and 30% of every change of activity.
#
# Each comes from a file in `configs/arrangements/` that says what is published and what is assumed. To see them
# side by side, each is carried here to one and the same population, 100,000 people of East Sussex with a common
# shock of 1.5% (assumed), with the expected cost as its budget and nobody's cost excluded. So what differs is the
# agreement alone.

# %%
from math import inf
from pathlib import Path

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
county = sim.load(configs / "east_sussex_shock.toml").model_dump()
county["simulation"] |= {"population_sizes": (100_000,), "thresholds": (inf,)}
scenario = sim.Scenario.model_validate(county)
ledger = sim.simulate(scenario, progress=False)

# %% [markdown]
# An arrangement file holds a population and a budget of its own. Its last design is taken without them: then the
# budget is the exact expected cost of the people above.

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
# ## Who holds what
#
# The picture first: what each party expects, and what it is left with in its own bad year.

# %%
ax = sim.plots.who_bears(compared)

# %% [markdown]
# The same in figures. The share of risk is a party's part in the variance of what all of them have left together.

# %%
sim.table(compared)

# %% [markdown]
# ## Exact beside drawn
#
# Where an agreement looks at nothing but the total cost, what each party may expect needs no draws. The draws must
# agree with that within their error; where an agreement looks at more, the reason why it must be drawn is given.

# %%
exact = sim.exact_settlement(scenario, designs).isel(population_size=-1)
for name, reason in exact["needs_draws"].to_series().items():
    print(f"{name}: {f'no exact figures, since {reason}' if reason else 'exact'}")

# %%
drawn = compared.isel(population_size=-1)[["expected_surplus", "expected_surplus_se"]]
told = exact["design"][exact["needs_draws"] == ""]
beside = drawn.assign(exact_surplus=exact["expected_surplus"]).sel(design=told, party="provider")
beside["standard_errors_off"] = (beside["expected_surplus"] - beside["exact_surplus"]) / beside["expected_surplus_se"]
columns = ["exact_surplus", "expected_surplus", "expected_surplus_se", "standard_errors_off"]
beside[columns].to_dataframe()[columns].round(dict.fromkeys(columns[:3], 0) | {"standard_errors_off": 1})

# %% [markdown]
# ## The payoff: nothing but the agreement
#
# No draws here: what each party has left when cost is a given share of the budget. The slope is the stake in one
# more pound saved or spent; the flat parts are where the agreement protects a party.

# %%
payoffs = sim.payoff(designs, scenario=scenario, members=100_000)
for design in ("AQC", "MSSP ENHANCED", "Mid-Nottinghamshire"):
    ax = sim.plots.payoff_diagram(payoffs, design=design)

# %% [markdown]
# ## From the capitation to what is left
#
# One agreement in full: where each pound of Mid-Nottinghamshire's capitation goes in a bad year.

# %%
ax = sim.plots.layer_waterfall(sim.layers(ledger, designs[-1]))

# %% [markdown]
# ## Do they pay for real savings, or for luck?
#
# An agreement that shares savings should pay when something was saved, and not otherwise. In the first column
# nothing was saved at all: luck, the shock, and in the quality contract the quality, pay the provider that often.

# %%
sharing = [design for design in designs if design.name in ("MSSP ENHANCED", "AQC")]
sim.table(sim.detection(scenario, sharing, savings=(0.0, 0.01, 0.02, 0.04), replicates=4_000))

# %% [markdown]
# ## What to conclude, and what not
#
# * Under full risk the provider holds all of it. Whittington leaves it three tenths: 40% of the cost does not move
#   within the year (assumed), and half of what does comes back as money (published: 30% of every change).
# * The quality contract moves *expected* money to the provider for good quality, and halves the risk besides. So it
#   pays nearly always, saving or none: that it paid says nothing of savings.
# * The shared savings programme moves little expected money, and puts more of the risk on the commissioner: savings
#   below the minimum rate earn nothing. A provider who saved nothing is paid in about one year of seven, and one who
#   saved 2% only in every second.
# * In Mid-Nottinghamshire the risk follows influence, and the partners add their own: patients who change provider,
#   and outcomes that are paid to all or to none. So a party's share of the risk may differ from its share of the
#   money: the community carries nearly half of the one, and delivers about a quarter of the care.
# * These are agreements carried to another population with assumed scores and shares: read the shape, not the
#   pound.
