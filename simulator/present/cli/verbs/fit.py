"""The verb `fit`: from a table of costs to a cost model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ....errors import SimulatorError
from .. import shell
from ..option_types import Amount, Fraction, Several, Whole, defaulted, layout_of, row_options
from ..shell import Rendered, Verb, check_forms, check_output, check_picture, emit, outputs

if TYPE_CHECKING:
    from ....fitting.fit import FittedModel


@click.command(cls=Verb)
@click.argument("costs", type=click.Path())
@click.option("--cost", help="Column of cost; several, separated by commas, are added up.")
@click.option("--bands", is_flag=True, help="COSTS holds band_low, band_high, n and total instead of rows.")
@click.option("--segment", help="Column of segments, or cuts of a number: age:0,18,40,65,75,85.")
@click.option("--weight", help="Column of weights: how many people a row represents.")
@click.option("--exposure", help="Column of the part of the year covered, in --exposure-unit.")
@defaulted("--exposure-unit", click.Choice(["years", "months"]), "years")
@click.option(
    "--minimum-exposure",
    type=Fraction(0, 1),
    default=0.0,
    help="Drop rows covered for less than this fraction of a year.",
)
@click.option("--person", help="Column of ids, so that a person's years count as one person; ids are not kept.")
@click.option("--year", help="Column of years: with --person, also fit how persistent costs are and who leaves.")
@click.option("--where", help='Keep rows that meet this: "months == 12 and died == 0".')
@click.option(
    "--exclude-service", default="", help="Columns of services to subtract from the cost, separated by commas."
)
@defaulted("--negative", click.Choice(["refuse", "zero", "net"]), "refuse")
@defaulted("--family", None, "auto", "auto, lognormal, gamma, weibull, burr, gengamma, gb2 or empirical.")
@click.option(
    "--tail-above", type=Amount(above=0), help="Cost at which the tail starts; by default chosen for each segment."
)
@click.option("--thresholds", type=Several(Amount()), help="Costs at which the fit is judged: 25000,50000.")
@defaulted("--membership", click.Choice(["fixed", "sampled"]), "fixed")
@defaulted("--currency", None, "GBP")
@defaulted("--sets", Whole(min=0), 100, "Parameter sets, to separate uncertainty from luck.")
@defaulted("--smallest-count", Whole(), 10, "Suppress figures of fewer patients; 10 or more.")
@click.option(
    "--allow-identifying",
    is_flag=True,
    help="Allow --where and --segment by ids, costs or near-unique columns: repeated questions would find single "
    "patients.",
)
@defaulted("--seed", Whole(min=0), 1)
@row_options
@click.option("--out", type=click.Path(), help="Write the model to this TOML file.")
@click.option("--scenario", type=click.Path(), help="Write a ready-to-run scenario to this TOML file.")
@click.option(
    "--parameter-uncertainty", is_flag=True, help="The scenario uses the model of --out and its parameter sets."
)
@click.option("--size", type=Several(Whole(min=1)), help="Population sizes of the scenario: 1000,10000.")
@click.option("--plot", type=click.Path(), help="Write pictures of the fit to this PNG, SVG or PDF file.")
@click.option("--curves", type=click.Path(), help="Write the data of these pictures to this netCDF file, for `plot`.")
@outputs
def fit(
    costs: str, out: str | None, scenario: str | None, plot: str | None, curves: str | None, **options: Any
) -> None:
    """Fit a cost model to COSTS, a CSV, Parquet or Excel file with one row per patient-year.

    No patient's cost, id or count below ten is printed or written; counts are to the nearest five.

    Example: simulator fit costs.csv --cost total --segment band --out model.toml
    """
    from ....costs.model_file import refuse_bills
    from ...answers import fit as shown

    check_forms(costs)
    for option, path in (("--out", out), ("--scenario", scenario), ("--curves", curves)):
        check_output(option, path, costs)
    if plot is not None:
        check_picture(plot, costs)
    size, is_doubted = options.pop("size"), options.pop("parameter_uncertainty")
    if is_doubted and not (out and scenario):
        raise SimulatorError("--parameter-uncertainty", None, "needs a model and a scenario", "add --out, --scenario")
    model = _fitted(costs, options)
    if out or scenario:
        refuse_bills(model.population)
    if plot:
        shell.write_picture(lambda plots: plots.fit_diagnostics(model.curves, model.currency)[0], plot)
    if curves:
        _write_curves(model, curves)
    if out:
        model.to_toml(out)
    if scenario:
        model.to_scenario_toml(scenario, **_scenario_parts(size, out if is_doubted else None, scenario))
    made = Rendered(lambda: shown.page(model), lambda: shown.as_json(model), lambda: shown.fit_rows(model))
    emit(made, out, scenario, plot, curves)


def _scenario_parts(size: Any, model: str | None, scenario: str) -> dict[str, Any]:
    parts: dict[str, Any] = {"sizes": size} if size else {}
    if model is None:
        return parts
    beside = os.path.relpath(model, os.path.dirname(scenario) or os.curdir).replace(os.sep, "/")
    return parts | {"model": beside, "parameter_uncertainty": True}


def _fitted(costs: str, options: dict[str, Any]) -> FittedModel:
    from ....fitting.fit import fit as fit_rows
    from ....fitting.fit import fit_bands

    rows = layout_of(options)
    if options.pop("bands"):
        kept = ("segment", "membership", "currency", "sets", "smallest_count", "seed")
        return fit_bands(costs, **{name: options[name] for name in kept}, **rows)
    if not options["cost"]:
        raise SimulatorError("--cost", None, "is missing", "name the columns of cost: --cost total")
    return fit_rows(costs, **options, **rows)


def _write_curves(model: FittedModel, path: str) -> None:
    from importlib import metadata

    from ....ledger import save

    version = metadata.version("capitation-risk")
    save(model.curves.assign_attrs(currency=model.currency, simulator_version=version), path)
