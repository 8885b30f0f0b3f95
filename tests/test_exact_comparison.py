"""What is known exactly leads every page of a comparison, and the draws check it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT, make

import simulator as sim
from simulator.analysis.designs.exact_comparison import with_exact
from simulator.contracts.design import Design
from simulator.present.answers.comparison import page as comparison_report
from simulator.present.answers.comparison import verdicts
from simulator.present.cli.main import main
from simulator.present.figure import NO_ERROR, errors_shown

INF = math.inf
MEASURE = {"name": "m", "target": 1.0, "minimum": 0.0, "mean": 0.4, "sd": 0.1}
FULL = Design(name="full risk")
SHARED = Design(name="shared", terms=[{"kind": "share", "gain": 0.5, "loss": 0.2}])
SWEPT = Design(name="swept", exclusion={"kind": "cap"}, terms=[{"kind": "share", "gain": 0.5, "loss": 0.5}])
DRAWN = Design(name="drawn quality", quality={"measures": [MEASURE]}, terms=[{"kind": "quality_multiplier"}])
DESIGNS = (FULL, SHARED, DRAWN)
BOOK = make(
    simulation={"population_sizes": [500, 4_000], "thresholds": [5_000.0, INF], "replicates": 2_000},
    shocks=[{"name": "prices", "cv": 0.01}],
)


@pytest.fixture(scope="module")
def ledger():
    return sim.simulate(BOOK, progress=False)


@pytest.fixture(scope="module")
def outcome(ledger):
    return sim.settle(ledger, DESIGNS)


@pytest.fixture(scope="module")
def compared(outcome):
    return with_exact(sim.compare(outcome))


@pytest.mark.heavy
def test_it_is_what_the_exact_engine_says(compared):
    exact = sim.exact_settlement(BOOK, (FULL, SHARED))["expected_surplus"]
    found = compared["exact_surplus"].sel(design=["full risk", "shared"])
    assert found.dims == compared["expected_surplus"].dims
    scale = float(compared["expected_payment"].max())
    assert float(np.abs(found - exact).max()) < 1e-8 * scale
    assert (found.sel(design="full risk") == 0).all()  # not 1e-9, which would have a sign
    assert compared["exact_surplus"].sel(design="drawn quality").isnull().all()
    assert float(found.sel(design="shared", party="provider").min()) > 0
    difference = compared["exact_difference"].sel(design="shared")
    assert difference.values == pytest.approx(found.sel(design="shared").values)


@pytest.mark.heavy
def test_the_draws_check_it(compared, outcome):
    off = np.abs(compared["expected_surplus"] - compared["exact_surplus"]) / compared["expected_surplus_se"]
    assert compared.attrs["exact_check"] == pytest.approx(float(off.where(np.isfinite(off)).max()))
    assert compared.attrs["exact_check"] < 4.5
    # the control: draws of another cost are found out, and the page says so
    other = outcome.assign(surplus=outcome["surplus"] + 0.003 * outcome["budget"])
    wrong = with_exact(sim.compare(other))
    assert wrong.attrs["exact_check"] > 5
    assert "standard errors from the exact one" in " ".join(str(sim.table(wrong)).split())
    assert "standard errors from the exact one" not in " ".join(str(sim.table(compared)).split())


def test_the_exact_figure_leads_in_words_and_tables(compared, ledger):
    with errors_shown():
        full, shared, drawn = verdicts(compared)
        page = comparison_report(compared)
    assert f"(average result £0 ({NO_ERROR}); " in full and f"({NO_ERROR}); a loss in" in shared and " ± " in drawn
    assert NO_ERROR not in drawn.partition("average result ")[2].partition("; ")[0]
    tables = {part.title: part for part in page.parts if hasattr(part, "head")}
    first = tables["full risk"]
    assert first.head[1:3] == ["average result", "simulated"]
    provider = next(row for row in first.rows if row[0] == "provider")
    assert str(provider[1]) == f"£0 ({NO_ERROR})" and " ± " in str(provider[2])
    assert (provider[1].basis, provider[2].basis) == ("exact", "drawn")
    assert tables["drawn quality"].head[1:3] == ["average result", "standard deviation"]
    with errors_shown():
        plain = verdicts(sim.compare(sim.settle(ledger, (FULL,))))
    assert NO_ERROR not in plain[0]  # the control: what was not asked for is not told


@pytest.mark.heavy
def test_swept_thresholds_each_have_their_own(ledger):
    settled = sim.settle(
        sim.simulate(BOOK, progress=False),
        (FULL, SWEPT, Design(name="half up", exclusion={"kind": "cap"}, terms=SHARED.terms)),
    )
    found = with_exact(sim.compare(settled))
    assert found["exact_surplus"].dims == found["expected_surplus"].dims
    for threshold in (5_000.0, INF):
        own = Design(name="half up", exclusion={"kind": "cap", "at": threshold}, terms=SHARED.terms)
        exact = sim.exact_settlement(BOOK, [own])["expected_surplus"].isel(design=0)
        at = found["exact_surplus"].sel(design="half up", threshold=threshold)
        assert np.abs((at - exact).values).max() < 1e-6 * float(np.abs(exact).max())
    capped, bare = (
        float(found["exact_surplus"].sel(design="half up", threshold=t, party="provider")[-1]) for t in (5_000.0, INF)
    )
    assert bare > 1.2 * capped
    one = with_exact(sim.compare(settled.sel(threshold=5_000.0)))
    assert float(one["exact_surplus"].sel(design="half up", party="provider")[-1]) == pytest.approx(capped)


@pytest.mark.parametrize("changed", ["no scenario", "withheld", "units", "other sizes"])
def test_where_nothing_is_known_the_comparison_is_as_it_was(changed, outcome):
    compared = sim.compare(outcome)
    if changed == "no scenario":
        compared.attrs.pop("scenario")
    elif changed == "withheld":
        raw = json.loads(compared.attrs["scenario"])
        raw["population"]["segments"][0]["severity"] = {"family": "empirical", "withheld": 3}
        compared.attrs["scenario"] = json.dumps(raw)
    elif changed == "units":
        compared = compared.rename(population_size="unit")
    else:
        compared = compared.assign_coords(population_size=[501, 4_000])
    assert with_exact(compared).identical(compared)


def test_what_the_exact_engine_refuses_is_left_to_the_draws():
    segments = [{"name": "a", "share": 1.0, "severity": {"family": "pareto", "scale": 500.0, "alpha": 1.5}}]
    book = make(
        population={"segments": segments},
        simulation={"population_sizes": [500], "thresholds": [5_000.0], "replicates": 50},
    )
    capped = Design(name="capped", exclusion={"kind": "cap", "at": 5_000.0})
    found = with_exact(sim.compare(sim.settle(sim.simulate(book, progress=False), (FULL, capped))))
    assert found["exact_surplus"].sel(design="full risk").isnull().all()  # its variance is infinite
    assert (found["exact_surplus"].sel(design="capped", party="provider") == 0).all()


@pytest.mark.heavy
def test_a_law_that_the_engine_is_unsure_of_is_left_to_the_draws(monkeypatch, outcome):
    import simulator.analysis.designs.exact_comparison as module

    exact = module.exact_settlement

    def unsure(*given, **known):
        found = exact(*given, **known)
        return found.assign(probability_error=found["probability_error"] + 0.002)

    monkeypatch.setattr(module, "exact_settlement", unsure)
    assert "exact_surplus" not in with_exact(sim.compare(outcome))


@pytest.mark.heavy
def test_the_shell_the_picture_and_the_report_are_led_by_it(tmp_path):
    book = ROOT / "configs" / "arrangements" / "10-northumbria-prime.toml"
    code = CliRunner().invoke(main, ["settle", str(book), "--replicates", "60", "--json"])
    rows = json.loads(code.output)["rows"]
    assert all(row["exact_surplus"] is not None for row in rows) and all(
        row["expected_surplus_se"] >= 0 for row in rows
    )
    csv = CliRunner().invoke(main, ["settle", str(book), "--replicates", "60", "--csv", "-"]).output
    assert any(line.startswith("exact_surplus,") and line.endswith(",exact") for line in csv.splitlines())


def test_the_picture_shows_what_is_known_exactly(compared, ledger):
    def nothing(compared):
        return sum(text.get_text() == "£0" for text in sim.plots.who_bears(compared).texts)

    drawn = sim.compare(sim.settle(ledger, (FULL,)))
    # the payer of full risk has nothing to bear in either; the provider expects £0, and thousands in the draws
    assert (nothing(compared.sel(design=["full risk"])), nothing(drawn)) == (3, 2)
