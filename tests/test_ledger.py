"""The ledger: written whole or not at all, read without loss, merged only with its like, its dims known by name."""

from __future__ import annotations

import errno
import json
import os
import struct

import numpy as np
import pytest
import xarray as xr
from conftest import KINDS, SHOCKS, UNITS, alone, make

import simulator as sim
from simulator import runs
from simulator.contracts.exclusion import Banded, Cap, CarveOut, Coinsure
from simulator.files import check_writable
from simulator.ledger import COORDINATES, VARIABLES, assemble, by_unit, fingerprint
from simulator.runs import extend

BANDED = Banded(bands=[{"at": 5_000.0, "share": 0.9}, {"at": 20_000.0, "share": 0.4}])
RULES = [Cap(), Cap(at=20_000.0), Coinsure(share=0.3), CarveOut(), CarveOut(at=5_000.0), BANDED]


@pytest.fixture
def ledger():
    return sim.simulate(make())


# ── variables ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_every_variable_has_its_dims_its_unit_and_its_sentence(any_kind):
    ledger = sim.simulate(any_kind)
    for name in ledger.variables:
        told = VARIABLES.get(name) or COORDINATES[name]
        assert ledger[name].dims == told.dims_with(ledger.coords)
        assert ledger[name].attrs["long_name"] and ledger[name].attrs["units"]
        assert "{" not in ledger[name].attrs["units"]
    assert ledger["gross_cost"].attrs["units"] == "GBP per year"


def test_the_threshold_of_percentiles_is_no_money():
    ledger = sim.simulate(make(**KINDS["percentiles by segment"]))
    assert ledger["threshold"].attrs["units"] == "1" and "percentile" in ledger["threshold"].attrs["long_name"]
    assert ledger["threshold"].values.tolist() == [0.95, 0.999, 1.0]
    assert np.all(np.isinf(ledger["threshold_amount"].sel(threshold=1.0)))


def test_no_name_shadows_a_method_of_a_dataset():
    taken = set(dir(xr.Dataset)) | set(dir(xr.DataArray))
    assert not taken & (set(VARIABLES) | set(COORDINATES))
    assert "mean" in taken, "the check must be able to fail"


def test_variables_that_a_scenario_does_not_use_are_absent():
    names = set(sim.simulate(make()).data_vars)
    assert names == {"gross_cost", "excess_cost", "above_cost", "n_above", "threshold_amount", "cut"}


def test_attributes_are_strings_and_numbers_and_tell_where_the_ledger_is_from(ledger):
    assert all(isinstance(value, str | int | float) for value in ledger.attrs.values())
    assert json.loads(ledger.attrs["scenario"])["simulation"]["thresholds"][-1] == "inf"
    assert runs.scenario_of(ledger) == make()
    assert ledger.attrs["scenario_id"] == make().scenario_id and len(ledger.attrs["tables_hash"]) == 64
    assert {"numpy", "scipy", "numba", "xarray", "python"} <= set(json.loads(ledger.attrs["versions"]))
    assert ledger.attrs["seed"] == 20170401 and ledger.attrs["schema_version"] == 1


# ── files ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_a_ledger_is_read_back_without_loss(any_kind, tmp_path):
    ledger = sim.simulate(any_kind)
    sim.save(ledger, tmp_path / "run.nc")
    again = sim.open_ledger(tmp_path / "run.nc")
    xr.testing.assert_identical(again, ledger)
    assert fingerprint(again) == fingerprint(ledger)
    for name in ledger.variables:
        assert again[name].dtype == ledger[name].dtype or again[name].dtype.kind in "OUT"
    assert runs.scenario_of(again) == any_kind


def test_a_ledger_that_was_read_can_be_taken_further(tmp_path):
    short = make(simulation={"replicates": 12})
    sim.save(sim.simulate(short), tmp_path / "run.nc")
    assert fingerprint(extend(sim.open_ledger(tmp_path / "run.nc"), make())) == fingerprint(sim.simulate(make()))


def test_saving_replaces_the_file_and_leaves_nothing_else(ledger, tmp_path):
    path = tmp_path / "run.nc"
    path.write_text("old")
    sim.save(ledger, path)
    assert sim.open_ledger(path).sizes == ledger.sizes
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.nc"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("unable to flush")])
def test_a_full_disk_leaves_the_old_file_and_no_part_of_the_new(ledger, tmp_path, monkeypatch, failure):
    path = tmp_path / "run.nc"
    path.write_text("old")

    def half(self, target, **options):
        with open(target, "wb") as file:
            file.write(b"half")
        raise failure

    monkeypatch.setattr(xr.Dataset, "to_netcdf", half)
    with pytest.raises(
        sim.SimulatorError, match=r"could not be written \((No space left on device|the disk may be full)\)"
    ) as told:
        sim.save(ledger, path)
    assert told.value.path == str(path) and "free some space" in told.value.mend
    assert path.read_text() == "old" and [entry.name for entry in tmp_path.iterdir()] == ["run.nc"]


def test_an_interrupted_write_leaves_no_part(ledger, tmp_path, monkeypatch):
    def stopped(self, target, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.Dataset, "to_netcdf", stopped)
    with pytest.raises(KeyboardInterrupt):
        sim.save(ledger, tmp_path / "run.nc")
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_for_a_name_is_told(ledger, tmp_path, monkeypatch):
    def full(*_, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(sim.SimulatorError, match="No space left"):
        sim.save(ledger, tmp_path / "run.nc")


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("", "is a folder"),
        ("missing/run.nc", "lies in a folder that does not exist"),
        ("file/run.nc", "lies in a folder that does not exist"),
    ],
)
def test_a_place_that_cannot_be_written_is_told(ledger, tmp_path, place, sentence):
    (tmp_path / "file").write_text("")
    with pytest.raises(sim.SimulatorError, match=sentence):
        sim.save(ledger, tmp_path / place)


def test_a_name_that_is_too_long_is_told_before_any_work(tmp_path):
    with pytest.raises(sim.SimulatorError, match="has a name that is too long; shorten it"):
        check_writable(tmp_path / ("é" * 122 + ".nc"))
    check_writable(tmp_path / ("é" * 98 + ".nc"))


def test_a_file_gets_the_usual_permissions(ledger, tmp_path):
    before = os.umask(0o027)
    try:
        sim.save(ledger, tmp_path / "run.nc")
    finally:
        os.umask(before)
    assert (tmp_path / "run.nc").stat().st_mode & 0o777 == 0o640


def drawn():
    return sim.simulate(make(), progress=False)


def untold(ledger, name):
    return ledger.drop_attrs(deep=False).assign_attrs({k: v for k, v in ledger.attrs.items() if k != name})


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore:.*bears no SHA-256")
@pytest.mark.parametrize(
    ("make_it", "sentence"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_text("no netCDF"), "is not a netCDF-4 file"),
        (lambda path: path.write_bytes(b""), "is not a netCDF-4 file"),
        (lambda path: sim.save(drawn().drop_vars("n_above"), path), "holds no n_above"),
        (lambda path: sim.save(drawn().isel(replicate=[]), path), "holds an empty gross_cost"),
        (lambda path: sim.save(drawn().rename(replicate="year"), path), "holds gross_cost by year"),
        (lambda path: sim.save(drawn().drop_vars("threshold"), path), "does not say its threshold"),
        (
            lambda path: sim.save(drawn().drop_attrs(deep=False).assign_attrs(schema_version=1), path),
            "holds no currency",
        ),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 90), "is not a netCDF-4 file"),
        (lambda path: xr.Dataset({"x": 1}).to_netcdf(path, engine="h5netcdf"), "does not say its schema_version"),
        (
            lambda path: xr.Dataset({"x": 1}, attrs={"schema_version": 1}).to_netcdf(path, engine="h5netcdf"),
            "holds no gross_cost",
        ),
        (
            lambda path: xr.Dataset({"x": 1}, attrs={"schema_version": 2}).to_netcdf(path, engine="h5netcdf"),
            "must be 1",
        ),
        (
            lambda path: xr.Dataset({"x": 1}, attrs={"schema_version": "one"}).to_netcdf(path, engine="h5netcdf"),
            "must be 1",
        ),
    ],
)
def test_what_is_no_ledger_is_told(tmp_path, make_it, sentence):
    path = tmp_path / "run.nc"
    make_it(path)
    with pytest.raises(sim.SimulatorError, match=sentence) as told:
        sim.open_ledger(path)
    assert str(path) in told.value.path and told.value.mend and "\n" not in str(told.value)


@pytest.mark.parametrize("failure", [RuntimeError("Link iteration failed"), TypeError("None"), AttributeError("_h5")])
def test_a_damaged_file_is_told_however_its_reader_fails(ledger, tmp_path, monkeypatch, failure):
    path = tmp_path / "run.nc"
    sim.save(ledger, path)

    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(xr, "open_dataset", fail)
    with pytest.raises(sim.SimulatorError, match="is damaged; name a file that `simulator run --out` wrote"):
        sim.open_ledger(path)


def test_a_ledger_cut_short_is_told(ledger, tmp_path):
    path = tmp_path / "run.nc"
    sim.save(ledger, path)
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(sim.SimulatorError, match="is not a netCDF-4 file"):
        sim.open_ledger(path)


@pytest.mark.heavy
def test_observed_costs_are_withheld_from_the_file(tmp_path):
    # the planted cost is neither a threshold nor the cut, which a ledger must tell
    planted, highest = 4_321.987_65, 8_765.432_1
    values = [
        *np.linspace(10, 20, 400).tolist(),
        planted,
        highest,
        99_999.125,
        99_999.25,
        99_999.375,
        99_999.5,
        99_999.625,
    ]
    mixed = {
        "family": "mixture",
        "components": [
            {"weight": 1.0, "severity": {"family": "empirical", "values": values, "weights": [1.5] * len(values)}}
        ],
    }
    for severity in ({"family": "empirical", "values": values}, mixed):
        scenario = alone(severity, simulation={"thresholds": [50_000.0]})
        path = tmp_path / "run.nc"
        ledger = sim.simulate(scenario)
        sim.save(ledger, path)
        content = path.read_bytes()
        for cost in (planted, highest):
            assert repr(cost).encode() not in content and struct.pack("<d", cost) not in content
        assert b"407 observed costs" in content
        assert runs.scenario_of(sim.open_ledger(path)) is None
        assert repr(planted).encode() in scenario.canonical_json().encode(), "the search must be able to find it"


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_retained_cost_does_not_depend_on_the_order_of_dims(rule):
    ledger = sim.simulate(make())
    plain = sim.retained_cost(ledger, rule)
    for order in (
        ("threshold", "population_size", "replicate", "segment"),
        ("population_size", "threshold", "segment", "replicate"),
    ):
        turned = sim.retained_cost(ledger.transpose(*order), rule)
        xr.testing.assert_allclose(turned.transpose(*plain.dims), plain, rtol=0, atol=0)


def test_retained_cost_is_gross_less_what_the_rule_removes(ledger):
    gross, excess, above = ledger["gross_cost"], ledger["excess_cost"], ledger["above_cost"]
    np.testing.assert_array_equal(sim.retained_cost(ledger, Cap()), gross - excess)
    np.testing.assert_array_equal(
        sim.retained_cost(ledger, Cap(at=20_000.0))[..., 0], (gross - excess).sel(threshold=20_000.0)
    )
    np.testing.assert_array_equal(sim.retained_cost(ledger, Coinsure(share=0.3)), gross - 0.3 * excess)
    np.testing.assert_array_equal(sim.retained_cost(ledger, CarveOut()), gross - above)
    banded = gross - 0.9 * excess.sel(threshold=5_000.0) + 0.5 * excess.sel(threshold=20_000.0)
    np.testing.assert_allclose(sim.retained_cost(ledger, BANDED)[..., 0], banded, rtol=1e-14)
    np.testing.assert_array_equal(
        sim.retained_cost(ledger, Coinsure(share=0.0)), gross.expand_dims(threshold=3, axis=-1)
    )


def test_retained_cost_says_what_it_is(ledger):
    retained = sim.retained_cost(ledger, Cap())
    assert retained.name == "retained_cost" and retained.dims == ("replicate", "population_size", "threshold")
    assert retained.attrs["units"] == "GBP per year"
    assert sim.retained_cost(ledger, CarveOut(at=5_000.0))["threshold"].values.tolist() == [5_000.0]


@pytest.mark.parametrize(
    "rule", [Cap(at=6_000.0), Banded(bands=[{"at": 5_000.0, "share": 0.1}, {"at": 7.0e3, "share": 0.2}])]
)
def test_a_threshold_that_is_not_on_the_grid_is_told(ledger, rule):
    with pytest.raises(sim.SimulatorError, match=r"is not on the ledger's grid \(5000, 20000, inf\)"):
        sim.retained_cost(ledger, rule)


def test_units_become_a_ledger_of_their_own():
    ledger = sim.simulate(make(population={"units": UNITS}, shocks=SHOCKS))
    units = by_unit(ledger)
    assert "population_size" not in units.dims and units.sizes["unit"] == 3
    np.testing.assert_array_equal(units["gross_cost"], ledger["unit_gross_cost"])
    assert units["unit_size"].values.tolist() == [60, 90, 35]
    assert sim.retained_cost(units, Cap()).dims == ("replicate", "unit", "threshold")
    np.testing.assert_array_equal(units["shock_factor"], ledger["shock_factor"])


def test_a_ledger_without_units_has_none_to_show(ledger):
    with pytest.raises(sim.SimulatorError, match="has no units"):
        by_unit(ledger)


def test_the_fingerprint_sees_every_number(ledger):
    base = fingerprint(ledger)
    assert fingerprint(ledger.copy(deep=True)) == base
    for name in ledger.data_vars:
        other = ledger.copy(deep=True)
        flat = other[name].values.reshape(-1)
        flat[0] = np.nextafter(flat[0], -1) if flat.dtype.kind == "f" else flat[0] + 1
        assert fingerprint(other) != base, name
    assert fingerprint(ledger.assign_coords(segment=["a", "b"])) != base
    assert fingerprint(ledger.assign_attrs(created_at="never")) == base


# ── merging ──────────────────────────────────────────────────────────────────────────────────────


def part(first, count, **simulation):
    return sim.simulate(make(simulation={"replicates": count, **simulation}), first_replicate=first)


def test_a_ledger_alone_is_merged_already(ledger):
    assert fingerprint(sim.merge([ledger])) == fingerprint(ledger)


def test_the_same_replicates_keep_the_longest_list_of_sizes():
    short, long = part(0, 5, population_sizes=[7]), part(0, 5)
    for order in ([short, long], [long, short]):
        assert fingerprint(sim.merge(order)) == fingerprint(long)


def test_other_replicates_are_laid_end_to_end_over_the_sizes_of_both():
    merged = sim.merge([part(5, 4), part(0, 5, population_sizes=[7, 100])])
    assert fingerprint(merged) == fingerprint(part(0, 9, population_sizes=[7, 100]))


def test_merged_replicates_ascend_whatever_the_order():
    merged = sim.merge([part(8, 2), part(0, 3), part(3, 5)])
    assert merged["replicate"].values.tolist() == list(range(10))
    assert fingerprint(merged) == fingerprint(part(0, 10))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (lambda: part(5, 5, seed=1), "scenario_id: differs"),
        (lambda: part(5, 5, thresholds=[5_000.0]), "threshold: differs"),
        (lambda: part(5, 5, population_sizes=[7, 99]), "neither begins the other"),
        (lambda: part(3, 5), "share some of their replicates"),
        (lambda: part(1, 2), "share some of their replicates"),
        (lambda: sim.simulate(make(shocks=SHOCKS)), "scenario_id: differs"),
    ],
)
def test_ledgers_that_do_not_fit_are_refused_with_the_reason(other, sentence):
    with pytest.raises(sim.SimulatorError, match=sentence) as told:
        sim.merge([part(0, 5), other()])
    assert told.value.mend


def test_percentiles_of_segments_and_of_the_population_are_not_merged():
    one, other = (
        sim.simulate(
            make(simulation={"replicates": 5, "cut": 100.0, "thresholds": {"percentiles": [0.99], "by": by}}),
            first_replicate=at,
        )
        for at, by in ((0, "segment"), (5, "population"))
    )
    assert one.attrs["scenario_id"] == other.attrs["scenario_id"]
    with pytest.raises(sim.SimulatorError, match="threshold: differs"):
        sim.merge([one, other])


def test_nothing_to_merge_is_told():
    with pytest.raises(sim.SimulatorError, match="is empty"):
        sim.merge([])


def test_merged_variables_keep_their_units_and_constants():
    merged = sim.merge([part(0, 5), part(5, 5)])
    assert merged["gross_cost"].attrs["units"] == "GBP per year"
    assert merged["cut"].dims == ("segment",) and merged["threshold_amount"].dims == ("segment", "threshold")
    assert merged.attrs["scenario_id"] == make().scenario_id


def test_assembling_sets_units_afresh():
    values = {"gross_cost": np.zeros((2, 1)), "cut": np.ones(1)}
    coordinates = {"replicate": [0, 1], "population_size": [5], "segment": ["a"]}
    ledger = assemble(values, coordinates, {"seed": 1}, "EUR")
    assert ledger["gross_cost"].attrs["units"] == "EUR per year" and ledger.attrs["currency"] == "EUR"
    assert ledger["cut"].attrs["long_name"] == VARIABLES["cut"].sentence


@pytest.mark.parametrize("other", [None, {}, xr.Dataset({"cv": 1.0})])
def test_what_holds_no_draws_is_refused(other):
    for ask in (sim.summarise, sim.fan, lambda given: sim.settle(given, sim.Design(name="full risk"))):
        with pytest.raises(sim.SimulatorError, match="ledger: holds no draws; give what `simulate` drew"):
            ask(other)
