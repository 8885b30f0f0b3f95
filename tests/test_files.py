"""Files: every reader of TOML tells the same mistakes in the same sentence, and nothing is written by halves."""

from __future__ import annotations

import os

import pytest

import simulator as sim
from simulator.contracts.actuals import load_scenario
from simulator.files import check_writable, read_toml, write_whole

READERS = {
    "a file": read_toml,
    "scenario": sim.load,
    "scenario, where there is one": load_scenario,
    "designs": sim.load_designs,
    "stresses": sim.load_stresses,
    "minimum rate": sim.load_minimum_rate,
}


def test_a_file_is_read(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text('title = "Ä"\n[inner]\nshare = 0.5\n', encoding="utf-8")
    assert read_toml(path) == read_toml(str(path)) == {"title": "Ä", "inner": {"share": 0.5}}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    ("make_it", "bound"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_text("title = "), "is not valid TOML"),
        (lambda path: path.write_bytes(b"title = '\xff'"), "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_name(tmp_path, reader, make_it, bound):
    path = tmp_path / "some.toml"
    make_it(path)
    with pytest.raises(sim.SimulatorError) as found:
        reader(path)
    assert found.value.path == str(path) and found.value.bound.startswith(bound) and found.value.mend
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch, reader):
    path = tmp_path / "some.toml"
    path.write_text("title = 'x'\n")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_text", refuse)
    with pytest.raises(sim.SimulatorError, match="cannot be read"):
        reader(path)


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
