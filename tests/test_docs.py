"""The documentation's machinery: every public name has a group, every key and verb a row, and files exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import simulator as sim
from simulator import deprecated
from simulator.present.cli.verbs.settle import settle as settle_verb
from simulator.settlement.actual_rows import COLUMNS

sys.path.insert(0, str(ROOT / "docs" / "extensions"))

import written_commands
import written_python
import written_scenario

PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "generated" not in path.parts]


def test_every_public_name_has_a_page_and_a_row() -> None:
    pages = written_python.python_pages()
    for job, names in sim.JOBS.items():
        page = pages[f"python/{job}.md"]
        assert [
            name for name in names if f"\n## {name}\n" not in page or f"`{name} <" not in pages["python/index.md"]
        ] == []


def test_what_has_left_is_documented_in_its_room() -> None:
    beside = {path for paths in written_python.BESIDE.values() for path in paths}
    assert {f"simulator{home}.{name}" for name, home in deprecated.NAMES.items()} <= beside


INNER = re.compile(r"^\s*from simulator\.([\w.]+) import (.+)$", flags=re.M)
"""An import of a part of the program."""

READ = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
READ += [path for folder in ("notebooks", "benchmarks", "configs") for path in sorted((ROOT / folder).glob("*.py"))]


def test_documents_use_no_inner_module_where_there_is_a_public_way() -> None:
    assert {path.name: found for path in READ if (found := inner_names(path.read_text(encoding="utf-8")))} == {}
    assert inner_names("    from simulator.runs import RunInterrupted, simulate\n") == ["simulate"]


def inner_names(text: str) -> list[str]:
    names = [name.strip() for _, imported in INNER.findall(text) for name in imported.split(",")]
    return [name for name in names if name in {*sim.__all__, "with_simulation", "scenario_from"}]


def test_the_how_to_names_every_column_of_real_rows() -> None:
    page = (ROOT / "docs" / "howto" / "share.md").read_text(encoding="utf-8")
    rows = {frozenset(re.findall(r"`(\w+)`", row.rpartition("|")[0].rpartition("|")[0])) for row in page.splitlines()}
    assert [names for names in COLUMNS.values() if frozenset(names) not in rows] == []
    help_ = settle_verb.help or ""
    missing = [m for m, names in COLUMNS.items() if not any(name in help_ for name in names)]
    assert missing == []


def test_every_key_of_the_schema_is_in_the_reference() -> None:
    page = written_scenario.scenario_page()
    schema = json.loads((ROOT / "schemas" / "scenario.schema.json").read_text())
    for name, one in schema["$defs"].items():
        assert f"(scenario-{name.lower()})=" in page, name
        for key, its in one.get("properties", {}).items():
            assert "const" in its or f"| `{key}` |" in page, (name, key)


@pytest.mark.parametrize(
    ("its", "words"),
    [
        ({"type": "number", "minimum": 0, "maximum": 1}, "number, at least 0, at most 1"),
        ({"type": "array", "items": {"type": "integer", "exclusiveMinimum": 0}}, "list of: whole number, above 0"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"enum": ["fixed", "sampled"]}, '`"fixed"` or `"sampled"`'),
    ],
)
def test_bounds_in_words(its: dict[str, object], words: str) -> None:
    assert written_scenario._kind(its, {}) == words


def test_every_verb_and_option_is_in_the_reference() -> None:
    from simulator.present.cli.main import main

    page = written_commands.command_page()
    for name, verb in main.commands.items():
        section = page.partition(f"## simulator {name}\n")[2].partition("\n## ")[0]
        for option in verb.params:
            long = [word for word in option.opts if word.startswith("--")]
            assert not long or long[0] in section, (name, long)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_files_on_a_page_exist(page: Path) -> None:
    from simulator.present.cli.main import main

    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"^simulator (\w+)", text, flags=re.M)) <= set(main.commands)
    files = re.findall(r"configs/[\w./-]+\.(?:toml|py)", text)
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_no_page_prints_an_output_that_was_not_run() -> None:
    # tables of the program are drawn with this line: it may stand only where the build puts it
    assert [page.name for page in PAGES if "────" in page.read_text(encoding="utf-8")] == []


@pytest.mark.slow
@pytest.mark.parametrize("guarded", [True, False])
def test_the_example_with_processes_runs_as_a_script(guarded: bool, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "long_runs.md").read_text(encoding="utf-8")
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", page, flags=re.S) if "ProcessPool" in code)
    small = example.replace("configs/uncertain.toml", "small.toml").replace("results/many.nc", "many.nc")
    text = (ROOT / "configs" / "uncertain.toml").read_text(encoding="utf-8").replace("2_000", "60", 1)
    (tmp_path / "small.toml").write_text(text, encoding="utf-8")
    # the control: without the guard every new process starts the script over
    code = small if guarded else small.replace('if __name__ == "__main__":', "if True:")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    where, run = {**os.environ, "PYTHONPATH": str(ROOT)}, [sys.executable, "example.py"]
    ran = subprocess.run(run, cwd=tmp_path, env=where, capture_output=True, timeout=300)
    assert (ran.returncode == 0) == guarded, ran.stderr
    assert not guarded or sim.open_ledger(tmp_path / "many.nc").sizes["replicate"] == 60
