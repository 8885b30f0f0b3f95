"""What if things do not go to plan? What the stresses do, in sentences, a picture and tables."""

from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter

from ..answers import stress
from ..figure import people
from ..tables import Rows, Table
from .charts import Chart
from .gather import Contents, stressable

_DECIMALS = 2
"""Of a per cent of revenue, at most."""

_NOTE = "Change of the party’s expected surplus, on the same simulated years, as a share of its revenue as agreed."

CHART = Chart(
    "stress_heat_map",
    "Each cell is the change of a party's expected surplus, as a share of its revenue as agreed.",
    attrgetter("stressed"),
    lambda contents, _: stress_tables(contents),
    lambda contents: contents.stressed is not None,
    "Who is hurt, and by what?",
)


def drawn_for(contents: Contents) -> str:
    """For which population, and how often, the stresses were drawn; or why not."""
    found = contents.stressed
    if found is None:
        return f"not simulated: no design {'has a threshold of its own' if contents.designs else 'is given'}"
    known = found.attrs
    return f"{people(known['members'])} people, {people(known['replicates'])} simulated years each"


def said(contents: Contents) -> list[str]:
    """What is done here, and which stress hurts whom most under each design."""
    found = contents.stressed
    if found is None:
        return [f"The scenario’s stresses were {drawn_for(contents)}."]
    told = [f"Budgets stay as agreed; what happens is simulated anew: {drawn_for(contents)}."]
    swept = [design.name for design in contents.designs if design not in stressable(contents.designs)]
    if swept:
        told.append(f"Not stressed, because it has no threshold of its own: {', '.join(swept)}.")
    return told + [stress.worst_sentence(str(name), found.sel(design=name)) for name in found["design"].values]


def stress_tables(contents: Contents) -> Iterator[Table]:
    """What each stress means; and for each design, what each stress (rows) costs each party (columns)."""
    given = contents.scenario["stresses"]
    rows: Rows = [[one["name"], one.get("expresses") or "—"] for one in given]
    note = "As given. “All together” is every one of them at once." if len(given) > 1 else "As given."
    yield Table(["Stress", "What it expresses"], rows, "The stresses", note=note, prose=True)
    found = contents.stressed
    assert found is not None
    for design in found["design"].values:
        made = stress.table(found.sel(design=design), f"{design}: what each stress costs", _DECIMALS)
        yield replace(made, note=_NOTE)
