"""The values of an input that is given by its shape: checked, written as text, and read from text.

A value is one number for every element, the numbers themselves, a range of whole numbers, or the share of True of a
mask. What the numbers of a range are, and where a mask is True, is fixed, so that every count has the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Real
from typing import TypeAlias

from .errors import InputError

__all__ = ["Values", "checked_values", "mask_row", "parse_values", "values_text"]

Values: TypeAlias = bool | int | float | range | tuple[bool | int | float, ...]
"""One number for every element (of a mask: the share of True), a range, or a number for each element."""

_WHOLE = re.compile(r"u?int(\d+)")
_MANY = 8  # numbers written out
_FIXES = {
    "bool": "write the share of True from 0 to 1, such as 0.75, or true or false for each element",
    "int": "write one whole number, a range such as 0..32000, or a number for each element such as 5,3,2,2",
    "float": "write one number, or a number for each element such as 0.1,0.2",
}


def checked_values(values: object, shape: tuple[int, ...], dtype: str) -> Values:
    """The values of a tensor of this shape and dtype, in their plain types.

    Raises:
        InputError: the tensor cannot have them; the message says why.
    """
    if not all(isinstance(size, Integral) for size in shape):
        raise InputError(f"an input has a size that is not an integer: {shape}", [("fix", "give whole numbers")])
    elements = math.prod(shape)
    if dtype.startswith("complex"):
        raise _refused(values, shape, dtype, "a complex input takes none", "give it as a real tensor")
    if isinstance(values, str):
        raise _refused(values, shape, dtype, "they are text", _FIXES[_kind(dtype)])
    if isinstance(values, range):
        if _kind(dtype) != "int":
            raise _refused(values, shape, dtype, "only whole numbers have a range", _FIXES[_kind(dtype)])
        if values.step != 1 or not values:
            raise _refused(values, shape, dtype, "the range is empty, or has steps", _FIXES["int"])
        _number(values.start, shape, dtype, values)
        _number(values.stop - 1, shape, dtype, values)
        return values
    if isinstance(values, Iterable):
        numbers = tuple(values)
        if len(numbers) != elements:
            why = f"{len(numbers)} number{'s' * (len(numbers) != 1)} for {elements} elements"
            raise _refused(values, shape, dtype, why, f"give {elements}, or one for all: {_FIXES[_kind(dtype)]}")
        return tuple(_number(number, shape, dtype, values) for number in numbers)
    if _kind(dtype) == "bool" and not isinstance(values, bool):
        if not isinstance(values, Real) or not 0 <= float(values) <= 1:
            raise _refused(values, shape, dtype, "the share of True is from 0 to 1", _FIXES["bool"])
        return float(values)
    return _number(values, shape, dtype, values)


def _kind(dtype: str) -> str:
    return "bool" if dtype == "bool" else "int" if _WHOLE.fullmatch(dtype) else "float"


def _number(number: object, shape: tuple[int, ...], dtype: str, values: object) -> bool | int | float:
    kind = _kind(dtype)
    if kind == "bool":
        if number not in (0, 1) or not isinstance(number, Real):
            raise _refused(values, shape, dtype, f"{number!r} is neither true nor false", _FIXES[kind])
        return bool(number)
    if kind == "int":
        if not isinstance(number, Integral) or isinstance(number, bool):
            raise _refused(values, shape, dtype, f"{number!r} is not a whole number", _FIXES[kind])
        low, high = _limits(dtype)
        if not low <= int(number) <= high:
            raise _refused(values, shape, dtype, f"{number} is not from {low} to {high}", _FIXES[kind])
        return int(number)
    if not isinstance(number, Real) or isinstance(number, bool) or not math.isfinite(number):
        raise _refused(values, shape, dtype, f"{number!r} is not a finite number", _FIXES[kind])
    return float(number)


def _limits(dtype: str) -> tuple[int, int]:
    match = _WHOLE.fullmatch(dtype)
    bits = int(match[1]) if match else 64
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _refused(values: object, shape: tuple[int, ...], dtype: str, why: str, fix: str) -> InputError:
    sizes = "×".join(map(str, shape)) or "one number"
    text = values if isinstance(values, str) else _text(values)
    return InputError(f"an input of {sizes} {dtype} cannot have the values {text}: {why}", [("fix", fix)])


def _text(values: object) -> str:
    if isinstance(values, range):
        return f"{values.start}..{values.stop}"
    if isinstance(values, Iterable):
        numbers = [str(number).lower() if isinstance(number, bool) else str(number) for number in values]
        more = f",... ({len(numbers)} numbers)" if len(numbers) > _MANY else ""
        return ",".join(numbers[:_MANY]) + more
    return str(values).lower() if isinstance(values, bool) else str(values)


def values_text(values: Values, dtype: str) -> str:
    """The values in words: "75% True in every row", "whole numbers from 0 to 31999", "5,3,2,2", "999 everywhere"."""
    if isinstance(values, range):
        return f"whole numbers from {values.start} to {values.stop - 1}"
    if isinstance(values, tuple):
        return _text(values)
    if isinstance(values, float):
        return f"{100 * values:g}% True in every row" if dtype == "bool" else f"{values:g} everywhere"
    return f"{values} everywhere"


def mask_row(share: float, length: int) -> list[bool]:
    """A row of a mask, of which exactly ⌊share · length⌋ elements are True, spread evenly."""
    true = math.floor(Fraction(repr(share)) * length)  # 0.29 means 29 of 100, although the float is a little less
    return [(place + 1) * true // length > place * true // length for place in range(length)]


def parse_values(text: str) -> Values:
    """Read "0.75", "999", "0..32000" or "5,3,2,2"; `checked_values` then says whether a tensor can have them.

    Raises:
        InputError: the text is none of these.
    """
    bounds = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", text)
    if bounds is not None:
        return range(int(bounds[1]), int(bounds[2]))
    if "," in text:
        return tuple(_parsed(part.strip(), text) for part in text.removesuffix(",").split(","))
    return _parsed(text.strip(), text)


def _parsed(part: str, text: str) -> bool | int | float:
    if part.lower() in ("true", "false"):
        return part.lower() == "true"
    for kind in (int, float):
        try:
            return kind(part)
        except ValueError:
            continue
    fix = "write one number, a range such as 0..32000, numbers such as 5,3,2,2, or a mask's share of True such as 0.75"
    raise InputError(f"values {text!r} of an input are no numbers", [("fix", fix)])
