"""The summary as a Word document: it holds the answer, every contract and its pictures, and can be edited."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make

import simulator as sim
from simulator.present.cli.main import main
from simulator.present.report import gather, write_word
from simulator.present.report.answer import answer_text, contract_table
from simulator.present.report.besides import besides


def drawn():
    simulation = {"replicates": 60, "population_sizes": [300, 1_000], "thresholds": [math.inf]}
    designs = [{"name": "shared", "terms": [{"kind": "share", "gain": 0.5, "loss": 0.3}]}]
    return sim.simulate(make(simulation=simulation, designs=designs, title="How large?"), progress=False)


def test_word_holds_the_answer_the_contracts_and_pictures(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx", reason="no python-docx")
    contents = gather(drawn(), author="A. Actuary")
    write_word(contents, tmp_path / "a.docx")
    made = docx.Document(str(tmp_path / "a.docx"))
    told = [paragraph.text for paragraph in made.paragraphs]
    assert told[0] == "How large?" and any(one and one in answer_text(contents) for one in told[1:3])
    assert made.core_properties.author == "A. Actuary" and "What to do next" in told
    rows = [[cell.text for cell in row.cells] for row in made.tables[0].rows]
    assert rows[1:] == [[str(cell) for cell in row] for row in contract_table(contents).rows]
    assert len(made.inline_shapes) >= 2 and made.sections[0].page_width.cm == pytest.approx(21, abs=0.01)


def test_without_the_package_one_sentence_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "docx", None)
    sim.save(drawn(), tmp_path / "r.nc")
    found = CliRunner().invoke(main, ["report", str(tmp_path / "r.nc"), "-o", str(tmp_path / "a.docx")])
    assert found.exit_code == 2 and "needs docx, which is not installed" in found.output
    assert "capitation-risk[word]" in found.output and not (tmp_path / "a.docx").exists()


def test_an_answer_of_another_verb_has_a_section_of_its_own(tmp_path: Path) -> None:
    """Several years are told without being asked for; a file without an answer is refused in one sentence."""
    years = {"contract": 3, "persistence": {"again_in_top": {0.1: {1: 0.5, 5: 0.45}}}}
    simulation = {"replicates": 40, "population_sizes": [300], "thresholds": [math.inf]}
    scenario = make(simulation=simulation, years=years)
    ledger = sim.simulate(make(simulation=simulation), progress=False)
    answer = sim.persistence(scenario)
    (section,) = besides(gather(ledger, besides=[answer]), draw=False)
    assert section.head == "What do several years of the same people mean?"
    assert any("costliest 10% again a year later" in one for one in section.said) and len(section.tables) > 3
    sim.save(ledger, tmp_path / "r.nc")
    asked = ["report", str(tmp_path / "r.nc"), "-o", str(tmp_path / "a.html"), "--with", str(tmp_path / "r.nc")]
    found = CliRunner().invoke(main, asked)
    assert found.exit_code == 2 and "holds no answer of a verb" in found.output
