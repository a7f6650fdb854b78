"""A vision transformer that sees all patches of a clip at once: MViT's baseline and the encoders of MAE for video.

Papers: https://arxiv.org/abs/2104.11227 (ViT-B in tables 1 and 4: patches of one frame), https://arxiv.org/abs/2205.09113
(patches of two frames; the networks that are fine-tuned). Code followed: https://github.com/facebookresearch/SlowFast,
configs/masked_ssl/k400_VIT_*_FT.yaml, where both are MViT without pooling. Stochastic depth, which only training uses,
is left out.

Unlike VideoMAE's, these have a class token and learned positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from ...core.units import times
from .feed_forward import mlp
from .mvit import EPS, PositionalEncoding, new_parameter
from .sized_network import SizedNetwork

__all__ = [
    "BASE",
    "HUGE",
    "LARGE",
    "PATCH",
    "SMALL",
    "Block",
    "JointViT",
    "SelfAttention",
    "Size",
    "encoder",
    "mae_st_vit_b_16x4",
    "mae_st_vit_h_16x4",
    "mae_st_vit_l_16x4",
    "patch_embedding",
    "patch_grid",
    "resized_positions",
    "vit_b_8f",
]

PATCH = 16


@dataclass(frozen=True, slots=True)
class Size:
    """Channels, blocks and heads of a vision transformer."""

    dim: int
    depth: int
    heads: int


SMALL = Size(384, 12, 6)
BASE = Size(768, 12, 12)
LARGE = Size(1024, 24, 16)
HUGE = Size(1280, 32, 16)


class SelfAttention(nn.Module):
    """Tokens (B, N, dim) -> the same; each attends to all."""

    def __init__(self, dim: int, heads: int, *, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (B, heads, N, N)
        attended: Tensor = self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return attended


class Block(nn.Module):
    """Tokens (B, N, dim) -> the same: attention and MLP, each normalised before and added to its input."""

    def __init__(self, dim: int, heads: int, *, bias: bool = True) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = SelfAttention(dim, heads, bias=bias)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = mlp(dim, 4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


def encoder(size: Size, *, bias: bool = True) -> nn.Sequential:
    """Tokens (B, N, dim) -> the same, through all blocks; `bias` is that of queries, keys and values."""
    return nn.Sequential(*(Block(size.dim, size.heads, bias=bias) for _ in range(size.depth)))


def patch_embedding(dim: int, frames: int) -> nn.Conv3d:
    """Clip (B, 3, T, H, W) -> one vector per patch (B, dim, T/frames, H/16, W/16)."""
    return nn.Conv3d(3, dim, (frames, PATCH, PATCH), stride=(frames, PATCH, PATCH))


def patch_grid(clip: Clip, frames: int, side: int = PATCH) -> tuple[int, int, int]:
    """T×H×W of the patches of a clip, each of `frames` frames and side×side pixels.

    Raises:
        InputError: the clip does not consist of whole patches.
    """
    if clip.frames % frames or clip.height % side or clip.width % side:
        raise InputError(
            f"clip {clip} does not consist of whole {times((frames, side, side))} patches",
            [("in", "the patch embedding"), ("fix", f"give frames in steps of {frames}, sides in steps of {side}")],
        )
    return clip.frames // frames, clip.height // side, clip.width // side


class Places(nn.Module):
    """Tokens (B, N, C) -> (B, 1 + N, C): a class token in front, and a learned vector added to each."""

    def __init__(self, channels: int, tokens: int) -> None:
        super().__init__()
        self.class_token = new_parameter(channels)
        self.positions = new_parameter(1 + tokens, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens with positions."""
        return torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], 1) + self.positions


class JointViT(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the papers.
        size: channels, blocks and heads.
        frames: of a patch.
        mean_pooled: the mean of all other tokens is classified, and a position is the sum of a learned vector for its
            frame and one for its row and column; else the class token is classified, and each position is learned.
    """

    def __init__(self, clip: Clip, num_classes: int, size: Size, frames: int, *, mean_pooled: bool) -> None:
        super().__init__()
        sizes = patch_grid(clip, frames)
        self.mean_pooled = mean_pooled
        self.patch_embed = patch_embedding(size.dim, frames)
        self.pos_encoding = (
            PositionalEncoding(size.dim, sizes, second=False) if mean_pooled else Places(size.dim, prod(sizes))
        )
        self.blocks = encoder(size)
        self.norm = nn.LayerNorm(size.dim, eps=EPS)
        self.head = nn.Linear(size.dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.blocks(self.pos_encoding(self.patch_embed(x).flatten(2).transpose(1, 2)))
        x = self.norm(x[:, 1:].mean(1)) if self.mean_pooled else self.norm(x[:, 0])
        scores: Tensor = self.head(x)
        return scores


def resized_positions(clip: Clip, paper: Clip) -> tuple[str, ...]:
    """The departure of positions that are sized to another clip than the paper's."""
    return () if clip == paper else (f"position embeddings sized for {clip}, the paper's for {paper}",)


def vit_b_8f(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViT-B over 1569 tokens, the baseline of MViT."""
    model = JointViT(clip, num_classes, BASE, 1, mean_pooled=False)
    return SizedNetwork(model, resized_positions(clip, Clip(8, 224, 224)))


def _mae(clip: Clip, num_classes: int, size: Size) -> SizedNetwork:
    model = JointViT(clip, num_classes, size, 2, mean_pooled=True)
    return SizedNetwork(model, resized_positions(clip, Clip(16, 224, 224)))


def mae_st_vit_b_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViT-B, pre-trained by MAE for video."""
    return _mae(clip, num_classes, BASE)


def mae_st_vit_l_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViT-L, pre-trained by MAE for video."""
    return _mae(clip, num_classes, LARGE)


def mae_st_vit_h_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViT-H, pre-trained by MAE for video."""
    return _mae(clip, num_classes, HUGE)
