"""A scenario file from a few figures: those that were given, and what a template assumes, each marked so."""

from __future__ import annotations

import json
import math
import re
import textwrap
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import click

from ...errors import SimulatorError
from ...terms import read_toml
from .option_types import BAND, PLACE, Shares

TEMPLATES = ("places", "pcn", "aco", "cohort", "alliance")
KINDS: dict[str, click.ParamType[Any]] = {
    "places": PLACE, "bands": BAND, "top_share": Shares(), "currency": click.STRING,
}  # fmt: skip
"""What a file is written from beside caps, and what reads it."""
_OPTIONS = {"population.segments": "--band", "population.calibrate": "--top-share", "population.units": "--place",
            "currency": "--currency", "simulation.thresholds": "--cap"}  # fmt: skip


@cache
def _known() -> dict[str, Any]:
    return read_toml(Path(__file__).with_name("templates.toml"))


def assumed(template: str) -> dict[str, Any]:
    """What a template assumes, figures as texts."""
    own = _known()[template]
    return {**_known().get(own.get("base"), {}), **own}


def value_of(part: str, texts: Sequence[str]) -> Any:
    """What texts say of a part."""
    found = tuple(KINDS[part].convert(text.strip(), None, None) for text in texts)
    return found if part in ("places", "bands") else found[0]


def written(template: str, given: dict[str, Any], target: str) -> tuple[str, Any]:
    """The text of a file and its scenario; a variant that cannot have the concentration is left out."""
    from ...scenario import scenario_from

    variants = ["light", "heavy"]
    while True:
        text = _text(template, given, variants, target)
        try:
            return text, scenario_from(tomllib.loads(text), target)
        except SimulatorError as error:
            path = error.path.removeprefix(f"{target}: ")
            impossible = [name for name in variants if path.startswith(f"variants.{name}")]
            if not impossible:
                option = next((option for key, option in _OPTIONS.items() if path.startswith(key)), error.path)
                raise SimulatorError(option, error.value, error.bound, error.mend) from None
            variants.remove(impossible[0])


def _text(template: str, given: dict[str, Any], variants: Sequence[str], target: str) -> str:
    texts = assumed(template)
    told: dict[str, Any] = {part: given.get(part) or value_of(part, texts[part]) for part in KINDS}
    bands, mean = told["bands"], math.fsum(share * a_head for _, share, a_head, _ in told["bands"])
    caps = sorted(set(given.get("caps") or (_round(times * mean) for times in (15, 30, 60))))
    marks = {f"{part}_mark": "" if given.get(part) else "  # assumed" for part in KINDS}
    notes = [note for part, note in texts["sources"].items() if not given.get(part)]
    lost = [name for name in ("light", "heavy") if name not in variants]
    notes += [f"No {name} variant: no such tails have this concentration with these bands." for name in lost]

    def each(part: str, mark: str, rows: Sequence[dict[str, str]]) -> str:
        given_or = {"mark": marks.get(mark, ""), "and_mark": marks.get(mark, "").replace("  # ", "; ")}
        return "".join(Template(_known()[part]).substitute(given_or, **row) for row in rows)

    figures = [
        {"name": json.dumps(name, ensure_ascii=False), "share": f"{share:.12g}", "a_head": f"{a_head:,.12g}",
         "p_user": f"{users:.12g}", "mean": f"{a_head / users:.10g}", "splice": _number(_round(60 * mean))}
        for name, share, a_head, users in bands
    ]  # fmt: skip
    units = [{"name": json.dumps(name, ensure_ascii=False), "people": f"{n:_}"} for name, n in told["places"]]
    text = Template(_known()["file"]).substitute(
        marks, template=template, title=json.dumps(texts["title"]), currency=told["currency"], schema=_schema(target),
        notes="".join(textwrap.fill(note, 118, initial_indent="# ", subsequent_indent="#   ") + "\n" for note in notes),
        thresholds=", ".join(map(_number, (*caps, math.inf))), caps_and_mark="" if given.get("caps") else "; assumed",
        people=f"{told['top_share'][0]:.12g}", cost=f"{told['top_share'][1]:.12g}",
        segments=each("segment", "bands_mark", figures), units=each("unit", "places_mark", units),
        variants="".join(f"{_known()['variants'][name]}{each(name, '', figures)}" for name in variants),
        designs=Template(texts["designs"]).substitute(cap=_number(caps[len(caps) // 2])),
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", text)


def _round(amount: float) -> float:
    """The nearest of 1, 2.5 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(amount))
    return min((step * power for step in (1.0, 2.5, 5.0, 10.0)), key=lambda near: abs(math.log(near / amount)))


def _schema(target: str) -> str:
    """The line that tells editors the schema, where the file lies in a copy of the project."""
    above = enumerate(Path(target).resolve().parents)
    found = [up for up, folder in above if (folder / "schemas" / "scenario.schema.json").is_file()]
    return f"#:schema {'../' * found[0]}schemas/scenario.schema.json\n" if found else ""


def _number(amount: float) -> str:
    return f"{amount:_.12g}"


COLUMNS = ["what", "name", "amount", "mean a head", "any cost"]
_PARTS = {"place": "places", "band": "bands", "top share": "top_share", "currency": "currency"}


def write_sheet(path: str) -> None:
    """An empty sheet, whose rows say what belongs in them."""
    import pandas as pd

    from ...files import write_whole

    rows = [*[["place"]] * 12, *[["band"]] * 6, ["top share", "5%"], ["currency", "code"]]
    sheet = pd.DataFrame([row + [""] * (len(COLUMNS) - len(row)) for row in rows], columns=COLUMNS)
    is_book = Path(path).suffix.lower() == ".xlsx"
    write = (lambda file: sheet.to_excel(file, index=False, engine="xlsxwriter")) if is_book else (
        lambda file: sheet.to_csv(file, index=False))  # fmt: skip
    try:
        write_whole(path, write)
    except ImportError:
        raise SimulatorError(
            path, None, "needs xlsxwriter", 'pip install "capitation-risk[report]", or name it .csv'
        ) from None


def read_sheet(path: str) -> dict[str, Any]:
    """What a sheet gives; rows without an amount are passed over."""
    from ...rows.columns.cells import as_text
    from ...rows.layout import layout
    from ...rows.names import Said
    from ...rows.read import read
    from ...rows.table import Pick

    said = Said(path, path, private=False)
    table = read(path, lambda headers: [Pick(name, headers.only(name, said)) for name in COLUMNS], layout(), said)
    columns = []
    for codes, levels in (table.columns[name].by_level for name in COLUMNS):
        columns.append(["" if code < 0 else as_text(levels[code]).strip() for code in codes])
    found: dict[str, list[str]] = {}
    for what, name, amount, *figures in zip(*columns, strict=True):
        if not amount:
            continue
        part = _PARTS.get(what)
        if part is None:
            raise SimulatorError(path, what, "is no kind of row", f"write one of {', '.join(_PARTS)}")
        text = ":".join([amount, *figures] if part == "bands" else [amount])
        text = text if part == "currency" else f"{name}={text}"
        try:
            value_of(part, [text])
        except click.BadParameter as error:
            raise SimulatorError(f"{path}: {what} {name!r}", None, error.message, "correct the row") from None
        found.setdefault(part, []).append(text)
    return {part: value_of(part, texts) for part, texts in found.items()}
