"""VideoMamba (Li et al. 2024, "VideoMamba: State Space Model for Efficient Video Understanding").

Paper: https://arxiv.org/abs/2403.06977 (section 3.2, tables 3 and 4). Code followed, names of submodules included:
https://github.com/OpenGVLab/VideoMamba, videomamba/video_sm/models/videomamba.py and mamba/mamba_ssm/modules/
mamba_simple.py. Stochastic depth, which only training uses, is left out.

All patches of a clip are one sequence, frame after frame behind a class token. A block projects tokens to twice their
channels, scans them from both ends, each way with its own convolution and state space, and projects the sum back. The
cost of all this is linear in tokens. The causal convolution is computed where its outputs are used, as in the released
kernel; the padding of its plain form has three more.

The figures that the paper prints leave out all that runs in the released kernel of a block: between the projections in
and out, its counter (fvcore) sees one unknown operator.
"""

from __future__ import annotations

from math import ceil, log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.protocol import Clip
from .mvit import new_parameter
from .selective_scan import selective_scan
from .sized_network import SizedNetwork
from .vit import PATCH, patch_embedding, patch_grid, resized_positions

__all__ = ["Mamba", "VideoMamba", "videomamba_m", "videomamba_s", "videomamba_ti"]

STATES = 16  # numbers of state per channel
KERNEL = 4  # tokens that the convolution sees
EXPANSION = 2
EPS = 1e-5
STEPS = (0.001, 0.1)  # step sizes Δ before training, drawn evenly in their logarithm
FRAMES = 16  # of the paper's first protocol


class Mamba(nn.Module):
    """Tokens (B, L, dim) -> the same: both ways through a causal convolution and a selective scan, gated and summed.

    The parts of the way back have `_b` behind their names.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        inner, self.rank = EXPANSION * dim, ceil(dim / 16)
        self.in_proj = nn.Linear(dim, 2 * inner, bias=False)
        self.A_log, self.A_b_log = nn.Parameter(_decays(inner)), nn.Parameter(_decays(inner))
        self.D, self.D_b = nn.Parameter(torch.ones(inner)), nn.Parameter(torch.ones(inner))
        for way in ("", "_b"):
            self.add_module(f"conv1d{way}", nn.Conv1d(inner, inner, KERNEL, groups=inner))
            self.add_module(f"x_proj{way}", nn.Linear(inner, self.rank + 2 * STATES, bias=False))
            self.add_module(f"dt_proj{way}", _step_sizes(self.rank, inner))
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens of the same size."""
        x, gate = self.in_proj(tokens).chunk(2, dim=-1)
        gate = F.silu(gate)
        ahead = self._scan(x, "", self.A_log, self.D) * gate
        back = self._scan(x.flip(1), "_b", self.A_b_log, self.D_b) * gate.flip(1)
        mixed: Tensor = self.out_proj(ahead + back.flip(1))
        return mixed

    def _scan(self, x: Tensor, way: str, decays: Tensor, skip: Tensor) -> Tensor:
        """One way through the tokens (B, L, inner), before the gate."""
        causal = F.pad(x.transpose(1, 2), (KERNEL - 1, 0))
        x = F.silu(self.get_submodule(f"conv1d{way}")(causal)).transpose(1, 2)
        low, written, read = self.get_submodule(f"x_proj{way}")(x).split((self.rank, STATES, STATES), dim=-1)
        delta = F.softplus(self.get_submodule(f"dt_proj{way}")(low))
        scanned: Tensor = selective_scan(x, delta, -torch.exp(decays), written, read, skip)
        return scanned


def _decays(channels: int) -> Tensor:
    """The logarithms of 1 ... N, as many times as there are channels (channels, N)."""
    return torch.arange(1.0, STATES + 1).log().repeat(channels, 1)


def _step_sizes(rank: int, channels: int) -> nn.Linear:
    """The projection to Δ; softplus of its bias is a step size within STEPS."""
    projection = nn.Linear(rank, channels)
    nn.init.uniform_(projection.weight, -(rank**-0.5), rank**-0.5)
    low, high = STEPS
    with torch.no_grad():
        step = torch.exp(torch.empty(channels).uniform_(log(low), log(high)))
        projection.bias.copy_(step + torch.log(-torch.expm1(-step)))
    return projection


class Block(nn.Module):
    """Tokens (B, L, dim) -> the same: normalised, mixed and added."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mixer = Mamba(dim)
        self.norm = nn.RMSNorm(dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        added: Tensor = x + self.mixer(self.norm(x))
        return added


class PatchEmbed(nn.Module):
    """Clip (B, 3, T, H, W) -> one vector for each patch of 1×16×16 (B, dim, T, H/16, W/16)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = patch_embedding(dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of the patches."""
        patches: Tensor = self.proj(x)
        return patches


class VideoMamba(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the paper.
        dim: channels of a token.
        depth: number of blocks.
    """

    def __init__(self, clip: Clip, num_classes: int, *, dim: int, depth: int) -> None:
        super().__init__()
        frames, rows, columns = patch_grid(clip, 1, PATCH)
        self.patch_embed = PatchEmbed(dim)
        self.cls_token = new_parameter(1, 1, dim)
        self.pos_embed = new_parameter(1, rows * columns + 1, dim)
        self.temporal_pos_embedding = nn.Parameter(torch.zeros(1, frames, dim))
        self.layers = nn.ModuleList(Block(dim) for _ in range(depth))
        self.norm_f = nn.RMSNorm(dim, eps=EPS)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        patches = self.patch_embed(x).flatten(3).permute(0, 2, 3, 1)  # (B, T, H·W, dim)
        patches = patches + self.pos_embed[:, None, 1:] + self.temporal_pos_embedding[:, :, None]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1)
        tokens = torch.cat((first, patches.flatten(1, 2)), dim=1)
        for layer in self.layers:
            tokens = layer(tokens)
        scores: Tensor = self.head(self.norm_f(tokens)[:, 0])
        return scores


def _videomamba(clip: Clip, num_classes: int, dim: int, depth: int) -> SizedNetwork:
    model = VideoMamba(clip, num_classes, dim=dim, depth=depth)
    return SizedNetwork(model, resized_positions(clip, Clip(FRAMES, 224, 224)))


def videomamba_ti(clip: Clip, num_classes: int) -> SizedNetwork:
    """Tiny: 24 blocks of 192 channels."""
    return _videomamba(clip, num_classes, 192, 24)


def videomamba_s(clip: Clip, num_classes: int) -> SizedNetwork:
    """Small: 24 blocks of 384 channels."""
    return _videomamba(clip, num_classes, 384, 24)


def videomamba_m(clip: Clip, num_classes: int) -> SizedNetwork:
    """Middle: 32 blocks of 576 channels."""
    return _videomamba(clip, num_classes, 576, 32)
