import pytest

from flopcount import InputError, TensorSpec
from flopcount.core.parsing import parse_dtype, parse_input, parse_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pixel_values:1x16x3x8x8:float32", ("pixel_values", TensorSpec((1, 16, 3, 8, 8)))),
        ("ids:1x9:int64", ("ids", TensorSpec((1, 9), "int64"))),
        ("mask:1x9:bool", ("mask", TensorSpec((1, 9), "bool"))),
        ("x:2x3", ("x", TensorSpec((2, 3)))),
        ("1x3x16x112x112", ("", TensorSpec((1, 3, 16, 112, 112)))),
        ("1×3:bf16", ("", TensorSpec((1, 3), "bfloat16"))),
        (":4x5", ("", TensorSpec((4, 5)))),
    ],
)
def test_inputs(text, expected):
    assert parse_input(text) == expected


def test_an_input_takes_the_models_dtype():
    assert parse_input("x:2x3", "bfloat16") == ("x", TensorSpec((2, 3), "bfloat16"))
    assert parse_input("x:2x3:int64", "bfloat16") == ("x", TensorSpec((2, 3), "int64"))


@pytest.mark.parametrize("text", ["", "x", "x:", "x:2x", "x:axb", "x:2x3:int64:more"])
def test_malformed_inputs(text):
    with pytest.raises(InputError, match="is not NAME:SHAPE:DTYPE"):
        parse_input(text)


def test_unknown_dtypes_offer_near_ones():
    with pytest.raises(InputError, match="dtype of input 'x:2:int46' named 'int46'\n  near    int64"):
        parse_input("x:2:int46")
    with pytest.raises(InputError, match="no dtype named 'bf61'"):
        parse_dtype("bf61")
    assert parse_dtype("bf16") == "bfloat16"


def test_settings():
    read = parse_settings(["a=1", "b=0.5", "c=true", "d=False", "e=None", "f=[1, 2]", "g=r50", 'h="8"', "i=a=b"])
    assert read == {
        **{"a": 1, "b": 0.5, "c": True, "d": False, "e": None, "f": [1, 2], "g": "r50", "h": "8", "i": "a=b"}
    }


@pytest.mark.parametrize("setting", ["a", "=1", "a b=1", ""])
def test_malformed_settings(setting):
    with pytest.raises(InputError, match="is not key=value"):
        parse_settings([setting])


def test_a_setting_twice():
    with pytest.raises(InputError, match="a is given twice"):
        parse_settings(["a=1", "a=2"])
