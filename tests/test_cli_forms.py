"""Every verb as tables, JSON and CSV; quiet in pipes; and one sentence for what click finds wrong."""

from __future__ import annotations

import html
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import ROOT, every

import simulator as sim
from simulator import stopping
from simulator.present.cli import shell
from simulator.present.cli.demo import main as demo
from simulator.present.cli.main import main
from simulator.present.pictures import PICTURES
from simulator.present.plot_request import PlotRequest
from simulator.present.tables import WIDEST
from simulator.present.tidy import LAST

SMALL = """
title = "small <b>"
[simulation]
replicates = 120
population_sizes = [200, 1_000, 4_000]
thresholds = [5_000, inf]
seed = 4
[population]
[[population.segments]]
name = "mostly <i>well"
share = 0.9
p_user = 0.8
severity = { family = "lognormal", mean = 1_000.0, cv = 2.0 }
[[population.segments]]
name = "complex"
share = 0.1
severity = { family = "lognormal", mean = 8_000.0, cv = 1.5 }
[[designs]]
name = "full risk"
[[stresses]]
name = "dear year"
expresses = "prices rise"
changes = [{ kind = "inflation", by = 0.03 }]
[[ranges]]
name = "prices"
low = -0.02
high = 0.03
change = { kind = "inflation", by = 0.0 }
[[ranges]]
name = "baseline"
low = -0.05
high = 0.05
change = { kind = "baseline_error", by = 0.0 }
"""

SEARCH = """
[search]
figures = [{ path = "parties[provider].loss_limit", between = [0.01, 0.05] }]
limits = [{ party = "provider", loss_over = 0.03, at_most = 0.1 }]
"""

VERBS = {
    "check": "check SMALL",
    "years": "years YEARS",
    "new": "new FRESH --template pcn --yes",
    "run": "run SMALL",
    "run --exact": "run SMALL --exact",
    "answer": "answer SMALL --margin 0.1 --at-most 0.2",
    "size": "size SMALL --margin 0.1 --at-most 0.2 --largest 20000",
    "size --members": "size SMALL --members 4000",
    "luck": "luck SMALL --members 4000 --overspend 0.04",
    "spread": "spread PANEL --deviation result --luck 2",
    "backtest": "backtest PANEL 2 --deviation result --after 2",
    "settle": "settle SMALL",
    "settle --payoff": "settle SMALL --payoff",
    "settle --actuals": "settle SMALL --actuals ROWS",
    "propose": "propose SMALL --search SEARCH --points 16 --replicates 100",
    "stress": "stress SMALL",
    "stress --reverse": "stress SMALL --reverse provider",
    "sensitivity": "sensitivity SMALL --points 8 --statistic cv",
    "fit": "fit COSTS --cost total --segment band --sets 0",
    "fit --family": "fit COSTS --cost total --segment band --sets 0 --family lognormal",
    "verify": "verify DRAWN",
    "merge": "merge FIRST SECOND -o MERGED",
    "calibrate": "calibrate --mean 952 --p-user 0.85 --top-share 0.05=0.514",
    "calibrate --family": "calibrate --family gamma --mean 952 --cv 2",
}
CHEAP = [verb for verb in VERBS if verb != "fit"]
"""All but the choice among all families, which takes seconds."""
FIRST = {"check", "run --exact", "size --members", "luck", "settle --payoff", "stress", "verify", "calibrate --family"}
"""Verbs of which the ordinary tests ask for one form by its option."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("forms")
    (made / "small.toml").write_text(SMALL)
    several = "cohort = { chosen = { top = 0.1 } }\n[years]\ncontract = 2\nbefore = 1\nleavers = 0.1\n"
    several += "persistence = { correlation = { 1 = 0.3 }, stay = 0.9 }\n"
    (made / "years.toml").write_text(SMALL.replace("[population]\n", f"[population]\n{several}"))
    pd.DataFrame({"name": ["north", "south"], "budget": [100.0, 200.0], "cost": [90.0, 230.0]}).to_csv(
        made / "rows.csv", index=False
    )
    panel = [(k, t, 5_000 + 900 * k, 0.01 * ((k * 7 + t * (5 + k % 3)) % 11 - 5)) for k in range(20) for t in range(4)]
    names = ["organisation", "year", "people", "result"]
    pd.DataFrame(panel, columns=names).to_csv(made / "panel.csv", index=False)
    (made / "search.toml").write_text(SEARCH)
    small = sim.load(made / "small.toml")
    sim.save(sim.exact(small), made / "drawn.nc")
    for name, first in (("first", 0), ("second", 120)):
        sim.save(sim.simulate(small, progress=False, first_replicate=first), made / f"{name}.nc")
    costs = [float(1 + (k * 7_919) % 4_001) * (1 + (k % 7)) for k in range(600)]
    pd.DataFrame({"total": costs, "band": ["a" if k % 3 else "b" for k in range(600)]}).to_csv(
        made / "costs.csv", index=False
    )
    return made


def arguments(verb: str, folder: Path) -> list[str]:
    known = {
        "SMALL": "small.toml",
        "SEARCH": "search.toml",
        "YEARS": "years.toml",
        "ROWS": "rows.csv",
        "PANEL": "panel.csv",
        "COSTS": "costs.csv",
        "FRESH": "fresh.toml",
        "DRAWN": "drawn.nc",
        "FIRST": "first.nc",
        "SECOND": "second.nc",
        "MERGED": "merged.nc",
    }
    (folder / "fresh.toml").unlink(missing_ok=True)
    return [str(folder / known[word]) if word in known else word for word in VERBS[verb].split()]


def call(*given: str) -> tuple[int, str, str]:
    ran = CliRunner().invoke(main, list(given))
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.stdout, ran.stderr


@pytest.fixture(autouse=True)
def usual_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


FORMS = {
    "page": shell.Forms(False, None, errors=False),
    "narrow": shell.Forms(False, None, errors=False),
    "json": shell.Forms(True, None, errors=False),
    "csv": shell.Forms(False, "-", errors=False),
}


def printed_in_every_form(*given: str) -> dict[str, str]:
    """What a verb that is asked once prints in every form: its answer is emitted in each."""
    emit = shell.emit

    def in_every_form(rendered: shell.Rendered, *files: object) -> None:
        for name, form in FORMS.items():
            patch.setattr(shell, "forms", lambda form=form: form)
            patch.setenv("COLUMNS", "70" if name == "narrow" else "")
            emit(rendered, *files)
            print("\f", end="")

    with pytest.MonkeyPatch.context() as patch:
        for module in [main.get_command(None, name).callback.__module__ for name in main.list_commands(None)]:
            for there in {shell.__name__, module}:
                if getattr(sys.modules[there], "emit", None) is emit:
                    patch.setattr(sys.modules[there], "emit", in_every_form)
        code, text, notes = call(*given)
    assert (code, notes) == (0, ""), notes
    return dict(zip(FORMS, text.split("\f"), strict=False))


@pytest.fixture(scope="module")
def told(folder: Path) -> Callable[[str], dict[str, str]]:
    """The answer of a verb in every form, worked out once."""
    return cache(lambda verb: printed_in_every_form(*arguments(verb, folder)))


@pytest.mark.heavy
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_prints_a_page_that_fits_and_never_nan(
    verb: str, told: Callable[[str], dict[str, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told(verb)["page"]
    assert max(map(len, text.splitlines())) <= WIDEST
    words = text.lower().replace("(", " ").replace(")", " ").split()
    assert not {"nan", "inf", "-inf", "none%"} & set(words)
    narrow = told(verb)["narrow"]
    if max(map(len, narrow.splitlines())) > 70:  # laid out before it is emitted: it is to be asked again
        monkeypatch.setenv("COLUMNS", "70")
        narrow = call(*arguments(verb, folder))[1]
    assert max(map(len, narrow.splitlines())) <= 70


@pytest.mark.heavy
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_prints_json_and_nothing_else(verb: str, told: Callable[[str], dict[str, str]]) -> None:
    found = json.loads(told(verb)["json"], parse_constant=pytest.fail)
    assert found and isinstance(found, dict | list)


@pytest.mark.heavy
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_prints_long_rows_with_units_and_errors(verb: str, told: Callable[[str], dict[str, str]]) -> None:
    rows = pd.read_csv(io.StringIO(told(verb)["csv"]))
    assert rows.columns[0] == "figure" and list(rows.columns[-6:]) == list(LAST)
    assert len(rows) > 1 and rows["unit"].notna().all()
    full = rows[rows["value"].notna() | rows["lower"].notna()]
    bare = full[full["error"].isna() & full["lower"].isna() & full["basis"].isna()]
    assert set(bare["figure"]) <= {"budget", "imbalance", "revenue", "z_mean", "z_sd", "z_n_above", "observed", "miss"}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("verb", "form"),
    [
        pytest.param(verb, form, marks=() if j == k % 3 and verb in FIRST else pytest.mark.slow)
        for k, verb in enumerate(CHEAP)
        for j, form in enumerate(("json", "csv", "file"))
    ],
)
def test_what_is_asked_for_by_an_option_is_what_is_emitted(
    verb: str, form: str, folder: Path, told: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    out = tmp_path / "figures.csv"
    options = {"json": ["--json"], "csv": ["--csv", "-"], "file": ["--csv", str(out)]}[form]
    code, shown, _ = call(*arguments(verb, folder), *options)
    assert code == 0 and shown == told(verb)["page" if form == "file" else form]
    assert form != "file" or out.read_text() == told(verb)["csv"]


@pytest.mark.heavy
def test_curves_of_a_fit_are_kept_for_a_picture_and_tell_no_more_than_the_model(folder: Path, tmp_path: Path) -> None:
    told = ["fit", "COSTS", "--cost", "total", "--segment", "band", "--sets", "0", "--currency", "USD", "--family"]
    told += ["lognormal", "--curves"]
    curves = tmp_path / "curves.nc"
    asked = [str(folder / "costs.csv") if word == "COSTS" else word for word in told]
    assert call(*asked, str(curves))[0] == 0
    model = sim.fit(
        pd.read_csv(folder / "costs.csv"), cost="total", segment="band", sets=0, currency="USD", family="lognormal"
    )
    kept = xr.open_dataset(curves, engine="h5netcdf").load()
    assert kept.drop_attrs(deep=False).identical(model.curves.drop_attrs(deep=False))
    assert set(kept.attrs) - set(model.curves.attrs) <= {"currency", "simulator_version"}
    assert call("plot", str(curves), "--kind", "fit-diagnostics", "-o", str(tmp_path / "fit.svg"))[0] == 0
    drawn = PICTURES["fit-diagnostics"].draw(kept, PlotRequest("curves.nc", kept))
    assert "USD a year" in drawn.get_ylabel()
    code, _, said = call(*asked, str(folder / "costs.csv"))
    assert code == 2 and "--curves: names the file that is read" in said


@pytest.mark.heavy
@pytest.mark.parametrize("sizes", every(2, ["[4_000]", "[200, 1_000, 4_000]"]))
def test_a_report_tells_what_it_wrote_and_what_it_answers(
    sizes: str, folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if sizes == "[4_000]":  # those with pictures are in the slow lane, and in the tests of reports
        request.getfixturevalue("unpictured")
    (tmp_path / "s.toml").write_text(SMALL.replace("[200, 1_000, 4_000]", sizes))
    drawn, page = str(tmp_path / "r.nc"), str(tmp_path / "r.html")
    sim.save(sim.simulate(sim.load(tmp_path / "s.toml"), progress=False), drawn)
    forms = printed_in_every_form("report", drawn, "-o", page, "--margin", "0.1", "--at-most", "0.2")
    told = json.loads(forms["json"], parse_constant=pytest.fail)
    assert told["written"] == {"out": page} and forms["page"] == ""
    summary = sim.summarise(sim.open_ledger(drawn), margins=(0.1,))
    if sizes == "[4_000]":
        figure, wanted = "p_overspend", summary["p_overspend"].values.ravel()
    else:
        figure = "minimum_population"
        wanted = sim.minimum_by_target(summary, (0.2,), margin=0.1)[figure].values.ravel()
    values = [float(row["value"]) for row in told["figures"] if row["figure"] == figure]
    assert values == pytest.approx(list(wanted))
    shown = " ".join(html.unescape(_bare(Path(page).read_text())).split())
    assert told["answer"] in shown
    if sizes != "[4_000]":
        rows = pd.read_csv(io.StringIO(forms["csv"]))
        assert list(rows.columns[-6:]) == list(LAST) and rows["lower"].notna().all()


def _bare(page: str) -> str:
    return re.sub(r"<[^>]+>|\u2060", "", page)


@pytest.mark.heavy
def test_json_and_csv_agree_with_the_page(told: Callable[[str], dict[str, str]]) -> None:
    rows = pd.read_csv(io.StringIO(told("luck")["csv"]))
    cell = next(cell for cell in json.loads(told("luck")["json"])["cells"] if cell["threshold"] == 5_000.0)
    (row,) = rows[(rows["figure"] == "percentile") & (rows["threshold"] == 5_000)]["value"]
    assert cell["percentile"] == pytest.approx(row, rel=1e-12)
    assert f"{100 * row:.1f}%" in told("luck")["page"]


@pytest.mark.heavy
def test_the_verdict_stands_before_any_table(told: Callable[[str], dict[str, str]]) -> None:
    for verb in ("run", "answer", "size", "size --members", "settle", "stress", "sensitivity", "settle --actuals"):
        lines = told(verb)["page"].splitlines()
        rule = next(k for k, line in enumerate(lines) if line.startswith("─"))
        assert any(line.endswith(".") for line in lines[:rule]), verb


# ── pipes and terminals ──────────────────────────────────────────────────────────────────────────

CLI = [sys.executable, "-m", "simulator.present.cli.main"]


@pytest.mark.heavy
def test_a_pipe_gets_no_codes_and_standard_error_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.csv"
    ran = subprocess.run(
        [*CLI, *arguments("check", folder), "--csv", str(out)], capture_output=True, cwd=ROOT, check=True
    )
    assert b"\x1b" not in ran.stdout and ran.stderr == b"" and out.exists()


@pytest.mark.heavy
def test_a_terminal_is_told_what_was_written(folder: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*CLI, *arguments("check", folder), "--csv", str(tmp_path / "c.csv")]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, cwd=ROOT, check=True)
    os.close(theirs)
    assert b"written:" in os.read(ours, 4_096) and b"written:" not in ran.stdout
    os.close(ours)


@pytest.mark.heavy
def test_a_reader_who_leaves_early_is_no_mistake(folder: Path) -> None:
    read, write = os.pipe()
    os.close(read)  # nobody reads: the first word written breaks the pipe
    ran = subprocess.run([*CLI, *arguments("check", folder)], stdout=write, stderr=subprocess.PIPE, cwd=ROOT)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (0, b"")


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────

MISTAKES = {
    "no such verb": ("rum SMALL", ["'rum': is not a command", "did you mean run?"]),
    "no such option": ("run SMALL --replicats 3", ["--replicats: is no option of", "did you mean --replicates?"]),
    "option missing": ("luck SMALL --members 5", ["--overspend: is missing", "add --overspend"]),
    "argument missing": ("run", ["SCENARIO: is missing"]),
    "argument too many": ("check SMALL SMALL", ["is more than the verb takes"]),
    "value missing": ("run SMALL --out", ["--out: needs a value"]),
    "flag with a value": ("run SMALL --json=3", ["--json: takes no value"]),
    "no whole number": ("run SMALL --replicates many", ["--replicates: 'many' is not a whole number", "at least 2"]),
    "no number": ("calibrate --mean dear", ["--mean: 'dear' is not a number"]),
    "out of range": ("run SMALL --at-most 2", ["--at-most: 2", "above 0 and below 1"]),
    "too few": ("run SMALL --replicates 1", ["--replicates: 1 is out of range", "at least 2"]),
    "bad choice": ("fit COSTS --negative maybe", ["--negative: 'maybe' must be one of refuse, zero, net"]),
    "bad pair": ("calibrate --mean 9 --top-share x", ["--top-share: 'x' is no pair; write it as people=cost"]),
    "no such file": ("check absent.toml", ["absent.toml: does not exist"]),
    "no such folder": ("run SMALL --out /no/such/dir/x.nc", ["--out /no/such/dir/x.nc", "make /no/such/dir first"]),
    "a folder": ("size SMALL --out /tmp", ["--out /tmp: is a folder"]),
    "csv into a folder": ("check SMALL --csv /tmp", ["--csv /tmp: is a folder"]),
    "model to nowhere": ("fit COSTS --cost total --out /no/m.toml", ["--out /no/m.toml", "make /no first"]),
    "scenario to nowhere": ("fit COSTS --cost total --scenario /no/m.toml", ["--scenario /no/m.toml"]),
    "picture to nowhere": ("run SMALL --plot /no/x.png", ["--plot /no/x.png"]),
    "no picture": ("run SMALL --plot x.docx", ["--plot x.docx", "no picture"]),
    "two at once": ("check SMALL --json --csv -", ["--csv: '-' would print into the JSON"]),
    "over the rows": ("fit COSTS --cost total --out COSTS", ["--out: names the file that is read"]),
    "over the scenario": ("run SMALL --out SMALL", ["--out: names the file that is read"]),
    "reverse and out": ("stress SMALL --reverse provider --out x.nc", ["--out: does nothing with --reverse"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_gets_one_sentence_and_exit_code_2(name: str, folder: Path) -> None:
    line, words = MISTAKES[name]
    known = {"SMALL": str(folder / "small.toml"), "COSTS": str(folder / "costs.csv")}
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, text, said = call(*(known.get(word, word) for word in line.split()))
    assert (code, text, len(said.splitlines())) == (2, "", 1), said
    assert said.startswith("simulator: ") and all(word in said for word in words), said
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_patients_file_is_not_named_when_the_model_cannot_be_written(folder: Path) -> None:
    said = call("fit", str(folder / "costs.csv"), "--cost", "total", "--out", "/no/such/model.toml")[2]
    assert "costs.csv" not in said and "--out /no/such/model.toml" in said


def test_nothing_asked_shows_the_help_and_the_demo_has_the_same_voice() -> None:
    ran = CliRunner().invoke(main, [])
    assert "Commands:" in ran.output and "simulator: " not in ran.output
    refused = CliRunner().invoke(demo, ["--replicates", "x"])
    assert refused.exit_code == 2 and refused.output.startswith("simulator: --replicates: 'x' is not a whole number")


# ── few populations ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.parametrize("replicates", every(2, [2, 5]))
def test_a_few_populations_are_no_answer(replicates: int, folder: Path, told: Callable[[str], dict[str, str]]) -> None:
    small = str(folder / "small.toml")
    text = " ".join(call("run", small, "--replicates", str(replicates))[1].split())
    assert f"Only {replicates} years were simulated" in text
    assert "cannot be estimated" in text and "Smallest population" not in text
    settled = " ".join(call("settle", small, "--replicates", str(replicates))[1].split())
    assert "who carries the risk is not available" in settled
    enough = told("run")["page"]
    assert "Only" not in enough and "Smallest population" in enough


def test_a_few_populations_come_with_a_warning(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.toml"
    few.write_text(SMALL.replace("replicates = 120", "replicates = 2"))
    code, text, _ = call("run", str(few))
    assert code == 0 and "Only 2 years were simulated" in text


def test_published_figures_stand_beside_english_scenarios_alone(folder: Path, tmp_path: Path) -> None:
    assert "Dixon" in call("check", str(folder / "small.toml"))[1]
    dollars = tmp_path / "dollars.toml"
    dollars.write_text('currency = "USD"\n' + SMALL)
    assert "Dixon" not in call("check", str(dollars))[1]


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_an_answer_that_cannot_be_printed_is_one_sentence(tmp_path):
    command = [sys.executable, "-m", "simulator.present.cli.main", "calibrate", "--mean", "952", "--cv", "3", "--json"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "simulator: the answer could not be written (No space left on device); free some space\n"


# ── terminals and spreadsheets of all kinds ──────────────────────────────────────────────────────


@pytest.mark.heavy
def test_letters_that_a_terminal_lacks_are_replaced(folder: Path) -> None:
    command = [sys.executable, "-m", "simulator", "check", str(folder / "small.toml")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert ran.returncode == 0 and ran.stdout and not ran.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp437"])
def test_letters_of_other_code_pages_are_replaced(encoding: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, bare = io.BytesIO(), io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    main.main(arguments("settle --payoff", folder), standalone_mode=False)
    sys.stdout.flush()
    said = written.getvalue().decode(encoding)
    assert "full risk" in said and "?" in said
    with pytest.raises(UnicodeEncodeError):  # a control
        bare.write(page_of("settle --payoff", folder))


def page_of(verb: str, folder: Path) -> str:
    return call(*arguments(verb, folder))[1]


def test_a_cell_is_never_a_formula(folder: Path) -> None:
    rows = pd.DataFrame(
        {"name": ['=HYPERLINK("http://x")', "@sum", "plain"], "budget": 100.0, "cost": [90.0, 80.0, 70.0]}
    )
    rows.to_csv(folder / "formulae.csv", index=False)
    out = folder / "out.csv"
    assert (
        call("settle", str(folder / "small.toml"), "--actuals", str(folder / "formulae.csv"), "--out", str(out))[0] == 0
    )
    written = pd.read_csv(out)["name"].tolist()
    assert written == ['\'=HYPERLINK("http://x")', "'@sum", "plain"]


@pytest.mark.heavy
def test_json_has_no_characters_that_hide(folder: Path) -> None:
    hidden = folder / "hidden.toml"
    hidden.write_text(SMALL.replace('name = "full risk"', 'name = "full\u202e\u2066 risk"'))
    code, text, _ = call("settle", str(hidden), "--json")
    assert code == 0 and "full risk" in text and not set("\u202e\u2066") & set(text)


def test_the_exit_codes_are_those_of_the_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {
        0: call("check", str(folder / "small.toml"))[0],
        2: call("check", str(folder / "missing.toml"))[0],
        3: failed_check(folder, monkeypatch),
        130: stopped(folder, monkeypatch),
        143: stopped(folder, monkeypatch, terminated=True),
    }
    assert all(code == given for code, given in codes.items()), codes
    table = re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [int(code) for code in table] == list(codes)


def failed_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a run whose draws are not those of the scenario."""
    with monkeypatch.context() as patched:
        drawn = sim.simulate(sim.load(folder / "small.toml"), progress=False)
        wrong = drawn.assign(gross_cost=1.5 * drawn["gross_cost"]).assign_attrs(drawn.attrs)
        wrong["gross_cost"].attrs = drawn["gross_cost"].attrs
        patched.setattr("simulator.runs.simulate", lambda *_, **__: wrong)
        return call("run", str(folder / "small.toml"))[0]


def stopped(folder: Path, monkeypatch: pytest.MonkeyPatch, terminated: bool = False) -> int:
    """The exit code of a run that is stopped by hand, or by the signal that ends a job."""

    def stop(*_: object, **__: object) -> None:
        if terminated:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched:
        patched.setattr(stopping, "_code", 130)
        stopping.heed_termination()
        patched.setattr("simulator.runs.simulate", stop)
        try:
            return call("run", str(folder / "small.toml"))[0]
        finally:
            signal.signal(signal.SIGTERM, before)
