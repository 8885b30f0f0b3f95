"""Files: nothing is written by halves."""

from __future__ import annotations

import os

import pytest

import simulator as sim
from simulator.files import check_writable, write_whole


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
