"""A result file is as it was written, or that is told before HDF5 reads it; files of 0.1 open with a note."""

from __future__ import annotations

import random
from pathlib import Path

import h5py
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import make

import simulator as sim
from simulator.costs.model_file import model_population
from simulator.ledger import read_dataset, verify
from simulator.netcdf import _SEAL
from simulator.present.cli.main import main

OLD = Path(__file__).parent / "of_0_1"
NOTE = "bears no SHA-256"


@pytest.fixture(scope="module")
def drawn() -> xr.Dataset:
    return sim.simulate(make(simulation={"replicates": 4}), progress=False)


@pytest.fixture
def saved(drawn: xr.Dataset, tmp_path: Path) -> Path:
    sim.save(drawn, tmp_path / "run.nc")
    return tmp_path / "run.nc"


@pytest.fixture
def hdf5_is_not_called(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h5py, "File", lambda *_: pytest.fail("HDF5 was called"))
    monkeypatch.setattr(xr, "open_dataset", lambda *_: pytest.fail("HDF5 was called"))


def told(*words: object) -> tuple[int, str]:
    ran = CliRunner().invoke(main, [str(word) for word in words])
    return ran.exit_code, ran.output


def places(saved: Path) -> list[int]:
    """Bytes of the head, of the body and of every part of the seal."""
    size = saved.stat().st_size
    return [0, 1, 9, *random.Random(3).sample(range(size), 60), *range(size - 120, size, 3), size - 1]


@pytest.mark.usefixtures("hdf5_is_not_called")
def test_a_byte_flipped_anywhere_is_told_before_hdf5_is_called(saved: Path) -> None:
    whole = saved.read_bytes()
    for place in places(saved):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        for read in (sim.open_ledger, verify):
            with pytest.raises(sim.SimulatorError, match="is damaged: it differs from the SHA-256"):
                read(saved)


@pytest.mark.usefixtures("hdf5_is_not_called")
def test_a_file_that_is_cut_short_or_goes_on_is_told(saved: Path) -> None:
    whole = saved.read_bytes()
    for changed in (whole[:-1], whole[:-60], whole + b"\n", whole[:500] + whole[501:]):
        saved.write_bytes(changed)
        with pytest.raises(sim.SimulatorError, match="is damaged"):
            sim.open_ledger(saved)


def test_a_file_that_is_sound_is_read_and_the_same_numbers_come_out(saved: Path, drawn: xr.Dataset) -> None:
    assert sim.open_ledger(saved).identical(drawn)
    assert len(verify(saved)) == 64 and verify(saved).encode() in saved.read_bytes()[-120:]


def test_other_readers_pass_the_seal_over(saved: Path, drawn: xr.Dataset) -> None:
    with h5py.File(saved) as file:
        assert (file["gross_cost"][...] == drawn["gross_cost"].values).all()
    with xr.open_dataset(saved, engine="h5netcdf") as opened:
        assert opened.load().identical(drawn)


def test_verify_tells_sound_damaged_and_unsealed_files_apart(saved: Path) -> None:
    code, said = told("verify", saved)
    assert code == 0 and "is as it was written." in said
    whole = saved.read_bytes()
    saved.write_bytes(saved.read_bytes()[:-_SEAL])
    bare = told("verify", saved)
    saved.write_bytes(whole[:700] + b"x" + whole[701:])
    damaged = told("verify", saved)
    assert bare[0] == damaged[0] == 2 and NOTE in bare[1] and "it differs from" in damaged[1]
    assert "it differs from" not in bare[1] and "Traceback" not in bare[1] + damaged[1]


@pytest.mark.parametrize("wrong", ["absent.nc", ".", "text.nc"])
def test_verify_of_what_is_no_result_gets_one_sentence(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "text.nc").write_text("no numbers")
    code, said = told("verify", tmp_path / wrong)
    assert code == 2 and len(said.splitlines()) == 1 and said.startswith("simulator: ")


# ── files of 0.1 ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["run", "exact", "settlement", "stress"])
def test_files_of_0_1_are_read_with_a_note(name: str) -> None:
    with pytest.warns(sim.errors.SimulatorWarning, match=NOTE):
        found = read_dataset(OLD / f"{name}.nc", "")
    assert found.attrs["simulator_version"] == "0.1.0" and found.sizes.get("population_size", 2) == 2
    assert told("verify", OLD / f"{name}.nc")[0] == 2


@pytest.mark.heavy
@pytest.mark.filterwarnings(f"ignore:.*{NOTE}")
def test_draws_and_summary_of_0_1_are_what_they_were(tmp_path: Path) -> None:
    kept = sim.open_ledger(OLD / "run.nc")
    summary = sim.summarise(kept, margins=(0.03,))
    for name in ("mean_cost", "sd_cost", "p_overspend"):
        old = kept[name].sel(margin=[0.03]) if "margin" in kept[name].dims else kept[name]
        xr.testing.assert_allclose(summary[name], old, rtol=1e-9)
    sim.save(kept, tmp_path / "again.nc")
    assert verify(tmp_path / "again.nc") and told("report", OLD / "run.nc", "-o", tmp_path / "r.html")[0] == 0


def test_the_model_file_of_0_1_is_read() -> None:
    segments = model_population(OLD / "model.toml").segments
    assert [segment.name for segment in segments] == ["a", "b"] and abs(sum(s.share for s in segments) - 1) < 1e-9
