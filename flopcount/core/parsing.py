"""Text of the command line -> the library's types; nothing here imports torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from .errors import InputError, UnknownNameError
from .ops import TensorSpec
from .spec_values import parse_values

__all__ = ["DTYPES", "parse_dtype", "parse_input", "parse_settings"]

DTYPES = {
    "float32": "float32",
    "float64": "float64",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "fp32": "float32",
    "fp64": "float64",
    "fp16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f16": "float16",
}
_INPUT_DTYPES = ("int64", "int32", "int16", "int8", "uint8", "bool", "complex64", *DTYPES.values())


def parse_dtype(text: str) -> str:
    """Torch's name of a dtype; "bf16" and "bfloat16" alike."""
    if text not in DTYPES:
        raise UnknownNameError("dtype", text, DTYPES, f"choose {', '.join(dict.fromkeys(DTYPES.values()))}")
    return DTYPES[text]


def parse_input(text: str, dtype: str = "float32") -> tuple[str, TensorSpec]:
    """Read "NAME:SHAPE:DTYPE", such as "pixel_values:1x16x3x224x224:float32"; NAME and DTYPE may be left out.

    An input without a name is positional; one without a dtype has the model's, `dtype`. Its values may follow:
    "mask:1x1568:bool=0.75", "ids:1x128:int64=0..32000", "lengths:4:int64=5,3,2,2", "t:1:int64=999".
    """
    declared, equals, values = text.partition("=")
    parts = declared.split(":")
    if not _is_shape(parts[0]) and len(parts) > 1:
        name, *parts = parts
    else:
        name = ""
    if len(parts) not in (1, 2) or not _is_shape(parts[0]):
        raise InputError(
            f"input {text!r} is not NAME:SHAPE:DTYPE",
            [("fix", "write --input pixel_values:1x16x3x224x224:float32 or --input 1x3x16x112x112")],
        )
    kind = parts[1] if len(parts) == 2 else dtype
    kind = DTYPES.get(kind, kind)
    if kind not in _INPUT_DTYPES:
        dtypes = tuple(dict.fromkeys(_INPUT_DTYPES))
        raise UnknownNameError(f"dtype of input {text!r}", kind, dtypes, f"choose {', '.join(dtypes)}")
    shape = tuple(int(size) for size in re.split("[x×]", parts[0]))
    try:
        return name, TensorSpec(shape, kind, parse_values(values) if equals else None)
    except InputError as error:
        raise InputError(error.message, [("in", f"input {text!r}"), *error.details]) from None


def _is_shape(text: str) -> bool:
    return re.fullmatch(r"\d+([x×]\d+)*", text) is not None


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Read "key=value" pairs, "part.key=value" for a value within another.

    A value is JSON where it can be (true, 3, 0.5, [1, 2], null), else text.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not all(part.isidentifier() for part in key.split(".")):
            fix = "write --set pool5_padding=false or --set text_config.hidden_size=3584, one --set each"
            raise InputError(f"setting {setting!r} is not key=value", [("fix", fix)])
        if key in values:
            raise InputError(f"setting {key} is given twice", [("seen", setting)])
        try:
            values[key] = json.loads({"True": "true", "False": "false", "None": "null"}.get(value, value))
        except json.JSONDecodeError:
            values[key] = value
    return values
