"""mmengine's `get_model_complexity_info`: a dictionary of MACs (as "flops"), activations and parameters.

The numbers differ from mmengine's as they do from fvcore's, of which mmengine's counter is a copy.
"""

from __future__ import annotations

import io
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from torch import nn

from ..core.errors import InputError
from ..tracing.arguments import Input
from .fvcore import (
    ActivationCountAnalysis,
    FlopCountAnalysis,
    flop_count,
    flop_count_str,
    flop_count_table,
    parameter_count,
    parameter_count_table,
)

__all__ = [
    "ActivationAnalyzer",
    "FlopAnalyzer",
    "flop_count",
    "get_model_complexity_info",
    "parameter_count",
    "parameter_count_table",
]

FlopAnalyzer = FlopCountAnalysis
ActivationAnalyzer = ActivationCountAnalysis


def get_model_complexity_info(
    model: nn.Module,
    input_shape: tuple[int, ...] | tuple[tuple[int, ...], ...] | None = None,
    inputs: Input = None,
    show_table: bool = True,
    show_arch: bool = True,
) -> dict[str, Any]:
    """What a model costs, as mmengine gives it.

    Arguments:
        model: any nn.Module; it is not run, and is the same afterwards.
        input_shape: the input's shape without its batch, or a tuple of such shapes.
        inputs: a tensor or a tuple of arguments instead.
        show_table: put a table of the modules into "out_table", which is "" otherwise.
        show_arch: put the model's text with its counts into "out_arch", which is "" otherwise.

    Returns:
        {"flops", "flops_str", "activations", "activations_str", "params", "params_str", "out_table", "out_arch"};
        flops are MACs.

    Raises:
        InputError: neither or both of `input_shape` and `inputs`.
    """
    if (input_shape is None) == (inputs is None):
        both = "both set" if inputs is not None else "both missing"
        raise InputError(f"input_shape and inputs are {both}", [("fix", "give one of them, such as (3, 224, 224)")])
    if input_shape is not None:
        several = isinstance(input_shape[0], tuple)
        inputs = tuple((1, *shape) for shape in (input_shape if several else (input_shape,)))  # type: ignore[misc]
    flops = FlopCountAnalysis(model, inputs)
    activations = ActivationCountAnalysis(model, inputs)
    params = parameter_count(model)[""]
    return {
        "flops": flops.total(),
        "flops_str": _size(flops.total()),
        "activations": activations.total(),
        "activations_str": _size(activations.total()),
        "params": params,
        "params_str": _size(params),
        "out_table": "\n" + _boxed(flop_count_table(flops, activations=activations)) if show_table else "",
        "out_arch": "\n" + flop_count_str(flops, activations) if show_arch else "",
    }


_SUFFIXES = ((1e14, 1e15, "P"), (1e11, 1e12, "T"), (1e8, 1e9, "G"), (1e5, 1e6, "M"), (1e2, 1e3, "K"))


def _size(count: int) -> str:
    """A count as mmengine writes it: "4.089G", "0.161M", "64"."""
    for above, scale, suffix in _SUFFIXES:
        if count > above:
            return f"{count / scale:.3f}".rstrip("0").rstrip(".") + suffix
    return str(count)


def _boxed(table: str) -> str:
    """The table of fvcore in the frame that mmengine draws, each row indented by the number of its ancestors."""
    heading, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
    frame = Table(*heading, box=box.ASCII2)
    names = {row[0] for row in rows[1:]}
    for position, row in enumerate(rows):
        parts = row[0].split(".")
        above = sum(".".join(parts[:length]) in names for length in range(1, len(parts)))
        indent = " " * (above + 1 if position else 0)
        frame.add_row(*(indent + cell if cell else "" for cell in row))
    console = Console(file=io.StringIO(), width=max(map(len, table.splitlines())) + len(rows))
    console.print(frame, end="")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
