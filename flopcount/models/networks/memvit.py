"""MeMViT (Wu et al. 2022, "Memory-Augmented Multiscale Vision Transformer for Efficient Long-Term Video Recognition").

Paper: https://arxiv.org/abs/2201.08383 (section 4). Code followed: https://github.com/facebookresearch/MeMViT,
memvit/models/attention.py with configs/AVA/MeMViT_*.yaml, but for the head: its tables have the cost and the parameters
of the classifier of Kinetics, with which the networks are pre-trained, not of the head that takes boxes. Stochastic
depth, which only training uses, is left out.

An MViTv2 that pools before its linear layers sees a video clip by clip. Every other layer also reads what it pooled in
two earlier clips, compressed. The forward is one step in the middle of a long video: it compresses what the clip before
it left and reads two memories, which are zeros here. No layer reads a memory in the step that compresses it, so that
compression takes no gradient; nor do the tables of distances to memories in layers that read none.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from ...core.units import times
from .feed_forward import mlp
from .mvit import EPS, PATCH_STRIDE, Pool, PositionalEncoding, Sizes, distances, new_parameter, strided
from .sized_network import SizedNetwork

__all__ = ["MeMViT", "memvit_16_16x4", "memvit_24_32x3"]

Stages = tuple[tuple[int, int], ...]
STAGES_16 = ((1, 96), (2, 192), (11, 384), (2, 768))  # blocks and channels
STAGES_24 = ((2, 96), (3, 192), (16, 384), (3, 768))
HEAD_CHANNELS = 96
MEMORIES = 2
COMPRESSION = (4, 2, 2)


def pooled(channels: int, sizes: Sizes, stride: Sizes, kernel: Sizes = (3, 3, 3)) -> Pool:
    """A convolution of each channel over tokens, then a norm; the class token is not pooled."""
    t, h, w = (side // 2 for side in kernel)
    conv = nn.Conv3d(channels, channels, kernel, stride, (t, h, w), groups=channels, bias=False)
    return Pool(conv, sizes, nn.LayerNorm(channels, eps=EPS))


class Distances(nn.Module):
    """Queries (B, heads, T·H·W, C) -> scores (B, heads, T·H·W, keys) by distances along time, height and width.

    Keys are T'×H'×W' for each of some memories, with a class token, which has no distance, in front of each.

    Arguments:
        queries: T×H×W.
        keys: T'×H'×W' of one memory, or of the clip.
        memories: how many there are.
        step: frames of the queries from a key to the next.
        table: length of the table of distances in time, in the code; other clips may need a longer one.
    """

    def __init__(self, queries: Sizes, keys: Sizes, memories: int, step: int, table: int) -> None:
        super().__init__()
        self.queries, self.memories = queries, memories
        (_, *sides), (_, *key_sides) = queries, keys
        longest = queries[0] - 1 + (memories * keys[0] - 1) * step
        self.rel_pos_t = new_parameter(max(table, 1 + longest), HEAD_CHANNELS)
        later = torch.arange(queries[0])[:, None] - torch.arange(memories * keys[0]) * step
        self.register_buffer("distances_t", later - later[0, -1], persistent=False)
        for axis, side, key_side in zip("hw", sides, key_sides, strict=True):
            self.register_parameter(f"rel_pos_{axis}", new_parameter(2 * max(side, key_side) - 1, HEAD_CHANNELS))
            self.register_buffer(f"distances_{axis}", distances(side, key_side), persistent=False)

    def forward(self, q: Tensor) -> Tensor:
        """Scores, memory by memory."""
        q = q.unflatten(2, self.queries)
        t, h, w = (getattr(self, f"rel_pos_{axis}")[getattr(self, f"distances_{axis}")] for axis in "thw")
        along_t = torch.einsum("bnthwc,tkc->bnthwk", q, t).unflatten(5, (self.memories, -1))[..., None, None]
        along_h = torch.einsum("bnthwc,hkc->bnthwk", q, h)[..., None, None, :, None]
        along_w = torch.einsum("bnthwc,wkc->bnthwk", q, w)[..., None, None, None, :]
        scores = (along_t + along_h + along_w).flatten(6)  # (B, heads, T, H, W, memories, T'·H'·W')
        return nn.functional.pad(scores, (1, 0)).flatten(5).flatten(2, 4)


class MemoryAttention(nn.Module):
    """Tokens (B, 1 + T·H·W, dim) -> (B, 1 + what the pool of queries leaves, dim_out).

    Arguments:
        dim: of the input.
        dim_out: of the output.
        sizes: T×H×W of the tokens.
        stride_q: of H and W of the queries.
        stride_kv: of H and W of the keys and values.
        reads: whether the layer reads memories; it compresses what the clip before left in any case.
    """

    memory: Tensor
    previous: Tensor

    def __init__(self, dim: int, dim_out: int, sizes: Sizes, stride_q: int, stride_kv: int, *, reads: bool) -> None:
        super().__init__()
        self.heads, self.scale, self.reads = dim_out // HEAD_CHANNELS, HEAD_CHANNELS**-0.5, reads
        channels, queries = dim // self.heads, strided(sizes, (1, stride_q, stride_q))
        keys = strided(sizes, (1, stride_kv, stride_kv))
        self.pool_q = pooled(channels, sizes, (1, stride_q, stride_q))
        self.pool_k, self.pool_v = (pooled(channels, sizes, (1, stride_kv, stride_kv)) for _ in "kv")
        self.q, self.k, self.v = (nn.Linear(dim, dim_out) for _ in "qkv")
        self.proj = nn.Linear(dim_out, dim_out)
        self.compress_k, self.compress_v = (
            pooled(dim, keys, COMPRESSION, (7, 3, 3)).requires_grad_(False) for _ in "kv"
        )
        compressed = strided(keys, COMPRESSION)
        self.near = Distances(queries, keys, 1, 1, 2 * sizes[0] - 1)
        self.far = Distances(queries, compressed, MEMORIES, COMPRESSION[0], (MEMORIES + 1) * sizes[0] - 1)
        self.far.requires_grad_(reads)
        self.register_buffer("previous", torch.zeros(2, 1, 1 + prod(keys), dim), persistent=False)
        length = MEMORIES * (1 + prod(compressed)) if reads else 0
        self.register_buffer("memory", torch.zeros(2, length, dim), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens."""
        for compress, left in zip((self.compress_k, self.compress_v), self.previous, strict=True):
            compress(left.expand(x.shape[0], 1, -1, -1))  # for a later step
        x = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = (pool(x).transpose(1, 2).flatten(2) for pool in (self.pool_q, self.pool_k, self.pool_v))
        if self.reads:
            k, v = (
                torch.cat([memory.expand(x.shape[0], -1, -1), new], 1)
                for memory, new in zip(self.memory, (k, v), strict=True)
            )
        parts = ((self.q, q), (self.k, k), (self.v, v))
        q, k, v = (layer(part).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer, part in parts)
        by_distance = [self.far(q[:, :, 1:])] if self.reads else []
        by_distance.append(self.near(q[:, :, 1:]))
        scores = (q @ k.transpose(-2, -1)) * self.scale + nn.functional.pad(torch.cat(by_distance, -1), (0, 0, 1, 0))
        x = scores.softmax(-1) @ v + nn.functional.pad(q[:, :, 1:], (0, 0, 1, 0))
        attended: Tensor = self.proj(x.transpose(1, 2).flatten(2))
        return attended


class MemoryBlock(nn.Module):
    """Tokens (B, 1 + T·H·W, dim) -> (B, 1 + what is left, dim_out): attention that widens, then an MLP.

    Arguments as MemoryAttention.
    """

    def __init__(self, dim: int, dim_out: int, sizes: Sizes, stride_q: int, stride_kv: int, *, reads: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = MemoryAttention(dim, dim_out, sizes, stride_q, stride_kv, reads=reads)
        self.norm2 = nn.LayerNorm(dim_out, eps=EPS)
        self.mlp = mlp(dim_out, 4 * dim_out, dim_out)
        self.project = nn.Linear(dim, dim_out) if dim != dim_out else None
        self.pool_skip = Pool(nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)), sizes) if stride_q > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Tokens, fewer where the queries are pooled."""
        before = self.norm1(x)
        if self.project is not None:
            x = self.project(before)
        if self.pool_skip is not None:
            x = self.pool_skip(x.unsqueeze(1)).squeeze(1)
        x = x + self.attn(before)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class MeMViT(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which distances are sized to.

    Arguments:
        clip: 16×224×224 or 32×224×224 in the paper.
        num_classes: 400 (Kinetics), of which the printed parameters are.
        stages: blocks and channels of each; every stage except the first halves height and width.
    """

    def __init__(self, clip: Clip, num_classes: int, stages: Stages) -> None:
        super().__init__()
        dim, sizes = stages[0][1], strided(clip.sizes, PATCH_STRIDE)
        self.patch_embed = nn.Conv3d(3, dim, (3, 7, 7), PATCH_STRIDE, (1, 3, 3))
        self.class_token = PositionalEncoding(dim, sizes, second=True)
        self.blocks = nn.Sequential()
        for stage, (depth, width) in enumerate(stages):
            for index in range(depth):
                stride_q = 2 if stage > 0 and index == 0 else 1
                reads = len(self.blocks) % 2 == 0
                self.blocks.append(MemoryBlock(dim, width, sizes, stride_q, 8 >> stage, reads=reads))
                dim, sizes = width, strided(sizes, (1, stride_q, stride_q))
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(dim, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.blocks(self.class_token(self.patch_embed(x).flatten(2).transpose(1, 2)))
        scores: Tensor = self.head(self.norm(x)[:, 0])
        return scores


def _built(clip: Clip, num_classes: int, stages: Stages, paper: Clip) -> SizedNetwork:
    """The network for a clip, and its departures from the paper's."""
    departures: tuple[str, ...] = ()
    if clip.sizes != paper.sizes:
        sizes, released = (times(strided(one.sizes, PATCH_STRIDE)) for one in (clip, paper))
        departures = (f"relative positions sized for {sizes} tokens of {clip}, released with {released}",)
    return SizedNetwork(MeMViT(clip, num_classes, stages), departures)


def memvit_16_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """MeMViT-16 on 16 frames, with memories of two earlier clips."""
    return _built(clip, num_classes, STAGES_16, Clip(16, 224, 224))


def memvit_24_32x3(clip: Clip, num_classes: int) -> SizedNetwork:
    """MeMViT-24 on 32 frames, with memories of two earlier clips."""
    return _built(clip, num_classes, STAGES_24, Clip(32, 224, 224))
