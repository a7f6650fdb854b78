"""The video encoders of InternVideo2 (Wang et al. 2024) as they are fine-tuned to classify.

Paper: https://arxiv.org/abs/2403.15377 (section 3.1; tables 1 and 2). Code followed, names of submodules included:
https://github.com/OpenGVLab/InternVideo, InternVideo2/single_modality/models/internvideo2.py, with 8 or 16 frames whose
patches are of one frame, as in its scripts/finetuning/full_tuning. Stochastic depth, which only training uses, is left
out.

A vision transformer over the patches of all frames and a class token: queries and keys are normalised over all heads
together, both branches of a block are scaled by learned numbers, and in the end the mean of all tokens attends to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.protocol import Clip
from .feed_forward import mlp
from .mvit import EPS, new_parameter
from .sized_network import SizedNetwork
from .vit import patch_grid, resized_positions

__all__ = [
    "InternVideo2",
    "internvideo2_1b",
    "internvideo2_6b",
    "internvideo2_b14",
    "internvideo2_l14",
    "internvideo2_s14",
]

PATCH = 14
POOL_HEADS = 16
POOLED = 768
SCALE = 1e-5  # of both branches of a block, before training


@dataclass(frozen=True, slots=True)
class Size:
    """Channels, blocks and heads of an encoder, and the hidden channels of its MLPs."""

    dim: int
    depth: int
    heads: int
    hidden: int


_S14 = Size(384, 12, 6, 1536)
_B14 = Size(768, 12, 12, 3072)
_L14 = Size(1024, 24, 16, 4096)
_1B = Size(1408, 40, 16, 6144)
_6B = Size(3200, 48, 25, 12800)


class LayerScale(nn.Module):
    """(..., dim) -> the same, each channel times a learned number."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Scaled channels."""
        return x * self.gamma


class NormalisedAttention(nn.Module):
    """Tokens (B, N, dim) -> the same; each attends to all, queries and keys are normalised before."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_norm = nn.RMSNorm(dim, eps=EPS)
        self.k_norm = nn.RMSNorm(dim, eps=EPS)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens."""
        q, k, v = self.qkv(x).chunk(3, -1)
        precise = self.q_norm.weight.dtype  # under autocast the norms stay in it, as in the official code
        q, k = self.q_norm(q.to(precise)), self.k_norm(k.to(precise))
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        attended: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return attended


class ScaledBlock(nn.Module):
    """Tokens (B, N, dim) -> the same: attention and MLP, each normalised before, scaled, and added to its input."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(size.dim, eps=EPS)
        self.attn = NormalisedAttention(size.dim, size.heads)
        self.ls1 = LayerScale(size.dim)
        self.norm2 = nn.RMSNorm(size.dim, eps=EPS)
        self.mlp = mlp(size.dim, size.hidden, size.dim)
        self.ls2 = LayerScale(size.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class AttentionPooling(nn.Module):
    """Tokens (B, N, dim) -> (B, 768): what their mean sees when it attends to them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1_q, self.norm1_k, self.norm1_v = (nn.LayerNorm(dim) for _ in range(3))
        self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))
        self.proj = nn.Linear(dim, POOLED)

    def forward(self, x: Tensor) -> Tensor:
        """One vector per clip."""
        mean = x.mean(1, keepdim=True)
        given = (self.q(self.norm1_q(mean)), self.k(self.norm1_k(x)), self.v(self.norm1_v(x)))
        q, k, v = (y.unflatten(-1, (POOL_HEADS, -1)).transpose(1, 2) for y in given)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (B, heads, 1, N)
        pooled: Tensor = self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(1))
        return pooled


class InternVideo2(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: 8×224×224 in the paper, or 16×224×224.
        num_classes: 400 (Kinetics) in the paper.
        size: which of the networks.
    """

    def __init__(self, clip: Clip, num_classes: int, size: Size) -> None:
        super().__init__()
        tokens = prod(patch_grid(clip, 1, PATCH))
        kernel = (1, PATCH, PATCH)
        self.patch_embed = nn.Conv3d(3, size.dim, kernel, stride=kernel)
        self.cls_token = new_parameter(1, 1, size.dim)
        self.pos_embed = new_parameter(1, 1 + tokens, size.dim)
        self.blocks = nn.Sequential(*(ScaledBlock(size) for _ in range(size.depth)))
        self.clip_projector = AttentionPooling(size.dim)
        self.fc_norm = nn.LayerNorm(POOLED)
        self.head = nn.Linear(POOLED, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        scores: Tensor = self.head(self.fc_norm(self.clip_projector(self.blocks(x))))
        return scores


def _built(clip: Clip, num_classes: int, size: Size) -> SizedNetwork:
    return SizedNetwork(InternVideo2(clip, num_classes, size), resized_positions(clip, Clip(8, 224, 224)))


def internvideo2_s14(clip: Clip, num_classes: int) -> SizedNetwork:
    """InternVideo2-S/14, distilled from the 1B."""
    return _built(clip, num_classes, _S14)


def internvideo2_b14(clip: Clip, num_classes: int) -> SizedNetwork:
    """InternVideo2-B/14, distilled from the 1B."""
    return _built(clip, num_classes, _B14)


def internvideo2_l14(clip: Clip, num_classes: int) -> SizedNetwork:
    """InternVideo2-L/14, distilled from the 1B."""
    return _built(clip, num_classes, _L14)


def internvideo2_1b(clip: Clip, num_classes: int) -> SizedNetwork:
    """InternVideo2-1B."""
    return _built(clip, num_classes, _1B)


def internvideo2_6b(clip: Clip, num_classes: int) -> SizedNetwork:
    """InternVideo2-6B."""
    return _built(clip, num_classes, _6B)
