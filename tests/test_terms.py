"""Terms and errors: one clear sentence for each mistake, all of them at once, whole after pickling."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from simulator.errors import SimulatorError, also, mistake, mistakes_in
from simulator.terms import Fraction, Number, People, Positive, Term, Threshold


class Cake(Term):
    """A term of the tests' own."""

    slices: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.0,)
    name: str = "cake"


def refused(kind, value):
    with pytest.raises(ValidationError) as found:
        TypeAdapter(kind).validate_python(value)
    return mistakes_in(found.value, value, "here")


def test_a_sentence_says_where_what_bound_and_mend():
    error = SimulatorError("file.toml: a.b", -1.0, "must be above 0", "give a number above 0")
    assert str(error) == "file.toml: a.b: -1.0 must be above 0; give a number above 0"
    assert (error.path, error.value, error.bound, error.mend) == (
        "file.toml: a.b",
        -1.0,
        "must be above 0",
        "give a number above 0",
    )
    assert error.mistakes == (error,)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SimulatorError("f", None, "does not exist", "check the name"), "f: does not exist; check the name"),
        (SimulatorError("f", 3, "is odd"), "f: 3 is odd"),
        (SimulatorError("f", "a\nb", "is odd"), "f: 'a\\nb' is odd"),
        (SimulatorError("f", "x" * 200, "is long"), "f: '" + "x" * 58 + "… is long"),
        (SimulatorError("f", 0, "is nothing"), "f: 0 is nothing"),
    ],
)
def test_a_sentence_leaves_out_what_is_not_known_and_stays_short(error, sentence):
    assert str(error) == sentence
    assert "\n" not in str(error)


def test_several_mistakes_are_a_line_each():
    one, two = SimulatorError("a", 1, "is odd", "mend it"), SimulatorError("b", 2, "is even")
    both = SimulatorError.several([one, two])
    assert str(both).splitlines() == [str(one), str(two)]
    assert both.mistakes == (one, two) and both.path == "a"
    assert SimulatorError.several([one]) is one


@pytest.mark.parametrize("through", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("count", [1, 3])
def test_errors_survive_pickling_and_copying(through, count):
    error = SimulatorError.several([SimulatorError(f"p{i}", i, "is odd", "mend it") for i in range(count)])
    again = through(error)
    assert type(again) is SimulatorError and str(again) == str(error)
    assert [(m.path, m.value, m.bound, m.mend) for m in again.mistakes] == [
        (m.path, m.value, m.bound, m.mend) for m in error.mistakes
    ]


def test_an_error_is_a_value_error():
    assert issubclass(SimulatorError, ValueError)


def test_terms_are_frozen_and_refuse_unknown_keys():
    with pytest.raises(ValidationError):
        Cake(flavour="lemon")
    with pytest.raises(ValidationError):
        Cake().name = "pie"


def test_terms_compare_and_hash_by_their_fields():
    assert Cake(slices=(1, 2)) == Cake(slices=(1.0, 2.0)) != Cake(slices=(2.0, 1.0))
    assert hash(Cake(slices=(1, 2))) == hash(Cake(slices=(1.0, 2.0)))
    assert Cake() != "cake"


def test_also_lists_its_findings_beside_those_of_the_type():
    def is_sorted(raw):
        if list(raw) != sorted(raw):
            yield mistake("is not sorted", "sort it")

    class Shelf(Term):
        books: Annotated[tuple[Positive, ...], also(is_sorted)]

    error = refused(Shelf, {"books": [3.0, -1.0]})
    assert {m.bound for m in error.mistakes} == {"is not sorted", "must be above 0"}
    assert {m.path for m in error.mistakes} == {"here: books", "here: books[1]"}
    assert [m.bound for m in refused(Shelf, {"books": [3.0, 1.0]}).mistakes] == ["is not sorted"]
    assert Shelf(books=(1.0, 3.0)).books == (1.0, 3.0)


def test_also_keeps_the_sentence_of_an_inner_also():
    def empty(raw):
        if not raw:
            yield mistake("is empty", "fill it")

    class Box(Term):
        content: Annotated[Annotated[tuple[str, ...], also(empty)], also(lambda raw: ())]

    assert str(refused(Box, {"content": []})) == "here: content: is empty; fill it"


def test_a_list_is_not_called_too_short_for_a_wrong_item():
    assert [m.path for m in refused(Cake, {"slices": [-1.0]}).mistakes] == ["here: slices[0]"]
    assert "at least 1 needed" in str(refused(Cake, {"slices": []}))


def test_a_misspelt_key_is_told_with_the_nearest_one():
    with pytest.raises(ValidationError) as found:
        Cake.model_validate({"slises": [1.0], "flavour": "lemon"})
    near, far = mistakes_in(found.value, {}, "f", known=["slices", "name"]).mistakes
    assert near.mend == "did you mean 'slices'?" and far.mend == "take it out"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", True, None, [1]])
@pytest.mark.parametrize("kind", [Number, Positive, Fraction])
def test_numbers_must_be_finite_and_written_as_numbers(kind, value):
    assert refused(kind, value).bound


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Positive, 0.0),
        (Positive, -1.0),
        (Fraction, 1.01),
        (Fraction, -0.01),
        (People, 0),
        (People, 1.5),
        (People, 10**30),
    ],
)
def test_numbers_must_lie_inside_their_bounds(kind, value):
    assert refused(kind, value).bound


@pytest.mark.parametrize("value", ["inf", "INF", " +inf ", "Infinity", math.inf])
def test_an_infinite_threshold_may_be_text(value):
    assert TypeAdapter(Threshold).validate_python(value) == math.inf


@pytest.mark.parametrize("value", ["-inf", "nan", math.nan, -math.inf, 0.0, "25000"])
def test_other_text_and_nonsense_is_no_threshold(value):
    assert refused(Threshold, value).bound


def test_infinity_is_written_as_text_in_json_alone():
    adapter = TypeAdapter(Threshold)
    assert adapter.dump_json(math.inf) == b'"inf"' and adapter.dump_python(math.inf) == math.inf
    assert adapter.dump_json(2.0) == b"2.0"


def test_a_changed_copy_forgets_what_was_worked_out():
    from simulator.costs.families.two_figures import Lognormal

    first = Lognormal(mean=100.0, cv=1.0)
    median = float(first.isf(0.5))
    assert float(first.model_copy(update={"mean": 200.0}).isf(0.5)) == pytest.approx(2 * median)
