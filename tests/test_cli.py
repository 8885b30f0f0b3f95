"""The command line as a user meets it: what it prints, what it writes, and one sentence for every mistake."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import ROOT

import simulator as sim
from simulator.ledger import fingerprint
from simulator.present.cli.main import main

GOOD = """
title = "small"
[simulation]
replicates = 200
population_sizes = [100, 1_000, 4_000]
thresholds = [5_000, inf]
seed = 4
[population]
[[population.segments]]
name = "all"
share = 1.0
p_user = 0.8
severity = { family = "lognormal", mean = 1_000.0, cv = 2.0 }
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(GOOD)
    return path


def call(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


@pytest.mark.heavy
def test_run_answers_in_words_with_errors_and_its_own_check(scenario: Path) -> None:
    code, text = call("run", scenario, "--at-most", 0.2)
    assert code == 0
    assert "Smallest population with a chance of at most 20% of overspending by more than 3%" in " ".join(text.split())
    assert " ± " not in text and " ± " in call("run", scenario, "--replicates", 60, "--errors")[1]
    assert "self-check against the exact engine" in text
    assert "200 simulated years · seed 4" in text


@pytest.mark.heavy
def test_run_and_size_give_one_answer_to_one_question(scenario: Path) -> None:
    asked = (scenario, "--margin", 0.1, "--at-most", 0.2)
    told = [" ".join(call(*verb, *asked, *more)[1].split()) for verb, more in (
        (["run"], []), (["size"], []), (["size"], ["--exact"]), (["run"], ["--seed", 11]),
    )]  # fmt: skip
    number = {re.search(r"[wW]ithout exclusion, ([\d,]+) people are enough", one)[1] for one in told}
    assert len(number) == 1 and told[0] != told[3], number
    kept = json.loads(call("run", *asked, "--json")[1])["smallest"]["cells"][-1]["minimum_population"]
    assert f"{kept:,.3g}" and abs(kept - float(number.pop().replace(",", ""))) < 0.005 * kept


def test_run_prints_json_that_is_json(scenario: Path) -> None:
    code, text = call("run", scenario, "--json", "--seed", 9)
    found = json.loads(text)
    assert code == 0
    assert found["seed"] == 9
    assert len(found["cells"]) == 6
    assert {cell["threshold"] for cell in found["cells"]} == {5_000.0, "inf"}
    first = found["cells"][0]
    assert first["p_overspend"].keys() == first["p_overspend_se"].keys()
    summary = sim.summarise(sim.simulate(sim.load(scenario).with_simulation(seed=9), progress=False))
    assert first["cv"] == pytest.approx(float(summary["cv"][0, 0]), rel=1e-12)


@pytest.mark.heavy
def test_out_holds_draws_and_summary_and_plot_a_picture(scenario: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "r.nc", tmp_path / "r.png"
    code, _ = call("run", scenario, "--out", out, "--plot", plot, "--threads", 1)
    assert code == 0
    ledger = sim.open_ledger(out)
    assert {"gross_cost", "cv", "cv_se", "exact_sd"} <= set(ledger.data_vars)
    assert fingerprint(ledger) == fingerprint(sim.simulate(sim.load(scenario), progress=False))
    assert plot.read_bytes().startswith(b"\x89PNG")
    figures = pd.read_csv(tmp_path / "r.csv")
    assert figures["cv"].tolist() == pytest.approx(ledger["cv"].values.ravel().tolist())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.nc", "r.png", "small.toml"]


@pytest.mark.heavy
def test_resume_goes_on_from_what_was_drawn(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.nc"
    call("run", scenario, "--out", out, "--replicates", 50)
    code, _ = call("run", scenario, "--out", out, "--resume")
    assert code == 0
    assert fingerprint(sim.open_ledger(out)) == fingerprint(sim.simulate(sim.load(scenario), progress=False))
    code, text = call("run", scenario, "--out", out, "--resume", "--seed", 5)
    assert (code, "another scenario" in text) == (2, True)


@pytest.mark.heavy
def test_until_records_why_it_stopped(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.nc"
    code, _ = call("run", scenario, "--until", "p_overspend(0.03) +- 0.03", "--max-replicates", 5_000, "--out", out)
    assert code == 0
    assert sim.open_ledger(out).attrs["stopped_by"] == "target"


def test_check_and_calibrate_print_tables_and_json(scenario: Path) -> None:
    code, text = call("check", scenario)
    assert code == 0 and "Calculated from the distributions" in text
    code, text = call("check", scenario, "--json")
    assert json.loads(text)["mean"] == pytest.approx(800.0)
    code, text = call("calibrate", "--mean", 952, "--p-user", 0.85, "--top-share", "0.05=0.514")
    assert code == 0 and "lognormal" in text and "weibull" in text
    code, text = call(
        "calibrate", "--family", "lognormal", "--mean", 952, "--p-user", 0.85, "--top-share", "0.05=0.514", "--json"
    )
    reached = {row["target"]: row["reached"] for row in json.loads(text)["fit"]}
    assert reached["top-5% share"] == pytest.approx(0.514, abs=1e-9)


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


BAD = {
    "misspelt key": (replaced("p_user", "p_usr"), "population.segments[all].p_usr", "p_user"),
    "shares": (replaced("share = 1.0", "share = 0.9"), "population.segments", "add up to 0.9"),
    "negative mean": (replaced("mean = 1_000.0", "mean = -1.0"), "severity.mean", "above 0"),
    "cv of zero": (replaced("cv = 2.0", "cv = 0.0"), "severity.cv", "above 0"),
    "nan": (replaced("cv = 2.0", "cv = nan"), "severity.cv", "finite"),
    "unsorted sizes": (replaced("[100, 1_000, 4_000]", "[1_000, 100]"), "population_sizes", "ascending"),
    "duplicate sizes": (replaced("[100, 1_000, 4_000]", "[100, 100]"), "population_sizes", "twice"),
    "size 0": (replaced("[100, 1_000, 4_000]", "[0, 100]"), "population_sizes[0]", "at least 1"),
    "threshold 0": (replaced("[5_000, inf]", "[0, inf]"), "thresholds", "above 0"),
    "infinite variance": (
        replaced('family = "lognormal", mean = 1_000.0, cv = 2.0', 'family = "pareto", scale = 100.0, alpha = 1.9'),
        "infinite variance",
        "finite",
    ),
    "no segments": (GOOD.split("[[population", maxsplit=1)[0] + "segments = []\n", "population.segments", "short"),
    "negative seed": (replaced("seed = 4", "seed = -4"), "simulation.seed", "at least 0"),
    "not TOML": (GOOD + "this is not = = toml", "small.toml", "not valid TOML"),
    "too large": (replaced("replicates = 200", "replicates = 900_000_000_000"), "simulation.replicates", "memory"),
    "newer form": ("schema_version = 99\n" + GOOD, "schema_version", "must be 1"),
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", BAD)
def test_bad_scenarios_get_a_sentence_and_exit_code_2(scenario: Path, tmp_path: Path, name: str) -> None:
    text, *words = BAD[name]
    scenario.write_text(text)
    out = tmp_path / "r.nc"
    code, said = call("run", scenario, "--out", out)
    assert code == 2
    assert str(scenario) in said or name == "too large"
    assert all(word in said for word in words), said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "absent.toml"], "does not exist"),
        (["run", "."], "is a folder"),
        (["check", "absent.toml"], "does not exist"),
        (["run", "GOOD", "--out", "absent/r.nc"], "does not exist"),
        (["run", "GOOD", "--out", "."], "is a folder"),
        (["run", "GOOD", "--plot", "r.docx"], "no picture"),
        (["run", "GOOD", "--until", "nonsense"], "not of the form"),
        (["run", "GOOD", "--resume"], "needs --out"),
        (["calibrate", "--mean", "952", "--family", "normal", "--cv", "2"], "normal"),
    ],
)
def test_bad_arguments_get_a_sentence_and_exit_code_2(
    scenario: Path, arguments: list[str], word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = call(*[scenario if argument == "GOOD" else argument for argument in arguments])
    assert (code, word in said) == (2, True), said


def test_a_failed_check_is_loud_and_has_its_own_exit_code(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.engine import kernels

    honest = kernels.draw_block
    gross = inspect.getfullargspec(getattr(honest, "py_func", honest)).args.index("gross")

    def too_dear(*arguments: object) -> None:
        honest(*arguments)
        arguments[gross][...] *= 1.5  # type: ignore[index]

    monkeypatch.setattr(kernels, "draw_block", too_dear)
    code, said = call("run", scenario)
    assert code == 3
    assert "FAILED ITS OWN CHECK" in said


@pytest.mark.heavy
def test_a_run_of_several_years_pictures_the_first(scenario: Path, tmp_path: Path) -> None:
    several = tmp_path / "years.toml"
    several.write_text(scenario.read_text() + '\n[years]\ncontract = 2\npersistence = "none"\n')
    assert call("run", several, "--plot", tmp_path / "a.png")[0] == 0
    assert (tmp_path / "a.csv").read_text().startswith("population_size,threshold,cv,")


def test_help_and_version_load_no_numerical_library() -> None:
    probe = (
        "import sys; from simulator.present.cli.main import main; print(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert not any(f"'{name}'" in loaded for name in ("numba", "scipy", "xarray", "matplotlib", "pandas"))


@pytest.mark.heavy
@pytest.mark.parametrize(("options", "free"), [(["--cluster", "local:1"], True), ([], False)])
def test_the_door_keeps_dask_out_only_where_no_cluster_is_asked_for(options: list[str], free: bool) -> None:
    probe = (
        "import sys, atexit; from simulator.__main__ import main\n"
        "atexit.register(lambda: print(sys.modules.get('dask', 'free') is not None)); main()"
    )
    command = [sys.executable, "-c", probe, "run", "no-such.toml", *options]
    assert subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False).stdout.split() == [str(free)]


_SMALL = "configs/east_sussex.toml"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("command", "never"),
    [
        (
            ["check", _SMALL],
            "dask numba xarray pandas matplotlib scipy.stats scipy.optimize scipy.interpolate h5py",
        ),
        pytest.param(
            ["luck", _SMALL, "--members", "30000", "--overspend", "4%"],
            "dask numba matplotlib scipy.stats scipy.optimize h5py",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_verb_loads_only_what_it_needs(command: list[str], never: str) -> None:
    probe = (
        "import sys; from simulator.__main__ import main; import atexit\n"
        "atexit.register(lambda: print(*(n for n, module in sys.modules.items() if module), file=sys.stderr)); main()"
    )
    ran = subprocess.run([sys.executable, "-c", probe, *command], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(ran.stderr.splitlines()[-1].split())
    assert loaded >= {"numpy", "simulator.scenario"}
    assert not loaded & set(never.split())


def test_every_verb_shows_an_example() -> None:
    for name in main.commands:
        code, said = call(name, "--help")
        assert code == 0
        assert f"Example: simulator {name}" in said


def _cpu_seconds(pid: int) -> float:
    times = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the processor time of another process")
@pytest.mark.parametrize(
    ("stop", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_stop_keeps_what_was_finished_and_leaves_no_half_file(
    stop: int, code: int, scenario: Path, tmp_path: Path
) -> None:
    scenario.write_text(replaced("replicates = 200", "replicates = 300_000").replace("4_000]", "400_000]"))
    out = tmp_path / "r.nc"
    command = [sys.executable, "-m", "simulator", "run", str(scenario), "--out", str(out)]
    running = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        # where the tests run in the background, SIGINT is ignored, and what they start inherits that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while _cpu_seconds(running.pid) < 4 and running.poll() is None:  # well past imports, into the draws
        time.sleep(0.1)
    running.send_signal(stop)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == code, said
    assert "Traceback" not in said
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left in (["small.toml"], ["r.nc.parts", "small.toml"])  # the same command goes on from there
