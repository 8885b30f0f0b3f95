"""The layout: imports go down the floors of the house only, and no two files import each other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import simulator as sim
from simulator import deprecated

ROOT = Path(__file__).resolve().parents[1] / "simulator"

FLOORS = (
    ("errors", "numerals", "stopping"),
    ("terms", "paths"),
    ("thresholds",),
    ("machine", "deprecated"),
    ("files", "netcdf", "effort"),
    ("rows",),
    ("ledger", "strata"),
    ("costs",),
    ("engine",),
    ("contracts", "stresses"),
    ("scenario", "unusual"),
    ("fitting", "runs"),
    ("settlement",),
    ("analysis",),
    ("present",),
    ("__init__", "__main__"),
)
"""From the ground up. A scenario is composed of the terms of its contracts, which therefore lie below it."""

GROUND = ("errors", "terms", "paths", "thresholds")
"""What every file may import."""

UPWARD = {
    ("ledger.variables", "analysis.statistics.statistic"): "a file may hold a summary; a statistic declares its own",
}
"""Imports that climb, each with its reason; they stand inside a function, so that nothing is loaded before its turn."""


def test_imports_go_down_the_floors_only():
    assert set(climbing(imports_of(ROOT))) == set(UPWARD)
    assert not climbing(set(imports_of(ROOT, everywhere=False)))


def test_terms_know_no_more_than_terms_and_cost_models():
    for importer, imported in imports_of(ROOT):
        if room_of(importer) == "contracts":
            assert room_of(imported) in (*GROUND, "deprecated", "costs", "contracts"), f"{importer} imports {imported}"


def test_the_ground_knows_nothing_of_the_house():
    for importer, imported in imports_of(ROOT):
        assert importer != "numerals" and (importer != "errors" or imported == "numerals"), (importer, imported)
        leaf = room_of(importer) in ("files", "netcdf", "machine", "ledger", "strata", "effort")
        known = (*GROUND, "machine", "deprecated", "files", "netcdf", room_of(importer))
        assert not leaf or room_of(imported) in known or (importer, imported) in UPWARD, (importer, imported)


def test_plots_compute_nothing():
    """A picture takes a Dataset and asks nobody for a figure; what the shell gives it, its `Picture` asks for apart."""
    for importer, imported in imports_of(ROOT, everywhere=False):
        if importer.startswith("present.plots."):
            assert room_of(imported) in (*GROUND, "files", "ledger", "present"), f"{importer} imports {imported}"


def test_what_is_computed_for_a_picture_is_asked_for_by_a_function_of_the_request():
    for path in (ROOT / "present" / "plots").glob("*.py"):
        for function in asking_functions(path.read_text(encoding="utf-8")):
            assert [ast.unparse(one.annotation or ast.Constant("")) for one in _arguments(function)] == ["PlotRequest"]
    assert asking_functions("def draw(ax: Axes): from ...analysis.luck import fan")  # a control


def asking_functions(source: str) -> list[ast.FunctionDef]:
    """Functions that import from a room that computes."""
    rooms = ("analysis", "settlement", "engine", "runs")
    return [
        function
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef)
        and any(isinstance(one, ast.ImportFrom) and (one.module or "").startswith(rooms) for one in ast.walk(function))
    ]


def test_no_two_files_import_each_other():
    assert not circles(imports_of(ROOT))


def test_no_room_is_larger_than_one_can_hold_in_the_head():
    sizes = {room: len(list(room.glob("*.py"))) for room in ROOT.rglob("*") if room.is_dir()}
    crowded = {room.name for room, files in sizes.items() if files > MOST_FILES}
    assert crowded <= {"plots", "answers", "families"}, "one file a kind is the idea of these alone"


MOST_FILES = 20


def test_a_kind_of_answer_is_one_file():
    """Three files show what is no Dataset: a fit, a description, a calibration; `actuals` shows rows."""
    files = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "present" / "answers").glob("*.py")}
    several = {name for name, text in files.items() if text.count("Kind(") > 1}
    without = {name for name, text in files.items() if "\nKIND = Kind(" not in text}
    assert not several
    assert without == {"__init__", "shared", "fit", "description", "calibration", "actuals"}
    assert set(files) - without <= {line.partition(",")[0] for line in VARIABLES.read_text("utf-8").splitlines()}


VARIABLES = ROOT / "ledger" / "variables.csv"


def test_whether_a_threshold_is_money_or_a_percentile_is_asked_in_one_file():
    assert files_that_say(ROOT, r"isinstance\([^)]*\b(Percentiles|thresholds, tuple)\b") == ["thresholds"]
    assert files_that_say(ROOT, ASKS_FOR_PERCENTILES) == ["thresholds"]


ASKS_FOR_PERCENTILES = r"""(unit|units|"units"[])]+) [!=]= "1\""""


def test_nobody_asks_a_term_whether_it_has_a_method():
    """What a step of a design does not say of itself is said in `contracts/context.py`."""
    asking = files_that_say(ROOT, r"\b(hasattr\(|getattr\((step|term), \")")
    assert not [file for file in asking if room_of(file) in ("contracts", "settlement")]


def files_that_say(root: Path, pattern: str) -> list[str]:
    return sorted(_name(path, root) for path in root.rglob("*.py") if re.search(pattern, path.read_text("utf-8")))


@pytest.mark.heavy
def test_functions_take_at_most_eight_arguments():
    """But for the public face, where each is a keyword of its own, the verbs, and the compiled loops."""
    sources = {_name(path, ROOT): path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
    public = {*sim.__all__, *deprecated.NAMES}
    wide = [
        (file, function.name)
        for file, source in sources.items()
        for function in wide_functions(source)
        if file != "engine.kernels" and function.name not in public
        and not any("command(" in ast.unparse(one) for one in function.decorator_list)
    ]  # fmt: skip
    assert wide == []


def wide_functions(source: str) -> list[ast.FunctionDef]:
    """Functions of more than eight arguments, beside that of a method's own object."""
    functions = [one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef)]
    return [one for one in functions if len(_arguments(one)) > 8]


def _arguments(function: ast.FunctionDef) -> list[ast.arg]:
    taken = function.args
    named = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *filter(None, (taken.vararg, taken.kwarg))]
    return [one for one in named if one.arg not in ("self", "cls")]


# ── these rules can fail ─────────────────────────────────────────────────────────────────────────


def test_a_house_that_is_upside_down_is_found_out(tmp_path):
    write(tmp_path, {
        "terms.py": "",
        "costs/__init__.py": "",
        "costs/model.py": "def draw():\n    from ..engine.loops import run\n",
        "costs/law.py": "from . import model\n",
        "engine/__init__.py": "",
        "engine/loops.py": "from ..costs.model import draw\nfrom ..terms import Term\nfrom .other import x\n",
        "engine/other.py": "from .third import x",
        "engine/third.py": "if True:\n    from ..engine import loops\n",
        "analysis/__init__.py": "",
        "analysis/size.py": "import simulator.present.page\nfrom simulator.terms import Term\nimport numpy\n",
        "present/page.py": "",
    })  # fmt: skip
    found = set(imports_of(tmp_path))
    assert {("costs.law", "costs.model"), ("engine.loops", "terms"), ("analysis.size", "terms")} <= found
    assert set(climbing(found)) == {("costs.model", "engine.loops"), ("analysis.size", "present.page")}
    assert set(circles(found)) == {("costs.model", "engine.loops", "engine.other", "engine.third")}
    assert ("costs.model", "engine.loops") not in imports_of(tmp_path, everywhere=False)


def test_a_function_of_nine_arguments_is_found():
    nine = ", ".join("abcdefghi")
    (found,) = wide_functions(f"def f({nine[:-3]}): pass\nclass A:\n    def g(self, {nine[:-3]}, *, k): pass\n")
    assert found.name == "g"


def test_a_question_that_is_asked_elsewhere_is_found(tmp_path):
    write(tmp_path, {
        "a.py": "isinstance(scenario.thresholds, Percentiles)\n",
        "b.py": 'ledger["threshold"].attrs.get("units") == "1"\nunit != "1"',
        "c.py": 'print("units", "1")',
    })  # fmt: skip
    assert files_that_say(tmp_path, r"isinstance\([^)]*\bPercentiles\b") == ["a"]
    assert files_that_say(tmp_path, ASKS_FOR_PERCENTILES) == ["b"]


def test_types_alone_are_no_circle(tmp_path):
    write(tmp_path, {"a.py": "from .b import B", "b.py": "if TYPE_CHECKING:\n    from .a import A\n"})
    assert ("b", "a") in imports_of(tmp_path) and not circles(imports_of(tmp_path))


# ── reading ──────────────────────────────────────────────────────────────────────────────────────

Import = tuple[str, str]
"""Two files, the first of which imports the second, from the package's root: ("costs.model", "base")."""


@cache
def imports_of(root: Path, everywhere: bool = True) -> dict[Import, bool]:
    """Every import of one file by another, and whether any of them is more than for types.

    Without `everywhere`, only what is loaded with the file: not inside functions, and not for types.
    """
    files = {_name(path, root): path for path in root.rglob("*.py")}
    found: dict[Import, bool] = {}
    for importer, path in files.items():
        package = importer.split(".")[:-1] if path.name != "__init__.py" or importer == "__init__" else [importer]
        for statement, inside, for_types in _statements(ast.parse(path.read_text(encoding="utf-8"))):
            if not everywhere and (inside or for_types):
                continue
            for imported in _targets(statement, package, files):
                if imported != importer:
                    found[importer, imported] = found.get((importer, imported), False) or not for_types
    return found


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _statements(node: ast.AST, inside: bool = False, for_types: bool = False) -> Iterator[tuple[ast.stmt, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, inside, for_types
        typed = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield from _statements(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef), typed)


def _targets(statement: ast.stmt, package: list[str], files: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(statement, ast.Import):
        modules = [alias.name.removeprefix("simulator.") for alias in statement.names]
        yield from (module for module in modules if module in files)
        return
    assert isinstance(statement, ast.ImportFrom)
    if statement.level:
        base = package[: len(package) - statement.level + 1]
    elif (statement.module or "").split(".")[0] == "simulator":
        base = []
    else:
        return
    base = [*base, *(statement.module or "").removeprefix("simulator").strip(".").split(".")]
    module = ".".join(part for part in base if part)
    for alias in statement.names:
        inner = f"{module}.{alias.name}".strip(".")
        yield from [inner] if inner in files else [module] if module in files else []


def room_of(file: str) -> str:
    return file.partition(".")[0]


def floor_of(file: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room_of(file) in rooms)


def climbing(imports: Mapping[Import, bool] | set[Import]) -> list[Import]:
    return [(importer, imported) for importer, imported in imports if floor_of(imported) > floor_of(importer)]


def circles(imports: Mapping[Import, bool] | set[Import]) -> list[tuple[str, ...]]:
    """Files that reach each other by what is more than types, in alphabetical order, a tuple for each circle."""
    real = imports if isinstance(imports, set) else {pair for pair, loaded in imports.items() if loaded}
    ways: dict[str, set[str]] = {}
    for importer, imported in real:
        ways.setdefault(importer, set()).add(imported)
    reach = {file: _reached(file, ways) for file in ways}
    rings = {tuple(sorted(b for b in reach[a] if a in reach.get(b, ()))) for a in reach if a in reach[a]}
    return sorted(rings)


def _reached(start: str, ways: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = ways.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh
    return found


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
