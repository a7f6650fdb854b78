"""The values that an input given by its shape may say, as the library and as the command line take them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount import TensorSpec
from flopcount.core.errors import InputError
from flopcount.core.parsing import parse_input
from flopcount.core.spec_values import mask_row, values_text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("mask:1x1568:bool=0.75", 0.75),
        ("mask:4:bool=true,false,0,1", (True, False, False, True)),
        ("mask:4:bool=true", True),
        ("ids:1x128:int64=0..32000", range(32000)),
        ("ids:3:int8=-128..128", range(-128, 128)),
        ("lengths:4:int64=5,3,2,2", (5, 3, 2, 2)),
        ("lengths:1:int64=5,", (5,)),
        ("t:1:int64=999", 999),
        ("x:1x3:float32=0.5", 0.5),
        ("x:1x3:float32=2", 2.0),
        ("x:1x3=1,-2,1e-3", (1.0, -2.0, 0.001)),
        ("x:1x3:float32", None),
    ],
)
def test_the_command_line_says_values(text, values):
    spec = parse_input(text)[1]
    assert spec.values == values
    assert type(spec.values) is type(values)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lengths:2:int64=8,5,3", "3 numbers for 2 elements"),
        ("lengths:2:int64=0.5", "0.5 is not a whole number"),
        ("lengths:2:int64=true", "True is not a whole number"),
        ("lengths:2:uint8=300", "300 is not from 0 to 255"),
        ("lengths:2:int8=0..200", "199 is not from -128 to 127"),
        ("lengths:2:int64=5..3", "the range is empty"),
        ("lengths:2:int64=", "are no numbers"),
        ("lengths:2:int64=8,x", "are no numbers"),
        ("mask:2:bool=1.5", "the share of True is from 0 to 1"),
        ("mask:2:bool=0,2", "2 is neither true nor false"),
        ("mask:2:bool=0..2", "only whole numbers have a range"),
        ("x:2:float32=nan", "nan is not a finite number"),
        ("x:2:complex64=1", "a complex input takes none"),
    ],
)
def test_bad_values_are_refused_with_their_input_and_a_way_out(text, why):
    with pytest.raises(InputError, match=why) as refused:
        parse_input(text)
    details = dict(refused.value.details)
    assert details["in"] == f"input {text!r}"
    assert details["fix"]


@pytest.mark.parametrize("values", ["0.5", [1, 2, 3], range(0, 10, 2), object(), [True, False]])
def test_bad_values_are_refused_in_python(values):
    with pytest.raises(InputError, match="cannot have the values"):
        TensorSpec((2,), "int64", values)


def test_a_shape_that_is_none_is_refused_before_its_values():
    with pytest.raises(InputError, match="not an integer"):
        TensorSpec((2.5,), "int64", 3)


def test_specs_with_values_are_equal_and_hashable():
    assert TensorSpec((2,), "int64", [3, 4]) == TensorSpec([2], "int64", (3, 4))
    assert len({TensorSpec((2,), "int64", [3, 4]), TensorSpec((2,), "int64", (3, 4)), TensorSpec((2,), "int64")}) == 2


@given(st.integers(0, 10**4), st.integers(0, 300))
def test_a_mask_has_its_share_of_true_exactly_and_evenly(parts, length):
    row = mask_row(parts / 10**4, length)
    assert sum(row) == Fraction(parts, 10**4) * length // 1  # also where the float is a little less, as 0.29
    for width in (1, 2, 7):
        windows = [sum(row[start : start + width]) for start in range(length - width + 1)]
        assert max(windows, default=0) - min(windows, default=0) <= 1


@pytest.mark.parametrize(
    ("values", "dtype", "text"),
    [
        (0.75, "bool", "75% True in every row"),
        (True, "bool", "True everywhere"),
        (range(32000), "int64", "whole numbers from 0 to 31999"),
        (tuple(range(10)), "int64", "0,1,2,3,4,5,6,7,... (10 numbers)"),
        ((True, False), "bool", "true,false"),
        (999, "int64", "999 everywhere"),
        (0.5, "float32", "0.5 everywhere"),
    ],
)
def test_values_in_words(values, dtype, text):
    assert values_text(values, dtype) == text
