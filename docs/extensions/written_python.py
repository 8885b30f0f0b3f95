"""The Python reference: every public name under the job it serves."""

import inspect
from types import ModuleType
from typing import Any

import simulator

BESIDE = {
    "build": ("simulator.fitting.fit.model_population", "simulator.costs.model.calibrate_population"),
    "draw": (
        "simulator.runs.extend", "simulator.ledger.by_unit", "simulator.runs.RunInterrupted",
        "simulator.analysis.statistics.precision.simulate_until", "simulator.ledger.parts.Checkpoint",
        "simulator.ledger.verify",
    ),
    "size": ("simulator.analysis.answer.answer", "simulator.analysis.size.viable.viable_terms"),
    "cut": ("simulator.contracts.exclusion.Banded",),
    "share": ("simulator.settlement.shared_designs.load_designs",),
    "fit": ("simulator.fitting.fit.fit_bands", "simulator.fitting.fit.FittedModel"),
}  # fmt: skip
"""Documented with a job although imported from their rooms: rarer tools, and what public functions give."""


def public_names() -> list[str]:
    """The public names, job by job."""
    return list(simulator.__all__)


def shown_name(name: str) -> str:
    """The name under which a public name stands in the reference."""
    thing = getattr(simulator, name)
    return thing.__name__ if isinstance(thing, ModuleType) else f"simulator.{name}"


def python_pages() -> dict[str, str]:
    """A page for each job, and a list of them."""
    jobs = simulator.JOBS
    pages = {f"python/{job}.md": _page(job, names) for job, names in jobs.items()}
    listed = "\n".join(jobs)
    tables = "\n".join(f"\n## {job.capitalize()}\n\n{_table(names)}" for job, names in jobs.items())
    pages["python/index.md"] = (
        "# Python\n\n`import simulator as sim`, and everything below is `sim.<name>`. A name that leaves works "
        f"for one minor version more, and its warning says what to write.\n{tables}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )
    return pages


def first_sentence(thing: Any) -> str:
    """What a thing is, in its own words."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    return paragraph.replace("|", "\\|")


def _table(names: tuple[str, ...]) -> str:
    rows = [
        f"| {{py:obj}}`{name} <{shown_name(name)}>` | {first_sentence(getattr(simulator, name))} |" for name in names
    ]
    return "\n".join(["| name | what it is |", "|---|---|", *rows])


def _page(job: str, names: tuple[str, ...]) -> str:
    parts = [f"# {job.capitalize()}\n"]
    for name in names:
        thing = getattr(simulator, name)
        parts.append(f"## {name}\n\n{_described(thing, f'simulator.{name}')}")
    for path in BESIDE.get(job, ()):
        module, _, name = path.rpartition(".")
        thing = getattr(__import__(module, fromlist=[name]), name)
        parts.append(f"## {name}\n\n`from {module} import {name}`\n\n{_described(thing, path)}")
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
