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
# # What could break this proposal?
#
# East Sussex proposes a contract for accountable care: £1,731 a head, costs above £100,000 a patient taken out,
# gains and losses shared in bands that widen over five years, and a limit on the total loss. In an ordinary year it
# looks harmless. What if things turn out otherwise than agreed: who is hurt, how badly, and how far is it to the
# cliff?

# %%
from pathlib import Path

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

# %%
answer = sim.stress(scenario, stresses, replicates=2_000)
ax = sim.plots.stress_heat_map(answer)

# %% [markdown]
# Each cell is the change of a party's expected surplus, as a share of its revenue. In the first year the commissioners
# keep most of what goes wrong; by the fifth both sides carry about the same share. Cost shifting is the exception:
# whoever shifts gains, and the commissioners pay. All at once, the stresses cost the commissioners more than one by
# one, and in the first year the providers less: the limit on their loss is reached.
#
# The acute provider's lines in figures:

# %%
sim.table(answer.sel(party=["acute"]))

# %% [markdown]
# ## Backwards: how far until somebody breaks?
#
# Reverse stress moves one input until a party's expected loss reaches 2% of its revenue. It needs no view on how
# large a stress is likely to be.

# %%
year_5 = scenario.designs[-1]
changes = {stress.name: stress.changes[0] for stress in stresses}
for name in ("prices", "patients go elsewhere"):
    for party in ("acute", "commissioners"):
        found = sim.reverse_stress(scenario, changes[name], year_5, party=party, loss_over=0.02, replicates=1_000)
        point, error = float(found["breaking_point"]), float(found["breaking_point_se"])
        print(f"{name}: 2% of revenue is lost by {party} at {point:.2%} ± {error:.2%}")

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
sim.table(matters)

# %% [markdown]
# ## What comes every year, and what comes rarely
#
# A stress is one thing that goes wrong. A contract also meets what is never the same two years running: prices, a
# winter that is hard for the old, an epidemic in one year of ten. Such shocks may hit some segments alone, come
# rarely, and go together. How much of the risk are they? The sizes in `east_sussex_systematic.toml` are assumed.

# %%
shocked = sim.load(configs / "east_sussex_systematic.toml")
split = sim.variance_by_source(shocked)
ax = sim.plots.risk_split(split, threshold=100_000.0)

# %%
sim.table(split)

# %% [markdown]
# ## What to conclude, and what not
#
# * Ask for the stresses before signing, not after. In the first year a baseline that is wrong by 3% costs the
#   commissioners 2.5% of their revenue, and the providers a fifth of that share.
# * Sharing rules move losses between parties; they do not make them smaller. A row of the map says who.
# * Where a chance can be anything from nothing to nearly certain within the range of one input, as with the number of
#   the complex, settle that input before anything else.
# * At the size of a county luck is about a twentieth of the risk: the rest comes to everybody at once, and a larger
#   population does not help.
# * The sizes of the stresses are assumptions, most of them round figures. The distance to the breaking point needs
#   no such figure: read it first, and ask how likely a move of that size is.
