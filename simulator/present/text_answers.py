"""Answers in words and tables: how large, which threshold, was it luck, who is hurt. Formats, and computes nothing."""

from __future__ import annotations

import math

import xarray as xr

from .text import people, percent, rounded, table, threshold_label

# ── how large ────────────────────────────────────────────────────────────────────────────────────


def size_report(answer: xr.Dataset) -> str:
    """The smallest population for each threshold or design, its interval and the exact engine's answer."""
    dim = "threshold" if "threshold" in answer.dims else "design"
    labels = _labels(answer, dim)
    rows = [[label, *_size_row(answer.isel({dim: position}))] for position, label in enumerate(labels)]
    simulated = answer.attrs["method"] == "simulated"
    interval = f"{100 * answer.attrs['confidence']:.4g}% interval" if simulated else "interval"
    head = [dim, "people", interval, "exact engine", "systematic risk alone"]
    how = "drawn, beside the exact engine" if simulated else "exact, nothing drawn"
    question = f"Smallest population with a {answer.attrs['asked']} ({how})"
    return "\n".join(
        [str(answer.attrs.get("title", "")), "", question, table(head, rows), *_size_verdicts(answer, dim, labels)]
    )


def _labels(answer: xr.Dataset, dim: str) -> list[str]:
    if dim == "design":
        return [str(name) for name in answer[dim].values]
    unit, currency = answer[dim].attrs.get("units", ""), answer.attrs["currency"]
    return [threshold_label(float(d), unit, currency) for d in answer[dim].values]


def _size_row(cell: xr.Dataset) -> list[str]:
    low, high = (float(bound) for bound in cell["minimum_population_interval"].values)
    simulated = cell.attrs["method"] == "simulated"
    return [
        _size(float(cell["minimum_population"]), cell),
        f"{_size(low, cell)} to {_size(high, cell)}" if simulated else "exact",
        _size(float(cell["exact_minimum_population"]), cell, exact=True),
        f"{float(cell['systematic_alone']):.2%}",
    ]


def _size(number: float, answer: xr.Dataset, exact: bool = False) -> str:
    if math.isnan(number):
        return "—"
    if math.isinf(number):
        return "none" if exact else f"over {people(answer.attrs['largest'])}"
    return f"{people(answer.attrs['smallest'])} or fewer" if number == 0 else people(rounded(number, 3))


def _size_verdicts(answer: xr.Dataset, dim: str, labels: list[str]) -> list[str]:
    told = [""]
    for position, label in enumerate(labels):
        alone = float(answer["systematic_alone"].isel({dim: position}))
        if alone > answer.attrs["at_most"]:
            told.append(f"{label}: no population is large enough: systematic risk alone gives {alone:.1%}.")
    return told if len(told) > 1 else []


def terms_report(terms: xr.Dataset) -> str:
    """What makes a given population viable: margin, reserve and share by threshold."""
    currency, at_most = terms.attrs["currency"], terms.attrs["at_most"]
    rows = [
        [
            label,
            f"{float(cell['margin']):.2%}",
            f"{float(cell['reserve']):,.0f}",
            f"{float(cell['reserve_pmpy']):,.2f}",
            f"{float(cell['provider_share']):.1%}",
        ]
        for label, cell in zip(_labels(terms, "threshold"), _cells(terms, "threshold"), strict=True)
    ]
    head = ["threshold", "margin", f"reserve, {currency}", "a head", "provider's share"]
    question = (
        f"What makes {people(terms.attrs['members'])} people viable: exceeded with a chance of {at_most:.4g} (exact)\n"
        f"The share is the largest whose loss stays within {terms.attrs['loss_over']:.4g} of the provider's revenue."
    )
    return f"{question}\n{table(head, rows)}"


def _cells(answer: xr.Dataset, dim: str) -> list[xr.Dataset]:
    return [answer.isel({dim: position}) for position in range(answer.sizes[dim])]


# ── was it luck ──────────────────────────────────────────────────────────────────────────────────


def luck_report(answer: xr.Dataset) -> str:
    """Where an observed overspend stands, in a sentence for each risk and threshold, and a table."""
    labels = _labels(answer, "threshold")
    observed = f"{answer.attrs['overspend']:+.2%} of the budget, {people(answer.attrs['members'])} people"
    rows = [
        [label, str(risk), *_luck_row(answer.isel(threshold=position).sel(risk=risk))]
        for position, label in enumerate(labels)
        for risk in answer["risk"].values
    ]
    head = ["threshold", "risk", "percentile", "two-sided p", f"{answer.attrs['confidence']:.4g} of years"]
    told = [
        _luck_sentence(answer.isel(threshold=-1).sel(risk=risk), str(risk), labels[-1])
        for risk in answer["risk"].values
    ]
    return "\n".join([f"Was it luck? Observed: {observed} (exact, nothing drawn)", *told, "", table(head, rows)])


def _luck_row(cell: xr.Dataset) -> list[str]:
    low, high = (float(bound) for bound in cell["expected_range"].values)
    return [f"{float(cell['percentile']):.1%}", f"{float(cell['p_two_sided']):.3f}", f"{low:+.1%} to {high:+.1%}"]


def _luck_sentence(cell: xr.Dataset, risk: str, label: str) -> str:
    p = float(cell["p_two_sided"])
    low, high = (float(bound) for bound in cell["expected_range"].values)
    inside = low <= cell.attrs["overspend"] <= high
    often = f"one year in {1 / p:,.0f} lies as far out" if p > 1e-6 else "hardly any year lies as far out"
    can = f"{risk} alone can explain it" if risk == "luck" else f"{risk} can explain it"
    verdict = can if inside else can.replace(" can ", " can hardly ")
    return f"{_with(label)}, {verdict}: {often}, and {low:+.1%} to {high:+.1%} is the usual range."


def _with(label: str) -> str:
    return "Without exclusion" if label == "none" else f"With the excess over {label} removed"


# ── who is hurt ──────────────────────────────────────────────────────────────────────────────────

_SHADES = ((0.10, "█"), (0.05, "▓"), (0.02, "▒"), (0.005, "░"))


def stress_report(answer: xr.Dataset) -> str:
    """Change of every party's expected surplus, as a share of its revenue: a table for each design."""
    attrs = answer.attrs
    title = (
        f"What a stress costs each party, {people(attrs['members'])} people, {people(attrs['replicates'])} populations"
    )
    notes = (
        "change of the expected surplus / revenue as agreed ± one paired standard error\n"
        "losses from 0.5% ░, from 2% ▒, from 5% ▓, from 10% █"
    )
    return "\n\n".join(
        [f"{title}\n{notes}", *(_stress_table(answer.sel(design=d), str(d)) for d in answer["design"].values)]
    )


def _stress_table(answer: xr.Dataset, design: str) -> str:
    parties = [str(name) for name in answer["party"].values if float(answer["revenue"].sel(party=name)) > 0]
    rows = [
        [str(name), *(_hurt(answer.sel(stress=name, party=party)) for party in parties)]
        for name in answer["stress"].values[1:]
    ]
    return f"{design}\n{table(['stress', *parties], rows)}"


def _hurt(cell: xr.Dataset) -> str:
    share, error = float(cell["surplus_difference_share"]), float(cell["surplus_difference_share_se"])
    shade = next((mark for bound, mark in _SHADES if share <= -bound), " ")
    return f"{100 * share:+.2f}% ± {100 * error:.2f} {shade}"


def reverse_line(found: xr.Dataset) -> str:
    """How far one input must move before a party breaks, in a sentence."""
    attrs, point, error = found.attrs, float(found["breaking_point"]), float(found["breaking_point_se"])
    who = f"{attrs['design']}: {attrs['party']}"
    limit = f"a loss of {attrs['loss_over']:.4g} of its revenue"
    if math.isnan(point):
        return f"{who} does not reach {limit}, even at {attrs['figure']} = {attrs['largest']:g} of {attrs['change']}."
    if point == 0:
        return f"{who} has {limit} as agreed already."
    return f"{who} breaks ({limit}) at {attrs['figure']} = {point:.4g} ± {error:.2g} of {attrs['change']}."


# ── which assumption matters ─────────────────────────────────────────────────────────────────────


def sensitivity_report(answer: xr.Dataset) -> str:
    """Inputs by how far they move the statistic, with their Sobol indices, and the verdict in words."""
    attrs = answer.attrs
    swings = abs(answer["tornado"].sel(end="high") - answer["tornado"].sel(end="low")).values
    order = sorted(range(answer.sizes["input"]), key=lambda k: -swings[k])
    rows = [[str(answer["input"].values[k]), *_input_row(answer.isel(input=k))] for k in order]
    head = ["input", "at low", "at high", "first order", "total"]
    title = f"Which assumption matters for {attrs['statistic']}? As agreed: {float(answer['as_agreed']):.4g} (exact)"
    notes = f"Indices with their {attrs['confidence']:.4g} intervals; {attrs['ranges']}"
    words = [_input_words(answer.isel(input=k), str(answer["input"].values[k])) for k in order]
    return "\n".join([title, notes, table(head, rows), "", *words])


def _input_row(cell: xr.Dataset) -> list[str]:
    ends = [f"{float(cell['tornado'].sel(end=end)):.4g}" for end in ("low", "high")]
    return [*ends, *(_index(cell, name) for name in ("first_order", "total_order"))]


def _index(cell: xr.Dataset, name: str) -> str:
    low, high = (float(bound) for bound in cell[f"{name}_interval"].values)
    return f"{float(cell[name]):.2f} ({low:.2f} to {high:.2f})"


def _input_words(cell: xr.Dataset, name: str) -> str:
    low, value = float(cell["total_order_interval"].sel(bound="lower")), float(cell["total_order"])
    if not low > 0:
        return f"{name}: its index cannot be told from zero at these many points."
    return f"{name}: takes part in {value:.0%} of the variance."


# ── the exact engine alone ───────────────────────────────────────────────────────────────────────


def exact_report(answer: xr.Dataset, margin: float, at_most: float) -> str:
    """What `simulator run --exact` prints: the tables of a run, without draws and without standard errors."""
    labels, sizes = _labels(answer, "threshold"), answer["population_size"].values
    error = float(answer["probability_error"].max())
    cells = answer.transpose("population_size", "threshold", ...)
    over = cells["p_overspend"].sel(margin=margin).values
    tables = [
        ("Coefficient of variation of the retained cost", cells["cv"].values, 2),
        (f"Chance of an overspend above {100 * margin:.6g}% of the budget (▪: at most {100 * at_most:.6g}%)", over, 2),
        (
            "95th percentile of the overspend",
            cells["quantile_cost"].sel(quantile_level=0.95).values / cells["budget"].values - 1,
            2,
        ),
    ]
    parts = [str(answer.attrs.get("title", ""))]
    for title, values, decimals in tables:
        met = (values <= at_most) if values is over else values != values
        rows = [
            [people(n), *(f"{100 * v:.{decimals}f}%{' ▪' if m else '  '}" for v, m in zip(row, marks, strict=True))]
            for n, row, marks in zip(sizes, values, met, strict=True)
        ]
        parts.append(f"{title} (exact)\n{table(['people', *labels], rows)}")
    return "\n\n".join(
        [*parts, f"Exact: nothing was drawn. Probabilities are right to {error:.1g}; means and sd are closed forms."]
    )


# ── prices, power and sources of variance ────────────────────────────────────────────────────────


def price_report(price: xr.Dataset) -> str:
    """The fair price of exclusion, by threshold."""
    attrs = price.attrs
    rows = [
        [
            label,
            *(f"{float(cell[name]):,.2f}" for name in ("expected_excess_pmpy", "sd_excess_pmpy", "price_pmpy")),
            _loading(cell),
        ]
        for label, cell in zip(_labels(price, "threshold"), _cells(price, "threshold"), strict=True)
    ]
    pool = f"a pool of {people(attrs['pool_members'])}, k = {attrs['k']:g}"
    title = f"Fair price of the excess, {attrs['currency']} a head and year: {pool} (exact)"
    return f"{title}\n{table(['threshold', 'expected', 'sd', 'price', 'loading'], rows)}"


def _loading(cell: xr.Dataset) -> str:
    loading = float(cell["loading"])
    return "—" if math.isnan(loading) else f"{loading:.1%}"


def power_report(power: xr.Dataset) -> str:
    """How often each design pays, by true saving (columns) and population (rows)."""
    savings = [float(saving) for saving in power["saving"].values]
    parts = [
        f"Chance that a true saving is paid for ± one standard error, {people(power.attrs['replicates'])} populations"
    ]
    for design in power["design"].values:
        chosen = power.sel(design=design)
        rows = [
            [people(n), *(_chance(chosen.sel(population_size=n, saving=saving)) for saving in savings)]
            for n in power["population_size"].values
        ]
        parts.append(f"{design}\n{table(['people', *(f'saves {saving:.3g}' for saving in savings)], rows)}")
    return "\n\n".join(parts)


def _chance(cell: xr.Dataset) -> str:
    return percent(float(cell["p_paid"]), float(cell["p_paid_se"]))


def sources_report(split: xr.Dataset) -> str:
    """How much of the variance luck makes, by population size, and where a larger population stops helping."""
    labels = _labels(split, "threshold")
    rows = [
        [
            people(n),
            *(f"{float(share):.1%}" for share in split["share"].sel(source="process", population_size=n).values),
        ]
        for n in split["population_size"].values
    ]
    enough = [people(rounded(float(n), 2)) if math.isfinite(n) else "never" for n in split["enough_people"].values]
    rows.append(["luck is half at", *enough])
    title = "Share of the variance that is luck; the rest hits everybody at once, or is doubt (exact)"
    return f"{title}\n{table(['people', *labels], rows)}"
