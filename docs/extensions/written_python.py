"""The Python reference: every public name under the job it serves."""

import inspect
from types import ModuleType
from typing import Any

import simulator

GROUPS: dict[str, tuple[str, ...]] = {
    "Load and draw": (
        "load", "Scenario", "simulate", "extend", "merge", "save", "open_ledger", "retained_cost", "by_unit",
        "SimulatorError",
    ),
    "Size it": (
        "summarise", "exact", "exact_curve", "minimum_population", "minimum_by_target", "viable_terms",
        "viable_threshold", "variance_by_source", "load_minimum_rate", "beside_published",
    ),
    "Cut it": ("Cap", "Coinsure", "CarveOut", "Banded", "fair_price", "compare_rules"),
    "Share it": (
        "Design", "load_designs", "settle", "compare", "payoff", "exact_settlement", "settle_actuals", "detection",
        "layers",
    ),
    "Doubt it": ("stress", "load_stresses", "reverse_stress", "sensitivity", "luck"),
    "Your own figures": ("fit", "fit_bands", "model_population", "calibrate", "describe"),
    "Show it": ("table", "exceedance", "fan", "funnel", "plots"),
}  # fmt: skip
"""Names by job, in the order in which one meets them."""

ROOMS = {
    "contracts": "Share it",
    "costs": "Your own figures",
    "analysis": "Doubt it",
    "present": "Show it",
    "stresses": "Doubt it",
}
"""Where a public name goes that no group lists: by the room in which it lives."""

DEFAULT = "Load and draw"

BESIDE = {
    "Load and draw": ("simulator.runs.RunInterrupted", "simulator.analysis.statistics.precision.simulate_until"),
    "Your own figures": ("simulator.fitting.fit.FittedModel",),
}
"""Documented with a group although they are not imported from the package itself: what public functions give."""


def public_names() -> list[str]:
    """The public names, sorted."""
    return list(simulator.__all__)


def group_of(name: str, home: str) -> str:
    """The job of a public name that lives in `home`, such as ".analysis.exact"."""
    for group, names in GROUPS.items():
        if name in names:
            return group
    return ROOMS.get(home.strip(".").split(".")[0], DEFAULT)


def grouped() -> dict[str, list[str]]:
    """Every public name in its group, those that a group lists first and in its order."""
    homes = simulator._HOMES
    found: dict[str, list[str]] = {group: [name for name in names if name in homes] for group, names in GROUPS.items()}
    listed = {name for names in found.values() for name in names}
    for name in public_names():
        if name not in listed:
            found[group_of(name, homes[name])].append(name)
    return found


def shown_name(name: str) -> str:
    """The name under which a public name stands in the reference."""
    thing = getattr(simulator, name)
    return thing.__name__ if isinstance(thing, ModuleType) else f"simulator.{name}"


def python_pages() -> dict[str, str]:
    """A page for each group, and a list of them."""
    groups = grouped()
    pages = {f"python/{slug(group)}.md": _page(group, names) for group, names in groups.items()}
    listed = "\n".join(slug(group) for group in groups)
    tables = "\n".join(f"\n## {group}\n\n{_table(names)}" for group, names in groups.items())
    pages["python/index.md"] = (
        "# Python\n\n`import simulator as sim`, and everything below is `sim.<name>`. Public names stay for one minor "
        f"version after they are deprecated.\n{tables}\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )
    return pages


def slug(group: str) -> str:
    """A file's name for a group."""
    return group.lower().replace(" ", "_")


def first_sentence(thing: Any) -> str:
    """What a thing is, in its own words."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    return paragraph.replace("|", "\\|")


def _table(names: list[str]) -> str:
    rows = [
        f"| {{py:obj}}`{name} <{shown_name(name)}>` | {first_sentence(getattr(simulator, name))} |" for name in names
    ]
    return "\n".join(["| name | what it is |", "|---|---|", *rows])


def _page(group: str, names: list[str]) -> str:
    parts = [f"# {group}\n"]
    for name in names:
        thing = getattr(simulator, name)
        parts.append(f"## {name}\n\n{_described(thing, f'simulator.{name}')}")
    for path in BESIDE.get(group, ()):
        module, _, name = path.rpartition(".")
        thing = getattr(__import__(module, fromlist=[name]), name)
        parts.append(f"## {name}\n\n{_described(thing, path)}")
    return "\n".join(parts)


def _described(thing: Any, path: str) -> str:
    if isinstance(thing, ModuleType):
        lines = [f".. automodule:: {thing.__name__}", ""]
        lines += [f".. autofunction:: {thing.__name__}.{name}" for name in thing.__all__]
    elif inspect.isclass(thing):
        inherited = "   :inherited-members: BaseModel, Term, Exception, KeyboardInterrupt, BaseException, ValueError"
        lines = [f".. autoclass:: {path}", "   :members:", inherited]
    else:
        lines = [f".. autofunction:: {path}"]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```\n"
