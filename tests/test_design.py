"""Designs: contradictions told in one sentence each, before any draw, and a lossless way through JSON."""

from __future__ import annotations

import json
import math

import pytest
from conftest import make
from ladders import cleared, surplus
from pydantic import ValidationError

from simulator.contracts.budget import BySegment
from simulator.contracts.design import Design, designs_from, mistakes_against, status_quo, with_reference
from simulator.contracts.parties import Party
from simulator.errors import SimulatorError

PARTIES = [{"name": "payer", "funds": 1.0}, {"name": "provider", "delivers": 1.0}]
POOL = {"kind": "risk_pool", "pool": "pool", "protects": ["provider"]}


def told(**design):
    """What is wrong with one design, as lines."""
    with pytest.raises(SimulatorError) as caught:
        designs_from([{"name": "x"} | design], "file.toml")
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("design", "sentence"),
    [
        (
            {"terms": [{"kind": "cap_and_collar", "cap": 0.01, "collar": 0.02}]},
            "designs[x].terms[0]: collar 0.02 lies above cap 0.01",
        ),
        ({"terms": [{"kind": "minimum_rate", "rate": -0.01}]}, "designs[x].terms[0].rate: -0.01 must be at least 0"),
        (
            {"budget": [{"kind": "per_head"}, {"kind": "per_head"}]},
            "designs[x].budget: is given 2 times; a design has one budget",
        ),
        (
            {"parties": [{"name": "a", "funds": 1.0, "delivers": 0.5, "gain_share": 1.0}]},
            "delivers that add to 0.5, not to 1",
        ),
        (
            {"parties": [PARTIES[0] | {"gain_share": 0.5}, PARTIES[1] | {"gain_share": 0.4}]},
            "gain_shares that add to 0.9, not to 1",
        ),
        (
            {"parties": [PARTIES[0], PARTIES[1] | {"gain_share": 1.0, "loss_share": 0.9}]},
            "loss_shares that add to 0.9, not to 1",
        ),
        ({"parties": [*PARTIES, PARTIES[1] | {"delivers": 0.0}]}, "more than one 'provider'"),
        (
            {"transfers": [POOL]},
            "designs[x].transfers[0]: needs party 'pool', which is not among the parties (payer, provider)",
        ),
        ({"protection": {"payer": "reinsurer"}}, "designs[x].protection: needs party 'reinsurer'"),
        ({"terms": [{"kind": "quality_gate"}]}, "(quality_gate) follows quality, which the design does not give"),
        (
            {"terms": [{"kind": "loss_limit", "of_revenue": 0.08}]},
            "(loss_limit) is limited by revenue, which the design does not give",
        ),
        ({"split": "by_influence"}, "have no influence to divide by"),
        (
            {"split": "by_budget", "parties": [PARTIES[0], PARTIES[1] | {"gain_share": 1.0}]},
            "have gain_share beside split = 'by_budget': both would divide the settlement",
        ),
        (
            {"split": "equal", "parties": [PARTIES[0], PARTIES[1] | {"loss_share": 1.0}]},
            "have loss_share beside split = 'equal': both would divide the settlement",
        ),
        (
            {"parties": [PARTIES[0], PARTIES[1] | {"influence": 1.0}]},
            "have influence beside split = 'by_budget': both would divide the settlement",
        ),
        (
            {"terms": [{"kind": "full_risk"}, {"kind": "no_risk"}]},
            "designs[x].terms: hold both full_risk and no_risk; keep one of them",
        ),
        (
            {"terms": [{"kind": "minimum_rate", "rate": 0.02, "loss_rate": 0.01, "sides": "gains"}]},
            "has a loss_rate of 0.01 beside sides = 'gains'",
        ),
        (
            {
                "parties": [*PARTIES, {"name": "newcomer"}],
                "transfers": [{"kind": "follow_patients", "providers": ["provider", "newcomer"], "sd": 0.01}],
            },
            "(follow_patients) moves patients of 'newcomer', which delivers nothing",
        ),
        ({"terms": [{"kind": "sharre"}]}, "'sharre' is not a known kind"),
        ({"terms": [{"kind": "share", "gain": 0.5}]}, "designs[x].terms[0].loss: is missing"),
        ({"terms": [{"kind": "share", "gain": 50, "loss": 0.5}]}, "designs[x].terms[0].gain: 50 must be at most 1"),
        (
            {"budget": {"kind": "per_head", "amount": 100.0, "amounts": {"a": 1.0}}},
            "designs[x].budget.amounts: is not a key",
        ),
        ({"year": 0}, "designs[x].year: 0 must be at least 1"),
        (
            {"transfers": [{"kind": "fixed_transfer", "payer": "payer", "receiver": "payer"}]},
            "pays 'payer' from its own money",
        ),
    ],
)
def test_one_sentence_for_each_contradiction(design, sentence):
    lines = told(**design)
    assert len(lines) == 1
    assert lines[0].startswith("file.toml: designs[x]")
    assert sentence in lines[0]


def test_every_mistake_is_told_at_once():
    assert len(told(terms=[{"kind": "quality_gate"}], transfers=[POOL], protection={"payer": "nobody"})) == 3


def test_no_designs():
    with pytest.raises(SimulatorError, match="at least 1 needed"):
        designs_from([])


def test_against_a_scenario():
    designs = (
        Design(name="a", budget=BySegment(amounts={"well": 1.0, "old": 1.0})),
        Design(name="b", exclusion={"kind": "cap", "at": 30_000.0}),
        Design(name="b"),
    )
    told_here = [error.message() for error in mistakes_against(designs, ["well", "ill"], [50_000.0])]
    assert len(told_here) == 3
    assert "more than one 'b'" in told_here[0]
    assert "must give an amount for every segment (ill, well)" in told_here[1]
    assert "excludes at 30000, which is not on the grid" in told_here[2]
    assert not list(mistakes_against([Design(name="fine")], ["well"], [50_000.0]))


CAPPED = {"exclusion": {"kind": "cap", "at": 5_000.0}}


@pytest.mark.parametrize(
    "design",
    [
        {"budget": {"kind": "per_head", "amount": 300.0}},
        {"budget": {"kind": "per_head", "amount": 300.0}, "exclusion": {"kind": "cap"}},
        {"budget": {"kind": "by_segment", "amounts": {"well": 100.0, "complex": 500.0}}},
        {"budget": {"kind": "waterfall", "current_spend": 300.0, "members": 1}},
        {"budget": {"kind": "per_head", "discount": 0.9}},
    ],
)
def test_a_budget_that_the_rule_eats_up_is_refused_before_any_draw(design):
    with pytest.raises(ValidationError) as caught:
        make(designs=[{"name": "eaten", **CAPPED, **design}])
    assert caught.value.error_count() == 1
    assert "design 'eaten' leaves -" in str(caught.value)
    assert "a head of its budget: its rule removes all of it" in str(caught.value)


@pytest.mark.parametrize(
    "design",
    [
        {"budget": {"kind": "per_head", "amount": 300.0, "basis": "retained"}},
        {"budget": {"kind": "per_head", "amount": 3_000.0}},
        {"budget": {"kind": "per_head", "amount": 300.0}, "exclusion": {"kind": "cap", "at": math.inf}},
        {"budget": {"kind": "past_years", "weights": [1.0], "correlation": [0.4]}},
    ],
)
def test_other_budgets_stand(design):
    assert make(designs=[{"name": "sound", **CAPPED, **design}]).designs[0].name == "sound"


def full():
    return Design(
        name="full",
        budget={
            "kind": "past_years",
            "weights": [0.4, 0.6],
            "correlation": [0.5],
            "loading": {"k": 1.0, "members": 10},
        },
        exclusion={"kind": "banded", "bands": [{"at": 5_000.0, "share": 0.5}, {"at": math.inf, "share": 1.0}]},
        terms=[
            {"kind": "bands", "gains": [{"upto": math.inf, "rate": 0.5}]},
            {"kind": "gain_cap", "of_revenue": [0.1, 0.2]},
            {"kind": "withhold", "share": 0.02},
        ],
        parties=[*PARTIES, {"name": "pool"}],
        transfers=[POOL | {"contributions": {"payer": 0.01}}],
        quality={"measures": [{"name": "m", "target": 0.7, "mean": 0.7, "sd": 0.1}]},
        revenue=0.3,
    )


def test_through_json_and_back():
    design = full()
    assert Design.model_validate(json.loads(design.model_dump_json())) == design
    assert Design.model_validate(design.model_dump()) == design
    assert "Infinity" not in design.model_dump_json()


@pytest.mark.heavy
def test_schema_knows_every_term():
    schema = json.dumps(Design.model_json_schema())
    for kind in (
        "minimum_rate",
        "cost_and_volume",
        "level_table",
        "risk_pool",
        "past_years",
        "waterfall",
        "loss_limit",
    ):
        assert f'"const": "{kind}"' in schema


def test_every_mitigation_may_carry_a_label_that_changes_nothing():
    mitigations = {
        "exclusion": {"kind": "cap", "at": 5_000.0},
        "terms": [
            {"kind": "gain_cap", "of_budget": 0.1},
            {"kind": "loss_limit", "of_budget": 0.1},
            {"kind": "profit_cap", "rate": 0.1},
            {"kind": "cap_and_collar", "cap": 0.1, "collar": -0.1},
            {"kind": "aggregate_stop_loss", "attachment": 0.02},
        ],
        "transfers": [POOL],
        "protection": {"payer": "payer"},
        "parties": [*PARTIES, {"name": "pool"}],
    }
    plain = Design(name="x", **mitigations)
    dumped = json.loads(plain.model_dump_json())
    for step in (dumped["exclusion"], *dumped["terms"], *dumped["transfers"], dumped["protection"]):
        step["basis"] = "retrospective"
    labelled = Design.model_validate(dumped)
    assert labelled.exclusion.basis == labelled.terms[4].basis == labelled.transfers[0].basis == "retrospective"
    assert surplus(labelled, "provider") == surplus(plain, "provider")
    assert "basis: 'someday' must be" in told(terms=[{"kind": "gain_cap", "of_budget": 0.1, "basis": "someday"}])[0]


def test_designs_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        full().name = "other"


def test_without_terms_the_provider_carries_everything():
    assert surplus(Design(name="plain"), "provider", (0.9, 1.1)) == [100, -100]


def test_status_quo_goes_first_with_the_same_parties():
    design = Design(name="new", parties=[PARTIES[0], {"name": "trust", "delivers": 1.0, "gain_share": 1.0}])
    first, second = with_reference([design])
    assert (first.name, second.name) == ("status quo", "new")
    assert [party.name for party in first.parties] == ["payer", "trust"]
    assert surplus(first, "trust", (0.9, 1.1)) == [50, -50]


AGREED = {
    "gain_share": 0.5, "loss_share": 0.5, "gain_limit": 0.01, "loss_limit": 0.01, "contract_value": 0.9,
}  # fmt: skip


def test_the_status_quo_carries_nothing_that_a_proposal_agrees_with_a_party():
    """A new field of `Party` that is not said to be one of the two kinds fails here."""
    facts = {"name", "funds", "delivers", "variable_share"}
    assert set(Party.model_fields) == facts | set(AGREED) | {"influence"}
    parties = [PARTIES[0], *({"name": name, "delivers": 0.5, "variable_share": 0.8} | AGREED for name in "ab")]
    proposal = Design(name="alliance", parties=parties)
    first, _ = with_reference([proposal])
    assert not any(getattr(party, name) is not None for party in first.parties for name in (*AGREED, "influence"))
    # of 40% too much, half of the half of each is a block, and 20% of its own cost is fixed
    assert surplus(first, "a", (0.6, 1.4)) == [60, -60]
    assert "party_limit_bound" not in cleared(first).accounts.events
    assert "party_limit_bound" in cleared(proposal).accounts.events  # the control: it limits what it agreed to limit


def test_another_reference_can_be_named():
    designs = [Design(name="a"), Design(name="b")]
    assert [design.name for design in with_reference(designs, "b")] == ["b", "a"]
    assert [design.name for design in with_reference([status_quo(), *designs])] == ["status quo", "a", "b"]
    with pytest.raises(SimulatorError, match="choose from a, b"):
        with_reference(designs, "c")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"transfers": [{"kind": "follow_patients", "providers": ["p", "p"], "sd": 0.1}]}, "names party 'p' twice"),
        (
            {"transfers": [{"kind": "subcontract", "prime": "p", "subcontractor": "p", "fee": 1.0}]},
            "names party 'p' twice",
        ),
        ({"transfers": [{"kind": "risk_pool", "pool": "q", "protects": ["q"]}]}, "pay itself"),
        ({"protection": {"payer": "q", "premium_from": "q"}}, "its own payer"),
    ],
)
def test_a_party_on_both_sides_is_refused(changes, told):
    parties = [{"name": "c", "funds": 1.0}, {"name": "p", "delivers": 0.6}, {"name": "q", "delivers": 0.4}]
    with pytest.raises(SimulatorError, match=told):
        designs_from([{"name": "x", "parties": parties, **changes}])
