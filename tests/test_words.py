"""Plain English: phrases that a native finance reader stumbles over occur nowhere that a person reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import simulator as sim
from simulator.present.cli.main import main

ROOT = Path(__file__).resolve().parents[1]

BANNED = {
    r"must come out": "should be excluded",
    r"synthetic populations": "simulated years",
    r"\bas drawn\b": "the same in every simulated year",
    r"± <|rounded outwards": "the digits that the error supports",
    r"as read off the simulated": "interpolated between the sizes simulated",
    r"whatever a design sets": "assumes budget = expected cost",
    r"[Ww]hat this rests on|cannot tell you of": "assumptions, limitations",
    r"beyond what luck explains": "differ by more than chance",
    r"\btolerated\b": "accepted",
    r"left over or lacking": "surplus or deficit",
    r"[Ww]hat hits (everybody|many)": "system-wide shocks",
    r"upright lines": "vertical bars",
    r"years no costlier": "percentile",
    r"lies as far out": "a gap this large, either way",
    r"\bagainst first\b": "change from the status quo",
    r"limit bound\b|gate missed": "loss limit applied, minimum savings rate not reached",
    r"would break at|not even at 100%": "reaches its loss limit at",
    r"[Ss]ystematic risk alone|without end\b": "risk left however large the population",
    r"\bbears on\b": "explains",
    r"\bnot told\b": "suppressed",
    r"\bis no verb\b|: are none\b": "unknown command",
    r"are negative in \d": "rows have negative costs",
    r"\ba gift\b": "an expected payment for no saving",
    r"risk drawn is on": "carries",
    r"nothing of any patient": "no patient data",
    r"turns? out otherwise|otherwise than (agreed|planned)": "do not go to plan",
    r"[Nn]ot to be had": "not available",
    r"leave it away": "omit it",
    r"has it not\b": "lacks it",
    r"stands? (beside|in its file)|\bborne in mind": "is next to",
    r"without draws": "without simulation",
    r"wash(es)? (it )?out": "average out",
    r"\ba head and year\b|\ba row a figure\b|one row an? ": "per",
    r"\bsomebody breaks\b|party breaks": "reaches its limit",
}
"""A pattern, and what to write instead."""


def offences(text: str) -> list[str]:
    """Banned phrases in a text, each with what stands around it and what to write instead."""
    text = re.sub(r"\s+", " ", re.sub(r"\n\s*# ?", "\n", text))
    return [
        f"…{text[max(0, found.start() - 40) : found.end() + 40]}…: write {plain!r}"
        for pattern, plain in BANNED.items()
        for found in re.finditer(pattern, text)
    ]


def written() -> Iterator[Path]:
    """What people read in the repository; the changelog may quote old phrases."""
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff"))
    yield from (path for path in sorted((ROOT / "docs").rglob("*.md")) if "generated" not in path.parts)
    yield from sorted((ROOT / "notebooks").glob("*.py"))
    yield from sorted((ROOT / "configs").rglob("*.toml"))
    yield from sorted((ROOT / "simulator").rglob("*.toml"))


def sentences(source: str) -> Iterator[str]:
    """Strings of a module that may be shown: all but docstrings."""
    tree = ast.parse(source)
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def test_documents_are_plain():
    found = {str(path.relative_to(ROOT)): offences(path.read_text(encoding="utf-8")) for path in written()}
    assert len(found) > 60 and not {name: said for name, said in found.items() if said}


@pytest.mark.heavy
def test_sentences_in_the_program_are_plain():
    found = {
        str(path.relative_to(ROOT)): offences("\n".join(sentences(path.read_text(encoding="utf-8"))))
        for path in (ROOT / "simulator").rglob("*.py")
    }
    assert len(found) > 200 and not {name: said for name, said in found.items() if said}


@pytest.mark.parametrize("verb", [None, *sorted(main.commands)])
def test_help_is_plain(verb):
    answer = CliRunner().invoke(main, [*([verb] if verb else []), "--help"])
    assert answer.exit_code == 0 and not offences(answer.output)


@pytest.mark.parametrize(
    "command",
    [
        "check configs/uncertain.toml",
        "settle configs/arrangements/30-pgp-demonstration.toml --payoff",
        "calibrate --mean 952 --p-user 85% --top-share 5%=51.4%",
    ],
)
def test_pages_are_plain(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    answer = CliRunner().invoke(main, command.split())
    assert answer.exit_code == 0 and answer.output and not offences(answer.output)


@pytest.mark.heavy
def test_pages_of_simulated_figures_are_plain():
    few = {"replicates": 50, "population_sizes": (100, 1_000)}
    ledger = sim.simulate(sim.load(ROOT / "configs" / "uncertain.toml").with_simulation(**few), progress=False)
    for errors in (False, True):
        assert not offences(str(sim.table(sim.summarise(ledger), errors=errors)))
        assert not offences(str(sim.table(sim.compare(sim.settle(ledger, sim.Design(name="all"))), errors=errors)))


def test_an_old_phrase_is_found():
    """The control: each pattern is met by an old sentence, over line breaks too."""
    assert len(offences("£0 as\n# drawn; ± < 0.1; chances not told, and what hits\neverybody")) == 4
    assert offences("\n".join(sentences('"""as drawn"""\nx = f"{y} is a gift"\n'))) and not offences(
        "\n".join(sentences('"""as drawn"""\n'))
    )
    assert not offences("the same in every simulated year; system-wide shocks")
