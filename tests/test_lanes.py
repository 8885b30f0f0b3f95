"""The three lanes: what `dev.py test`, `--fast` and `--slow` run, and that none of them loses a kind of test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest
from conftest import ROOT

import dev

FILES = sorted((ROOT / "tests").glob("test_*.py"))


@cache
def functions(text: str) -> list[tuple[str, set[str]]]:
    """Test functions and the marks upon the whole of each; marks of a few of its parameters leave the others."""
    return list(_functions(text))


def _functions(text: str) -> Iterator[tuple[str, set[str]]]:
    tree = ast.parse(text)
    whole_file = [node for node in tree.body if isinstance(node, ast.Assign) and "pytestmark" in _names(node)]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            upon = [one for one in node.decorator_list if "parametrize" not in _names(one)]
            yield node.name, set().union(*map(_names, [*upon, *whole_file]), set())


def _names(node: ast.AST) -> set[str]:
    inner = list(ast.walk(node))
    return {one.attr for one in inner if isinstance(one, ast.Attribute)} | {
        one.id for one in inner if isinstance(one, ast.Name)
    }


def kept(files: dict[str, str], *left_out: str) -> dict[str, float]:
    """The share of the test functions of each file that stay when these marks are left out, and of them all."""
    counts = {name: [not marks & set(left_out) for _, marks in functions(text)] for name, text in files.items()}
    everywhere = [one for found in counts.values() for one in found]
    return {name: sum(found) / len(found) for name, found in (counts | {"all": everywhere}).items()}


def faults(files: dict[str, str]) -> list[str]:
    fast, ordinary = kept(files, "heavy", "slow"), kept(files, "slow")
    found = [f"{name} has no test in the fast lane" for name, share in fast.items() if not share]
    found += ["the fast lane has too few functions"] if fast["all"] < 0.7 else []
    return found + (["the slow lane has too many functions to itself"] if ordinary["all"] < 0.97 else [])


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in FILES}


def test_the_fast_lane_has_most_functions_and_one_of_each_file(texts: dict[str, str]) -> None:
    assert faults(texts) == []


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("mark", "where", "fault"),
    [
        ("@pytest.mark.heavy", ["test_lanes.py"], "test_lanes.py has no test in the fast lane"),
        ("@pytest.mark.heavy", [path.name for path in FILES[::2]], "the fast lane has too few functions"),
        ("@pytest.mark.slow", [path.name for path in FILES[::4]], "the slow lane has too many functions to itself"),
    ],
)
def test_a_lane_that_loses_tests_is_found(texts: dict[str, str], mark: str, where: list[str], fault: str) -> None:
    marked = {
        name: text.replace("\ndef test_", f"\n{mark}\ndef test_") for name, text in texts.items() if name in where
    }
    assert fault in faults(texts | marked)


def test_marks_of_a_few_parameters_leave_the_function_in_its_lane() -> None:
    few = "@pytest.mark.parametrize('k', [0, pytest.param(1, marks=pytest.mark.slow)])\ndef test_x(k): pass\n"
    assert list(functions(few)) == [("test_x", set())]
    assert kept({"a": few}, "slow") == {"a": 1.0, "all": 1.0}
    assert kept({"a": "@pytest.mark.slow\n" + few}, "slow") == {"a": 0.0, "all": 0.0}
    assert kept({"a": "pytestmark = [pytest.mark.slow]\n" + few}, "slow") == {"a": 0.0, "all": 0.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], []),
        (["-k", "cap"], ["-k", "cap"]),
        (["--slow", "-n", "2"], ["-m", "", "-n", "2"]),
        (["--fast", "-x"], ["-m", "not slow and not heavy", "-n", "2", "--dist", "worksteal", "-x"]),
    ],
)
def test_a_lane_is_an_option(options: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(dev, "ensure", lambda extras: None)
    monkeypatch.setattr(dev, "run", lambda command: ran.append(command) or 0)
    assert dev.test(options) == 0
    assert ran[0][1:] == ["-m", "pytest", *words]
