"""Recurrent layers as torch runs them on a CPU under autograd, written in its own operators.

On meta tensors torch takes other steps, which save other tensors: a CPU computes the gates of all inputs at once, and
an LSTM without projections is one oneDNN kernel per layer and direction, with a workspace that the backward pass reads.

Source: ATen/native/RNN.cpp and ATen/native/mkldnn/RNN.cpp
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from ..rules.workspace import fused_lstm_workspace
from .autocast import lowered_call
from .layout import Layout, row_major
from .torch_private import TensorBase, is_fake, out_of_sight
from .uncountable import Unknown

__all__ = ["RECURRENT", "lowered_linear", "results_of_fused_lstm", "run_recurrent"]

RECURRENT = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu"))

State: TypeAlias = tuple[Tensor, ...]
Step: TypeAlias = Callable[[Tensor, State, "_Weights"], State]

_LSTM_MODE = 2  # torch's number of an LSTM among recurrent layers


class _Weights(NamedTuple):
    """The parameters of one layer in one direction; biases and projection may be missing."""

    of_input: Tensor
    of_state: Tensor
    bias_of_input: Tensor | None
    bias_of_state: Tensor | None
    projection: Tensor | None

    def gates(self, state: Tensor) -> Tensor:
        return lowered_linear(state, self.of_state, self.bias_of_state)


_LINEAR = F.linear


def lowered_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer, whose arguments autocast may cast first."""
    (input, weight, bias), _ = lowered_call("linear", (input, weight, bias), {})
    return _LINEAR(input, weight, bias)


def run_recurrent(kind: str, args: Sequence[Any]) -> tuple[Any, ...]:
    """The result of `torch.lstm`, `gru`, `rnn_tanh` or `rnn_relu`, for both of its signatures."""
    is_packed = not isinstance(args[3], bool)  # else `has_biases`
    if is_packed:
        data, sizes, states, params, biased, layers, dropout, train, both = args
        lengths: list[int] | None = _numbers(sizes)
        batch_first = False
    else:
        data, states, params, biased, layers, dropout, train, both, batch_first = args
        lengths = None
    states = tuple(states) if kind == "lstm" else (states,)
    weights = list(_layers(params, biased, layers * (1 + both)))
    projected = weights[0].projection is not None
    x = data.transpose(0, 1) if batch_first else data
    if kind == "lstm" and not projected and lengths is None and data.dtype != torch.float64 and data.numel():
        if is_fake(data):
            raise Unknown("an LSTM on fake tensors, for which torch has no workspace,")
        run: Any = _Fused(x.contiguous(), states, biased, batch_first, both, train)
    else:
        run = _Steps(x, states, _STEPS[kind], lengths)
    finals = []
    for layer in range(layers):
        outputs = []
        for direction in range(1 + both):
            number = layer * (1 + both) + direction
            output, final = run(number, weights[number], reverse=direction == 1)
            outputs.append(output)
            finals.append(final)
        run.input = torch.cat(outputs, -1) if both else outputs[0]
        del output, outputs
        if dropout and train and layer < layers - 1:
            run.input = F.dropout(run.input, dropout, True)
    output = run.input.transpose(0, 1) if batch_first else run.input
    return (output, *(torch.stack(parts, 0) for parts in zip(*finals, strict=True)))


def _numbers(sizes: Tensor) -> list[int]:
    if sizes.is_meta:
        raise Unknown("the lengths of packed sequences are not known")
    with out_of_sight():
        return TensorBase.tolist(sizes)  # type: ignore[no-any-return]


def _layers(params: Sequence[Tensor], biased: bool, count: int) -> Iterator[_Weights]:
    size = len(params) // count
    for begin in range(0, len(params), size):
        part = list(params[begin : begin + size])
        biases = part[2:4] if biased else [None, None]
        rest = part[4:] if biased else part[2:]
        yield _Weights(part[0], part[1], biases[0], biases[1], rest[0] if rest else None)


class _Fused:
    """Layers of an LSTM by oneDNN."""

    def __init__(self, x: Tensor, states: State, biased: bool, batch_first: bool, both: bool, train: bool) -> None:
        self.input = self.first = x  # torch keeps the first input to the end
        self.states = tuple(state.contiguous() for state in states)
        self.options = (biased, both, batch_first, train)

    def __call__(self, number: int, weights: _Weights, *, reverse: bool) -> tuple[Tensor, State]:
        biased, both, batch_first, train = self.options
        w, r = weights.of_input, weights.of_state
        biases = [b if b is not None else torch.zeros_like(w) for b in (weights.bias_of_input, weights.bias_of_state)]
        h, c = (state[number] for state in self.states)
        (x, w, r, *biases, h, c), _ = lowered_call("linear", (self.input, w, r, *biases, h, c), {})
        output, hy, cy, _ = torch.ops.aten.mkldnn_rnn_layer(
            x, w, r, *biases, h, c, reverse, [], _LSTM_MODE, h.shape[-1], 1, biased, both, batch_first, train
        )
        return output, (hy, cy)


def results_of_fused_lstm(func: Any, args: Sequence[Any]) -> tuple[Layout, ...]:
    """Output, two states and workspace of a layer; or the gradients of input, weights, biases and states."""
    x, w, r = args[:3]
    hidden, dtype = r.shape[1], x.dtype
    state = row_major(args[5].shape, dtype)
    if str(func.overloadpacket).endswith("_backward"):
        full = torch.float32 if dtype.itemsize == 2 else dtype  # of half precision, which autograd casts back
        bias, state = row_major((4 * hidden,), full), row_major(args[5].shape, full)
        plain = [row_major(part.shape, full) for part in (x, w, r)]
        return (*plain, bias, bias, state, state)
    trains = args[-1]
    steps, batch, features = x.shape
    nbytes = fused_lstm_workspace(steps, batch, features, hidden, dtype.itemsize) if trains else 0
    return (row_major((*x.shape[:2], hidden), dtype), state, state, row_major((nbytes,), torch.uint8))


class _Steps:
    """Layers whose steps are run one after the other, with the gates of all inputs computed at once."""

    def __init__(self, x: Tensor, states: State, step: Step, lengths: list[int] | None) -> None:
        self.input, self.step, self.lengths = x, step, lengths
        self.states = [state.unbind(0) for state in states]

    def __call__(self, number: int, weights: _Weights, *, reverse: bool) -> tuple[Tensor, State]:
        state = tuple(states[number] for states in self.states)
        gates = lowered_linear(self.input, weights.of_input, weights.bias_of_input)
        if self.lengths is None:
            return self._plain(gates, state, weights, reverse=reverse)
        return (self._reversed if reverse else self._packed)(gates, state, weights, self.lengths)

    def _plain(self, gates: Tensor, state: State, weights: _Weights, *, reverse: bool) -> tuple[Tensor, State]:
        steps = gates.unbind(0)
        outputs = []
        for part in reversed(steps) if reverse else steps:
            state = self.step(part, state, weights)
            outputs.append(state[0])
        return torch.stack(outputs[::-1] if reverse else outputs, 0), state

    def _packed(self, gates: Tensor, state: State, weights: _Weights, lengths: list[int]) -> tuple[Tensor, State]:
        outputs, ended, at, last = [], [], 0, lengths[0]
        for size in lengths:
            part = gates.narrow(0, at, size)
            at += size
            if size < last:
                ended.append(tuple(s.narrow(0, size, last - size) for s in state))
                state = tuple(s.narrow(0, 0, size) for s in state)
            last = size
            state = self.step(part, state, weights)
            outputs.append(state[0])
        ended.append(state)
        return torch.cat(outputs, 0), tuple(torch.cat(parts, 0) for parts in zip(*reversed(ended), strict=True))

    def _reversed(self, gates: Tensor, first: State, weights: _Weights, lengths: list[int]) -> tuple[Tensor, State]:
        outputs, at, last = [], gates.shape[0], lengths[-1]
        state = tuple(s.narrow(0, 0, last) for s in first)
        for size in reversed(lengths):
            if size > last:
                state = tuple(
                    torch.cat([s, f.narrow(0, last, size - last)], 0) for s, f in zip(state, first, strict=True)
                )
            at -= size
            last = size
            state = self.step(gates.narrow(0, at, size), state, weights)
            outputs.append(state[0])
        return torch.cat(outputs[::-1], 0), state


def _lstm(part: Tensor, state: State, weights: _Weights) -> State:
    h, c = state
    i, f, g, o = weights.gates(h).add_(part).unsafe_chunk(4, 1)
    i, f, g, o = i.sigmoid_(), f.sigmoid_(), g.tanh_(), o.sigmoid_()
    c = (f * c).add_(i * g)
    h = o * c.tanh()
    if weights.projection is not None:
        (h, projection), _ = lowered_call("matmul", (h, weights.projection), {})
        h = torch.matmul(h, projection.t())
    return h, c


def _gru(part: Tensor, state: State, weights: _Weights) -> State:
    (h,) = state
    of_input = part.unsafe_chunk(3, 1)
    of_state = weights.gates(h).unsafe_chunk(3, 1)
    reset = of_state[0].add_(of_input[0]).sigmoid_()
    update = of_state[1].add_(of_input[1]).sigmoid_()
    new = of_input[2].add(of_state[2].mul_(reset)).tanh_()
    return ((h - new).mul_(update).add_(new),)


def _tanh(part: Tensor, state: State, weights: _Weights) -> State:
    return (weights.gates(state[0]).add_(part).tanh(),)


def _relu(part: Tensor, state: State, weights: _Weights) -> State:
    return (weights.gates(state[0]).add_(part).relu(),)


_STEPS: dict[str, Step] = {"lstm": _lstm, "gru": _gru, "rnn_tanh": _tanh, "rnn_relu": _relu}
