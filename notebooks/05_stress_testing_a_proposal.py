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
# **In short.** In the first year, a baseline that is 3% too low costs the commissioners **2.6%** of their revenue and
# the acute provider **0.4%**. By the fifth year the acute provider is expected to lose 2% of its revenue if prices
# rise by **2.5%** more than agreed. For the county's 540,000 people luck is **4.5%** of the variance, so that
# system-wide shocks matter most.
#
# East Sussex proposes a contract for accountable care: £1,731 per head, costs above £100,000 per patient excluded,
# gains and losses shared in bands that widen over five years, and a limit on the total loss. In an average year it
# looks harmless. What if things do not go to plan: who is hurt, how badly, and how much can go wrong before somebody
# reaches a limit?

# %%
# %config InlineBackend.figure_formats = ["svg"]
from pathlib import Path

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
scenario = sim.load(configs / "arrangements" / "01-east-sussex.toml")
for design in scenario.designs:
    print(f"{design.name}: {design.expresses}")

# %% [markdown]
# ## Stresses, one by one and all at once
#
# The program comes with a library of stresses. Budgets stay as agreed, and every stress uses the same random numbers as
# the base case, so that the differences have small simulation errors.

# %%
stresses = sim.load_stresses(configs / "stresses" / "arrangements.toml")
for stress in stresses:
    print(f"{stress.name}: {stress.expresses}")

# %%
answer = sim.stress(scenario, stresses, replicates=2_000)
ax = sim.plots.stress_heat_map(answer)

# %% [markdown]
# Each cell is the change of a party's expected surplus, as a share of its revenue. In the first year the commissioners
# carry most of what goes wrong; by the fifth both sides carry about the same share. Cost shifting is the exception:
# whoever shifts gains, and the commissioners pay. All at once, the stresses cost the commissioners more than one by
# one, and in the first year the providers less, because the limit on their loss is reached.
#
# The acute provider's figures:

# %%
sim.table(answer.sel(party=["acute"]))

# %% [markdown]
# ## In reverse: how far until somebody reaches a limit?
#
# A reverse stress moves one input until a party's expected loss reaches 2% of its revenue. It needs no view on how
# large a stress is likely to be.

# %%
year_5 = scenario.designs[-1]
changes = {stress.name: stress.changes[0] for stress in stresses}
limits = {}
for name in ("prices", "patients go elsewhere"):
    for party in ("acute", "commissioners"):
        found = sim.reverse_stress(scenario, changes[name], year_5, party=party, loss_over=0.02, replicates=1_000)
        limits[name, party] = float(found["breaking_point"])
        print(sim.table(found).verdict[0])

# %% [markdown]
# ## Which assumption matters?
#
# Another question: of the inputs that nobody knows for sure, which matters most for the answer? A scenario can give
# their ranges.

# %%
uncertain = sim.load(configs / "uncertain.toml")
matters = sim.sensitivity(uncertain, members=50_000, threshold=50_000, margin=0.03)
ax = sim.plots.tornado(matters)

# %%
sim.table(matters)

# %% [markdown]
# ## What comes every year, and what comes rarely
#
# A stress is one thing that goes wrong. A contract also faces what differs from year to year: prices, a winter that is
# hard on the old, an epidemic one year in ten. Such shocks may hit only some segments, come rarely, and come together.
# How much of the risk do they cause? The sizes in `east_sussex_systematic.toml` are assumed.

# %%
shocked = sim.load(configs / "east_sussex_systematic.toml")
split = sim.variance_by_source(shocked)
ax = sim.plots.risk_split(split, threshold=100_000.0)

# %%
sim.table(split)

# %% [markdown]
# The figures in bold at the top of this page are these, or the next cell fails:

# %%
wrong = answer["surplus_difference_share"].sel(stress="wrong baseline", design="accountable care, year 1")
told = [f"{-float(wrong.sel(party=party)):.1%}" for party in ("commissioners", "acute")]
told.append(f"{limits['prices', 'acute']:.1%}")
told.append(f"{float(split['share'].sel(source='process', threshold=100_000).isel(population_size=-1)):.1%}")
assert told == ["2.6%", "0.4%", "2.5%", "4.5%"], told

# %% [markdown]
# ## What to conclude, and what not
#
# * Run the stresses before signing, not after. In the first year a baseline that is wrong by 3% costs the
#   commissioners 2.6% of their revenue, and the acute provider about a sixth of that share.
# * Sharing rules move losses between parties; they do not make them smaller. The map shows who pays.
# * If the range of one input takes a chance from nothing to nearly certain, as the number of complex patients does
#   here, settle that input first.
# * For a county, luck is about a twentieth of the risk: the rest hits everybody at once, and a larger population does
#   not help.
# * The sizes of the stresses are assumptions, most of them round figures. The distance to the limit needs no such
#   figure: look at it first, and ask how likely a move of that size is.
