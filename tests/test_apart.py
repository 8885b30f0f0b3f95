"""One run on many machines: parts with their own years that are merged, and workers of a cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import simulator as sim
from simulator.ledger import fingerprint, verify
from simulator.present.cli import cluster
from simulator.present.cli.main import main

SCENARIO = """
title = "apart"
[simulation]
replicates = 90
population_sizes = [200, 1_000]
thresholds = [5_000, inf]
seed = 4
[population]
[[population.segments]]
name = "all"
share = 1.0
severity = { family = "lognormal", mean = 1_000.0, cv = 1.5 }
[[parameter_sets]]
segment = "all"
mean = [900.0, 1_000.0, 1_100.0, 950.0]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("apart")
    (made / "s.toml").write_text(SCENARIO.partition("[[parameter_sets]]")[0])
    (made / "other.toml").write_text(SCENARIO.partition("[[parameter_sets]]")[0].replace("1_000.0", "1_001.0"))
    for name, first, count in (("a", 0, 40), ("b", 40, 20), ("c", 60, 30)):
        years = ["--first-replicate", first, "--replicates", count]
        assert call("run", made / "s.toml", *years, "--out", made / f"{name}.nc")[0] == 0
    return made


def call(*words) -> tuple[int, str]:
    ran = CliRunner().invoke(main, list(map(str, words)))
    return ran.exit_code, ran.output


def test_parts_that_are_merged_are_the_run_in_one_go(folder: Path, tmp_path: Path) -> None:
    code, page = call("merge", *(folder / f"{name}.nc" for name in "bca"), "-o", tmp_path / "m.nc")
    assert code == 0
    whole_page = call("run", folder / "s.toml", "--out", tmp_path / "w.nc")[1]
    merged, whole = sim.open_ledger(tmp_path / "m.nc"), sim.open_ledger(tmp_path / "w.nc")
    assert page == whole_page and fingerprint(merged) == fingerprint(whole)
    assert merged.drop_attrs(deep=False).identical(whole.drop_attrs(deep=False))
    assert merged.attrs | {"created_at": ""} == whole.attrs | {"created_at": ""} and verify(tmp_path / "m.nc")


def test_parts_that_do_not_belong_together_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.nc"
    call("run", folder / "other.toml", "--out", other)
    call("run", folder / "s.toml", "--first-replicate", 50, "--replicates", 20, "--out", tmp_path / "over.nc")
    call("run", folder / "s.toml", "--exact", "--out", tmp_path / "exact.nc")
    for part, words in (
        (other, "other.nc: scenario_id: differs; only parts of one scenario"),
        (tmp_path / "over.nc", "over.nc: holds simulated years that another part holds too"),
        (folder / "a.nc", "a.nc: holds simulated years that another part holds too; name each part once"),
        (tmp_path / "exact.nc", "holds no draws"),
        (tmp_path / "absent.nc", "absent.nc: does not exist"),
    ):
        code, said = call("merge", folder / "a.nc", folder / "b.nc", part, "-o", tmp_path / "m.nc")
        assert code == 2 and words in said and len(said.splitlines()) == 1, said
    assert "names the file that is read" in call("merge", folder / "a.nc", "-o", folder / "a.nc")[1]
    assert not (tmp_path / "m.nc").exists()


@pytest.mark.parametrize("more", [["--until", "cv +- 1"], ["--resume", "--out", "x.nc"]])
def test_a_first_replicate_contradicts_going_on(more: list[str], folder: Path) -> None:
    assert "--first-replicate: contradicts" in call("run", folder / "s.toml", "--first-replicate", 5, *more)[1]


# ── clusters ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "tcp://h:1", "--threads", "2"], "--cluster: contradicts --threads"),
        (["--cluster", "local:0"], "'local:0' is no cluster; write tcp://HOST:PORT"),
        (["--cluster", "http://h:1"], "is no cluster"),
        (["--cluster", "tcp://127.0.0.1:9"], "'tcp://127.0.0.1:9' cannot be reached"),
    ],
)
def test_a_cluster_that_is_none_is_told(words: list[str], said: str, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    code, told = call("run", folder / "s.toml", *words)
    assert code == 2 and said in told and "Traceback" not in told


def test_without_the_extra_one_sentence_says_what_to_install(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert 'pip install "capitation-risk[distributed]"' in call("run", folder / "s.toml", "--cluster", "local:2")[1]
