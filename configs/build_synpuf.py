"""Write configs/synpuf_model.toml, fitted to the CMS synthetic public-use file of 2008, and two scenarios that run it.

python configs/build_synpuf.py FILE [--check]

synpuf.toml takes the parameters as known; synpuf_doubt.toml draws under the model's parameter sets; synpuf_years.toml,
fitted to 2008 and 2009 together, says how persistent costs are from one year to the next.

FILE is a Parquet table of person-years with the columns year, age, n_chronic, months, hmo_months, died, inpatient,
outpatient and professional (annual cost in US$), made from CMS 2008-2010 Data Entrepreneurs' Synthetic Public Use File
(DE-SynPUF). Only parameters are written.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import simulator as sim
from simulator.fitting.fit import FittedModel
from simulator.present.answers.fit import goodness_tables, verdicts, years_tables

FOLDER = Path(__file__).parent
NAMES = "synpuf_model.toml", "synpuf.toml", "synpuf_doubt.toml", "synpuf_years.toml"
MODEL, TARGET, DOUBT, YEARS = (FOLDER / name for name in NAMES)
SETS = 40

SCENARIO_HEADER = """\
#:schema ../schemas/scenario.schema.json
# {told}
# Written by configs/build_synpuf.py, with the model: what it was fitted to, and how well, is there.
"""

YEARS_HEADER = """\
#:schema ../schemas/scenario.schema.json
# US Medicare over three years of partly the same people. Written by configs/build_synpuf.py: change the choices there.
# Fitted to the CMS 2008-2010 Data Entrepreneurs' Synthetic Public Use File (public; synthetic people), 2008 and 2009,
# people with full fee-for-service cover who lived through the year. Parameters only: no patient's cost, and no count of
# fewer than ten patients. Everybody is one segment, so that nobody moves between segments.
# Leavers are all who have no such year again: also those who died, or changed their cover.
#
{told}
#
# stay: two years of rows do not tell how costs fade later; this is the published rate (Hirth 2015). Vary it.
"""

HEADER = """\
# US Medicare, 2008, by number of chronic conditions. Written by configs/build_synpuf.py: change the choices there.
# Money is US$ a year; shares are fractions. Parameters only: no patient's cost, no count of fewer than ten patients.
#
# Fitted to the CMS 2008-2010 Data Entrepreneurs' Synthetic Public Use File (public; synthetic people with the marginal
# shapes of real claims), 2008, people with full fee-for-service cover who lived through the year: {rows:,} of them.
# Left out by filter, with their share of all cost in the file of three years:
{dropped}
# Negative parts of a cost (billing adjustments) are set to 0, which changes the cost by {negative:+.4%}.
#
# Fitted and observed:
{goodness}
#
{verdicts}
"""


def fitted(path: str) -> FittedModel:
    """The model of the file."""
    return sim.fit(
        path,
        cost="inpatient,outpatient,professional",
        segment="n_chronic:0,1,2,3,4,5,6,7,8,9,10",
        where="year == 2008 and months == 12 and hmo_months == 0 and died == 0",
        negative="zero",
        thresholds=[25_000, 50_000, 100_000],
        currency="USD",
        sets=SETS,
    )


def fitted_years(path: str) -> FittedModel:
    """The model of two years of the same people."""
    return sim.fit(
        path,
        cost="inpatient,outpatient,professional",
        person="person",
        year="year",
        where="year < 2010 and months == 12 and hmo_months == 0 and died == 0",
        negative="zero",
        thresholds=[25_000, 50_000, 100_000],
        currency="USD",
        sets=0,
    )


def years_text(model: FittedModel) -> str:
    """A scenario of several years."""
    written = model.scenario_text(
        sizes=[1_000, 5_000, 20_000, 100_000],
        thresholds=[25_000, 50_000, 100_000, math.inf],
        replicates=2_000,
        seed=20080101,
        title="US Medicare over three years of partly the same people",
    )
    told = commented("\n".join(line for table in years_tables(model) for line in ["", *table.lines(116)][1:]))
    return YEARS_HEADER.format(told=told) + written[written.index("\n") :]


def texts(model: FittedModel) -> dict[Path, str]:
    """The files of 2008 alone."""
    return {MODEL: model_text(model), TARGET: scenario_text(model, False), DOUBT: scenario_text(model, True)}


def model_text(model: FittedModel) -> str:
    """The model file."""
    header = HEADER.format(
        rows=model.report["rows_kept"],
        dropped=commented("\n".join(f"  {d['why']}: {d['share_of_cost']:.2%}" for d in model.report["dropped"])),
        negative=model.report["negative"]["change_of_cost"],
        goodness=commented("\n".join(line for table in goodness_tables(model) for line in ["", *table.lines(116)])),
        verdicts=commented("\n".join(verdicts(model))),
    )
    written = model.model_text()
    return header + written[written.index("\n") :]


def scenario_text(model: FittedModel, doubt: bool) -> str:
    """A scenario of the model file."""
    told = "US Medicare, 2008, by number of chronic conditions: synpuf_model.toml"
    written = model.scenario_text(
        model=MODEL.name,
        parameter_uncertainty=doubt,
        sizes=[1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000],
        thresholds=[25_000, 50_000, 100_000],
        seed=20080101,
        title=f"US Medicare 2008: how much of next year's cost is {'luck, and how much doubt' if doubt else 'luck'}?",
    )
    header = SCENARIO_HEADER.format(told=f"{told}, with its {model.n_sets} parameter sets" if doubt else told)
    return header + written[written.index("\n") :]


def commented(lines: str) -> str:
    """Lines as comments."""
    return "\n".join(f"#   {line}".rstrip() for line in lines.splitlines())


def main(arguments: list[str] | None = None) -> int:
    """Write the model and its scenarios, or check them."""
    parser = argparse.ArgumentParser(
        description="Write the model and the scenarios of the CMS synthetic public-use file."
    )
    parser.add_argument("file", help="the Parquet table of person-years")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    given = parser.parse_args(arguments)
    try:
        new = texts(fitted(given.file)) | {YEARS: years_text(fitted_years(given.file))}
    except sim.SimulatorError as error:
        print(error, file=sys.stderr)
        return 2
    stale = [path for path in new if not path.exists() or path.read_text(encoding="utf-8") != new[path]]
    for path in stale:
        if given.check:
            print(f"{path.name} is stale: run python configs/build_synpuf.py FILE")
        else:
            path.write_text(new[path], encoding="utf-8")
            print(f"{path.name} written")
    return 1 if stale and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
