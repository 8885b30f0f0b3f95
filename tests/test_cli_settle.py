"""`simulator settle` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import ROOT

import simulator as sim
from simulator.present.cli.main import main

WHITTINGTON = ROOT / "configs" / "arrangements" / "20-whittington.toml"
AXENE = """
[[designs]]
name = "half"
terms = [{ kind = "share", gain = 0.5, loss = 0.0 }]
"""


def call(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["settle", *map(str, arguments)])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


@pytest.mark.heavy
def test_the_table_has_a_verdict_errors_and_the_imbalance() -> None:
    code, text = call(WHITTINGTON, "--replicates", 60)
    assert code == 0
    told = " ".join(text.split())
    assert "of the risk lies with " in told and "Largest imbalance" in told and " ± " not in told
    assert " ± " in call(WHITTINGTON, "--replicates", 60, "--errors")[1]


@pytest.mark.heavy
def test_json_has_imbalance_and_rows_with_errors() -> None:
    code, text = call(WHITTINGTON, "--replicates", 60, "--json")
    found = json.loads(text)
    assert code == 0 and found["imbalance"] < 1e-9
    wanted = {"design", "population_size", "party"}
    for figure in ("expected_payment", "expected_cost_borne", "expected_surplus", "sd_surplus", "p_loss"):
        wanted |= {figure, f"{figure}_se"}
    assert all(wanted <= row.keys() for row in found["rows"])
    assert found["reference"] == found["rows"][0]["design"] == "status quo"


@pytest.mark.heavy
def test_a_ledger_already_drawn_gives_the_same(tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.nc"
    ran = CliRunner().invoke(main, ["run", str(WHITTINGTON), "--replicates", "60", "--out", str(drawn)])
    assert ran.exit_code == 0, ran.output
    assert call(drawn, "--json") == call(WHITTINGTON, "--replicates", 60, "--json")


@pytest.mark.heavy
def test_out_is_the_outcome(tmp_path: Path) -> None:
    out = tmp_path / "outcome.nc"
    assert call(WHITTINGTON, "--replicates", 60, "--out", out)[0] == 0
    import xarray as xr

    with xr.open_dataset(out, engine="h5netcdf") as outcome:
        assert float(abs(outcome["payment"].sum("party")).max()) < 1e-3


@pytest.mark.heavy
def test_payoff_needs_no_draws_and_draws_a_picture(tmp_path: Path) -> None:
    plot = tmp_path / "payoff.png"
    code, text = call(WHITTINGTON, "--payoff", "--plot", plot)
    assert code == 0 and "Calculated without simulation" in text and "100%" in text
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_payoff_covers_what_is_asked() -> None:
    assert "at a cost of 110% of the budget" in " ".join(call(WHITTINGTON, "--payoff")[1].split())
    code, text = call(WHITTINGTON, "--payoff", "--between", "70%", "130%")
    assert code == 0 and "at a cost of 130% of the budget" in " ".join(text.split())
    code, said = call(WHITTINGTON, "--between", "0.7", "0.9")
    assert code == 2 and "--between: is of the payoff alone; add --payoff" in said


def test_actuals_settle_real_rows(tmp_path: Path) -> None:
    design, rows, out = tmp_path / "design.toml", tmp_path / "rows.csv", tmp_path / "settled.csv"
    design.write_text(AXENE)
    # Axene: 125,000 member months at a target of 500.00 and an actual cost of 495.50, shared by half
    pd.DataFrame({"budget": [125_000 * 500.0], "cost": [125_000 * 495.5]}).to_csv(rows, index=False)
    code, text = call(design, "--actuals", rows, "--out", out, "--json")
    assert code == 0, text
    assert json.loads(text[: text.rindex("]") + 1])[0]["settlement"] == pytest.approx(281_250.0)
    assert pd.read_csv(out)["settlement"].tolist() == pytest.approx([281_250.0])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([ROOT / "configs" / "east_sussex.toml"], "has no designs"),
        (["absent.toml"], "does not exist"),
        ([WHITTINGTON, "--reference", "nobody", "--replicates", 10], "is not a design"),
        ([WHITTINGTON, "--actuals", "absent.csv"], "does not exist"),
        ([WHITTINGTON, "--out", "absent/o.nc"], "does not exist"),
    ],
)
def test_mistakes_get_a_sentence(arguments: list[object], word: str) -> None:
    code, said = call(*arguments)
    assert (code, word in said, "Traceback" in said) == (2, True, False), said


@pytest.mark.heavy
def test_contradictory_designs_get_a_sentence_before_any_draw(tmp_path: Path) -> None:
    text = WHITTINGTON.read_text()
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text + '\n[[designs]]\nname = "gate"\nterms = [{ kind = "minimum_rate", rate = -0.01 }]\n')
    code, said = call(wrong)
    assert (code == 2 and "minimum" in said) or "rate" in said
    assert "at least 0" in said
    assert sim.load(WHITTINGTON).designs
