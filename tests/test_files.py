"""Files: nothing is written by halves."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner
from conftest import ROOT, make

import simulator as sim
from simulator.files import check_writable, write_whole
from simulator.present.cli import main

SCENARIO = str(ROOT / "configs" / "east_sussex.toml")


def test_a_file_that_is_half_written_leaves_what_stood_there(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("before")

    def broken(partial):
        partial.write_text("ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(sim.SimulatorError, match="No space left"):
        write_whole(path, broken)
    assert path.read_text() == "before" and [one.name for one in tmp_path.iterdir()] == ["some.txt"]
    write_whole(path, lambda partial: partial.write_text("whole"))
    assert path.read_text() == "whole"


def test_a_place_that_may_not_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(sim.SimulatorError, match="may not be written"):
        check_writable(tmp_path / "run.nc")


def test_a_name_that_no_file_can_have_is_told(tmp_path):
    with pytest.raises(sim.SimulatorError, match="too long"):
        check_writable(tmp_path / f"{'n' * 300}.nc")


def test_a_device_is_refused_and_stays_a_device(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(sim.SimulatorError, match="is a device or a pipe"):
        write_whole(pipe, lambda partial: partial.write_text("figures"))
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "far").mkdir()
    kept, link = tmp_path / "far" / "some.txt", tmp_path / "link.txt"
    link.symlink_to(kept)
    write_whole(link, lambda partial: partial.write_text("one"))
    write_whole(link, lambda partial: partial.write_text("two"))
    assert link.is_symlink() and kept.read_text() == "two"
    assert [path.name for path in kept.parent.iterdir()] == ["some.txt"]


def test_the_reason_is_told_in_the_words_of_the_system(tmp_path):
    def broken(partial):
        raise OSError(errno.ENOSPC, f"file write failed: time = now\n, filename = {partial}")

    with pytest.raises(sim.SimulatorError) as refused:
        write_whole(tmp_path / "run.nc", broken)
    assert "(No space left on device)" in str(refused.value)
    assert "filename" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_workbook_asks_the_disk_only_when_it_is_whole(tmp_path, monkeypatch):
    pytest.importorskip("xlsxwriter")
    from simulator.present.report import gather, write_workbook

    def full(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")

    contents = gather(sim.simulate(make(), progress=False), 0.03, 0.05)
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(sim.SimulatorError, match="No space left"):
        write_workbook(contents, tmp_path / "book.xlsx")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("option", ["--out", "--csv", "--plot"])
def test_an_empty_name_is_refused_and_not_passed_over(option):
    found = CliRunner().invoke(main, ["run", SCENARIO, "--replicates", "10", option, ""])
    assert (found.exit_code, found.output) == (
        2,
        f"simulator: {option}: names no file; give it a name, or leave it away\n",
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("command", [["--help"], ["--version"], ["run", "--help"], ["plot", "--kind", "list"]])
def test_standard_output_that_is_full_gets_one_sentence(command):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "simulator", *command], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert ended.returncode == 2
    assert ended.stderr == "simulator: the answer could not be written (No space left on device); free some space\n"
