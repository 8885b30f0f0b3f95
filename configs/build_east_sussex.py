"""Writes the five East Sussex scenarios from published figures and a few stated assumptions.

    python configs/build_east_sussex.py           # write the files
    python configs/build_east_sussex.py --check   # exit 1 where a file differs from what would be written

Everything is solved exactly, without draws, from what `simulator.describe` says of a scenario. People are parted by
age band and need; the bands' shares and means are published, the parting by need is published for "two or more
conditions" and assumed within it, and one figure, the spread of cost inside a segment, is left for the published
concentration (the costliest 5% of people carry 51.4% of cost) to fix.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from scipy import optimize

import simulator as sim

HERE = Path(__file__).parent

TOP_5_SHARE = 0.514
"""Share of cost of the costliest 5% of people (Health Foundation working paper 7, 2019)."""

COST_A_HEAD = 1_731.0
"""£ a year: £935m of health and social care for 540,000 people (East Sussex Better Together, 2015)."""


class Band(NamedTuple):
    """One age band."""

    ages: str
    share: float
    """Share of people in England (Asaria 2017)."""
    spend: float
    """NHS spend a head in England, £ in 2014/15 (Asaria 2017)."""
    multimorbid: float
    """Share of the band with two or more long-term conditions (Barnett et al. 2012, by the band's ages)."""
    complex_part: float
    """Share of those who are complex: assumed."""
    well_users: float
    """Share of the mostly well with any cost in the year: assumed."""


BANDS = (
    Band("0-15", 0.193516, 985.47, 0.0190, 0.08, 0.85),
    Band("16-39", 0.319882, 1_388.19, 0.0787, 0.10, 0.72),
    Band("40-59", 0.272888, 1_698.00, 0.2553, 0.12, 0.78),
    Band("60-69", 0.110611, 2_689.02, 0.4783, 0.14, 0.85),
    Band("70-79", 0.074607, 3_956.71, 0.6490, 0.18, 0.90),
    Band("80-85", 0.028496, 5_188.25, 0.6712, 0.25, 0.95),
)


ENGLAND_A_HEAD = sum(band.share * band.spend for band in BANDS)
"""£ a year, NHS care only, all ages, 2014/15: £1,839 (Asaria 2017)."""


class Need(NamedTuple):
    """One level of need, in every age band."""

    name: str
    ratio: float
    """Mean cost a head as a multiple of that of the mostly well of the same age: assumed."""
    cv: float
    """Coefficient of variation of a user's cost, up to one common factor: assumed."""
    users: float | None
    """Share with any cost in the year: assumed; None where it goes by age."""


NEEDS = (
    Need("mostly well", 1.0, 2.7, None),
    Need("long-term conditions", 3.5, 2.3, 0.98),
    Need("complex", 11.0, 1.9, 1.0),
)

SPLICE, TAIL_INDEX = 100_000.0, 2.3
"""£ a year above which the heavy variant has a Pareto tail, and its index: assumed."""

OVER_65 = 0.26
"""Share of people of 65 and over in East Sussex, mid-2020 (East Sussex County Council, State of the County 2022)."""

OVER_65_ENGLAND = 0.1590
"""The same in the English table (Asaria 2017), which leaves out most people over 85."""

Family = Callable[[float, float], dict[str, Any]]
"""A user's severity from the mean and the cv."""


def lognormal(mean: float, cv: float) -> dict[str, Any]:
    """The central variant's severity."""
    return {"family": "lognormal", "mean": mean, "cv": cv}


def gamma(mean: float, cv: float) -> dict[str, Any]:
    """The light variant's severity."""
    return {"family": "gamma", "mean": mean, "cv": cv}


def spliced(mean: float, cv: float) -> dict[str, Any]:
    """The heavy variant's severity; `mean` and `cv` are the body's."""
    tail = {"family": "pareto", "alpha": TAIL_INDEX}
    return {"family": "spliced", "body": lognormal(mean, cv), "tail": tail, "at": SPLICE}


class Part(NamedTuple):
    """One segment before its spread is known."""

    band: Band
    need: Need
    share: float
    p_user: float
    mean: float
    """£ a head."""


def parts(bands: tuple[Band, ...] = BANDS) -> list[Part]:
    """Segments with shares that add up to 1 and a mean of `COST_A_HEAD`."""
    found = [part for band in bands for part in _parts_of(band)]
    shares = rounded_shares([part.share for part in found])
    scale = COST_A_HEAD / sum(share * part.mean for share, part in zip(shares, found, strict=True))
    return [part._replace(share=share, mean=part.mean * scale) for share, part in zip(shares, found, strict=True)]


def _parts_of(band: Band) -> list[Part]:
    inside = (1 - band.multimorbid, band.multimorbid * (1 - band.complex_part), band.multimorbid * band.complex_part)
    well = band.spend / sum(share * need.ratio for share, need in zip(inside, NEEDS, strict=True))
    return [
        Part(band, need, band.share * share, need.users or band.well_users, well * need.ratio)
        for share, need in zip(inside, NEEDS, strict=True)
    ]


def rounded_shares(shares: list[float], digits: int = 6) -> list[float]:
    """Shares with few digits that still add up to 1."""
    found = [round(share, digits) for share in shares]
    largest = found.index(max(found))
    found[largest] = round(found[largest] + 1 - sum(found), digits)
    return found


def scenario(segments: list[Part], family: Family, means: list[float], factor: float) -> dict[str, Any]:
    """A scenario as `simulator.Scenario` takes it; `means` are what the family is given."""
    return {
        "schema_version": 1,
        "title": "East Sussex",
        "simulation": {
            "population_sizes": [540_000],
            "thresholds": [25_000.0, 50_000.0, 100_000.0, 250_000.0, float("inf")],
        },
        "population": {
            "segments": [
                {
                    "name": f"age {part.band.ages}, {part.need.name}",
                    "share": part.share,
                    "p_user": part.p_user,
                    "severity": family(round(mean, 2), round(part.need.cv * factor, 4)),
                }
                for part, mean in zip(segments, means, strict=True)
            ]
        },
    }


def described(raw: dict[str, Any]) -> dict[str, Any]:
    """What a scenario implies, exactly."""
    return sim.describe(sim.Scenario.model_validate(raw))


def users_means(segments: list[Part], family: Family, factor: float) -> list[float]:
    """What the family must be given, so that each segment's mean is what it should be."""
    given = [part.mean / part.p_user for part in segments]
    for _ in range(4 if family is spliced else 0):
        reached = described(scenario(segments, family, given, factor))["segments"]
        given = [mean * part.mean / row["mean"] for mean, part, row in zip(given, segments, reached, strict=True)]
    return given


def solve(family: Family) -> tuple[float, dict[str, Any]]:
    """The factor on every cv at which the costliest 5% carry their share, and the scenario."""
    segments = parts()

    def at(factor: float) -> dict[str, Any]:
        return scenario(segments, family, users_means(segments, family, factor), factor)

    factor = optimize.brentq(lambda f: described(at(f))["top_share"]["0.05"] - TOP_5_SHARE, 0.7, 1.1, xtol=1e-5)
    return factor, at(factor)


def older(factor: float) -> dict[str, Any]:
    """The central model with the county's share of people of 65 and over, at the same cost a head."""
    tilt = OVER_65 / OVER_65_ENGLAND
    old = sum(band.share for band in BANDS[3:])
    young = (1 - tilt * old) / (1 - old)
    bands = tuple(b._replace(share=b.share * (tilt if b in BANDS[3:] else young)) for b in BANDS)
    segments = parts(bands)
    return described(scenario(segments, lognormal, [part.mean / part.p_user for part in segments], factor))


# ── the files ────────────────────────────────────────────────────────────────────────────────────

QUESTION = "East Sussex: how large must a capitated population be?"

SOURCES = (
    "Asaria 2017: CHE Research Paper 147, in PSSRU Unit Costs of Health and Social Care 2017. NHS spend a head in "
    "England by age, 2014/15. It leaves out most people over 85; the shape by age is used, not the level.",
    "Barnett et al. 2012 (Lancet 380:37): two or more long-term conditions at ages 0-24 1.9%, 25-44 11.3%, 45-64 "
    "30.4%, 65-84 64.9%, 85 and over 81.5%; here by the ages in each band, together 27% of people over 15. The Health "
    "Foundation (2018) counts 1 in 4 adults, with over 55% of hospital cost.",
    "Health Foundation working paper 7 (2019): the costliest 5% of people carry 51.4% of primary, secondary and "
    "drug cost.",
    "IFS W15/21: the costliest 1% of people carry 32% of hospital cost; an upper bound here, where all "
    "care is counted.",
    "East Sussex 2015: £935m of health and social care for 540,000 people, £1,731 a head.",
    "Dixon et al. 2011 (BMJ 343:d6608): age and sex explain 0.037, diagnoses 0.12 of the variance of one "
    "person's cost.",
)

ASSUMED = (
    "The county has England's mix of ages. It is older: 26% are 65 or over (East Sussex County Council 2022), 16% in "
    "the table used here. With 26%, at the same cost a head, the cv of the central variant capped at £50,000 would be "
    "{older:.3f} in place of {central:.3f}.",
    "Social care is spread over people as NHS care is: the published means (£1,839 a head) are NHS care only, the "
    "county's £1,731 includes social care. The scopes differ; all means are scaled by {scale:.4f}.",
    "In every age band, mean cost a head of mostly well : long-term conditions : complex is 1 : 3.5 : 11.",
    "Of people with two or more conditions {complex} are complex, by age band.",
    "Any cost in the year: by age among the mostly well, 98% with long-term conditions, all of the complex; together "
    "{users:.1%} (14% of US adults and 22% of Americans under 65 had no cost: AHRQ, RAND).",
    "A user's cv is 2.7, 2.3 or 1.9 by need, times the one factor ({factor:.4f}) that meets the published 51.4%.",
)

VARIANTS = {
    "": (
        lognormal,
        "central: lognormal tails",
        "Costs of users are lognormal; more lies above each threshold than in the light variant, less than in the "
        "heavy one.",
    ),
    "_light": (
        gamma,
        "light: gamma tails",
        "As east_sussex.toml with gamma in place of lognormal: hardly anybody above £100,000. It meets the same mean "
        "and concentration; its segments explain more than diagnoses do (R² above 0.12), so take it as a bound.",
    ),
    "_heavy": (
        spliced,
        "heavy: Pareto tails above £100,000",
        f"As east_sussex.toml with a Pareto tail of index {TAIL_INDEX} above £100,000 (assumed; the ten largest claims "
        "among two million insured Americans, Voya 2023, give 2.9 by Hill's estimate, standard error 1). Skewness is "
        "infinite. "
        "`mean` and `cv` are the body's before splicing; the segment's mean is the same as in east_sussex.toml.",
    ),
}

VARIANTS_NOTE = """
# ── other tails, with the same means and the same 51.4%: as in east_sussex_light.toml and east_sussex_heavy.toml
"""

SHOCK_NOTE = (
    "A shock hits everybody at once, on top of luck. Its size has no source; it matters most for large populations."
)

SHOCK = """
[[shocks]]                               # hits everybody at once
name = "prices and winter"
cv = 0.015                              # assumed; large US contracts differ by 2.7% beyond luck (sd): an upper bound
"""

SYSTEMATIC_NOTE = (
    "Four shocks hit many people at once, on top of luck: prices, winters that the old and the young share in part, "
    "and an epidemic in one year in ten. Their sizes have no source; together they are {cv:.1%} of cost (sd), below "
    "the 2.7% by which large US contracts differ beyond luck."
)

SYSTEMATIC = """
[[shocks]]                               # hits everybody at once
name = "prices"
cv = 0.01                               # assumed

[[shocks]]
name = "winter, under 60"
cv = 0.01                               # assumed
segments = [{young}]

[[shocks]]
name = "winter, 60 and over"
cv = 0.025                              # assumed: costs rise from age 50 and steeply after 70 (IFS W15/21)
segments = [{old}]

[[shocks]]                               # an epidemic: in such a year those who are hit cost 1 + by times as much
name = "epidemic"
probability = 0.1                       # assumed
by = 0.04                               # assumed
segments = [{old}]

[[shock_correlations]]                   # of normal scores
between = ["winter, under 60", "winter, 60 and over"]
value = 0.5                             # assumed
"""

SIMULATION = """
[simulation]
replicates = 10_000
population_sizes = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 540_000]
thresholds = [25_000, 50_000, 100_000, 250_000, inf]      # caps on one patient's annual cost, £; inf = no cap
seed = 20170401

[population]
membership = "fixed"
"""


def comment(words: str, indent: str = "", hang: str = "  ") -> str:
    """A paragraph as comment lines."""
    return textwrap.fill(words, 118, initial_indent=f"# {indent}", subsequent_indent=f"# {indent}{hang}") + "\n"


def reached(d: dict[str, Any]) -> str:
    """What the file implies, as comment lines."""
    finite = [row for row in d["thresholds"] if row["threshold"] != "inf"]
    caps = ", ".join(f"{row['cv']:.3f} at £{row['threshold']:,.0f}" for row in finite)
    top = d["top_share"]
    words = (
        f"Mean £{d['mean']:,.2f} a head; {d['zero_share']:.1%} of people have no cost; the costliest 1, 5 and 10% "
        f"carry {top['0.01']:.1%}, {top['0.05']:.1%} and {top['0.1']:.1%}, the cheaper half "
        f"{d['bottom_half_share']:.1%}. The cv of one person's cost is {d['cv']:.3f}, capped {caps}. The segments "
        f"explain {d['r_squared']:.3f} of the variance between people."
    )
    return "# What this implies (simulator check)\n" + comment(words, "  ", "")


def segment_text(part: Part, row: dict[str, Any]) -> str:
    """One segment."""
    users = "assumed" if part.p_user < 1 else "assumed: all"
    return (
        "\n[[population.segments]]\n"
        f'name = "{row["name"]}"\n'
        f"share = {row['share']:.6f}\n"
        f"p_user = {part.p_user:<4g}                           # {users}\n"
        f"severity = {inline(row['severity'])}\n"
    )


def inline(table: dict[str, Any]) -> str:
    """A TOML inline table."""
    shown = {str: lambda v: f'"{v}"', dict: inline, float: lambda v: f"{v:_.12g}" if v >= 1_000 else f"{v:.12g}"}
    return "{ " + ", ".join(f"{key} = {shown[type(value)](value)}" for key, value in table.items()) + " }"


def variant_text(name: str, raw: dict[str, Any]) -> str:
    """Severities of every segment under another family."""
    lines = [f'"{row["name"]}" = {inline(row["severity"])}\n' for row in raw["population"]["segments"]]
    return f"\n[variants.{name}]\n" + "".join(lines)


def band_text(band: Band, scale: float) -> str:
    """What stands above the segments of an age band."""
    return (
        f"\n# ── age {band.ages}: {band.share:.2%} of people at £{band.spend:,.0f} a head (Asaria 2017), "
        f"£{band.spend * scale:,.0f} here; {band.multimorbid:.1%} with two or more\n"
        f"#    conditions (Barnett et al. 2012), of whom {band.complex_part:.0%} complex (assumed)\n"
    )


def header(kind: str, note: str, factor: float, d: dict[str, Any], capped: tuple[float, float]) -> str:
    """The comment that a file opens with; `capped`: cv at £50,000 with the county's ages, and with England's."""
    told = {
        "older": capped[0],
        "central": capped[1],
        "scale": COST_A_HEAD / ENGLAND_A_HEAD,
        "complex": ", ".join(f"{band.complex_part:.0%}" for band in BANDS),
        "users": 1 - d["zero_share"],
        "factor": factor,
    }
    return (
        "#:schema ../schemas/scenario.schema.json\n"
        f"# East Sussex, 540,000 people, {kind}. Written by configs/build_east_sussex.py: change figures there.\n"
        + comment(note, hang="")
        + "# Money is £ a year; shares are fractions. A family's mean is that of users: mean a head / p_user.\n#\n"
        + reached(d)
        + "#\n# Sources\n"
        + "".join(comment(words, "  ") for words in SOURCES)
        + "#\n# Assumed (no source)\n"
        + "".join(comment(words.format(**told), "  ") for words in ASSUMED)
    )


def systematic_text(raw: dict[str, Any]) -> str:
    """Shocks by age, and how they go together."""
    names = [row["name"] for row in raw["population"]["segments"]]
    young = [name for name in names if name.startswith(("age 0-15", "age 16-39", "age 40-59"))]
    listed = ["\n    " + ",\n    ".join(f'"{name}"' for name in part) + ",\n" for part in (young, names[len(young) :])]
    return SYSTEMATIC.format(young=listed[0], old=listed[1])


def shaken(raw: dict[str, Any]) -> float:
    """How much all shocks of the systematic file move the cost, as a cv."""
    made = sim.Scenario.model_validate(raw | tomllib.loads(systematic_text(raw)))
    return float(sim.describe(made)["shock_cv"])


def text(suffix: str, shocks: str, solved: dict[str, tuple[float, dict[str, Any]]]) -> str:
    """One file; `shocks` is empty, "one" or "systematic"."""
    _, kind, note = VARIANTS[suffix]
    factor, raw = solved[suffix]
    if shocks == "one":
        kind, note = "central, with a shock", f"{note} {SHOCK_NOTE}"
    elif shocks:
        kind, note = "central, with systematic risk", f"{note} {SYSTEMATIC_NOTE.format(cv=shaken(raw))}"
    capped = [d["thresholds"][1]["cv"] for d in (older(solved[""][0]), described(solved[""][1]))]
    title = f'\nschema_version = 1\ntitle = "{QUESTION} ({kind})"\ncurrency = "GBP"\n'
    opening = header(kind, note, factor, described(raw), (capped[0], capped[1])) + title + SIMULATION
    body = ""
    for position, (part, row) in enumerate(zip(parts(), raw["population"]["segments"], strict=True)):
        if position % len(NEEDS) == 0:
            body += band_text(part.band, COST_A_HEAD / ENGLAND_A_HEAD)
        body += segment_text(part, row)
    if not suffix and shocks != "systematic":
        body += VARIANTS_NOTE + "".join(variant_text(name, solved[f"_{name}"][1]) for name in ("light", "heavy"))
    return opening + body + {"": "", "one": SHOCK, "systematic": systematic_text(raw)}[shocks]


def files() -> dict[Path, str]:
    """Every file with its text."""
    solved = {suffix: solve(family) for suffix, (family, _, _) in VARIANTS.items()}
    written = {HERE / f"east_sussex{suffix}.toml": text(suffix, "", solved) for suffix in VARIANTS}
    shaken_files = {"east_sussex_shock.toml": "one", "east_sussex_systematic.toml": "systematic"}
    return {**written, **{HERE / name: text("", kind, solved) for name, kind in shaken_files.items()}}


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or say which are stale; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the East Sussex scenarios.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    check = parser.parse_args(arguments).check
    stale = [
        (path, new) for path, new in files().items() if not path.exists() or path.read_text(encoding="utf-8") != new
    ]
    for path, new in stale:
        print(f"{path.name} {'is stale: run python configs/build_east_sussex.py' if check else 'written'}")
        if not check:
            path.write_text(new, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
