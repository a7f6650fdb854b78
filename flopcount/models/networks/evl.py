"""EVL: a frozen CLIP, and a small decoder whose one query reads the last blocks' tokens of all frames.

Paper: https://arxiv.org/abs/2208.03550 (section 3, figure 2). Code followed:
https://github.com/OpenGVLab/efficient-video-recognition, model.py and vision_transformer.py, with the scripts of its
README (four layers, as wide as the encoder). Weights are float32 here; the code keeps the frozen ones in half
precision. Patches have no bias, as CLIP's; the code gives them one.

What the frozen encoder gives is made aware of time before it is read: by a depthwise convolution over frames, by places
in time, and by how queries and keys of neighbouring frames agree, place by place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .clip_vit import B16, L14, ClipBlock, ClipSize, FrameTokens, QuickGELU, resized_encoder
from .mvit import new_parameter
from .sized_network import SizedNetwork
from .vit import patch_grid

__all__ = ["EVL", "EVLDecoderLayer", "evl_b16", "evl_l14", "evl_l14_336"]

LAYERS = 4


class ReadableBlock(ClipBlock):
    """Tokens (B, N, dim) -> the same, and the queries and keys (B, heads, N, C) of its attention."""

    def read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, queries and keys."""
        attn = self.attn
        q, k, v = attn.qkv(self.norm1(x)).unflatten(-1, (3, attn.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        x = x + attn.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x)), q, k


class NeighbourAttention(nn.Module):
    """Queries and keys (B, T, heads, N, C) of patches -> (B, T, N, dim), 0 where a frame has no neighbour.

    The attention of a frame to the one before it and to the one after it, averaged over heads, weighs a learned vector
    for each distance between two places.

    Arguments:
        rows: of the patches of a frame.
        columns: of the patches of a frame.
        dim: of the learned vectors.
    """

    distances: Tensor

    def __init__(self, rows: int, columns: int, dim: int) -> None:
        super().__init__()
        self.before = new_parameter((2 * rows - 1) * (2 * columns - 1), dim)
        self.after = new_parameter((2 * rows - 1) * (2 * columns - 1), dim)
        row, column = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
        down, across = row[:, None] - row[None] + rows - 1, column[:, None] - column[None] + columns - 1
        self.register_buffer("distances", down * (2 * columns - 1) + across, persistent=False)

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        """What neighbours say of each place."""
        before = self._weighed(q[:, 1:], k[:, :-1], self.before)
        after = self._weighed(q[:, :-1], k[:, 1:], self.after)
        pad = nn.functional.pad
        return pad(before, (0, 0, 0, 0, 1, 0)) + pad(after, (0, 0, 0, 0, 0, 1))

    def _weighed(self, q: Tensor, k: Tensor, vectors: Tensor) -> Tensor:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (B, T - 1, heads, N, N)
        return torch.einsum("btqk,qkc->btqc", scores.softmax(-1).mean(2), vectors[self.distances])


class CrossAttention(nn.Module):
    """A query (B, 1, dim) and tokens (B, N, dim) -> (B, 1, dim)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, query: Tensor, tokens: Tensor) -> Tensor:
        """What the query reads."""
        parts = ((self.q, query), (self.k, tokens), (self.v, tokens))
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer, x in parts)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        read: Tensor = self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return read


class EVLDecoderLayer(nn.Module):
    """A query (B, 1, dim) and the tokens of one block of the encoder -> the query after it has read them.

    Arguments:
        clip: T of it sizes the places in time.
        size: of the encoder, whose channels and heads the layer has too.
    """

    def __init__(self, clip: Clip, size: ClipSize) -> None:
        super().__init__()
        dim, (frames, rows, columns) = size.size.dim, patch_grid(clip, 1, size.patch)
        self.conv = nn.Conv1d(dim, dim, 3, padding=1, groups=dim)
        self.times = new_parameter(frames, 1, dim)
        self.neighbours = NeighbourAttention(rows, columns, dim)
        self.norm_tokens = nn.LayerNorm(dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = CrossAttention(dim, size.size.heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), QuickGELU(), nn.Dropout(0.5), nn.Linear(4 * dim, dim))

    def forward(self, query: Tensor, x: Tensor, q: Tensor, k: Tensor) -> Tensor:
        """The query; x has (B, T, 1 + N, dim), q and k have (B, T, heads, 1 + N, C)."""
        over_time = self.conv(x.permute(0, 2, 3, 1).flatten(0, 1)).unflatten(0, (x.shape[0], -1)).permute(0, 3, 1, 2)
        near = self.neighbours(q[:, :, :, 1:], k[:, :, :, 1:])
        x = x + over_time + self.times + nn.functional.pad(near, (0, 0, 1, 0))
        query = query + self.attn(self.norm1(query), self.norm_tokens(x.flatten(1, 2)))
        return query + self.mlp(self.norm2(query))  # type: ignore[no-any-return]


class EVL(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the paper.
        size: which image encoder of CLIP.
    """

    def __init__(self, clip: Clip, num_classes: int, size: ClipSize) -> None:
        super().__init__()
        dim = size.size.dim
        self.tokens = FrameTokens(clip, size)
        self.norm_pre = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ReadableBlock(dim, size.size.heads) for _ in range(size.size.depth))
        self.requires_grad_(False)
        self.query = new_parameter(1, dim)
        self.decoder = nn.ModuleList(EVLDecoderLayer(clip, size) for _ in range(LAYERS))
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(0.5), nn.Linear(dim, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        batch, _, frames = x.shape[:3]
        x = self.norm_pre(self.tokens(x).flatten(0, 1))
        query = self.query.expand(batch, -1, -1)
        first = len(self.blocks) - LAYERS
        for index, block in enumerate(self.blocks):
            if index < first:
                x = block(x)
            else:
                last: Any = block  # a ModuleList does not know the class of what it holds
                x, q, k = last.read(x)
                query = self.decoder[index - first](query, *(each.unflatten(0, (batch, frames)) for each in (x, q, k)))
        scores: Tensor = self.head(query[:, 0])
        return scores


def evl_b16(clip: Clip, num_classes: int) -> SizedNetwork:
    """EVL on CLIP's ViT-B/16."""
    return SizedNetwork(EVL(clip, num_classes, B16), resized_encoder(clip))


def evl_l14(clip: Clip, num_classes: int) -> SizedNetwork:
    """EVL on CLIP's ViT-L/14."""
    return SizedNetwork(EVL(clip, num_classes, L14), resized_encoder(clip))


def evl_l14_336(clip: Clip, num_classes: int) -> SizedNetwork:
    """EVL on CLIP's ViT-L/14 and larger frames."""
    return SizedNetwork(EVL(clip, num_classes, L14), resized_encoder(clip, 336))
