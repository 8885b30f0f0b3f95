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
# # Who bears the risk
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
from pathlib import Path

import pandas as pd

import simulator as sim

configs = next(folder for folder in (Path("configs"), Path("../configs")) if folder.is_dir())
shared = sim.load(configs / "east_sussex_shock.toml")
scenario = sim.Scenario.model_validate(
    shared.model_dump()
    | {"simulation": shared.simulation.model_dump() | {"population_sizes": (100_000,), "thresholds": (float("inf"),)}}
)
ledger = sim.simulate(scenario, progress=False)


def carried_over(file: str, name: str, **changes: object) -> sim.Design:
    """An arrangement's last design, with the exact expected cost as its budget, and no exclusion."""
    design = sim.load(configs / "arrangements" / f"{file}.toml").designs[-1].model_dump()
    kept = {key: value for key, value in design.items() if key not in ("budget", "exclusion")}
    return sim.Design.model_validate(kept | {"name": name} | changes)


two = [{"name": "commissioner", "funds": 1.0}, {"name": "provider", "delivers": 1.0}]
designs = [
    sim.Design.model_validate({"name": "full risk", "parties": two}),
    carried_over("20-whittington", "Whittington"),
    carried_over("21-alternative-quality-contract", "AQC", parties=two),
    carried_over("04-mssp", "MSSP ENHANCED", parties=two),
    carried_over("08-mid-nottinghamshire", "Mid-Nottinghamshire"),
]
outcome = sim.settle(ledger, designs)
compared = sim.compare(outcome)
print(f"payments balance to {compared.attrs['imbalance']:.0e} of the budget in every replicate")

# %% [markdown]
# ## In words
#
# What each agreement does to who holds the risk, on the very same 10,000 years.


# %%
def told(name: str, party: str, scale: float = 1e6) -> list[str]:
    """An estimate with its standard error, in millions."""
    part = compared.sel(party=party).isel(population_size=0)
    pairs = zip(part[name].values / scale, part[f"{name}_se"].values / scale, strict=True)
    return [f"{value:+.2f} ± {error:.2f}" for value, error in pairs]


worst = compared["worst_surplus"].isel(population_size=0, quantile_level=0)
worst_se = compared["worst_surplus_se"].isel(population_size=0, quantile_level=0)
rows = {}
for design in compared["design"].values:
    for party in compared["party"].values:
        cell = {"design": design, "party": party}
        share = compared["risk_share"].isel(population_size=0).sel(cell)
        if abs(float(share)) > 1e-9 or float(compared["sd_surplus"].isel(population_size=0).sel(cell)) > 1:
            error = float(compared["risk_share_se"].isel(population_size=0).sel(cell))
            expected = float(compared["expected_surplus"].isel(population_size=0).sel(cell)) / 1e6
            expected_se = float(compared["expected_surplus_se"].isel(population_size=0).sel(cell)) / 1e6
            rows[(design, party)] = {
                "share of the risk": f"{100 * float(share):.1f}% ± {100 * error:.1f}",
                "expected surplus, £m": f"{expected:+.2f} ± {expected_se:.2f}",
                "1 year in 20 it is below, £m": (
                    f"{float(worst.sel(cell)) / 1e6:+.2f} ± {float(worst_se.sel(cell)) / 1e6:.2f}"
                ),
            }
pd.DataFrame(rows).T

# %%
ax = sim.plots.who_bears(compared)

# %% [markdown]
# ## In a picture: the payoff
#
# No draws here: what the provider has left when cost is a given share of the budget. The slope is the stake in one
# more pound saved or spent, the flat parts are where the agreement holds its hand over somebody.

# %%
ax = sim.plots.payoff_diagram(sim.payoff(designs[:4], members=100_000, capitation=1_731.0), party="provider")

# %% [markdown]
# ## Do they pay for real savings, or for luck?
#
# An agreement that shares savings should pay when something was saved, and not otherwise. With no saving at all,
# luck and the shock alone pay the provider as often as the first line says.

# %%
sharing = [design for design in designs if design.name in ("MSSP ENHANCED", "AQC")]
power = sim.detection(scenario, sharing, savings=(0.0, 0.01, 0.02, 0.04), replicates=4_000).isel(population_size=0)
pd.DataFrame(
    {
        design: [
            f"{100 * float(p):.1f}% ± {100 * float(se):.1f}"
            for p, se in zip(
                power["p_paid"].sel(design=design).values, power["p_paid_se"].sel(design=design).values, strict=True
            )
        ]
        for design in power["design"].values
    },
    index=pd.Index([f"{saving:.0%}" for saving in power["saving"].values], name="true saving"),
)

# %% [markdown]
# ## What to conclude, and what not
#
# * Under full risk the provider holds all of it. Whittington halves it by design: 30% of every change comes back as
#   money, and part of the cost does not move within the year.
# * The quality contract moves *expected* money to the provider for good quality, and shares the risk besides; the
#   shared savings programme moves little expected money and shares the risk unevenly, since savings below the
#   minimum rate earn nothing.
# * In Mid-Nottinghamshire the risk follows influence, and the partners add their own: patients who change provider,
#   and outcomes that are paid to all or to none. A party's share of the risk may differ from its share of the
#   money.
# * These are agreements carried to another population with assumed scores and shares: read the shape, not the
#   pound.
