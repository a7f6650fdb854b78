"""Reversible MViT-B (Mangalam et al. 2022, "Reversible Vision Transformers").

Paper: https://arxiv.org/abs/2302.04869 (section 3.3). Code followed: https://github.com/facebookresearch/SlowFast,
slowfast/models/reversible_mvit.py with configs/Kinetics/REV_MVIT_B_16x4_CONV.yaml, without the class token that this
file asks for and the code refuses. Stochastic depth, which only training uses, is left out.

Two streams carry the tokens: attention over one is added to the other, then an MLP over that to the first. What a block
got can so be computed from what it gave. Where the channels grow, the streams become one. The released code keeps no
activations of the blocks in between, and runs them a second time in the backward pass. Here they are kept: a training
step has the same layers and the same gradients, and costs that second run less.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from ...core.units import times
from .feed_forward import mlp
from .mvit import EPS, PATCH_STRIDE, Sizes, new_parameter, strided
from .sized_network import SizedNetwork

__all__ = ["RevMViT", "rev_mvit_b_16x4"]

STAGES = ((1, 96), (2, 192), (11, 384), (2, 768))  # blocks and channels; the first of a later stage is a transition
HEAD_CHANNELS = 96


class HeadPool(nn.Module):
    """Tokens (B, heads, T·H·W, C) -> fewer, normalised: a 3×3×3 convolution of each channel, the same for all heads.

    Arguments:
        sizes: T×H×W of the tokens.
        stride: of H and W.
    """

    def __init__(self, sizes: Sizes, stride: int) -> None:
        super().__init__()
        self.sizes = sizes
        channels = HEAD_CHANNELS
        self.conv = nn.Conv3d(channels, channels, 3, (1, stride, stride), 1, groups=channels, bias=False)
        self.norm = nn.LayerNorm(channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled tokens."""
        maps = x.flatten(0, 1).transpose(1, 2).unflatten(2, self.sizes)  # (B·heads, C, T, H, W)
        pooled: Tensor = self.norm(self.conv(maps).flatten(2).transpose(1, 2))
        tokens: Tensor = pooled.unflatten(0, x.shape[:2])
        return tokens


def in_heads(x: Tensor) -> Tensor:
    """(B, N, dim) -> (B, heads, N, C)."""
    heads: Tensor = x.unflatten(-1, (-1, HEAD_CHANNELS)).transpose(1, 2)
    return heads


class PooledAttention(nn.Module):
    """Tokens (B, T·H·W, dim) -> (B, what the pool of queries leaves, dim_out), normalised before.

    Arguments:
        dim: of the input.
        dim_out: of the output.
        sizes: T×H×W of the tokens.
        stride_q: of H and W of the queries; where it is 1 they are not pooled.
        stride_kv: of H and W of the keys and values.
    """

    def __init__(self, dim: int, dim_out: int, sizes: Sizes, stride_q: int, stride_kv: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.qkv = nn.Linear(dim, 3 * dim_out, bias=False)
        self.pool_q: nn.Module = HeadPool(sizes, stride_q) if stride_q > 1 else nn.Identity()
        self.pool_k = HeadPool(sizes, stride_kv)
        self.pool_v = HeadPool(sizes, stride_kv)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens."""
        q, k, v = (in_heads(part) for part in self.qkv(self.norm(x)).chunk(3, -1))
        q, k, v = self.pool_q(q), self.pool_k(k), self.pool_v(v)
        scores = (q * HEAD_CHANNELS**-0.5) @ k.transpose(-2, -1)
        attended: Tensor = self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return attended


def normalised_mlp(dim: int) -> nn.Sequential:
    """Tokens (B, N, dim) -> the same: the MLP of a block, with its norm."""
    return nn.Sequential(nn.LayerNorm(dim, eps=EPS), mlp(dim, 4 * dim, dim))


class ReversibleBlock(nn.Module):
    """Two streams of tokens (B, T·H·W, dim) -> the same: y1 = x1 + attention(x2), y2 = x2 + MLP(y1)."""

    def __init__(self, dim: int, sizes: Sizes, stride_kv: int) -> None:
        super().__init__()
        self.attn = PooledAttention(dim, dim, sizes, 1, stride_kv)
        self.mlp = normalised_mlp(dim)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams."""
        first = first + self.attn(second)
        return first, second + self.mlp(first)


class Transition(nn.Module):
    """Two streams of tokens (B, T·H·W, dim) -> two equal ones, (B, T·H/2·W/2, dim_out).

    Their mean goes through a block with pooled queries; the pool of the queries, the norm with it, serves the skip.
    """

    def __init__(self, dim: int, dim_out: int, sizes: Sizes, stride_kv: int) -> None:
        super().__init__()
        self.attn = PooledAttention(dim, dim_out, sizes, 2, stride_kv)
        self.mlp = normalised_mlp(dim_out)
        self.skip = nn.Linear(dim, dim_out)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The same tokens twice."""
        x = torch.stack([first, second]).mean(0)
        pooled = self.attn.pool_q(in_heads(self.skip(x))).transpose(1, 2).flatten(2)
        x = pooled + self.attn(x)
        x = x + self.mlp(x)
        return x, x


class RevMViT(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to."""

    def __init__(self, clip: Clip, num_classes: int) -> None:
        super().__init__()
        dim, sizes = STAGES[0][1], strided(clip.sizes, PATCH_STRIDE)
        self.patch_embed = nn.Conv3d(3, dim, (3, 7, 7), PATCH_STRIDE, (1, 3, 3))
        self.temporal_pos = new_parameter(sizes[0], 1, dim)
        self.spatial_pos = new_parameter(sizes[1] * sizes[2], dim)
        self.blocks = nn.ModuleList()
        for stage, (depth, width) in enumerate(STAGES):
            stride_kv = 8 >> stage  # all blocks have as many keys as the last one, transitions four times as many
            if stage > 0:
                self.blocks.append(Transition(dim, width, sizes, stride_kv))
                dim, sizes = width, strided(sizes, (1, 2, 2))
            for _ in range(depth - (stage > 0)):
                self.blocks.append(ReversibleBlock(dim, sizes, stride_kv))
        self.norm = nn.LayerNorm(2 * dim, eps=EPS)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(2 * dim, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + (self.temporal_pos + self.spatial_pos).flatten(0, 1)
        first, second = x, x
        for block in self.blocks:
            first, second = block(first, second)
        scores: Tensor = self.head(self.norm(torch.cat([first, second], -1)).mean(1))
        return scores


def rev_mvit_b_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """Rev-MViT-B."""
    departures: tuple[str, ...] = ()
    paper = Clip(16, 224, 224)
    if clip.sizes != paper.sizes:
        sizes, released = (times(strided(one.sizes, PATCH_STRIDE)) for one in (clip, paper))
        departures = (f"position embeddings sized for {sizes} tokens of {clip}, released with {released}",)
    return SizedNetwork(RevMViT(clip, num_classes), departures)
