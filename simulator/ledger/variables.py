"""Every output variable of the program: its dims, unit, sentence and basis. The only writer of these attributes.

An answer is of a kind, which stands in its attribute ``kind``. `declared` ends every function that gives one: it sets
the attributes of each variable, and refuses one that is not declared here. `check_declared` asks the same of a file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import xarray as xr

from ..base import SimulatorError


class Variable(NamedTuple):
    """What one variable is.

    Attributes
    ----------
    dims : tuple of str
        "a|b" is one or the other, "a?" need not be there, and "..." are any more that the ledger has.
    unit, sentence : str
        With {names} of what the function is told.
    basis : {"drawn", "exact", "given"}
        Whether it comes from draws, was worked out without any, or was put in. {basis} where that depends.
    """

    dims: tuple[str, ...]
    unit: str
    sentence: str
    basis: str = "drawn"

    def fits(self, dims: tuple[Any, ...]) -> bool:
        """Whether an array has these dims, in any order."""
        left = set(map(str, dims))
        for token in self.dims:
            found = left & set(token.rstrip("?").split("|"))
            if not found and not token.endswith("?") and token != "...":
                return False
            left -= found
        return not left or "..." in self.dims

    def error(self) -> Variable:
        """Its standard error."""
        return self._replace(sentence=f"Monte Carlo standard error: {self.sentence}", basis="drawn")


def _of(dims: str, basis: str = "drawn", **named: tuple[str, ...]) -> dict[str, Variable]:
    """Variables with dims in common, each as unit, sentence and, where they differ, further dims and another basis."""
    made = {}
    for name, (unit, sentence, *others) in named.items():
        further = others[0] if others else ""
        made[name] = Variable(tuple(f"{dims} {further}".split()), unit, sentence, others[1] if others[1:] else basis)
    return made


MONEY = "{currency} per year"
_A_HEAD = "{currency} per member per year"
_PLACE = "population_size|unit"

# ── a ledger ─────────────────────────────────────────────────────────────────────────────────────

_POPULATION = ("replicate", "population_size")
_PATIENT_LEVEL = ("replicate", "population_size", "threshold")
_UNIT = ("replicate", "unit")
_UNIT_PATIENT_LEVEL = ("replicate", "unit", "threshold")

_DRAWN: Mapping[str, Variable] = {
    "gross_cost": Variable(_POPULATION, MONEY, "cost of everybody before exclusions"),
    "excess_cost": Variable(_PATIENT_LEVEL, MONEY, "Σ max(x − threshold, 0) over patients"),
    "above_cost": Variable(_PATIENT_LEVEL, MONEY, "Σ x over patients who cost more than the threshold"),
    "n_above": Variable(_PATIENT_LEVEL, "patients", "patients who cost more than the threshold"),
    "excluded_service_cost": Variable(_POPULATION, MONEY, "cost of the rare services that are out of scope"),
    "members": Variable((*_POPULATION, "segment"), "people", "people of the segment, where the case mix is drawn"),
    "unit_gross_cost": Variable(_UNIT, MONEY, "cost of the unit before exclusions"),
    "unit_excess_cost": Variable(_UNIT_PATIENT_LEVEL, MONEY, "Σ max(x − threshold, 0) over the unit's patients"),
    "unit_above_cost": Variable(_UNIT_PATIENT_LEVEL, MONEY, "Σ x over the unit's patients above the threshold"),
    "unit_n_above": Variable(_UNIT_PATIENT_LEVEL, "patients", "the unit's patients above the threshold"),
    "unit_excluded_service_cost": Variable(_UNIT, MONEY, "the unit's cost of rare services that are out of scope"),
    "unit_members": Variable((*_UNIT, "segment"), "people", "the unit's people of the segment, where drawn"),
    "shock_factor": Variable(("replicate", "shock"), "1", "what the shock multiplies everybody's cost by"),
    "threshold_amount": Variable(
        ("segment", "threshold"), MONEY, "a patient's annual cost at which exclusion starts", "given"
    ),
    "cut": Variable(("segment",), MONEY, "cost before shocks above which a patient is drawn one by one", "given"),
}
EXPECTED = ("gross_cost", "excess_cost", "above_cost", "n_above")
"""Variables whose exact means stand in a ledger that does not carry its whole scenario."""


def _expected_variables() -> dict[str, Variable]:
    """`expected_…` of the populations and `unit_expected_…` of the units."""
    found = {}
    for prefix, name in itertools.product(("", "unit_"), EXPECTED):
        drawn = _DRAWN[f"{prefix}{name}"]
        told = f"exact mean of {prefix}{name}, where observed costs are withheld"
        found[f"{prefix}expected_{name}"] = Variable(("parameter_set", *drawn.dims[1:]), drawn.unit, told, "exact")
    return found


VARIABLES: Mapping[str, Variable] = {**_DRAWN, **_expected_variables()}
"""Every variable of a ledger. Those with a dim that a scenario does not use are absent."""

COORDINATES: Mapping[str, Variable] = {
    "replicate": Variable(("replicate",), "1", "number of the synthetic population, one for each contract year"),
    "parameter_draw": Variable(("replicate",), "1", "number of the parameter set that the replicate is drawn under"),
    "parameter_set": Variable(("parameter_set",), "1", "number of the parameter set, 0 alone without sets"),
    "population_size": Variable(("population_size",), "people", "people in the population, for one year"),
    "threshold": Variable(("threshold",), MONEY, "one patient's annual cost at which exclusion starts"),
    "percentile": Variable(("threshold",), "1", "percentile of patients' annual cost, people without cost included"),
    "unit": Variable(("unit",), "1", "disjoint population drawn with the others"),
    "unit_size": Variable(("unit",), "people", "people in the unit, for one year"),
    "segment": Variable(("segment",), "1", "people with one cost distribution"),
    "shock": Variable(("shock",), "1", "what hits everybody in a replicate at once"),
}

DERIVED: Mapping[str, Variable] = {
    "retained_cost": Variable(("replicate", "threshold", "..."), MONEY, "retained cost under the exclusion rule"),
    "overspend": Variable(("replicate", "threshold", "..."), "1", "retained cost / budget − 1"),
}
"""What follows from a ledger as an array of its own."""

# ── answers by kind ──────────────────────────────────────────────────────────────────────────────

_CHECKS = {
    **_of(_PLACE + " threshold?", "exact",
        exact_mean=(MONEY, "exact mean of the retained cost, without draws"),
        exact_sd=(MONEY, "exact standard deviation of the retained cost, without draws"),
    ),
    **_of(_PLACE + " threshold?",
        p_overspend_interval=("1", "95% interval of p_overspend (Clopper-Pearson)", "margin bound"),
        z_mean=("1", "(mean_cost − exact_mean) / its exact standard error"),
        z_sd=("1", "(variance − exact) / its exact standard error; only where the excess kurtosis is below 1"),
        z_n_above=("1", "(mean of n_above − exact) / its exact standard error; only where 400 patients are expected"),
    ),
}  # fmt: skip
_BUDGET = _of(
    _PLACE + " threshold?",
    "given",
    budget=(MONEY, "budget, after the rule's expected cost is taken off; mean over replicates"),
)
_SETTLED = {
    "payment": (MONEY, "what the party is paid, positive to it; sums to zero over parties"),
    "funding": (MONEY, "money that the party brings from outside"),
    "cost_borne": (MONEY, "cost that falls on the party"),
    "surplus": (MONEY, "funding + payment − cost_borne"),
}
_MINIMUM = "smallest population for a {asked}"
_CURVES = {
    "p_above": ("1", "share of people who cost more than the amount", "amount"),
    "limited_mean": (MONEY, "mean cost a head up to the amount", "amount"),
    "top_share": ("1", "share of cost of the costliest share of people", "people_share"),
    "cell_mean": (MONEY, "mean cost of the people between this share and the next smaller one", "people_share"),
}

_KINDS: Mapping[str, Mapping[str, Variable]] = {
    "settlement": {
        **_of("replicate design party threshold? ...", **_SETTLED),
        **_of("replicate design threshold? ...",
            budget=(MONEY, "budget for the cost that the exclusion rule retains"),
            settlement=(MONEY, "what the terms make of budget − retained cost; positive to the provider"),
            system_cost=(MONEY, "gross cost, and cost that the design itself gives rise to"),
            pool_contributions=(
                MONEY, "paid into the design's risk pools (opening balance: funding; closing: surplus)"
            ),
            pool_drawdown=(MONEY, "paid out of the design's risk pools"),
            protection_cost=(MONEY, "premium for the excess above its expected value"),
        ),
        **_of("event design threshold? ...", triggered=("replicates", "replicates in which the event occurred")),
        **_of("reference ...",
            reference_cost=(MONEY, "the gross cost, then what each rule removes", "replicate"),
            reference_moment=(
                "1", "exact mean and standard deviation (money per year), skewness and excess kurtosis of "
                "reference_cost, by parameter set", "moment parameter_set", "exact"
            ),
        ),
        **_of("design", "given",
            design_threshold=("{threshold_unit}", "the design's own threshold; NaN where it is swept")),
    },
    "comparison": {
        **_of("design party threshold? ...",
            expected_payment=("{unit}", "expected payment"),
            expected_cost_borne=("{unit}", "expected cost borne"),
            expected_surplus=("{unit}", "expected surplus"),
            sd_surplus=("{unit}", "sd surplus"),
            worst_surplus=("{unit}", "worst surplus", "quantile_level"),
            p_loss=("1", "probability that the surplus is negative"),
            p_loss_over=("1", "probability of a loss above {loss_over:g} of the party's own revenue"),
            risk_share=("1", "cov(surplus, total) / var(total)"),
            surplus_difference=("{unit}", "expected surplus less that of the first design, paired"),
            sd_difference=("{unit}", "standard deviation of the surplus less that of the first design, paired"),
            exact_surplus=("{unit}", "expected surplus, exact", "", "exact"),
            exact_difference=("{unit}", "the same less that of the first design, exact", "", "exact"),
        ),
        **_of("design threshold? ...",
            p_triggered=("1", "probability of the event", "event"),
            expected_protection_cost=("{unit}", "expected protection cost"),
        ),
    },
    "payoff": {
        **_of("cost_ratio design party", "exact",
            **{name: (MONEY, f"{name}, all but the retained cost as expected") for name in _SETTLED}),
        **_of("cost_ratio? design", "exact",
            **{name: (MONEY, f"{name}, all but the retained cost as expected")
               for name in ("settlement", "own_cost", "budget")}),
    },
    "exact settlement": _of("population_size design", "exact",
        expected_payment=(MONEY, "expected payment, exact", "party"),
        expected_cost_borne=(MONEY, "expected cost_borne, exact", "party"),
        expected_surplus=(MONEY, "expected surplus, exact", "party"),
        probability_error=("1", "bound on the error of the chance of each jump of the payoff"),
    ),
    "size": {
        **_of("threshold|design", "{basis}",
            minimum_population=("people", _MINIMUM),
            minimum_population_interval=("people", _MINIMUM, "bound"),
            exact_minimum_population=("people", f"{_MINIMUM}, exact", "", "exact"),
            systematic_alone=("1", "{asked}, exact", "", "exact"),
            curve=("1", "{asked}", "population_size"),
            curve_interval=("1", "{asked}", "population_size bound"),
        ),
    },
    "size on a grid": _of("threshold at_most?", "{basis}",
        minimum_population=("people", "smallest population at which {asked}"),
        minimum_population_interval=("people", "smallest population at which {asked}", "bound"),
        at_most=("1", "largest tolerated chance of an overspend", "", "given"),
    ),
    "terms": _of("threshold", "exact",
        margin=("1", "margin that is exceeded with a chance of {at_most:g}, exact"),
        reserve=(MONEY, "money beyond the budget that covers it, exact"),
        reserve_pmpy=("{currency} per year a head", "the same a head"),
        provider_share=("1", "largest share of an overspend whose loss stays within {loss_over:g} of revenue"),
    ),
    "published": _of("risk source threshold", "exact",
        margin=("1", "margin that is exceeded with a chance of {at_most:g}, exact")),
    "luck": _of("risk threshold", "{basis}",
        percentile=("1", "P(overspend ≤ {overspend:g}), {method}"),
        p_two_sided=("1", "twice the thinner tail beyond the observed overspend, {method}"),
        expected_range=("1", "overspends between which {confidence:g} of the years lie, {method}", "bound"),
        sd_overspend=("1", "standard deviation of the overspend, exact", "", "exact"),
        drawn_percentile=("1", "share of the drawn years with an overspend of at most {overspend:g}", "", "drawn"),
    ),
    "sources": _of("threshold", "exact",
        variance=("1", "variance of retained cost / expected cost from this source, exact", "source population_size"),
        share=("1", "share of the variance from this source, exact", "source population_size"),
        sd_overspend=("1", "standard deviation of the overspend from all sources, exact", "population_size"),
        enough_people=("people", "size at which luck has fallen to all other risk together, exact"),
    ),
    "curve": {
        **_of("curve_size threshold", "exact",
            exact_cv=("1", "coefficient of variation of the retained cost, exact")),
        **_of("", "given", curve_size=("people", "people in the population, for one year", "curve_size")),
    },
    "fan": _of(_PLACE + " threshold quantile_level", overspend=("1", "quantile of retained cost / expected − 1")),
    "exceedance": {
        **_of("population_size overspend",
            p_exceed=("1", "P(retained cost / expected − 1 > overspend)"),
            p_exceed_interval=("1", "95% interval of p_exceed (Clopper-Pearson)", "bound"),
            exact_p_exceed=("1", "the same from the exact engine", "", "exact"),
        ),
        **_of("", "given", overspend=("1", "retained cost / expected − 1", "overspend")),
    },
    "funnel": {
        **_of("practice", "exact",
            ratio=("1", "cost / expected cost, all practices together 1, of the year shown: exact"),
            members=("people", "people on the practice's list, for one year", "", "given"),
            practice_limit=("1", "ratio within which luck leaves the practice with this chance, exact", "level bound"),
        ),
        **_of("level", "exact",
            limit=("1", "the same by people, where all have one case mix, exact", "bound population_size"),
            outside=("practices", "practices beyond the limit in the year shown, exact"),
            expected_outside=("practices", "practices that luck alone would put there, exact"),
        ),
    },
    "layers": _of("step",
        amount=(MONEY, "mean of the layer, positive where money is there", "year"),
        kind=("1", "whether the step is a total, a part of it, or a party's surplus", "", "given"),
    ),
    "detection": {
        **_of("saving population_size design",
            p_paid=("1", "chance that the settlement pays the provider"),
            p_denied=("1", "chance that a true saving earns nothing"),
            expected_settlement=("1", "expected settlement as a share of the budget, positive to the provider"),
            share_of_saving=("1", "expected settlement / true saving"),
        ),
        **_of("population_size design", p_paid_without_saving=("1", "chance that it pays where nothing was saved")),
        **_of("saving", "given", saving=("1", "true saving as a share of the expected cost")),
    },
    "price": _of("threshold", "exact",
        expected_excess_pmpy=(_A_HEAD, "expected cost that the rule removes, exact"),
        sd_excess_pmpy=(_A_HEAD, "standard deviation of the pool's cost over its people, exact"),
        price_pmpy=(_A_HEAD, "expected excess and k standard deviations, exact"),
        loading=("1", "price / expected excess − 1, exact"),
    ),
    "rules": _of("rule", "exact",
        rule_threshold=(MONEY, "threshold that removes as much as asked, exact"),
        removed_pmpy=(_A_HEAD, "expected cost that the rule removes, exact"),
        sd_retained_pmpy=(_A_HEAD, "standard deviation of the retained cost a head, exact"),
        cv_retained=("1", "coefficient of variation of the retained cost, exact"),
        variance_removed_share=("1", "share of the variance of gross cost that the rule removes, exact"),
        sd_excess_pmpy=(_A_HEAD, "standard deviation of the pool's cost over its people, exact"),
        price_pmpy=(_A_HEAD, "expected excess and k standard deviations of the pool, exact"),
    ),
    "stress": {
        **_of("stress design party",
            expected_surplus=(MONEY, "expected surplus"),
            surplus_difference=(MONEY, "expected surplus less that as agreed, paired"),
            surplus_difference_share=("1", "the same as a share of the party's revenue as agreed"),
            p_loss_over=("1", "chance of a loss above {loss_over:g} of the party's revenue as agreed"),
        ),
        **_of("design party", revenue=(MONEY, "what the party is paid as agreed, else what it funds")),
    },
    "reverse stress": _of("",
        breaking_point=("1", "breaking point: {figure} of {change}"),
        as_agreed=("1", "as agreed: {figure} of {change}"),
        at_largest=("1", "at largest: {figure} of {change}"),
    ),
    "sensitivity": {
        **_of("input",
            first_order=("1", "share of the variance of {statistic} that the input explains alone"),
            total_order=("1", "share of the variance of {statistic} in which the input takes part"),
            first_order_interval=("1", "{confidence:g} interval of first_order (bootstrap)", "bound"),
            total_order_interval=("1", "{confidence:g} interval of total_order (bootstrap)", "bound"),
            tornado=("1", "{statistic} with the input at an end of its range, exact", "end", "exact"),
        ),
        **_of("", "exact", as_agreed=("1", "{statistic} as agreed, exact")),
    },
    "fit": _of("segment measure",
        observed=("see measure", "of the rows; nan where it rests on too few patients", "", "given"),
        fitted=("see measure", "implied by the model, exactly", "", "exact"),
        miss=("1", "fitted less observed, in standard errors"),
    ),
    "fitted curves": {
        **_of("segment", "given", **{
            f"observed_{name}": (unit, f"{told}, in the rows; nan where it rests on too few patients", dim)
            for name, (unit, told, dim) in _CURVES.items()
        }),
        **_of("segment", "exact", **{
            f"fitted_{name}": (unit, f"{told}, exact for the model", dim)
            for name, (unit, told, dim) in _CURVES.items()
        }),
        **_of("", "given",
            segment=("1", "people with one cost distribution", "segment"),
            amount=(MONEY, "a person's annual cost", "amount"),
            people_share=("1", "share of people, the costliest", "people_share"),
        ),
    },
    "tails": _of("segment", "given",
        at=(MONEY, "splice that was tried", "splice"),
        patients=("patients", "patients above it, to the nearest five", "splice"),
        xi=("1", "shape of the tail above it", "splice"),
        modified_scale=(MONEY, "scale less shape × splice", "splice"),
        mean_excess=(MONEY, "mean excess over it, of made-up people", "splice"),
        misfit=("1", "how far the tail lies from the rows", "splice"),
        chosen_at=(MONEY, "splice that was taken"),
        chosen_xi=("1", "shape of the tail that was taken"),
        chosen_credibility=("1", "weight of the segment's own rows in it"),
        chosen_patients=("patients", "patients above it, to the nearest five"),
    ),
}  # fmt: skip

KINDS = ("ledger", "summary", "exact", *_KINDS)
"""What an answer may be."""

_KNOWN_BY = {
    "gross_cost": "ledger", "surplus_difference_share": "stress", "tornado": "sensitivity", "p_two_sided": "luck",
    "systematic_alone": "size", "provider_share": "terms", "payment": "settlement", "probability_error": "exact",
}  # fmt: skip
"""A variable by which an answer is known that does not say its kind, as those of version 0.1 do not."""


def variables_of(kind: str) -> Mapping[str, Variable]:
    """What an answer of a kind may hold, without standard errors."""
    if kind == "ledger":
        return VARIABLES | COORDINATES
    if kind == "summary":
        return _statistics("drawn") | _CHECKS | _BUDGET
    if kind == "exact":
        dims = (_PLACE, "threshold?")
        error = Variable(dims, "1", "bound on the error of every probability", "exact")
        return _statistics("exact") | _BUDGET | {"probability_error": error}
    return _KINDS[kind]


def _statistics(basis: str) -> dict[str, Variable]:
    from ..analysis.statistics.statistic import ESTIMATED

    dims = (_PLACE, "threshold?")
    return {
        one.name: Variable((*dims, *([f"{one.level}?"] if one.level else [])), one.unit, one.sentence, basis)
        for one in ESTIMATED
    }


def kind_of(answer: xr.Dataset) -> str | None:
    """What an answer is; None where that is not known."""
    told = answer.attrs.get("kind")
    if told in KINDS:
        return str(told)
    return next((kind for name, kind in _KNOWN_BY.items() if name in answer), None)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def describe_variable(variable: xr.DataArray, unit: str, sentence: str, basis: str = "drawn") -> None:
    """Set the attributes afresh: arithmetic may have left those of its inputs."""
    variable.attrs.clear()
    variable.attrs.update(units=unit, long_name=sentence, basis=basis)


def describe(array: xr.DataArray, variable: Variable, **told: object) -> None:
    """The same, as a variable is declared."""
    known = {"currency": "money"} | told
    describe_variable(array, *(part.format(**known) for part in (variable.unit, variable.sentence, variable.basis)))


def describe_threshold(answer: xr.Dataset, currency: str, by_percentile: bool) -> None:
    """Say whether the thresholds are money or percentiles."""
    if by_percentile:
        told = "percentile of patients' annual cost, people without cost counted"
        describe_variable(answer["threshold"], "1", told, "given")
    else:
        describe(answer["threshold"], COORDINATES["threshold"], currency=currency)


def declared(answer: xr.Dataset, kind: str, **told: object) -> xr.Dataset:
    """An answer of a kind, each variable with its unit, sentence and basis.

    Parameters
    ----------
    answer : xarray.Dataset
    kind : str
        One of `KINDS`.
    **told : object
        What the sentences name: the currency, ("money" without it), a margin, a method.

    Raises
    ------
    LookupError
        Where a variable is not declared, or has other dims.
    """
    for name, variable in _declarations(answer, kind):
        if variable is None:
            raise LookupError(f"{name} of kind {kind!r} is not declared in simulator/ledger/variables.py")
        if not variable.fits(answer[name].dims):
            raise LookupError(f"{name} of kind {kind!r} is declared over {variable.dims}, not {answer[name].dims}")
        describe(answer[name], variable, **told)
    return answer.assign_attrs(kind=kind)


def _declarations(answer: xr.Dataset, kind: str) -> Iterator[tuple[str, Variable | None]]:
    """Each variable of an answer with its declaration; coordinates only where they have one of their own."""
    known = variables_of(kind)
    for name in map(str, answer.variables):
        stem = name.removesuffix("_se")
        found = known.get(name) or (known[stem].error() if stem != name and stem in known else None)
        if found is not None or name in answer.data_vars:
            yield name, found


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def check_declared(answer: xr.Dataset, kind: str, source: str, mend: str) -> None:
    """Refuse what a file holds in another form than the program writes.

    Raises
    ------
    SimulatorError
        For an unknown variable, and other dims or another unit.
    """
    beside = variables_of("summary") if kind == "ledger" else {}
    for name, variable in _declarations(answer, kind):
        found = answer[name]
        known = variable or beside.get(name) or (beside[stem].error() if (stem := name[:-3]) in beside else None)
        if known is None:
            raise SimulatorError(source, None, f"holds {name}, which is no variable of its kind ({kind})", mend)
        if not known.fits(found.dims):
            has = ", ".join(map(str, found.dims)) or "nothing"
            raise SimulatorError(source, None, f"holds {name} by {has}", mend)
        unit = _unit_of(known, answer)
        if unit is not None and found.attrs.get("units", unit) not in (unit, *(("1",) if name == "threshold" else ())):
            raise SimulatorError(source, None, f"holds {name} in {found.attrs['units']}, not in {unit}", mend)


def _unit_of(variable: Variable, answer: xr.Dataset) -> str | None:
    """The unit that a variable must have in a file; None where only its function knows it."""
    try:
        return variable.unit.format(currency=answer.attrs.get("currency", "money"))
    except KeyError:
        return None
