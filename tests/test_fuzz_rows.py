"""Damaged and odd tables: an answer or one sentence, in bounded time and memory.

Five hundred with `EVERY_QUESTION=1`, a hundred without it. Each batch runs in a process of its own, so that memory is
that of the batch and a crash is seen as one.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np
import pytest

BATCHES, FILES = 10 if os.environ.get("EVERY_QUESTION") else 2, 50
SECONDS, GIGABYTES = 20, 2.0
SECRET = "90210.77"
"""A cell that no sentence may repeat."""

DESIGN = '[[designs]]\nname = "half"\nterms = [{ kind = "share", gain = 0.5, loss = 0.0 }]\n'
ODD = (
    '"a, b"', "", " ", "NA", "nan", "inf", "-inf", "None", "*", "[c]", "$1,234", "(5)", "89.41%", "1e400", "9" * 400,
    "-5", "TRUE", "01001", "1000001", "Zoë", '"two\nlines"', '"half', "=1+1", "0x1", "１２", "\u202eabc", "x" * 20_000,
    "2019-02-31", "31/12/2019", "31/12/19", "01/02/2019", "90+", "Total", "a;b", "a\tb", "1.234,5", "é" * 50,
)  # fmt: skip
HEADS = (
    "",
    " ",
    "total ",
    "total",
    "TOTAL",
    "tot\nal",
    "annual  total",
    "band",
    "cost",
    "budget",
    "é",
    "x" * 70_000,
    "5",
)
WHERE = (
    "total > 0", "day <= '2019-12-31'", "band == 'a'", '"annual total" > 1', "age >= 65 and not band in ('a', 'b')",
    "`age` < 5", "day > 3", "total ==", "band < 3", "id != ''",
)  # fmt: skip
ENCODINGS = ("utf-8",) * 6 + ("utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-32", "shift-jis", "latin-1")


def table(random: np.random.Generator) -> list[list[str]]:
    """A table that might be anybody's, some of its cells and names odd."""
    rows, odd = int(random.choice([0, 1, 12, 60, 200, 200, 200])), float(random.choice([0, 0, 0, 0.003, 0.1]))
    head = ["id", "band", "age", "total", "budget", "cost", "members", "day"]
    cells = [
        [
            f"P{k // 2}", str(random.choice(["a", "b"])), str(random.integers(0, 99)), f"{random.lognormal(6, 1):.2f}",
            "100", f"{random.uniform(80, 120):.1f}", str(random.integers(100, 9_999)), f"2019-0{k % 9 + 1}-15",
        ]
        for k in range(rows)
    ]  # fmt: skip
    for row in cells:
        for at in range(len(row)):
            if random.random() < odd:
                row[at] = str(random.choice(ODD))
        if random.random() < odd / 5:
            row.extend(["", "x"][: random.integers(1, 3)])
    if cells:
        cells[random.integers(rows)][3] = SECRET
    if random.random() < 0.2:
        head[random.integers(len(head))] = str(random.choice(HEADS))
    if cells and random.random() < 0.1:
        cells.append(["Total", *(["", *[str(random.integers(1, 9_999)) for _ in range(5)], ""])])
    return [head, *cells] if random.random() < 0.95 else cells


def file_of(rows: list[list[str]], folder: Path, number: int, random: np.random.Generator) -> Path:
    """The table as a file of some kind, often damaged."""
    kind = str(random.choice(["csv", "csv", "csv", "tsv", "csv.gz", "parquet", "xlsx"]))
    path = folder / f"{number}.{kind}"
    if kind == "parquet":
        content = _parquet(rows, path)
    elif kind == "xlsx":
        content = _workbook(rows, path)
    else:
        text = "\n".join(("\t" if kind == "tsv" else ",").join(row) for row in rows)
        content = text.encode(str(random.choice(ENCODINGS)), errors="replace")
        content = gzip.compress(content) if kind == "csv.gz" else content
    content = damaged(content, random) if random.random() < 0.35 else content
    if random.random() < 0.05:
        path = folder / f"{number}.{random.choice(['csv', 'xlsx', 'parquet', 'csv.gz', 'zip', 'xls', 'ods'])}"
    path.write_bytes(content)
    return path


def _parquet(rows: list[list[str]], path: Path) -> bytes:
    import pandas as pd

    head, cells = (rows[0], rows[1:]) if rows else (["x"], [])
    frame = pd.DataFrame({name: [row[at] if at < len(row) else None for row in cells] for at, name in enumerate(head)})
    for name in frame:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        frame[name] = numbers if numbers.notna().mean() > 0.6 else frame[name]
    frame.to_parquet(path)
    return path.read_bytes()


def _workbook(rows: list[list[str]], path: Path) -> bytes:
    import xlsxwriter

    with xlsxwriter.Workbook(path, {"strings_to_numbers": True, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet("Data")
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, [cell[:32_000] for cell in row])
    return path.read_bytes()


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Some bytes cut, changed, put in, taken out or doubled."""
    data = bytearray(content)
    for _ in range(random.integers(1, 4)):
        start = int(random.integers(0, len(data) + 1))
        length = int(random.choice([1, 4, 64, 1_000]))
        how = random.integers(6)
        noise = random.bytes(length)
        if how == 0:
            del data[start:]
        elif how == 1:
            data[start : start + length] = noise[: len(data[start : start + length])]
        elif how == 2:
            data[start:start] = noise
        elif how == 3:
            del data[start : start + length]
        elif how == 4:
            data[start:start] = bytes(length)
        else:
            data[start:start] = data[start : start + length]
    return bytes(data)


def questions(path: Path, folder: Path, random: np.random.Generator) -> list[list[str]]:
    """What the shell is asked of the file."""
    shared: list[str] = []
    for option, values, chance in (
        ("--missing", ["NA", "nan,None", "5", '"'], 0.2), ("--header-row", ["1", "1", "2", "900"], 0.1),
        ("--sheet", ["1", "Data", "2", ""], 0.3 if path.suffix == ".xlsx" else 0.02),
        ("--dates", ["day-first", "month-first"], 0.2),
        ("--columns", ["total=cost", "benchmark=total", "x", "cost=nothing"], 0.05),
    ):  # fmt: skip
        if random.random() < chance:
            shared += [option, str(random.choice(values))]
    shared += ["--blank-as-zero"] if random.random() < 0.1 else []
    own: list[str] = []
    for option, values, chance in (
        ("--segment", ["band", "age:0,18,65", "id", "day"], 0.4), ("--where", WHERE, 0.3), ("--person", ["id"], 0.3),
        ("--exposure", ["age", "members"], 0.05), ("--weight", ["members"], 0.1), ("--negative", ["zero", "net"], 0.8),
    ):  # fmt: skip
        if random.random() < chance:
            own += [option, str(random.choice(values))]
    fit = ["fit", str(path), "--cost", "total", "--family", "lognormal", "--tail-above", "1e9", "--sets", "0"]
    return [[*fit, *own, *shared], ["settle", str(folder / "half.toml"), "--actuals", str(path), *shared]]


def fault_of(code: int, error: BaseException | None, said: str, question: list[str]) -> str:
    """What is wrong with an answer: a traceback, another exit code, not one sentence, or a patient's cell in it."""
    if code not in (0, 2) or not (error is None or isinstance(error, SystemExit)):
        return "".join(traceback.format_exception(error))[-1_500:] or f"exit code {code}"
    repeats = question[0] == "fit" and SECRET in said
    return (said or "no sentence") if code == 2 and (len(said.splitlines()) != 1 or repeats) else ""


def test_a_fault_would_be_found() -> None:
    assert not fault_of(2, SystemExit(2), "simulator: one sentence", ["fit"])
    assert not fault_of(0, None, "", ["settle"])
    for code, error, said in (
        (1, ValueError("x"), ""), (3, SystemExit(3), ""), (2, SystemExit(2), ""), (2, SystemExit(2), "one\ntwo"),
        (2, SystemExit(2), f"the cost {SECRET} is odd"), (1, TimeoutError("too long"), ""),
    ):  # fmt: skip
        assert fault_of(code, error, said, ["fit"])


def too_long(*_: object) -> None:
    """What the clock of the processor calls."""
    raise TimeoutError(f"more than {SECONDS} seconds")


def main(batch: int) -> None:
    """Run a batch, and print what went wrong and the most memory that was used."""
    from click.testing import CliRunner

    from simulator.present.cli.main import main as simulator

    signal.signal(signal.SIGPROF, too_long)
    random, wrong, codes = np.random.default_rng([20260101, batch]), [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "half.toml").write_text(DESIGN)
        for number in range(FILES):
            path = file_of(table(random), folder, number, random)
            for question in questions(path, folder, random):
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                ran = CliRunner().invoke(simulator, question)
                signal.setitimer(signal.ITIMER_PROF, 0)
                codes.append(ran.exit_code)
                fault = fault_of(ran.exit_code, ran.exception, ran.stderr, question)
                wrong += [[number, question, ran.exit_code, fault]] if fault else []
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e6
    print(json.dumps({"wrong": wrong, "gigabytes": most, "answers": codes.count(0), "refusals": codes.count(2)}))


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_damaged_and_odd_tables(batch: int) -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, __file__, str(batch)]
    path = {"PYTHONPATH": str(root)}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=root, env=os.environ | path, timeout=600)
    assert ran.returncode == 0, ran.stderr[-2_000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["gigabytes"] < GIGABYTES
    assert found["answers"] > FILES / 10 and found["refusals"] > FILES / 5  # both kinds of file are among them


if __name__ == "__main__":
    main(int(sys.argv[1]))
