"""Numbers as people write them: one reader for every option of every verb."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import simulator as sim
from simulator.analysis.statistics.precision import Target, parse_target
from simulator.numerals import NumeralError, number, numbers
from simulator.present.cli.demo import main as demo
from simulator.present.cli.main import main
from simulator.present.cli.option_types import Amount, Fraction, Ratio, Several, Shares, Whole

SAME = {
    "1500": ("1,500", "1_500", "1 500", "1.5k", "1.5K", "0.0015m", "1.5e3", " 1500 ", "+1500", "1\u202f500", "1500.0"),
    "1234567.5": ("1,234,567.5", "1_234_567.5", "1 234 567.5", "1.2345675m"),
    "2000000000": ("2bn", "2,000m", "2,000,000k"),
    "-3": ("−3", "- 3", "-3."),
    "0.5": (".5", "5e-1"),
}
WRONG = (
    "", " ", "abc", "nan", "-", "+", ".", "e5", "1.2.3", "--5", "+-5", "1,5", "1,50,000", "12,34", "1,2345", "1,500,",
    ",500", "1,,500", "1_00", "1,000_000", "٣", "½", "0x10", "1e", "1e9999", "1kk", "5%%", "%", "£", "1/2", "3 apples",
    "1,234.5,6", "true", "[1]",
)  # fmt: skip


@pytest.mark.parametrize(("plain", "written"), [(plain, one) for plain, all_ in SAME.items() for one in all_])
def test_a_number_is_read_however_it_is_written(plain, written):
    assert number(written) == Decimal(plain)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_number_is_refused_with_a_reason(text):
    with pytest.raises(NumeralError, match=r"^(is|has|does) ") as refused:
        number(text, money=True, fraction=True, endless=True)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize("sign", ["£", "$", "€", "GBP ", "CHF "])
def test_money_may_have_its_sign_where_money_is_asked_for(sign):
    assert number(f"{sign}25k", money=True) == number(f"-{sign}25,000", money=True) * -1 == 25_000
    with pytest.raises(NumeralError, match="is an amount of money"):
        number(f"{sign}25k")


def test_a_percentage_is_read_where_a_fraction_is_asked_for():
    assert number("85%", fraction=True) == number("85 %", fraction=True) == Decimal("0.85")
    with pytest.raises(NumeralError, match="is a percentage"):
        number("85%")
    with pytest.raises(NumeralError):
        number("1k%", fraction=True)


@pytest.mark.parametrize("text", ["inf", "none", "Infinity", "no cap", "+inf", "∞"])
def test_a_number_without_limit_is_read_where_one_may_be(text):
    assert number(text, endless=True) == Decimal("inf")
    with pytest.raises(NumeralError, match="is without limit"):
        number(text)


@given(st.integers(-(10**15), 10**15), st.integers(0, 3))
def test_what_python_prints_with_separators_is_read_back(whole, decimals):
    told = f"{whole / 1000:,.{decimals}f}"
    assert float(number(told)) == float(told.replace(",", ""))
    assert number(f"{whole:,}") == number(f"{whole:_}") == whole


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1000,10000", [1_000, 10_000]),
        ("1,000,10,000", [1_000, 10_000]),
        ("25,000", [25_000]),
        ("1,500; 20k", [1_500, 20_000]),
        ("500, 1,500", [500, 1_500]),
        ("25k,50k", [25_000, 50_000]),
        ("100,000,000", [100_000_000]),
        ("7", [7]),
        ("1.5,2.5", [Decimal("1.5"), Decimal("2.5")]),
    ],
)
def test_several_numbers_are_parted_where_it_is_plain_how(text, read):
    assert numbers(text) == read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,500", "could be 1500 or 1 and 500; write 1500 or '1; 500'"),
        ("25,000,500,000", "could be 25000500000 or 25000 and 500000"),
        ("5,", "has an empty place"),
        ("", "has an empty place"),
        ("1,,2", "has an empty place"),
        ("5,x", "holds 'x', which is not a number"),
        ("5;1,5", "holds '1,5', which has a comma"),
    ],
)
def test_several_numbers_that_could_be_others_are_refused(text, said):
    with pytest.raises(NumeralError, match=re.escape(said)):
        numbers(text)


# ── every option of every verb ───────────────────────────────────────────────────────────────────

KINDS = (Amount, Fraction, Ratio, Several, Shares, Whole)
NUMERIC = (click.types.IntParamType, click.types.FloatParamType)


def commands() -> Iterator[tuple[click.Command, click.Parameter]]:
    for verb in (*main.commands.values(), demo):
        yield from ((verb, parameter) for parameter in verb.params)


OPTIONS = [(verb, option) for verb, option in commands() if isinstance(option.type, KINDS)]
"""Every option of every verb that takes numbers."""


def name_of(pair: object) -> str:
    return str(getattr(pair, "name", pair))


def test_no_option_reads_numbers_by_itself():
    own = [f"{verb.name} {option.name}" for verb, option in commands()
           if isinstance(option.type, NUMERIC) and not isinstance(option.type, KINDS)]  # fmt: skip
    assert not own
    assert len(OPTIONS) > 40 and {verb.name for verb, _ in OPTIONS} >= {*main.commands} - {"check", "verify", "years"}
    bare = click.Option(["--n"], type=int)
    assert isinstance(bare.type, NUMERIC) and not isinstance(bare.type, KINDS), "the check must be able to fail"


def test_no_option_that_is_text_has_a_number_for_a_default():
    for verb, option in commands():
        if not isinstance(option.type, KINDS) and isinstance(option.default, int | float) and not option.is_flag:
            raise AssertionError(f"{verb.name} --{option.name}")


def converted(option: click.Parameter, text: str) -> object:
    return option.type.convert(text, option, click.Context(click.Command("verb")))


def usual(option: click.Parameter) -> float:
    """A number that the option takes, with thousands where it may have them."""
    kind = getattr(option.type, "one", option.type)
    if isinstance(kind, Fraction):
        return 0.25
    return 2_500 if isinstance(kind, Whole | Amount) else 2.5


@pytest.mark.parametrize(("verb", "option"), OPTIONS, ids=name_of)
def test_each_option_reads_numbers_as_people_write_them(verb, option):
    kind, plain = option.type, usual(option)
    if isinstance(kind, Shares):
        assert converted(option, "5%=51.4%") == converted(option, "0.05=0.514") == (0.05, 0.514)
        return
    of = (lambda value: (value,)) if isinstance(kind, Several) else (lambda value: value)
    one = getattr(kind, "one", kind)
    written = {Fraction: ["25%", "0.25", "25 %", ".25"], Ratio: ["2.5", "250%"]}.get(
        type(one), ["2500", "2.5k", "2_500"]
    )
    written += ["£2500", "$2.5k"] if isinstance(one, Amount) else []
    written += [] if isinstance(kind, Several) or plain < 1_000 else ["2,500", "2 500"]
    for text in written:
        assert converted(option, text) == of(plain), text


@pytest.mark.parametrize(("verb", "option"), OPTIONS, ids=name_of)
def test_each_option_refuses_what_is_no_number_in_one_sentence(verb, option):
    required = [word for other in verb.params if other.required and other is not option for word in _filled(other)]
    for text in (
        "abc",
        "",
        "nan",
        "1.2.3",
        "5%%",
        "£",
        "1e999",
        *(() if isinstance(option.type, Several) else ("1,5",)),
    ):
        called = CliRunner().invoke(verb, [*required, f"{option.opts[-1]}={text}"])
        assert called.exit_code == 2 and called.output.count("\n") == 1, called.output
        assert called.output.startswith(f"simulator: {option.opts[0]}: ")
        assert not called.output.rstrip().endswith((";", "number ", "give"))


def _filled(option: click.Parameter) -> list[str]:
    """An option or argument that is required, with a value."""
    value = "50%" if isinstance(option.type, Fraction) else "2"
    return [option.opts[0], value] if isinstance(option, click.Option) else ["FILE"]


def test_seeds_keep_every_digit():
    seed = next(option for verb, option in OPTIONS if option.name == "seed" and verb.name == "run")
    assert converted(seed, "9223372036854775807") == 2**63 - 1
    assert converted(seed, "9,223,372,036,854,775,807") == 2**63 - 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run X --replicates 85%", "--replicates: '85%' is a percentage, which is not asked for here; leave the % out"),
        ("run X --replicates 2.5", "--replicates: '2.5' is not a whole number; give a whole number of at least 2"),
        ("run X --replicates £500", "--replicates: '£500' is an amount of money, which is not asked for here"),
        ("run X --margin inf", "--margin: 'inf' is without limit; give a number"),
        ("calibrate --mean 9,52", "--mean: '9,52' has a comma where a decimal point is meant"),
        ("calibrate --mean 952 --top-share 0.05", "--top-share: '0.05' is no pair; write it as people=cost"),
        ("calibrate --mean 952 --top-share 5=51", "--top-share: 5.0 is out of range; give a number above 0 and of at"),
        ("fit X --size 1,500", "--size: '1,500' could be 1500 or 1 and 500; write 1500 or '1; 500'"),
        ("fit X --size 0", "--size: 0 is out of range; give a number of at least 1"),
        ("fit X --size 10.5", "--size: '10.5' is not a whole number; give a whole number of at least 1"),
    ],
)
def test_the_sentence_says_what_is_wrong_and_how_to_mend_it(words, said):
    called = CliRunner().invoke(main, words.split())
    assert called.exit_code == 2 and said in called.output


def test_a_share_of_people_may_be_a_percentage():
    both = ["--mean £952 --p-user 85% --top-share 5%=51.4%", "--mean 952 --p-user 0.85 --top-share 0.05=0.514"]
    said = [CliRunner().invoke(main, ["calibrate", "--family", "lognormal", *words.split(" ")]) for words in both]
    assert said[0].exit_code == 0 and said[0].output == said[1].output


# ── --until ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("p_overspend(2%) ± 0.5%", Target("p_overspend", 0.02, 0.005)),
        ("p_overspend( 2 % )+-0.005", Target("p_overspend", 0.02, 0.005)),
        ("cv ± .1%", Target("cv", None, 0.001)),
        ("tvar(99%) +/- £5,000", Target("tvar", 0.99, 5_000.0)),
        ("mean_cost ± 1.5k", Target("mean_cost", None, 1_500.0)),
        ("p_overspend(-1%) ± 1%", Target("p_overspend", -0.01, 0.01)),
    ],
)
def test_a_target_is_read_as_other_numbers_are(text, target):
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p_overspend(two) ± 0.5%", "is not a number; write "),
        ("p_overspend(2%) ± £5", "is an amount of money"),
        ("mean_cost ± 1%", "is a percentage"),
        ("p_overspend(2%) ± nan", "is not a number"),
        ("p_overspend(2%) ± inf", "is without limit"),
        ("p_overspend() ± 1%", "is not a number"),
        ("p_overspend(2%) ± 0,5%", "has a comma where a decimal point is meant"),
        ("p_overspend(2%) ±", "is not a number"),
    ],
)
def test_a_target_with_another_number_is_refused(text, said):
    with pytest.raises(sim.SimulatorError, match=re.escape(said)) as refused:
        parse_target(text)
    assert str(refused.value).startswith("--until: ")
