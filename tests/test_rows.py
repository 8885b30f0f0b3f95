"""The one reader of rows: what is understood, what is asked about, and what is refused in one sentence."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import os
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simulator.contracts.design import Design
from simulator.errors import SimulatorError
from simulator.fitting.read.rows import Rows, clean, reading
from simulator.rows.columns.cells import column_of
from simulator.rows.columns.column import plain_numbers
from simulator.rows.columns.numbers import number_of
from simulator.rows.files.source import MOST_ROWS
from simulator.settlement.actuals import settle_actuals
from simulator.settlement.reading import PUBLIC, year_end_rows

HALF = Design(name="half", terms=({"kind": "share", "gain": 0.5, "loss": 0.5},))


def wrote(folder: Path, text: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def cleaned(source: Any, cost: Any = "total", rows: dict[str, Any] | None = None, **options: Any) -> Rows:
    return clean(source, reading(cost=cost, rows=rows or {}, **options))


def settled(source: Any, **rows: Any) -> pd.DataFrame:
    return settle_actuals(HALF, source, **rows)


def lines(*rows: str, head: str = "band,total", n: int = 40) -> str:
    return "\n".join([head, *(["a,5"] * n), *rows]) + "\n"


# ── form of the file ─────────────────────────────────────────────────────────────────────────────

BUDGETS = "organisation,members,budget,cost,paid,note\n"


def test_one_empty_field_beyond_the_header_is_a_delimiter_at_the_end(tmp_path: Path) -> None:
    path = wrote(tmp_path, BUDGETS + "a,100,1000000,930000,70000,late,\nb,100,1000000,930000,70000,,\n")
    assert settled(path)["cost"].tolist() == [930_000.0, 930_000.0]
    assert cleaned(wrote(tmp_path, lines("a,5,", "a,7,"))).cost.sum() == 212


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("extra", [",x", ",,x", ",x,", ",,", ",,,,,"])
def test_a_row_with_more_fields_is_refused_by_its_number(tmp_path: Path, at: int, extra: str) -> None:
    rows = [f"o{k},1,100,90,0,n" for k in range(5)]
    rows[at] += extra
    path = wrote(tmp_path, BUDGETS + "\n".join(rows))
    with pytest.raises(SimulatorError, match=rf"row {at + 2} has {6 + extra.count(',')} fields, and the header has 6"):
        settled(path)


@pytest.mark.parametrize("at", [255, 256, 257, 511, 512, 900])
def test_a_long_row_is_found_wherever_the_file_is_cut_into_parts(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.rows.files.text._MOST_CELLS", 1)
    rows = ["a,5"] * 1_000
    assert cleaned(wrote(tmp_path, "\n".join(["band,total", *rows]))).cost.sum() == 5_000
    rows[at] += ",,9"
    with pytest.raises(SimulatorError, match=f"row {at + 2} has 4 fields"):
        cleaned(wrote(tmp_path, "\n".join(["band,total", *rows])))


def test_a_quote_that_is_never_closed_is_told(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="double quote that is never closed"):
        cleaned(wrote(tmp_path, lines('"a,5', "b,6")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_every_encoding_that_can_be_told_is_read(tmp_path: Path, encoding: str) -> None:
    path = wrote(tmp_path, lines(*["Zoë – é,7"] * 40).encode(encoding))
    rows = cleaned(path, segment="band")
    assert rows.names == ("Zoë – é", "a") and rows.cost.sum() == 480
    assert [("Windows-1252" in note) for note in rows.report["notes"]] == [True] * (encoding == "cp1252")


@pytest.mark.heavy
def test_a_header_of_more_than_64_kb_is_read(tmp_path: Path) -> None:
    head = ",".join(f"column number {k} of a very wide table" for k in range(3_000)) + ",total"
    assert len(head) > 1 << 16
    path = wrote(tmp_path, head + "\n" + "\n".join(["," * 3_000 + "5"] * 12))
    assert cleaned(path).cost.sum() == 60


def test_what_is_called_as_it_is_read(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "Coût total")
    head = f'band,"{unicodedata.normalize("NFD", composed)}","annual\n  total "'
    path = wrote(tmp_path, lines(*["a,5,7"] * 5, head=head, n=0) + "a,5,7\n" * 10)
    assert cleaned(path, composed).cost.sum() == 75
    assert cleaned(path, " annual   total").cost.sum() == 105
    doubled = wrote(tmp_path, "total,total \n" + "5,6\n" * 12)
    with pytest.raises(SimulatorError, match="column 'total' more than once"):
        cleaned(doubled)
    with pytest.raises(SimulatorError, match="has both 'budget' and 'budget'"):
        settled(wrote(tmp_path, "budget, budget,cost\n1,2,3\n"))


def test_a_column_named_twice_is_refused() -> None:
    with pytest.raises(SimulatorError, match="cost: names column 'total' twice"):
        reading(cost="total, total")
    assert reading(cost='"cost, all",total').cost == ("cost, all", "total")


def test_other_separators_are_told(tmp_path: Path) -> None:
    for sign, said in (
        (";", "by semicolons; save it with commas"),
        ("\t", "by tabs; name it .tsv"),
        ("|", "vertical bars"),
    ):
        with pytest.raises(SimulatorError, match=said):
            cleaned(wrote(tmp_path, lines().replace(",", sign)))


# ── missing cells ────────────────────────────────────────────────────────────────────────────────


def test_only_the_empty_cell_is_missing(tmp_path: Path) -> None:
    text = "band,total\n" + "None,5\nNA,5\nn/a,5\nnull,5\n,5\n" * 12
    rows = cleaned(wrote(tmp_path, text), segment="band")
    assert rows.names == ("NA", "None", "n/a", "null") and rows.cost.size == 48
    fewer = cleaned(wrote(tmp_path, text), segment="band", rows={"missing": "NA,n/a"})
    assert fewer.names == ("None", "null") and fewer.cost.size == 24
    frame = pd.DataFrame({"band": ["None", "NA", "", None] * 12, "total": 5.0})
    assert cleaned(frame, segment="band").names == ("NA", "None")
    assert cleaned(frame, segment="band", rows={"missing": ["NA"]}).names == ("None",)


def test_a_mark_in_a_column_of_numbers_is_asked_about(tmp_path: Path) -> None:
    path = wrote(tmp_path, lines("a,NA", "a,-9"))
    with pytest.raises(SimulatorError, match=r"have 'NA' in column 'total'; .*missing=\"NA\" \(--missing\)"):
        cleaned(path)
    assert cleaned(path, rows={"missing": "NA,-9"}).cost.size == 40


def test_blanks_are_zero_where_that_is_said(tmp_path: Path) -> None:
    path = wrote(tmp_path, lines(*["a,"] * 20, *["a,NA"] * 10, *["a,*"] * 10))
    rows = cleaned(path, rows={"blank_as_zero": True, "missing": "NA"})
    assert rows.cost.size == 60 and (rows.cost == 0).sum() == 20
    assert cleaned(path, rows={"missing": "NA"}).cost.size == 40
    real = wrote(tmp_path, "budget,cost,members\n100,,\n100,90,5\n")
    assert settled(real, blank_as_zero=True)["settlement"].tolist() == [50.0, 5.0]
    with pytest.raises(SimulatorError, match="cost: is missing"):
        settled(real)


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "number", "kind"),
    [
        ("5", 5, "number"), (" 5.50 ", 5.5, "number"), ("1e3", 1000, "number"), ("$1,234", 1234, "number"),
        ("£ 1,234,567.8", 1234567.8, "number"), ("-£5", -5, "number"), ("£-5", -5, "number"), ("−5", -5, "number"),
        ("(1,234.50)", -1234.5, "number"), ("($5)", -5, "number"), ("5 €", 5, "number"), ("USD 5", 5, "number"),
        ("89.41%", 0.8941, "percentage"), ("-2 %", -0.02, "percentage"), ("007", 7, "number"), ("+5", 5, "number"),
        ("inf", np.inf, "number"), ("*", np.nan, "suppressed"), ("[c]", np.nan, "suppressed"),
        ("TRUE", 1, "truth"), ("no", 0, "truth"), ("90+", np.nan, "open age"), ("N/A", np.nan, "marker"),
        ("", np.nan, "blank"), ("  ", np.nan, "blank"), ("1,23", np.nan, "text"), ("1.234,5", np.nan, "text"),
        ("1_000", np.nan, "text"), ("0x10", np.nan, "text"), ("--5", np.nan, "text"), ("(-5)", np.nan, "text"),
        ("5 Smith", np.nan, "text"), ("1,2345", np.nan, "text"), ("٣", np.nan, "text"), ("9" * 400, np.nan, "text"),
    ],
)  # fmt: skip
def test_what_a_cell_means_as_a_number(text: str, number: float, kind: str) -> None:
    found, its_kind = number_of(text)
    assert its_kind == kind and (found == number or (np.isnan(found) and np.isnan(number)))


def test_money_reads_alike_in_every_table(tmp_path: Path) -> None:
    cells = ["$1,234", "(5)", "7", "*"] * 12
    frame = pd.DataFrame({"total": cells})
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    for source in (frame, path, {"total": cells}):
        rows = cleaned(source, negative="zero")
        assert sorted(set(rows.cost)) == [0, 7, 1234] and rows.cost.size == 36
        assert rows.report["notes"] == ["Some figures of column 'total' are suppressed (*) and taken as missing."]


def test_one_sentence_tells_of_all_columns_that_hold_no_figures(tmp_path: Path) -> None:
    path = wrote(tmp_path, "inpatient,drugs,years,n\n" + "Smith,5%,1,TRUE\n" * 12)
    with pytest.raises(SimulatorError) as caught:
        cleaned(path, "inpatient,drugs", weight="n", exposure="years")
    said = str(caught.value)
    assert "text in column 'inpatient', percentages in column 'drugs', TRUE or FALSE in column 'n'" in said
    assert "Smith" not in said
    with pytest.raises(SimulatorError, match="has text in columns 'budget' and 'cost'"):
        settled({"budget": ["1.000,00"], "cost": ["much"]})


@pytest.mark.parametrize(
    ("cost", "sentence"),
    [
        ("TRUE", "TRUE or FALSE in column 'cost'"), ("-5", "cost: -5.0 must be at least 0"),
        ("9" * 400, "column 'cost'|beyond"),
        ("1e200", "cost: is beyond"), ("5%", "percentages in column 'cost'"), ("inf", "cost: is beyond"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", ["90", "$90"])
def test_costs_that_cannot_be_are_refused_of_real_rows(tmp_path: Path, cost: str, sentence: str, beside: str) -> None:
    path = wrote(tmp_path, f"budget,cost\n100,{beside}\n100,{cost}\n")
    with pytest.raises(SimulatorError, match=sentence):
        settled(path)
    alone = wrote(tmp_path, f"budget,cost\n100,{cost}\n")
    with pytest.raises(SimulatorError, match=sentence):
        settled(alone)


def test_flags_may_be_words_and_shares_percentages() -> None:
    rows = year_end_rows({"budget": [100.0], "cost": [90.0], "met_standard": ["TRUE"], "final_share": ["45.5%"]})
    assert rows["met_standard"].tolist() == [1.0] and rows["final_share"].tolist() == [0.455]


# ── segments ─────────────────────────────────────────────────────────────────────────────────────


def test_a_label_is_its_text(tmp_path: Path) -> None:
    def names(*labels: str) -> tuple[str, ...]:
        text = "".join(f"{label},{k % 7}\n" for label in labels for k in range(20))
        return cleaned(wrote(tmp_path, "area,total\n" + text), segment="area").names

    assert names("01001", "11001") == ("01001", "11001")
    assert names("1000001", "1000002") == ("area 1000001", "area 1000002")
    assert names("2", "10") == ("area 2", "area 10")
    assert names("1", "1.0") == ("1", "1.0")
    big = [2**53 + 1, 2**53 + 3]
    frame = pd.DataFrame({"area": big * 20, "total": 5.0})
    assert cleaned(frame, segment="area").names == tuple(f"area {label}" for label in big)
    assert not plain_numbers(["1e5"]) and plain_numbers(["0", "0.5", "-3"])


def test_an_open_age_gets_the_right_advice(tmp_path: Path) -> None:
    path = wrote(tmp_path, "age,total\n" + "5,1\n70,2\n90+,3\n" * 12)
    for options in ({"segment": "age:0,65"}, {"where": "age >= 65"}):
        with pytest.raises(SimulatorError, match=r"open age such as \"90\+\".*90 for 90\+"):
            cleaned(path, **options)
    assert cleaned(path, segment="age").names == ("5", "70", "90+")


# ── dates and filters ────────────────────────────────────────────────────────────────────────────

LAST_DAY = [dt.datetime(2019, 12, day, 10, 30) for day in (30, 31)] + [dt.datetime(2020, 1, 1)]


def kept(source: Any, where: str, **rows: Any) -> float:
    return cleaned(source, where=where, rows=rows).cost.sum()


@pytest.mark.parametrize("kind", ["parquet", "frame", "iso", "british", "american", "named", "date", "excel"])
def test_dates_are_dates_to_the_end_of_the_day(tmp_path: Path, kind: str) -> None:
    costs = [1.0, 2.0, 4.0] * 12
    forms = {"iso": "%Y-%m-%d %H:%M", "british": "%d/%m/%Y", "american": "%m/%d/%Y", "named": "%d %b %Y"}
    days = [
        day.strftime(forms[kind]) if kind in forms else day.date() if kind == "date" else day for day in LAST_DAY * 12
    ]
    source: Any = pd.DataFrame({"to": days, "total": costs})
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        source.to_parquet(tmp_path / "rows.parquet")
        source = tmp_path / "rows.parquet"
    if kind == "excel":
        source = workbook(tmp_path, {"Data": [["to", "total"], *zip(days, costs, strict=True)]})
    if kind in forms:
        source.to_csv(tmp_path / "rows.csv", index=False)
        source = tmp_path / "rows.csv"
    assert kept(source, "to <= '2019-12-31'") == 36
    assert kept(source, "to > '2019-12-31'") == 48
    assert kept(source, "to == '2019-12-31'") == 24
    assert kept(source, "'2019-12-30' < to <= '2019-12-31'") == 24
    with pytest.raises(SimulatorError, match=r"dates|the other kind"):
        kept(source, "to <= 20191231")


def test_an_ambiguous_date_is_asked_about(tmp_path: Path) -> None:
    path = wrote(tmp_path, "to,total\n" + "01/02/2019,1\n03/04/2019,2\n" * 12)
    with pytest.raises(SimulatorError, match=r"may be day/month or month/day; say which: dates"):
        kept(path, "to <= '2019-02-15'")
    assert kept(path, "to <= '2019-02-15'", dates="day-first") == 12
    assert kept(path, "to >= '2019-03-04'", dates="month-first") == 24
    assert kept(path, "to <= '28/02/2019'") == 12  # the filter's own date shows the order
    both = wrote(tmp_path, "to,total\n" + "31/01/2019,1\n01/31/2019,2\n" * 12)
    with pytest.raises(SimulatorError, match="side by side"):
        kept(both, "to <= '2019-02-15'")
    with pytest.raises(SimulatorError, match="two digits"):
        kept(wrote(tmp_path, "to,total\n" + "31/01/19,1\n" * 12), "to <= '2019-02-15'")
    unknown = wrote(tmp_path, "to,total\n" + "2019-01-31,1\nunknown,2\n" * 12)
    with pytest.raises(SimulatorError, match=r"dates beside other text; name what stands for no date"):
        kept(unknown, "to <= '2019-02-15'")
    assert kept(unknown, "to <= '2019-02-15'", missing="unknown") == 12
    with pytest.raises(SimulatorError, match="does not exist"):
        kept(wrote(tmp_path, "to,total\n" + "2019-02-31,1\n" * 12), "to <= '2019-02-15'")


def test_names_in_quotes_and_the_parsers_own_words(tmp_path: Path) -> None:
    path = wrote(tmp_path, "total,annual visits,from,band,area\n" + "1,1,2019,a,01\n2,2,2020,b,1\n" * 12)

    def total(where: str) -> float:
        return cleaned(path, where=where).cost.sum()

    assert total('"annual visits" > 1') == total("1 < 'annual visits'") == total("`annual visits` >= 2") == 24
    assert total('"from" == 2020 and band == "b"') == total("'b' == band") == total("`band` in ('b',)") == 24
    assert total("area == '01'") == 12 and total("area == 1") == 36
    with pytest.raises(SimulatorError, match="have no column 'missing one'"):
        total('"missing one" > 1')
    for where, said in [
        ("from == 2020", "invalid syntax"), ("(band == 'a'", "was never closed"), ("band == 'a", "unterminated string"),
        ("months + 1 == 13", "compares something other"), ("months", "no comparison"), ("band = 'a'", "cannot be read"),
    ]:  # fmt: skip
        with pytest.raises(SimulatorError, match=said):
            total(where)


# ── frames ───────────────────────────────────────────────────────────────────────────────────────


def test_names_of_columns_need_not_be_text() -> None:
    frame = pd.DataFrame({2019: [5.0] * 12, ("a", "b"): ["x"] * 12})
    rows = cleaned(frame, "2019", segment="a b")
    assert rows.cost.sum() == 60 and rows.names == ("x",)
    assert cleaned({2019: [5.0] * 12}, "2019").cost.sum() == 60


def test_frames_that_speak_arrow_are_read() -> None:
    arrow = pytest.importorskip("pyarrow")

    class Frame:  # as polars has it
        def __init__(self, table: Any) -> None:
            self._table = table

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return self._table.__arrow_c_stream__(requested_schema)

    table = arrow.table({"band": ["a", "b", None] * 12, "total": [1, 2, None] * 12, "on": [dt.date(2020, 1, 1)] * 36})
    for source in (table, Frame(table)):
        rows = cleaned(source, segment="band", where="on == '2020-01-01'")
        assert rows.names == ("a", "b") and rows.cost.sum() == 36
    with pytest.raises(SimulatorError, match="lists or records in column 'total'"):
        cleaned(Frame(arrow.table({"total": [[1.0]] * 12})))


def test_a_lazy_frame_is_told_to_be_collected() -> None:
    class Lazy:
        columns = ("total",)

        def collect(self) -> None: ...

    with pytest.raises(SimulatorError, match="collect it first"):
        cleaned(Lazy())


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (pd.array([1, None], "Int64"), [1, np.nan]),
        (pd.Categorical([3.0, None, 1.0]), [3, np.nan, 1]),
        (pd.Series(["1", "2,000"], dtype="category"), [1, 2000]),
        (np.array([1, "2", None, 2.5], object), [1, 2, np.nan, 2.5]),
        (np.array([], float), []),
        (pd.array([True, None], "boolean"), [1, np.nan]),
    ],
)
def test_columns_of_every_type(values: Any, numbers: list[float]) -> None:
    np.testing.assert_array_equal(column_of(values).numbers[0], numbers)


# ── workbooks ────────────────────────────────────────────────────────────────────────────────────


def workbook(folder: Path, sheets: dict[str, list[Any]], far: str = "") -> Path:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    pytest.importorskip("python_calamine")
    path = folder / "rows.xlsx"
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
            if far:
                sheet.write(far, "x")
    return path


TABLE = [["band", "total"], *[["a", 5.0], ["b", 7]] * 12]


def test_sheets_by_name_by_number_and_below_a_cover(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"Cover": [["Costs of the year"]], "Data": TABLE, "Late": [["Costs"], [], *TABLE]})
    for sheet in ("Data", 2, "2"):
        assert cleaned(path, segment="band", rows={"sheet": sheet}).cost.sum() == 144
    assert cleaned(path, rows={"sheet": "Late", "header_row": 3}).cost.sum() == 144
    with pytest.raises(SimulatorError, match=r"Cover, Data, Late: choose another with sheet \(--sheet\)"):
        cleaned(path)
    with pytest.raises(SimulatorError, match="is not in the workbook; its sheets are: Cover, Data, Late"):
        cleaned(path, rows={"sheet": "data 1"})
    with pytest.raises(SimulatorError, match="hold no rows"):
        cleaned(workbook(tmp_path, {"Data": [["total"]]}))


def test_a_header_row_below_a_title(tmp_path: Path) -> None:
    path = wrote(tmp_path, "Costs of the year,\n\nband,total\n" + "a,5\n" * 12)
    assert cleaned(path, rows={"header_row": 3}).cost.sum() == 60
    with pytest.raises(SimulatorError, match="hold no rows; check the header row"):
        cleaned(path, rows={"header_row": 90})
    assert cleaned(wrote(tmp_path, "\n\n" + lines())).cost.sum() == 200


def test_what_would_be_ignored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="sheet: 2 is of workbooks alone"):
        cleaned(wrote(tmp_path, lines()), rows={"sheet": 2})
    with pytest.raises(SimulatorError, match="header_row: 2 is of text files and workbooks alone"):
        cleaned({"total": [5.0] * 12}, rows={"header_row": 2})


@pytest.mark.heavy
@pytest.mark.parametrize("far", ["XFD1048576", "A1048576", "XFD1", pytest.param("Z1000000", marks=pytest.mark.slow)])
def test_one_far_cell_of_a_sheet_does_not_fill_the_memory(tmp_path: Path, far: str) -> None:
    path = workbook(tmp_path, {"Data": TABLE}, far)
    if far == "XFD1":  # wide, and small all the same
        assert cleaned(path).cost.sum() == 144
    elif far == "A1048576":
        assert cleaned(path, rows={"missing": "x"}).cost.sum() == 144
    else:
        with pytest.raises(SimulatorError, match="a cell far from the others"):
            cleaned(path)


# ── totals ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("label", ["Total", "GRAND TOTAL", "all", "Sum", " total: "])
def test_a_last_row_that_is_the_total_is_left_out_with_a_note(tmp_path: Path, label: str) -> None:
    left_out = ["The last row is the total of those above and was left out."]
    path = wrote(tmp_path, lines(f"{label},200.5"))
    rows = cleaned(path)
    assert rows.cost.size == 40 and rows.report["notes"] == left_out
    assert cleaned(path, segment="band").names == ("a",)
    assert cleaned(pd.read_csv(path)).cost.size == 40
    real = settled(wrote(tmp_path, f"org,budget,cost,members\na,100,90,5\nb,100,80,5\n{label},200,170,10\n"))
    assert len(real) == 2 and list(real.attrs["notes"]) == left_out


@pytest.mark.parametrize("kind", ["csv", "parquet", "excel", "arrow"])
def test_a_label_alone_is_asked_about(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"area": ["x"] * 20 + ["All"], "total": [5.0] * 20 + [7.0]})
    source: Any = tmp_path / f"rows.{kind}"
    if kind == "csv":
        frame.to_csv(source, index=False)
    if kind == "parquet":
        frame.to_parquet(source)
    if kind == "excel":
        source = workbook(tmp_path, {"Data": [list(frame), *frame.to_numpy().tolist()]})
    if kind == "arrow":
        source = pytest.importorskip("pyarrow").table({name: frame[name].tolist() for name in frame})
    with pytest.raises(SimulatorError, match="called a total and is not the sum"):
        cleaned(source)


def test_a_total_may_stand_in_a_column_of_numbers(tmp_path: Path) -> None:
    path = wrote(tmp_path, "age,total\n" + "5,1\n70,2\n" * 12 + "Total,36\n")
    assert cleaned(path, segment="age:0,65").cost.sum() == cleaned(path, where="age < 99").cost.sum() == 36


def test_a_segment_may_be_called_all(tmp_path: Path) -> None:
    assert cleaned(wrote(tmp_path, lines("All,5", "a,5", "All,5", n=20)), segment="band").names == ("All", "a")


# ── other people's names ─────────────────────────────────────────────────────────────────────────


def test_columns_may_be_given_other_names(tmp_path: Path) -> None:
    path = wrote(tmp_path, "Org,Budget 2023,Spend\na,100,90\n")
    assert settled(path, columns="benchmark=Budget 2023, expenditure=Spend")["settlement"].tolist() == [5.0]
    with pytest.raises(SimulatorError, match="'benchmrk' is no column of real rows; choose from budget"):
        settled(path, columns="benchmrk=Budget 2023")
    with pytest.raises(SimulatorError, match="has no column 'Budget'; did you mean 'Budget 2023'"):
        settled(path, columns={"benchmark": "Budget"})
    assert (
        cleaned(wrote(tmp_path, lines(head="band,Spend 2023")), rows={"columns": "total=Spend 2023"}).cost.sum() == 200
    )


def test_a_public_file_of_the_medicare_programme_needs_no_options(data_folder: Path, tmp_path: Path) -> None:
    ours = pd.read_csv(data_folder / "mssp_2018_results.csv")
    tracks = [
        Design(name=name, labels=(label,), terms=HALF.terms)
        for name, label in (("1", "Track_1"), ("1+", "Track_1_Plus"), ("2", "Track_2"), ("3", "Track_3"))
    ]
    theirs = pd.DataFrame({
        "ACO_ID": ours["aco"],
        "Current_Track": ours["track"],
        "N_AB": ours["beneficiaries"].map("{:,}".format),
        "MinSavPerc": (100 * ours["minimum_savings_rate"]).map("{:.4f}".format),
        "ABtotBnchmk": ours["benchmark"].map("${:,}".format),
        "ABtotExp": ours["expenditure"].map("${:,}".format),
        "FinalShareRate": (100 * ours["final_share"]).map("{:.4f}%".format),
        "QualScore": ours["quality_score"].map("{:.2%}".format),
        "Met_QPS": ours["met_quality_standard"],
        "DisAdj": "*",
    })  # fmt: skip
    path = tmp_path / "py2018.csv"
    theirs.to_csv(path, index=False)
    read, direct = year_end_rows(path), year_end_rows(ours)
    for name in (
        "benchmark",
        "expenditure",
        "beneficiaries",
        "minimum_savings_rate",
        "final_share",
        "met_quality_standard",
    ):
        np.testing.assert_allclose(read[name], direct[name], rtol=1e-4, atol=1e-6)
    assert read["disaster_adjustment"].isna().all()
    assert any("548 figures of column 'DisAdj' are suppressed" in note for note in read.attrs["notes"])
    earned = settle_actuals(tracks, path)["settlement"]
    np.testing.assert_allclose(earned, settle_actuals(tracks, ours)["settlement"])


def test_own_names_go_before_public_ones() -> None:
    rows = year_end_rows({"ABtotExp": [1.0], "cost": [90.0], "budget": [100.0]})
    assert rows["cost"].tolist() == [90.0] and "expenditure" not in rows
    assert all(key == key.casefold() for key in PUBLIC)


# ── persons ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["person_id", "NHS number", "id", "Patient", "bene_id", "DESYNPUF_ID", "member no"])
def test_rows_that_far_outnumber_persons_are_warned_of(name: str) -> None:
    frame = pd.DataFrame({name: [f"P{k // 4}" for k in range(80)], "total": 5.0})
    (note,) = cleaned(frame).report["notes"]
    assert f"4.0 rows for each value of {name!r}" in note and "(--person)" in note and "P1" not in note
    assert cleaned(frame, person=name).report["notes"] == []
    assert cleaned(frame.assign(**{name: range(80)})).report["notes"] == []
    assert cleaned(frame.rename(columns={name: "practice"})).report["notes"] == []


@pytest.mark.parametrize("kind", ["csv", "frame", "arrow"])
def test_long_ids_stay_apart(tmp_path: Path, kind: str) -> None:
    ids = [*range(2**53, 2**53 + 20), None]
    frame: Any = pd.DataFrame({"who": pd.array(ids, "Int64"), "total": 5.0})
    if kind == "csv":
        frame.to_csv(tmp_path / "rows.csv", index=False)
        frame = tmp_path / "rows.csv"
    if kind == "arrow":
        frame = pytest.importorskip("pyarrow").table({"who": ids, "total": [5.0] * 21})
    person = cleaned(frame, person="who").person
    assert person is not None and person.tolist() == list(range(21))


def test_persons_are_numbered_for_whoever_counts_them() -> None:
    frame = pd.DataFrame({"who": [f"P{k // 2}" for k in range(40)], "total": 5.0})
    person = cleaned(frame, person="who").person
    assert person is not None and person.tolist() == [k // 2 for k in range(40)]
    person = cleaned(frame.assign(who=[None] * 10 + frame["who"].tolist()[10:]), person="who").person
    assert person is not None and len(set(person[:10].tolist())) == 1  # ten rows without an id pass for one person
    assert cleaned(frame).person is None


# ── what is not read at all ──────────────────────────────────────────────────────────────────────


def _gz(content: bytes) -> bytes:
    return gzip.compress(content)


def _zip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", content)
    return packed.getvalue()


ROWS = lines().encode()
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "cut gzip": ("x.csv.gz", _gz(ROWS)[:-12], "damaged or was cut off"),
    "flipped gzip": ("x.csv.gz", _gz(os.urandom(40_000))[:200] + b"\xff" * 300, "damaged or was cut off"),
    "no gzip": ("x.csv.gz", ROWS, "damaged or was cut off"),
    "gzip bomb": ("x.csv.gz", _gz(b"budget,cost,total\n" + b"1,1,1\n" * (1 << 20)), "unpacks to far more"),
    "gzip in gzip": ("x.csv.gz", _gz(_gz(ROWS)), "holds packed by gzip"),
    "zip in gzip": ("x.csv.gz", _gz(_zip(ROWS)), "a ZIP archive"),
    "zip": ("x.zip", _zip(ROWS), "is a ZIP archive"),
    "zip in zip": ("x.csv.zip", _zip(_zip(ROWS)), "is a ZIP archive"),
    "zip as csv": ("x.csv", _zip(ROWS), "a ZIP archive or a spreadsheet"),
    "zip as sheet": ("x.xlsx", _zip(ROWS), "not a sound spreadsheet"),
    "gzip as csv": ("x.csv", _gz(ROWS), "packed by gzip"),
    "parquet as csv": ("x.csv", b"PAR1" + ROWS, "is a Parquet file"),
    "page as csv": ("x.csv", b"<!DOCTYPE html><html>", "is a web page"),
    "zero bytes": ("x.csv", b"a,total\n" + b"\0" * 500, "zero bytes|UTF-16"),
    "zero bytes late": ("x.csv", ROWS * 1_000 + b"\0", "zero bytes"),
    "bzip2": ("x.csv.bz2", b"BZh", "packed by bzip2"),
    "wide": ("x.csv", b"a," * 20_000 + b"total\n", "more than 16,384 columns"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_of_another_kind_is_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.rows.files.stream._SMALL", 1 << 21)
    name, content, sentence = REFUSED[case]
    path = wrote(tmp_path, content, name)
    for ask in (lambda: cleaned(path), lambda: settled(path)):
        with pytest.raises(SimulatorError, match=sentence):
            ask()


@pytest.mark.parametrize("ask", [cleaned, settled])
def test_only_ordinary_files_are_read(ask: Callable[[Any], Any], tmp_path: Path) -> None:
    for address in ("http://127.0.0.1:9/rows.csv", "https://x/rows.csv", "file:///etc/passwd", "s3://b/rows.parquet"):
        with pytest.raises(SimulatorError, match="is an address, not a file"):
            ask(address)
    with pytest.raises(SimulatorError, match="a device or a pipe"):
        ask("/dev/zero")
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    linked = tmp_path / "linked.csv"
    linked.symlink_to("/dev/zero")
    for path in (pipe, linked):
        with pytest.raises(SimulatorError, match="a device or a pipe"):
            ask(path)
    for path in ("a" * 5_000 + ".csv", "a\0.csv"):
        with pytest.raises(SimulatorError, match="has a name that cannot be opened"):
            ask(path)
    with pytest.raises(SimulatorError, match=r"neither a file nor a table|no column"):
        ask(42)


def test_rows_are_counted_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    parquet.write_table(arrow.table({"total": arrow.array(np.ones(MOST_ROWS + 1, np.int8))}), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(SimulatorError, match="more than 20,000,000 rows; give a random sample"):
        cleaned(path)
    parquet.write_table(arrow.table({"total": arrow.array(np.ones(MOST_ROWS - 1, np.int8))}), path)
    with pytest.raises(SimulatorError, match="unpacks to far more"):
        cleaned(path)
    monkeypatch.setattr("simulator.rows.files.source.MOST_ROWS", 10)
    with pytest.raises(SimulatorError, match=r"more than .* rows"):
        cleaned(wrote(tmp_path, lines()))


def test_a_line_without_end_is_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.rows.files.stream._LONGEST_LINE", 1 << 19)
    path = wrote(tmp_path, lines() + "a" * (1 << 20))
    with pytest.raises(SimulatorError, match="a line of more than"):
        cleaned(path)


@pytest.mark.heavy
def test_a_cell_without_end_is_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.rows.files.stream._MOST_WAITING", 1 << 19)
    monkeypatch.setattr("simulator.rows.files.text._MOST_CELLS", 1)
    many = lines(n=200_000)
    assert cleaned(wrote(tmp_path, many)).cost.size == 200_000  # many rows are no long cell
    with pytest.raises(SimulatorError, match="a cell that does not end; look for a double quote"):
        cleaned(wrote(tmp_path, lines('"a') + many))


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"total": np.arange(1_000.0)}).to_parquet(path)
    whole = bytearray(path.read_bytes())
    length = struct.unpack("<I", whole[-8:-4])[0]
    for at in (len(whole) - 8 - length // 2, len(whole) - 6):
        broken = bytearray(whole)
        broken[at : at + 3] = b"\xff\xff\xff"
        path.write_bytes(broken)
        with pytest.raises(SimulatorError, match="not a sound Parquet"):
            cleaned(path)
