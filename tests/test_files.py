"""Files: nothing is written by halves."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import h5py
import pytest
from click.testing import CliRunner
from conftest import ROOT, make

import simulator as sim
from simulator import files
from simulator.files import check_writable, write_whole
from simulator.machine import host
from simulator.present.cli.main import main
from simulator.runs import expected_size

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

    contents = gather(sim.simulate(make(simulation={"population_sizes": [100, 250]}), progress=False), 0.03, 0.05)
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(sim.SimulatorError, match="No space left"):
        write_workbook(contents, tmp_path / "book.xlsx")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("option", ["--out", "--csv", "--plot"])
def test_an_empty_name_is_refused_and_not_passed_over(option):
    found = CliRunner().invoke(main, ["run", SCENARIO, "--replicates", "10", option, ""])
    assert (found.exit_code, found.output) == (
        2,
        f"simulator: {option}: names no file; give it a name, or omit it\n",
    )


@pytest.mark.heavy
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        *(pytest.param(one, marks=pytest.mark.slow) for one in (["plot", "--kind", "list"], ["--version"])),
        pytest.param(["run", "--help"], marks=pytest.mark.slow),
    ],
)
def test_standard_output_that_is_full_gets_one_sentence(command):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "simulator", *command], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert ended.returncode == 2
    assert ended.stderr == "simulator: the answer could not be written (No space left on device); free some space\n"


# ── no room, and what was left behind ────────────────────────────────────────────────────────────


def drawn():
    return sim.simulate(make(simulation={"replicates": 4}), progress=False)


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """A folder whose disk is full, beside a temporary folder with room."""
    full, spare = tmp_path / "full", tmp_path / "spare"
    full.mkdir(), spare.mkdir()
    written = os.replace

    def replaced(source, target):
        if os.path.dirname(target) == str(full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(files, "temporary_folder", lambda: spare)
    return full, spare


def test_draws_that_find_no_room_are_kept_in_the_temporary_folder(full_disk):
    full, spare = full_disk
    (full / "run.nc").write_text("before")
    with pytest.raises(sim.SimulatorError) as told:
        sim.save(drawn(), full / "run.nc")
    (kept,) = spare.iterdir()
    assert f"it is in {kept} instead" in str(told.value)
    assert sim.open_ledger(kept).sizes["replicate"] == 4
    assert [one.name for one in full.iterdir()] == ["run.nc"] and (full / "run.nc").read_text() == "before"


def test_where_there_is_no_room_at_all_the_bytes_are_told(full_disk, monkeypatch):
    full, spare = full_disk
    monkeypatch.setattr(files, "free_space", lambda folder: 10)
    with pytest.raises(sim.SimulatorError, match=r"needs about \d+ kB"):
        sim.save(drawn(), full / "run.nc")
    assert not list(spare.iterdir()) and not list(full.iterdir())


def test_a_settlement_that_finds_no_room_leaves_what_stood_there(full_disk, tmp_path):
    full, spare = full_disk
    designs = [{"name": "a", "terms": [{"kind": "share", "gain": 0.5, "loss": 0.5}]}]
    sim.save(sim.simulate(make(simulation={"replicates": 4}, designs=designs), progress=False), tmp_path / "run.nc")
    (full / "outcome.nc").write_text("before")
    ran = CliRunner().invoke(main, ["settle", str(tmp_path / "run.nc"), "--out", str(full / "outcome.nc")])
    assert ran.exit_code == 2 and len(ran.stderr.splitlines()) == 1 and "No space left" in ran.stderr
    assert [one.name for one in full.iterdir()] == ["outcome.nc"]
    assert (full / "outcome.nc").read_text() == "before" and not list(spare.glob("*.partial"))


@pytest.mark.parametrize("verb", ["run", "settle"])
def test_a_disk_without_room_is_told_before_the_first_draw(verb, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "free_space", lambda folder: 1_000)
    monkeypatch.setattr("simulator.engine.simulate.draw_all", lambda *_: pytest.fail("it drew"))
    scenario = str(ROOT / "configs" / "arrangements" / "20-whittington.toml")
    ran = CliRunner().invoke(main, [verb, scenario, "--out", str(tmp_path / "big.nc")])
    assert ran.exit_code == 2 and "would take about" in ran.stderr and not list(tmp_path.iterdir())


def test_the_expected_size_is_that_of_the_file(tmp_path):
    scenario = make(simulation={"replicates": 4_000})
    sim.save(sim.simulate(scenario, progress=False), tmp_path / "run.nc")
    assert 0.8 < (tmp_path / "run.nc").stat().st_size / expected_size(scenario) < 1.1


def test_what_a_dead_process_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, live = (tmp_path / f".run.{host()}-{number}.x.nc" for number in (gone.pid, os.getpid()))
    elsewhere, other = tmp_path / f".run.another-{gone.pid}.x.nc", tmp_path / f".other.{host()}-{gone.pid}.x.nc"
    for file in (left, live, elsewhere, other):
        file.touch()
    write_whole(tmp_path / "run.nc", lambda partial: partial.write_text("whole"))
    assert {one.name for one in tmp_path.iterdir()} == {"run.nc", live.name, elsewhere.name, other.name}


def test_long_names_make_short_sentences(tmp_path):
    ran = CliRunner().invoke(main, ["check", "x" * 5_000 + ".toml"])
    assert ran.exit_code == 2 and len(ran.stderr) < 400
    with pytest.raises(sim.SimulatorError) as told:
        check_writable(tmp_path / ("y" * 5_000))
    assert len(str(told.value)) < 400


# ── files that are no files of numbers ───────────────────────────────────────────────────────────


def linked(file, elsewhere):
    file["gross_cost"] = h5py.ExternalLink(str(elsewhere), "/gross_cost")


def stored_elsewhere(file, elsewhere):
    file.create_dataset("gross_cost", shape=(10,), dtype="f8", external=[(str(elsewhere), 0, 80)])


def put_together(file, elsewhere):
    layout = h5py.VirtualLayout(shape=(10,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(elsewhere), "gross_cost", shape=(10,))
    file.create_virtual_dataset("gross_cost", layout)


@pytest.mark.parametrize("made", [linked, stored_elsewhere, put_together])
def test_a_file_that_refers_to_others_is_refused(made, tmp_path):
    sound = tmp_path / "sound.nc"
    sim.save(drawn(), sound)
    with h5py.File(tmp_path / "hostile.nc", "w") as file:
        made(file, sound)
    with pytest.raises(sim.SimulatorError, match="refers to other files"):
        sim.open_ledger(tmp_path / "hostile.nc")


def test_a_file_that_swells_beyond_memory_is_refused(tmp_path):
    with h5py.File(tmp_path / "bomb.nc", "w") as file:
        file.create_dataset("gross_cost", shape=(10**6, 10**6), chunks=(1_000, 1_000), dtype="f8")
    with pytest.raises(sim.SimulatorError, match="of memory are free"):
        sim.open_ledger(tmp_path / "bomb.nc")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device here")
def test_a_device_is_no_result():
    with pytest.raises(sim.SimulatorError, match="is a device or a pipe"):
        sim.open_ledger("/dev/zero")
