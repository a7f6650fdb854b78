"""State-space models: the selective scan of Mamba, which flopcount/models/networks/selective_scan.py registers.

With L tokens, C channels and N numbers of state per channel, one call per token, channel and state is

    exp(Δ·A)        2    a multiplication and an exponential
    (Δ·u)·B         1
    a·h + b         2    the recurrence: each state goes its own way, nothing is summed over an axis
    C·h             1 multiply-accumulate: the contraction of the states with what a token reads

so that MACs are those of C·h alone, as for every contraction, and the recurrence is elementwise arithmetic.
"""

from __future__ import annotations

from ..core.ops import Dim, Kind, TensorSpec, Work
from .registry import rule

__all__: list[str] = []

_PER_STATE = 5  # Δ·A, exp, (Δ·u)·B, a·h, + b
_PER_CHANNEL = 3  # Δ·u, D·u, the sum of both ways
_BACK_PER_STATE = _PER_STATE + 5  # the states again; C·gradient, times the next decay, their sum, times h, times decay
_BACK_PER_CHANNEL = 8  # Δ·u; Δ·s, D·gradient, their sum; u·s, its sum; gradient·u, its sum over tokens


def _states(u: TensorSpec, A: TensorSpec) -> Dim:
    """Numbers of state of all tokens."""
    return u.numel * A.shape[1]


@rule("flopcount.selective_scan", kind=Kind.RECURRENT)
def selective_scan(u: TensorSpec, A: TensorSpec, *, out: TensorSpec) -> Work:
    """Mamba's scan h = exp(Δ·A)·h + (Δ·u)·B, y = C·h + D·u.

    Shapes: u (batch, L, channels), A (channels, N).

    Counts: N MACs per token and channel, the contraction C·h; per state 5 (Δ·A, exp, (Δ·u)·B, a·h + b), per token and
        channel 3 (Δ·u, D·u and its sum). That is 7·N + 3 FLOPs per token and channel, softplus and gate apart; the
        handle that https://github.com/MzeroMiko/VMamba, vmamba.py, gives to fvcore has 9·N + 1 of its "flops".
    Source: https://arxiv.org/abs/2312.00752, algorithm 2; selective_scan_ref in
        https://github.com/state-spaces/mamba, mamba_ssm/ops/selective_scan_interface.py
    """
    states = _states(u, A)
    return Work(macs=states, other_flops=_PER_STATE * states + _PER_CHANNEL * u.numel)


@rule("flopcount.selective_scan_backward", kind=Kind.RECURRENT)
def selective_scan_backward(u: TensorSpec, A: TensorSpec, *, out: object) -> Work:
    """Gradients of Mamba's scan by all six arguments.

    Counts: 5·N MACs per token and channel, one contraction of all states for each of B, C, A, Δ, and for what u and Δ
        share; per state 10 (5 to compute the states again, 5 to pass gradients from token to token and to the
        exponents), per token and channel 8.
    Source: the chain rule on the forward's formula; https://arxiv.org/abs/2312.00752, section 3.3.2, for states that
        are computed again
    """
    states = _states(u, A)
    return Work(macs=5 * states, other_flops=_BACK_PER_STATE * states + _BACK_PER_CHANNEL * u.numel)
