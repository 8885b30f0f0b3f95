"""Who pays what: every term of every design, in the words of its own documentation, so that all can check it."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import xarray as xr

from ...contracts.design import Design
from ...contracts.parties import Party
from ...terms import Term
from ..figure import amount, exact_share, full_money, money, pence, people, percent, percentage
from ..tables import Cell, Rows, Table
from ..term_html import fields_of
from .gather import Contents

_APART = ("name", "expresses", "parties")
"""Fields of a design that stand elsewhere than in the table of its terms."""

_SHARE = re.compile(r"\b(share|fraction|part|rate|how much of)\b", re.IGNORECASE)
_MONEY = re.compile(r"^money|money per year|annual cost", re.IGNORECASE)
"""What a field's meaning says of its unit."""


def budget_table(contents: Contents) -> Table:
    """What each design pays, beside the cost that it is expected to pay for, at the largest population."""
    assert contents.agreed is not None
    size = float(contents.summary["population_size"][-1])
    found = contents.agreed.isel(population_size=-1, threshold=-1, missing_dims="ignore")
    rows: Rows = [
        [design.name, contents.rule_of(design.name, -1), *_budget_row(found.sel(design=design.name), size, contents)]
        for design in contents.designs
    ]
    money_heads = ["Budget by contract", "a head", "Expected cost", "a head", "Difference"]
    head = ["Design", "Cap on a patient’s cost", *money_heads]
    note = (
        "A year; of a budget that varies from year to year, its mean. Budget by "
        "contract: what is set for the cost that the rule keeps, loading and discount included, and where the amount "
        "is for all cost, less what the rule is expected to take out. It is not what providers receive in the end: "
        "shares, limits and outcomes move money between the parties, as the picture and the tables below show. "
        "Expected cost: the mean of what the rule keeps."
    )
    return Table(head, rows, f"Budget by contract and expected cost, at {people(size)} people", note=note)


def contract_pays(contents: Contents, design: str) -> list[Cell]:
    """The budget that a design sets at the largest population, and that a head."""
    assert contents.agreed is not None
    found = contents.agreed.sel(design=design).isel(population_size=-1, threshold=-1, missing_dims="ignore")
    return _budget_row(found, float(contents.summary["population_size"][-1]), contents)[:2]


def _budget_row(cell: xr.Dataset, size: float, contents: Contents) -> list[Cell]:
    budget, error, cost = (float(cell[name]) for name in ("budget", "budget_se", "expected_cost"))
    varies, currency = error > 0, contents.currency
    told: list[Cell] = [
        amount(budget, error, currency) if varies else money(budget, currency, figures=4),
        amount(budget / size, error / size, currency) if varies else pence(budget / size, currency),
    ]
    if not math.isfinite(cost):
        return [*told, "—", "—", "—"]
    over = budget / cost - 1
    above = percent(over, error / cost, sign=True) if varies else exact_share(over, sign=True)
    return [*told, money(cost, currency, figures=4), pence(cost / size, currency), above]


def term_tables(designs: Sequence[Design], currency: str) -> Iterator[Table]:
    """Of each design: its terms in their order, and its parties."""
    for design in designs:
        rows: Rows = [
            row for name, value, meaning in _said(design) for row in _rows(name, value, meaning, design, currency)
        ]
        if not design.terms:
            rows.append(["Terms", "none", "The provider keeps every saving and bears every overspend."])
        note = f"{design.expresses.rstrip('.')}. As given." if design.expresses else "As given."
        title = f"Designs: who pays what under {design.name}"
        yield Table(["Term", "Value", "Meaning"], rows, title, note=note, prose=True)
        yield _parties(design, currency)


def _said(term: Term) -> Iterator[tuple[str, Any, str]]:
    """The fields that change something: those at a default of nothing are left out."""
    defaults = {name: field.default for name, field in type(term).model_fields.items()}
    for name, value, meaning in fields_of(term):
        is_plain = isinstance(value, int | float | str) and value in (0, 0.0, False, 1, "") and value == defaults[name]
        keeps = name in ("first_dollar", "keep_capitation", "losses_too", "gain_share", "year")
        if name not in (*_APART, "kind", "labels") and (keeps or not is_plain):
            yield name, value, meaning.replace("`", "").replace("_", " ")


def _rows(name: str, value: Any, meaning: str, design: Design, currency: str) -> Iterator[list[Cell]]:
    """A row for a figure; for a term, a row that names it and one for each of its fields."""
    if isinstance(value, tuple) and value and isinstance(value[0], Term):
        for number, part in enumerate(value, start=1):
            yield from _rows(f"{name.removesuffix('s')} {number}", part, "", design, currency)
    elif isinstance(value, Term):
        kind = getattr(value, "kind", getattr(value, "name", ""))
        told = " ".join((type(value).__doc__ or "").split("\n")[0].split())
        yield [_words(name), str(kind).replace("_", " ") or "as below", told]
        for part, inner, said in _said(value):
            yield from _rows(f"{name}: {part}", inner, said, design, currency)
    else:
        named = isinstance(value, str) and value in [party.name for party in design.parties]
        yield [_words(name), value if named else _told(value, meaning, design.year, currency), meaning]


def _parties(design: Design, currency: str) -> Table:
    """Each party's part in funding, delivering and settling; what says nothing of any party has no column."""
    said = [{name: (value, meaning) for name, value, meaning in _said(party)} for party in design.parties]
    shown = [name for name in Party.model_fields if name != "name" and any(name in one for one in said)]
    rows: Rows = [
        [party.name, *(_told(*one[name], design.year, currency) if name in one else "—" for name in shown)]
        for party, one in zip(design.parties, said, strict=True)
    ]
    meanings = {name: meaning for one in said for name, (_, meaning) in one.items()}
    note = " ".join(f"{_words(name)}: {meanings[name][0].lower()}{meanings[name][1:]}" for name in shown)
    head = ["Party", *map(_words, shown)]
    return Table(head, rows, f"Parties of {design.name}", note=f"As given. {note}")


def _told(value: Any, meaning: str, year: int, currency: str) -> str:
    """A value as a board reads it: shares as percentages, money with its sign, one of several years named."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(part, meaning, year, currency)}" for name, part in value.items())
    if isinstance(value, tuple):
        told = [_told(part, meaning, year, currency) for part in value]
        if "contract year" not in meaning:
            return ", ".join(told)
        return f"{told[min(year, len(told)) - 1]} in contract year {year} (by year: {', '.join(told)})"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value, meaning, currency)
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")


def _number(value: float, meaning: str, currency: str) -> str:
    if math.isinf(value):
        return "no limit"
    if _MONEY.search(meaning) and "annual cost" in meaning and value <= 1:
        return f"percentile {100 * value:g}"
    if _MONEY.search(meaning):
        return str(full_money(value, currency, 0 if value == round(value) else 2))
    return str(percentage(value)) if _SHARE.search(meaning) else f"{value:,.10g}".replace("-", "−")


def _words(name: str) -> str:
    """A key as words: Exclusion: at."""
    told = name.replace("_", " ")
    return f"{told[0].upper()}{told[1:]}" if told else ""
