"""Reading rows: bad files, cleaning, and the report of what was dropped."""

from __future__ import annotations

import datetime as dt
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simulator.errors import SimulatorError
from simulator.fitting.fit import fit
from simulator.fitting.read.rows import Rows, clean, reading

RANDOM = np.random.default_rng(11)


def frame(n: int = 400) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"P{number:05d}" for number in range(n)],
            "band": np.where(np.arange(n) % 2 == 0, "low", "high"),
            "age": np.arange(n) % 90,
            "inpatient": np.where(np.arange(n) % 4 == 0, 0.0, RANDOM.lognormal(6, 1, n).round(2)),
            "outpatient": np.where(np.arange(n) % 4 == 0, 0.0, 100.0),
            "months": np.where(np.arange(n) % 10 == 0, 6, 12),
        }
    )


def cleaned(source: Any, **options: Any) -> Rows:
    return clean(source, reading(**{"cost": "inpatient,outpatient", **options}))


# ── bad files: one clear sentence each ───────────────────────────────────────────────────────────


def _csv(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "p-90210-smith.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return write


def _bomb(folder: Path) -> Path:
    path = folder / "p-90210-smith.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (64 << 20))
    return path


def _parquet(folder: Path, total: list[Any], cut: float = 1.0) -> Path:
    pytest.importorskip("pyarrow")
    path = folder / "p-90210-smith.parquet"
    pd.DataFrame({"band": "a", "total": total}).to_parquet(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    return path


def _rows(cost: str, n: int = 40, head: str = "band,total") -> str:
    return head + "\n" + "\n".join(f"a,{cost}" for _ in range(n)) + "\n"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (_csv(""), "is empty"),
    "header only": (_csv("band,total\n"), "hold no rows"),
    "no such column": (_csv(_rows("5", head="band,sum")), "have no column 'total'"),
    "text in cost": (_csv(_rows("5") + "a,Mr Smith 90210\n"), "have text in column 'total'"),
    "currency sign in a word": (_csv(_rows("£5 Smith")), "have text in column 'total'"),
    "all zeros": (_csv(_rows("0")), "are above 0 for fewer than 10 patients, or none"),
    "one row": (_csv(_rows("90210.77", n=1)), "leave fewer than 10 patients, or none"),
    "nine rows": (_csv(_rows("90210.77", n=9)), "leave fewer than 10 patients, or none"),
    "nothing but missing": (_csv(_rows("")), "leave fewer than 10 patients, or none"),
    "duplicate header": (_csv(_rows("5", head="total,total")), "have column 'total' more than once"),
    "wrong encoding": (_bytes("x.csv", _rows("5").encode() + b"\x81\x8f,5\n"), "neither UTF-8 nor Windows-1252"),
    "utf-16 without its mark": (_bytes("x.csv", _rows("5").encode("utf-16-le")), "looks like UTF-16"),
    "ragged": (_csv(_rows("5") + "a,5,6,7,8\n"), "is not a sound CSV file"),
    "a field too many everywhere": (_csv(_rows("5,7")), "is not a sound CSV file"),
    "negative": (_csv(_rows("-90210.77")), "are negative in about 40 rows"),
    "few negative": (_csv(_rows("5") + "a,-90210.77\n"), "are negative in fewer than 10 rows"),
    "formula as cost": (_csv(_rows("5") + '"a","=HYPERLINK(""http://x"",90210)"\n'), "have text in column 'total'"),
    "formula as segment": (_csv(_rows("5").replace("a,", "=1+90210|' /C calc'!A0,")), "like a spreadsheet formula"),
    "at-formula": (_csv(_rows("5").replace("a,", "@SUM(90210),")), "begin like a spreadsheet formula"),
    "ids as segment": (_csv("band,total\n" + "".join(f"P{n},5\n" for n in range(90_210, 90_310))), "nearly as many"),
    "a segment of few": (_csv(_rows("5") + "smith,90210\n" * 9), "fewer than 10 patients"),
    "not parquet": (_bytes("x.parquet", b"90210 is not a parquet file at all"), "not a sound Parquet"),
    "not excel": (_bytes("x.xlsx", b"90210 is no spreadsheet"), "not a sound spreadsheet"),
    "zip bomb": (_bomb, "unpacks to far more"),
    "broken gzip": (_bytes("x.csv.gz", gzip.compress(_rows("5").encode())[:-20]), "not a sound CSV file"),
    "unknown ending": (_bytes("x.docx", b"90210"), "ending that is not known"),
    "folder": (lambda folder: folder, "is a folder"),
    "absent": (lambda folder: folder / "smith-90210.csv", "does not exist"),
    "nothing but nan": (_csv(_rows("nan")), "have 'nan' in column 'total'"),
    "astronomic": (_csv(_rows("5") + "a,9.0210e307\n"), "beyond 1e+15"),
    "truncated parquet": (lambda folder: _parquet(folder, [1.0] * 4_000, cut=0.5), "not a sound Parquet"),
    "lists in parquet": (lambda folder: _parquet(folder, [[90210.0]] * 40), "lists or records in column 'total'"),
    "records in parquet": (lambda folder: _parquet(folder, [{"smith": 90210.0}] * 40), "lists or records"),
    "dates as cost": (lambda folder: _parquet(folder, [dt.date(2020, 1, 1)] * 40), "have text in column 'total'"),
    "blank names": (_csv(_rows("5").replace("a,", '" ",')), "empty names"),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", BAD)
def test_bad_file(case: str, tmp_path: Path) -> None:
    write, sentence = BAD[case]
    with pytest.raises(SimulatorError) as caught:
        fit(write(tmp_path), cost="total", segment="band")
    said = str(caught.value)
    assert sentence in said and "\n" not in said and len(said) < 220
    assert "90210" not in said and "mith" not in said and str(tmp_path) not in said


def test_a_sound_file_passes_where_the_bad_ones_fail(tmp_path: Path) -> None:
    path = _csv("band,total\n" + "".join(f"{'ab'[n % 2]},{n % 50}\n" for n in range(400)))(tmp_path)
    assert [s.name for s in fit(path, cost="total", segment="band", sets=0).population.segments] == ["a", "b"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "tsv"])
def test_every_kind_of_file_reads_alike(ending: str, tmp_path: Path) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    table, path = frame(), tmp_path / f"costs.{ending}"
    if ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    from_file, from_frame = cleaned(path, segment="band"), cleaned(table, segment="band")
    assert np.allclose(from_file.cost, from_frame.cost) and from_file.names == from_frame.names == ("high", "low")
    assert np.array_equal(from_file.segment, from_frame.segment)


def test_a_spreadsheet_reads_like_a_frame(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    table = frame(60)
    path = tmp_path / "costs.xlsx"
    _write_sheet(table, path)
    read = cleaned(path, segment="band")
    assert np.allclose(read.cost, cleaned(table, segment="band").cost) and read.names == ("high", "low")


def _write_sheet(table: pd.DataFrame, path: Path) -> None:
    """The least that is a spreadsheet, without a package that writes one."""

    def cell(value: object) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    rows = [list(table.columns), *table.itertuples(index=False)]
    sheet = "".join("<row>" + "".join(cell(value) for value in row) + "</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    one = f'<Relationship Id="r1" Type="{links}/%s" Target="%s"/>'
    relation = f'<Relationships xmlns="{package}/relationships">{one}</Relationships>'
    book = f'<workbook xmlns="{main}" xmlns:r="{links}"><sheets>%s</sheets></workbook>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": relation % ("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": book % '<sheet name="a" sheetId="1" r:id="r1"/>',
        "xl/_rels/workbook.xml.rels": relation % ("worksheet", "worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)


def test_anything_that_gives_columns_by_name_will_do() -> None:
    class Frame:
        columns = ("total",)

        def __getitem__(self, name: str) -> list[float]:
            assert name == "total"
            return [float(n) for n in range(100)]

    assert clean(Frame(), reading(cost="total")).cost.sum() == 4950


# ── cleaning ─────────────────────────────────────────────────────────────────────────────────────


def test_every_filter_tells_the_cost_it_drops() -> None:
    table = frame()
    report = cleaned(table, where="months == 12 and age >= 10").report
    total = (table.inpatient + table.outpatient).sum()
    gone = table[table.months != 12]
    assert report["dropped"][0] == {
        "why": "not months == 12",
        "rows": 40,
        "share_of_cost": pytest.approx((gone.inpatient + gone.outpatient).sum() / total, rel=1e-3),
    }
    assert report["rows_read"] == report["rows_kept"] + sum(d["rows"] for d in report["dropped"])
    assert abs(report["rows_read"] - 400) <= 5 and all(d["rows"] % 5 == 0 for d in report["dropped"])


def test_missing_and_infinite_costs_are_dropped_and_counted() -> None:
    table = frame()
    table.loc[:19, "inpatient"] = np.nan
    table.loc[20:44, "outpatient"] = np.inf
    table.loc[45:59, "band"] = None
    dropped = {d["why"]: d["rows"] for d in cleaned(table, segment="band").report["dropped"]}
    assert dropped == {"no segment": 15, "cost is missing": 20, "cost is infinite": 25}


def test_a_small_count_is_not_told_nor_to_be_had_by_subtraction() -> None:
    table = frame(407)
    table.loc[:2, "inpatient"] = np.nan
    report = cleaned(table).report
    assert report["dropped"] == []
    filtered = cleaned(table.assign(age=np.r_[90, 91, table["age"][2:]]), where="age < 90").report
    assert filtered["dropped"] == [{"why": "not age < 90", "rows": None, "share_of_cost": None}]
    # what was read is told as the sum of what is told: its own number less the others would tell the small one
    assert (report["rows_read"], report["rows_kept"]) == (405, 405)


def test_part_years_keep_the_cost_of_a_member_year() -> None:
    table = frame()
    rows = cleaned(table, exposure="months", exposure_unit="months")
    total, years = (table.inpatient + table.outpatient).sum(), table.months.sum() / 12
    assert rows.weight.sum() == pytest.approx(years)
    assert rows.weight @ rows.cost == pytest.approx(total)
    assert rows.cost.size == 400
    half = table.months == 6
    assert rows.cost[half] == pytest.approx(2 * (table.inpatient + table.outpatient)[half])


def test_exposure_out_of_range_is_refused() -> None:
    with pytest.raises(SimulatorError, match=r"say exposure_unit months .*--exposure-unit months"):
        cleaned(frame(), exposure="months")
    days = frame().assign(days=np.r_[np.full(200, 365.0), np.full(200, 30.0)])
    with pytest.raises(SimulatorError, match="above 1 year in some rows; give the part of the year covered, in years"):
        cleaned(days, exposure="days")
    with pytest.raises(SimulatorError, match="above 12 months"):
        cleaned(days, exposure="days", exposure_unit="months")


def test_exposures_and_weights_that_cannot_be_are_refused_or_dropped() -> None:
    with pytest.raises(SimulatorError, match="below 0 in some rows"):
        cleaned(frame().assign(years=-0.5), exposure="years")
    with pytest.raises(SimulatorError, match="fewer than 10 patients, or none"):
        cleaned(frame().assign(w=0.0), weight="w")
    with pytest.raises(SimulatorError, match="larger in one row than in all others"):
        cleaned(frame().assign(w=np.r_[1e9, np.ones(399)]), weight="w")
    with pytest.raises(SimulatorError, match="below 0 in some rows"):
        cleaned(frame().assign(w=np.r_[-1.0, np.ones(399)]), weight="w")
    moment = frame().assign(years=np.r_[np.full(20, 1e-300), np.ones(380)])
    assert cleaned(moment, exposure="years").report["dropped"][0]["rows"] == 20


def test_records_in_any_column_are_refused() -> None:
    table = frame().assign(id=[{"a": 1}] * 400, band=[["x"]] * 400)
    for options in ({"person": "id"}, {"segment": "band"}, {"where": "band == 'x'"}):
        with pytest.raises(SimulatorError, match="lists or records"):
            cleaned(table, **options)


@pytest.mark.parametrize("part", [0.0, 0.3])
def test_an_annualised_law_keeps_the_mean_and_is_more_spread(part: float) -> None:
    """Bills in a Poisson number a year: part-years have more people without cost and a larger cv, in closed form."""
    random, people, rate = np.random.default_rng(3), 400_000, 1.5
    exposure = np.where(random.random(people) < part, random.choice([0.25, 0.5, 0.75], people), 1.0)
    bills = random.poisson(rate * exposure)
    cost = 1_000.0 * random.gamma(np.maximum(bills, 1e-9)) * (bills > 0)
    rows = cleaned(pd.DataFrame({"c": cost, "e": exposure}), cost="c", exposure="e")
    assert rows.weight @ rows.cost == pytest.approx(cost.sum())
    # a member-year of exposure e has no cost with chance exp(-rate e), and a squared cv of 2 / (rate e)
    zero = exposure @ np.exp(-rate * exposure) / exposure.sum()
    squared_cv = 2 / rate * people / exposure.sum()
    error = np.sqrt(zero * (1 - zero) / people)
    share, mean = np.average(rows.cost == 0, weights=rows.weight), np.average(rows.cost, weights=rows.weight)
    found = np.average((rows.cost - mean) ** 2, weights=rows.weight) / mean**2
    assert abs(share - zero) < 5 * error and found == pytest.approx(squared_cv, rel=0.03)
    # whole years alone are the law of a year
    whole = cleaned(pd.DataFrame({"c": cost, "e": exposure}), cost="c", exposure="e", minimum_exposure=1.0)
    assert abs((whole.cost == 0).mean() - np.exp(-rate)) < 5 * error / np.sqrt(0.7)
    assert (share - np.exp(-rate) > 5 * error) == (part > 0) == (found > 1.1 * 2 / rate)
    told = round(float(exposure[exposure < 1].sum() / exposure.sum()), 2)
    assert rows.report["part_year_share"] == (told if part else None)


def test_few_part_years_are_not_told() -> None:
    for number in (0, 5, 9):
        few = frame().assign(e=np.r_[np.full(number, 0.5), np.ones(400 - number)])
        assert cleaned(few, exposure="e").report["part_year_share"] is None
    # ten rows of one person are one person
    one = frame().assign(e=np.r_[np.full(10, 0.5), np.ones(390)])
    assert cleaned(one, exposure="e").report["part_year_share"] == 0.01
    assert (
        cleaned(one.assign(id=["P0"] * 10 + list(one["id"][10:])), exposure="e", person="id").report["part_year_share"]
        is None
    )
    assert cleaned(frame()).report["part_year_share"] == 0.0


def test_short_exposures_may_be_dropped() -> None:
    report = cleaned(frame(), exposure="months", exposure_unit="months", minimum_exposure=0.75).report
    assert (
        report["dropped"][0]["why"] == "covered for less than 0.75 of the year" and report["dropped"][0]["rows"] == 40
    )


def test_policies_for_negative_amounts() -> None:
    table = frame()
    spent = table.outpatient > 0
    table.loc[spent & (table.index < 40), "outpatient"] = -50.0
    zero, net = cleaned(table, negative="zero"), cleaned(table, negative="net")
    first = (table.index < 40) & spent
    assert zero.cost[first] == pytest.approx(table.inpatient[first])
    assert net.cost[first] == pytest.approx(np.maximum(table.inpatient[first] - 50, 0))
    assert zero.report["negative"]["rows"] == 30 and zero.report["negative"]["policy"] == "zero"
    assert zero.report["negative"]["change_of_cost"] > (net.report["negative"]["change_of_cost"] or 0) >= 0
    with pytest.raises(SimulatorError, match="negative in about 30 rows"):
        cleaned(table)


def test_services_may_be_taken_out() -> None:
    table = frame().assign(total=lambda t: t.inpatient + t.outpatient)
    listed = clean(table, reading(cost="inpatient,outpatient", exclude_service="outpatient"))
    summed = clean(table, reading(cost="total", exclude_service="outpatient"))
    assert listed.cost == pytest.approx(table.inpatient) and summed.cost == pytest.approx(table.inpatient)
    share = table.outpatient.sum() / table.total.sum()
    assert listed.report["excluded_service_share_of_cost"] == pytest.approx(share, rel=1e-3)
    assert summed.report["excluded_service_share_of_cost"] == pytest.approx(share, rel=1e-3)


def test_cuts_of_a_number() -> None:
    table = frame()
    rows = cleaned(table, segment="age:0,18,65")
    assert rows.names == ("age 0-17", "age 18-64", "age 65 and over")
    assert np.array_equal(rows.segment, np.digitize(table.age, [18, 65]))


@pytest.mark.parametrize("segment", ["age:", "age:1,1", "age:5,3", ":1,2", "age:a,b", "age:0,inf"])
def test_bad_cuts(segment: str) -> None:
    with pytest.raises(SimulatorError, match=r"^segment: "):
        cleaned(frame(), segment=segment)


def test_a_persons_rows_fall_into_one_half() -> None:
    table = frame()
    table["id"] = [f"P{n // 4}" for n in range(400)]
    fold = cleaned(table, person="id").fold.reshape(100, 4)
    assert np.all(fold == fold[:, :1]) and 20 < fold[:, 0].sum() < 80
    apart = cleaned(table).fold.reshape(100, 4)
    assert not np.all(apart == apart[:, :1])
