"""How often a stage runs, as an expression: exact values, those of sympy and Python, and nothing but arithmetic."""

import math
import re
from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from flopcount.core.errors import InputError
from flopcount.pipelines.expression import Expression, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 * steps", 100),
        ("steps - floor(reuse * steps)", 35),
        ("(frames - 1) // 4 + 1", 21),
        ("ceil(frames / 4)", 21),
        ("min(frames, steps) - max(1, 2, 3)", 47),
        ("-7 // 2", -4),  # floors, as Python does
        ("frames % 4 - -1", 2),
        (7, 7),
        ("1e3", 1000),
        (0.5, Fraction(1, 2)),
        ("min(steps) + max(3)", 53),  # of one number, as the file that was shortened may have it
    ],
)
def test_values_are_exact(text, value):
    assert Expression.of(text).value({"steps": 50, "frames": 81, "reuse": parse_value("reuse", "0.3")}) == value


def test_a_share_of_steps_is_exact_and_not_almost():
    # 0.29 * 100 is 28.999999999999996 in floating point, whose floor is 28
    assert Expression.of("floor(share * 100)").value({"share": parse_value("share", 0.29)}) == 29


def test_parameters_are_in_order_of_appearance():
    assert Expression.of("b * a + floor(b / c)").names == ("b", "a", "c")


NAMES = ("a", "b")
atoms = st.one_of(st.integers(0, 9).map(str), st.sampled_from(NAMES))
texts = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "/", "%"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda t: f"(-{t})"),
        inner.map(lambda t: f"floor({t})"),
        inner.map(lambda t: f"ceil({t})"),
        st.tuples(inner, inner).map(lambda t: f"min({t[0]}, {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]})"),
    ),
    max_leaves=6,
)


@given(texts, st.integers(1, 50), st.integers(1, 50))
def test_sympy_and_pythons_own_arithmetic_agree(text, a, b):
    expression = Expression.of(text)
    parameters = {"a": a, "b": b}
    as_fractions = re.sub(r"\d+", lambda number: f"Fraction({number[0]})", text)
    functions = {"floor": math.floor, "ceil": math.ceil, "min": min, "max": max, "Fraction": Fraction}
    try:
        value = eval(as_fractions, functions, {name: Fraction(n) for name, n in parameters.items()})
    except ZeroDivisionError:
        with pytest.raises(InputError, match="divides by zero"):
            expression.value(parameters)
        return
    assert expression.value(parameters) == value
    symbols = {name: sympy.Symbol(name, integer=True) for name in NAMES}
    of_sympy = expression.sympy(symbols).subs({symbols[name]: number for name, number in parameters.items()})
    assert Fraction(str(sympy.Rational(of_sympy))) == value


NO_ARITHMETIC = [
    *("", "steps +", "__import__('os')", "a.b", "a ** 9", "x[0]", "'1'", "f(1)", "floor", "floor(1, 2)"),
    *("a if b else c", True, None, "(1, 2)", "a == b", "1e999", "x := 1", "9" * 2000),
]


@pytest.mark.parametrize("text", NO_ARITHMETIC)
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(InputError) as caught:
        Expression.of(text).value({"a": 1, "b": 1, "c": 1, "x": 1, "steps": 1})
    assert any(label == "fix" for label, _ in caught.value.details) or "floor takes one" in caught.value.message


def test_a_parameter_without_a_value_offers_near_names():
    with pytest.raises(InputError, match="no parameter named 'stps'") as caught:
        Expression.of("2 * stps").value({"steps": 50})
    assert ("near", "steps") in caught.value.details


HUGE = ["1e999999999", "1e-999999999", "1e5000", "9" * 100, 10**4000, 10**5000]  # the first two would take hours


@pytest.mark.parametrize(
    "value",
    ["many", "nan", "inf", True, None, "1/0", "", *HUGE],
    ids=lambda value: "digits" if type(value) is int else repr(value)[:20],
)
def test_a_value_that_is_no_number_is_refused(value):
    with pytest.raises(InputError, match="not a number"):
        parse_value("steps", value)


def test_no_stage_runs_more_often_than_can_be_written():
    with pytest.raises(InputError, match="the times of stage denoise is a number of more than 77 digits"):
        Expression.of("n * n").whole({"n": 2**128}, "the times of stage denoise")
    assert Expression.of("n").whole({"n": 2**256 - 1}, "the times") == 2**256 - 1


@pytest.mark.parametrize(("text", "seen"), [("steps / 3", "50/3"), ("steps - 51", "-1")])
def test_a_repeat_is_a_whole_number_of_0_or_more(text, seen):
    with pytest.raises(InputError) as caught:
        Expression.of(text).whole({"steps": 50}, "the times of stage denoise")
    assert "the times of stage denoise is" in caught.value.message
    assert ("seen", f"{text} = {seen} for steps = 50") in caught.value.details
