"""`simulator new`: each template to a run, what was given and what was assumed, sheets, questions and mistakes."""

import json
import math
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import simulator as sim
from simulator.present.cli.main import main
from simulator.present.cli.new_scenario import TEMPLATES, read_sheet
from simulator.present.cli.verbs import new

GIVEN = [
    *("--place", "North=60,000", "--place", "South side=1.2m"),
    *("--band", "young=60%:£900:80%", "--band", "old=40%:2.5k:95%"),
    *("--top-share", "5%=52%", "--currency", "EUR", "--cap", "£40k", "--cap", "90,000", "--yes"),
]


def call(*given, said=None):
    ran = CliRunner().invoke(main, list(given), input=said)
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.stdout, ran.stderr


@pytest.fixture(autouse=True)
def an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "template", [pytest.param(one, marks=() if one in ("aco", "pcn") else pytest.mark.slow) for one in TEMPLATES]
)
def test_what_each_template_writes_can_be_checked(template):
    code, text, notes = call("new", "mine.toml", "--template", template, "--yes")
    assert (code, notes) == (0, "") and "Written: mine.toml" in text
    if template == "aco":  # what `new` prints is what `check` prints
        assert text.endswith(call("check", "mine.toml")[1].partition("\n\n")[2])
    scenario, target = sim.load("mine.toml"), 0.514 if template in ("places", "pcn", "alliance") else 0.4
    assert set(scenario.variants) == {"light", "heavy"} and len(scenario.designs) in (2, 3) and scenario.shocks
    means = []
    for name in ("central", "light", "heavy"):
        described = sim.describe(scenario.variant(name))
        assert described["top_share"]["0.05"] == pytest.approx(target, abs=1e-6)
        means.append(described["mean"])
    assert means == pytest.approx([means[0]] * 3, rel=1e-8)
    assert not any("assumed" not in line for line in Path("mine.toml").read_text().splitlines() if "members =" in line)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "template", [pytest.param(one, marks=() if one == "aco" else pytest.mark.slow) for one in TEMPLATES]
)
def test_what_each_template_writes_can_be_run(template):
    assert call("new", "mine.toml", "--template", template, "--yes")[0] == 0
    code, _, notes = call("run", "mine.toml", "--replicates", "100")
    assert (code, notes) == (0, "")


@pytest.mark.heavy
def test_what_is_given_stands_in_the_file_and_is_no_assumption():
    code, text, notes = call("new", "mine.toml", *GIVEN, "--json")
    assert (code, notes) == (0, "") and json.loads(text)["written"] == "mine.toml"
    written = Path("mine.toml").read_text()
    found = tomllib.loads(written)
    assert [(u["name"], u["members"]) for u in found["population"]["units"]] == [
        ("North", 60_000),
        ("South side", 1_200_000),
    ]
    assert [(s["share"], s["p_user"]) for s in found["population"]["segments"]] == [(0.6, 0.8), (0.4, 0.95)]
    assert found["population"]["calibrate"] == {"top_share": {"0.05": 0.52}}
    assert found["simulation"]["thresholds"] == [40_000, 90_000, math.inf] and found["currency"] == "EUR"
    described = sim.describe(sim.load("mine.toml"))
    assert [row["mean"] for row in described["segments"]] == pytest.approx([900, 2_500], rel=1e-9)
    assert described["top_share"]["0.05"] == pytest.approx(0.52, abs=1e-6)
    marked = [line for line in written.splitlines() if "assumed" in line and not line.startswith("#")]
    own = ("cv = 0.015", "exclusion", "    {", '"young"', '"old"')
    assert marked and all(line.startswith(own) for line in marked)


@pytest.mark.heavy
def test_a_tail_that_cannot_have_the_concentration_is_left_out_and_the_file_says_so():
    assert call("new", "mine.toml", "--top-share", "5%=20%", "--yes")[0] == 0
    assert set(sim.load("mine.toml").variants) == {"light"}
    assert "# No heavy variant" in Path("mine.toml").read_text()


@pytest.mark.heavy
def test_a_copy_of_the_project_gets_the_line_for_editors(tmp_path):
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "scenario.schema.json").write_text("{}")
    (tmp_path / "mine").mkdir()
    assert call("new", "mine/own.toml", "--yes")[0] == 0
    assert Path("mine/own.toml").read_text().startswith("#:schema ../schemas/scenario.schema.json\n")


MISTAKES = {
    "no file": (["new"], "OUT: is missing; name the file to write"),
    "impossible": (["new", "a.toml", "--top-share", "5%=99.99%"],
                   "--top-share: the costliest 5% of people cannot hold 99.99%"),
    "no band": (["new", "a.toml", "--band", "old=20%:3400"],
                "--band: 'old=20%:3400' does not fit; write it as name=share:mean"),
    "no money": (["new", "a.toml", "--band", "old=20%:dear:95%"], "--band: 'dear' is not a number"),
    "shares": (["new", "a.toml", "--band", "old=20%:3,400:95%"], "--band: has shares that add up to 0.2, not 1"),
    "nobody": (["new", "a.toml", "--place", "North=0"], "--place: 0"),
    "twice": (["new", "a.toml", "--place", "N=5", "--place", "N=6"], "--place: has more than one 'N'"),
    "currency": (["new", "a.toml", "--currency", "pound"], "--currency: 'pound' is no currency of ISO 4217"),
    "template": (["new", "a.toml", "--template", "place"], "--template: 'place' must be one of places, pcn"),
    "there": (["new", "there.toml"], "OUT there.toml: exists, and is not overwritten; name another file"),
    "sheet there": (["new", "--sheet-template", "there.toml"], "--sheet-template there.toml: exists"),
    "no sheet": (["new", "a.toml", "--from", "none.csv"], "none.csv: does not exist"),
    "bad row": (["new", "a.toml", "--from", "bad.csv"], "bad.csv: place 'North': 'many' is not a"),
    "bad kind": (["new", "a.toml", "--from", "kind.csv"],
                 "kind.csv: 'town' is no kind of row; write one of place, band"),
    "nowhere": (["new", "/no/such/a.toml"], "OUT /no/such/a.toml: lies in a folder that does not exist"),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.heavy) if n == "impossible" else n for n in MISTAKES]
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(name):
    line, sentence = MISTAKES[name]
    head = "what,name,amount,mean a head,any cost\n"
    for file, text in (
        ("there.toml", "x"),
        ("bad.csv", f"{head}place,North,many,,\n"),
        ("kind.csv", f"{head}town,N,5,,\n"),
    ):
        Path(file).write_text(text)
    code, text, said = call(*line, "--yes")
    assert (code, text, len(said.splitlines())) == (2, "", 1), said
    assert said.startswith(f"simulator: {sentence}")
    assert not Path("a.toml").exists() and Path("there.toml").read_text() == "x"


@pytest.mark.heavy
@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_sheet_gives_what_the_options_give(ending):
    sheet, filled = f"empty.{ending}", f"filled.{ending}"
    assert call("new", "--sheet-template", sheet) == (0, "", "")
    assert read_sheet(sheet) == {}
    table = pd.read_csv(sheet, dtype=object) if ending == "csv" else pd.read_excel(sheet, engine="calamine")
    table = table.astype(object)
    rows = {
        0: ["place", "North", 60_000],
        3: ["place", "South side", "1.2m"],
        12: ["band", "young", 0.6, 900, 0.8],
        13: ["band", "old", "40%", "£2,500", "95%"],
        18: ["top share", "5%", "52%"],
        19: ["currency", "code", "EUR"],
    }
    for at, row in rows.items():
        table.iloc[at, : len(row)] = row
    (table.to_csv if ending == "csv" else table.to_excel)(filled, index=False)
    assert read_sheet(filled) == {
        "places": (("North", 60_000), ("South side", 1_200_000)),
        "bands": (("young", 0.6, 900.0, 0.8), ("old", 0.4, 2_500.0, 0.95)),
        "top_share": (0.05, 0.52),
        "currency": "EUR",
    }
    assert call("new", "mine.toml", "--from", filled, "--currency", "USD", "--yes")[0] == 0
    written = Path("mine.toml").read_text()
    assert 'currency = "USD"\n' in written and "members = 1_200_000\n" in written


@pytest.mark.heavy
def test_a_terminal_is_asked_for_what_is_missing_and_enter_assumes(monkeypatch):
    monkeypatch.setattr(new, "may_ask", lambda: True)
    said = "pcn\nA=30,000; B=many\nA=30,000; B=40k\n\n5%=52%\n\n"
    code, text, _ = call("new", "mine.toml", said=said)
    assert code == 0 and "'many' is not a" in text
    written = Path("mine.toml").read_text()
    assert "members = 40_000\n" in written and 'top_share = { "0.05" = 0.52 }\n' in written
    assert 'currency = "GBP"  # assumed' in written and 'template "pcn"' in written


@pytest.mark.heavy
def test_without_a_terminal_nothing_is_asked():
    code, text, _ = call("new", "mine.toml", "--template", "aco", said="")
    assert code == 0 and "Currency" not in text
