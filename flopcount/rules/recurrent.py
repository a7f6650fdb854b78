"""LSTM, GRU and plain RNN: whole sequences, packed sequences and single cells."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ..core.ops import Dim, Kind, TensorSpec, Work
from .registry import rule

__all__: list[str] = []

# Arithmetic per hidden unit and step, without the gates' matrix products and biases. A sigmoid is 4, a tanh 1.
LSTM_PER_UNIT = 22  # 4 adds (ih + hh), 3 sigmoids (12), 2 tanh (2), c = f·c + i·g (3), h = o·tanh(c) (1)
GRU_PER_UNIT = 16  # 3 adds (ih + hh), 2 sigmoids (8), 1 tanh, r·n (1), h' = n + z·(h − n) (3)
RNN_PER_UNIT = 2  # 1 add (ih + hh), 1 tanh or relu

Params = tuple[TensorSpec, ...]


def _steps(rows: Dim, params: Params, layers: int, gates: int, per_unit: int) -> Work:
    """Every weight matrix is used once per step and sample; `layers` counts each direction."""
    input_weights = params[:: len(params) // layers]  # each (gates · H, ...), the first of its layer
    units = sum(weight.shape[0] // gates for weight in input_weights)
    biases = sum(spec.numel for spec in params if spec.ndim == 1)
    return Work(
        macs=rows * sum(spec.numel for spec in params if spec.ndim == 2), other_flops=rows * (biases + units * per_unit)
    )


@rule("aten.lstm", kind=Kind.RECURRENT)
def lstm(input: TensorSpec, params: Params, num_layers: int, bidirectional: bool, *, out: object) -> Work:
    """Multi-layer LSTM, bidirectional and with projections.

    Shapes: input (T, B, D), (B, T, D) or (T, D); params per layer and direction: (4H, D), (4H, H or P), two biases
    (4H), and with projections (P, H).

    Counts: every weight matrix once per step and sample in MACs; the biases, and 22 per hidden unit (4 adds, 3
        sigmoids of 4, 2 tanh, 4 for cell and output).
    Source: https://arxiv.org/abs/1402.1128 and the PyTorch documentation of torch.nn.LSTM
    """
    return _steps(prod(input.shape[:-1]), params, num_layers * (1 + bidirectional), 4, LSTM_PER_UNIT)


@rule("aten.gru", kind=Kind.RECURRENT)
def gru(input: TensorSpec, params: Params, num_layers: int, bidirectional: bool, *, out: object) -> Work:
    """Multi-layer GRU; params per layer and direction: (3H, D), (3H, H), two biases (3H).

    Counts: every weight matrix once per step and sample in MACs; the biases, and 16 per hidden unit (3 adds, 2
        sigmoids of 4, 1 tanh, reset product 1, update 3).
    Source: https://arxiv.org/abs/1406.1078 and the PyTorch documentation of torch.nn.GRU
    """
    return _steps(prod(input.shape[:-1]), params, num_layers * (1 + bidirectional), 3, GRU_PER_UNIT)


@rule("aten.rnn_tanh", "aten.rnn_relu", kind=Kind.RECURRENT)
def rnn(input: TensorSpec, params: Params, num_layers: int, bidirectional: bool, *, out: object) -> Work:
    """Multi-layer Elman RNN; params per layer and direction: (H, D), (H, H), two biases (H).

    Counts: every weight matrix once per step and sample in MACs; the biases, and 2 per hidden unit (1 add, 1 tanh or
        relu).
    Source: PyTorch documentation of torch.nn.RNN
    """
    return _steps(prod(input.shape[:-1]), params, num_layers * (1 + bidirectional), 1, RNN_PER_UNIT)


def _register_forms(layer: Callable[..., Work], module: str, names: tuple[str, ...], gates: int, per_unit: int) -> None:
    """Rules of the layer over a PackedSequence, data (sum of lengths, D), so only real steps count; and of one step."""

    def packed(data: TensorSpec, params: Params, num_layers: int, bidirectional: bool, *, out: object) -> Work:
        return layer(data, params, num_layers, bidirectional, out=out)

    def cell(
        input: TensorSpec, w_ih: TensorSpec, w_hh: TensorSpec, b_ih: TensorSpec | None = None,
        b_hh: TensorSpec | None = None, *, out: object,
    ) -> Work:  # fmt: skip
        return _steps(prod(input.shape[:-1]), (w_ih, w_hh, *filter(None, (b_ih, b_hh))), 1, gates, per_unit)

    forms = (packed, ".data", "per packed step", "utils.rnn.PackedSequence"), (cell, "_cell", "one step", module)
    for form, suffix, counts, described in forms:
        form.__doc__ = f"{module}.\n\nCounts: as aten.{names[0]}, {counts}."
        source = f"PyTorch documentation of torch.nn.{described}"
        rule(*(f"aten.{name}{suffix}" for name in names), kind=Kind.RECURRENT, source=source)(form)


_register_forms(lstm, "LSTMCell", ("lstm",), 4, LSTM_PER_UNIT)
_register_forms(gru, "GRUCell", ("gru",), 3, GRU_PER_UNIT)
_register_forms(rnn, "RNNCell", ("rnn_tanh", "rnn_relu"), 1, RNN_PER_UNIT)
