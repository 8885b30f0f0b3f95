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
# # Stress-testing a proposal
#
# East Sussex proposes a contract for accountable care: £1,731 a head, costs above £100,000 a patient taken out,
# gains and losses shared in bands that widen over five years, and a limit on the total loss. In an ordinary year it
# looks harmless. What if things turn out otherwise than agreed: who is hurt, how badly, and how far is it to the
# cliff?

# %%
from pathlib import Path

import pandas as pd

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
scenario = sim.load(configs / "arrangements" / "01-east-sussex.toml")
for design in scenario.designs:
    print(f"{design.name}: {design.expresses}")

# %% [markdown]
# ## Stresses, one by one and all at once
#
# A library of ready stresses comes with the program. Budgets stay as agreed, and every stress shares its draws with
# the base case, so that the differences are paired and their errors small.

# %%
stresses = sim.load_stresses(configs / "stresses" / "arrangements.toml")
for stress in stresses:
    print(f"{stress.name}: {stress.expresses}")
answer = sim.stress(scenario, stresses, replicates=4_000)

# %%
ax = sim.plots.stress_map(answer, design="accountable care, year 5")

# %% [markdown]
# Each cell is the change of a party's expected surplus, as a share of its revenue. The first column is the
# commissioners: under this contract they keep most of what goes wrong, and the more so in the first year. The
# provider's side is protected from everything but the drift of many years.

# %%
cell = answer.sel(design="accountable care, year 1", party="acute")
pd.DataFrame(
    {
        "change, share of revenue": [
            f"{100 * value:+.2f}% ± {100 * error:.2f}"
            for value, error in zip(
                cell["surplus_difference_share"].values, cell["surplus_difference_share_se"].values, strict=True
            )
        ],
        "P(loses more than 2% of revenue)": [
            f"{100 * value:.2f}% ± {100 * error:.2f}"
            for value, error in zip(cell["p_loss_over"].values, cell["p_loss_over_se"].values, strict=True)
        ],
    },
    index=pd.Index(cell["stress"].values, name="stress, acute provider, year 1"),
)

# %% [markdown]
# ## Backwards: how far until somebody breaks?
#
# Reverse stress moves one input until a party's expected loss reaches 2% of its revenue.

# %%
year_5 = scenario.designs[-1]
inputs = {stress.name: stress.changes[0] for stress in stresses if stress.name in ("prices", "wrong baseline")}
for name, change in inputs.items():
    for party in ("acute", "commissioners"):
        found = sim.reverse_stress(scenario, change, year_5, party=party, loss_over=0.02, replicates=1_000)
        point, error = float(found["breaking_point"]), float(found["breaking_point_se"])
        print(f"{name}: 2% of revenue is lost by {party} at {point:+.2%} ± {error:.2%}")

# %% [markdown]
# ## Which assumption matters?
#
# Another question: of the inputs that nobody knows for sure, which moves the answer? A scenario may give their
# ranges.

# %%
uncertain = sim.load(configs / "uncertain.toml")
matters = sim.sensitivity(uncertain, members=50_000, threshold=50_000, margin=0.03)
ax = sim.plots.tornado(matters)

# %%
pd.DataFrame(
    {
        "share explained with all others": matters["total_order"].to_series().map("{:.0%}".format),
        "95% interval": [f"{low:.0%} to {high:.0%}" for low, high in matters["total_order_interval"].values],
    }
)

# %% [markdown]
# ## What to conclude, and what not
#
# * Ask for the stresses before signing, not after: a wrong baseline of 3% does more harm to the commissioners than
#   ten ordinary years of luck.
# * Sharing rules move losses between parties; they do not make them smaller. A row of the map says who.
# * The sizes of the stresses are assumptions, most of them round figures. The distance to the breaking point needs
#   no such figure: read it first, and ask how likely a move of that size is.
