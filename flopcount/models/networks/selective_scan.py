"""The selective scan of Mamba as one operator of torch, with its gradient, so that a trace sees it whole.

Paper: https://arxiv.org/abs/2312.00752 (algorithm 2). Reference followed in values: `selective_scan_ref` of
https://github.com/state-spaces/mamba, mamba_ssm/ops/selective_scan_interface.py. There softplus, its bias and the gate
z are arguments; here they are operators of their own around the scan.

Every channel d has N numbers of state, and token after token

    h = exp(Δ·A)·h + (Δ·u)·B        y = C·h + D·u

On a GPU one kernel holds the state and never writes it. Here real tensors go through the tokens in a plain loop. What
both cost is in flopcount/rules/state_space.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["selective_scan"]

_OWN = "flopcount::selective_scan"


@torch.library.custom_op(_OWN, mutates_args=())
def selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs y (batch, L, channels) of a scan over L tokens, from a state of zeros.

    Arguments:
        u: inputs (batch, L, channels).
        delta: step sizes (batch, L, channels), positive.
        A: decay per channel and state (channels, N), negative.
        B: what a token writes (batch, L, N).
        C: what a token reads (batch, L, N).
        D: weight of the way past the state (channels).
    """
    states = _states(u, delta, A, B)
    return torch.einsum("bldn,bln->bld", states, C) + D * u


@selective_scan.register_fake
def _(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    return u.new_empty(u.shape)


@torch.library.custom_op(f"{_OWN}_backward", mutates_args=())
def _backward(
    gradient: Tensor, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients by u, delta, A, B, C and D: the states are computed again, then tokens are passed from the last."""
    decay = torch.exp(delta[..., None] * A)  # (batch, L, channels, N)
    states = _states(u, delta, A, B)
    before = torch.cat((torch.zeros_like(states[:, :1]), states[:, :-1]), dim=1)
    by_state = gradient[..., None] * C[:, :, None]
    later = torch.zeros_like(states[:, 0])
    summed = []
    for token in range(u.shape[1] - 1, -1, -1):
        here = by_state[:, token] + later
        later = here * decay[:, token]
        summed.append(here)
    by_state = torch.stack(summed[::-1], dim=1)
    by_exponent = by_state * before * decay
    by_written = torch.einsum("bldn,bln->bld", by_state, B)
    return (
        by_written * delta + D * gradient,
        by_written * u + torch.einsum("bldn,dn->bld", by_exponent, A),
        torch.einsum("bldn,bld->dn", by_exponent, delta),
        torch.einsum("bldn,bld->bln", by_state, delta * u),
        torch.einsum("bldn,bld->bln", states, gradient),
        (gradient * u).sum((0, 1)),
    )


@_backward.register_fake
def _(
    gradient: Tensor, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    by_u, by_delta, by_a, by_b, by_c, by_d = (each.new_empty(each.shape) for each in (u, delta, A, B, C, D))
    return by_u, by_delta, by_a, by_b, by_c, by_d


def _states(u: Tensor, delta: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """The state after each token (batch, L, channels, N)."""
    decay = torch.exp(delta[..., None] * A)
    written = (delta * u)[..., None] * B[:, :, None]
    state = torch.zeros_like(written[:, 0])
    states = []
    for token in range(u.shape[1]):
        state = decay[:, token] * state + written[:, token]
        states.append(state)
    return torch.stack(states, dim=1)


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
    gradients: tuple[Tensor, ...] = _backward(gradient, *ctx.saved_tensors)
    return gradients


selective_scan.register_autograd(_gradients, setup_context=_keep)
