"""MorphMLP (Zhang et al. 2022, "An Efficient MLP-Like Backbone for Spatial-Temporal Representation Learning").

Paper: https://arxiv.org/abs/2111.12527 (sections 3.1 to 3.3). Code followed, names of submodules included:
https://github.com/MTLab/MorphMLP, slowfast/models/morphmlp.py and morphmlp_32.py with configs/K400.

No attention: tokens are grouped into chunks, a chunk's tokens lie side by side in a vector with a part of the channels
each, and a linear layer mixes it; so along columns, rows, and time. The code is written for frames of 224×224, which
whole chunks fill, and for 16 or 32 of them. For another clip chunks are as many tokens as fit, and the linear layers
over time are sized to it. Stochastic depth is left out: it changes no cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from ...core.protocol import Clip
from .feed_forward import mlp
from .sized_network import SizedNetwork

__all__ = ["MorphMLP", "chunk_length", "morphmlp_b", "morphmlp_s"]

DIMS = (112, 224, 392, 784)
CHUNKS = (14, 28, 28, 49)  # tokens, and parts of the channels, at 224×224
MLP_RATIO = 3


def chunk_length(tokens: int, channels: int, most: int) -> int:
    """The largest number of tokens of a chunk, at most `most`, that divides the tokens and the channels."""
    return max(n for n in range(1, most + 1) if tokens % n == 0 and channels % n == 0)


class ChunkLinear(nn.Linear):
    """Tokens (B, T, N, C) -> the same: a linear layer over the tokens of each chunk, for each part of the channels.

    A chunk has as many tokens as there are parts. They are neighbours, or, where it is `spread`, tokens N/chunk apart.
    """

    def __init__(self, dim: int, chunk: int, *, spread: bool) -> None:
        super().__init__(dim, dim)
        self.chunk, self.spread = chunk, spread

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        sizes = (self.chunk, -1) if self.spread else (-1, self.chunk)
        axis = 2 if self.spread else 3  # of the tokens of a chunk
        apart = x.unflatten(2, sizes).unflatten(4, (self.chunk, -1))  # (B, T, ., ., parts, C/parts)
        vectors = apart.movedim(axis, 4)  # (B, T, chunks, parts, tokens, C/parts)
        mixed = super().forward(vectors.flatten(4)).unflatten(4, (self.chunk, -1))
        back: Tensor = mixed.movedim(4, axis).flatten(4).flatten(2, 3)
        return back


class MorphFCSpace(nn.Module):
    """Maps (B, T, H, W, C) -> the same: mixed along columns, rows and channels, weighed by what the clip is like.

    With `spread` (the last stage) columns and rows are one: a chunk is all over the frame.
    """

    def __init__(self, dim: int, chunk: int, *, spread: bool) -> None:
        super().__init__()
        self.mlp_h = ChunkLinear(dim, chunk, spread=spread)
        self.mlp_w = None if spread else ChunkLinear(dim, chunk, spread=False)
        self.mlp_c = nn.Linear(dim, dim)
        self.reweight = mlp(dim, dim // 4, dim * (2 if spread else 3))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size."""
        height, width = x.shape[2:4]
        if self.mlp_w is None:
            branches = [self.mlp_h(x.flatten(2, 3)).unflatten(2, (height, width))]
        else:
            columns = self.mlp_h(x.transpose(2, 3).flatten(2, 3)).unflatten(2, (width, height)).transpose(2, 3)
            branches = [columns, self.mlp_w(x.flatten(2, 3)).unflatten(2, (height, width))]
        branches.append(self.mlp_c(x))
        total = sum(branches[1:], branches[0])
        shares = self.reweight(total.mean((1, 2, 3))).unflatten(1, (-1, len(branches))).softmax(-1)  # (B, C, branches)
        weighed = [branch * shares[:, None, None, None, :, index] for index, branch in enumerate(branches)]
        mixed: Tensor = self.proj(sum(weighed[1:], weighed[0]))
        return mixed


class MorphFCTime(nn.Module):
    """Maps (B, T, H, W, C) -> the same: all frames of a place side by side, for each part of the channels."""

    def __init__(self, dim: int, frames: int) -> None:
        super().__init__()
        self.parts = chunk_length(dim, dim, min(frames, dim))
        self.mlp_t = nn.Linear(dim // self.parts * frames, dim // self.parts * frames)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size."""
        frames = x.shape[1]
        vectors = x.unflatten(4, (self.parts, -1)).permute(0, 4, 2, 3, 1, 5).flatten(4)  # (B, parts, H, W, T·C/parts)
        mixed = self.mlp_t(vectors).unflatten(4, (frames, -1)).permute(0, 4, 2, 3, 1, 5).flatten(4)
        projected: Tensor = self.proj(mixed)
        return projected


class Block(nn.Module):
    """Maps (B, T, H, W, C) -> the same: time, space, MLP."""

    def __init__(self, dim: int, chunk: int, frames: int, *, spread: bool) -> None:
        super().__init__()
        self.t_norm1 = nn.LayerNorm(dim)
        self.t_fc = MorphFCTime(dim, frames)
        self.norm1 = nn.LayerNorm(dim)
        self.fc = MorphFCSpace(dim, chunk, spread=spread)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = mlp(dim, MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size; what is mixed over time goes into space, not into the sum."""
        over_time = x + self.t_fc(self.t_norm1(x))
        x = x + self.fc(self.norm1(over_time))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Downsample(nn.Module):
    """Maps (B, T, H, W, C) -> (B, T, H/2, W/2, C'): 3×3 of stride 2 on each frame, normalised."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(dim_in, dim_out, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.norm = nn.LayerNorm(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the next stage."""
        maps: Tensor = self.norm(self.proj(x.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1))
        return maps


class MorphMLP(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes); built for one clip, which the chunks are sized to.

    Arguments:
        frames: that are left behind the first convolution, T/2 rounded up.
        num_classes: 400 (Kinetics) in the paper.
        depths: blocks of the four stages.
        chunks: tokens of a chunk in each of them.
    """

    def __init__(self, frames: int, num_classes: int, depths: Sequence[int], chunks: Sequence[int]) -> None:
        super().__init__()
        half = DIMS[0] // 2
        self.patch_embed = nn.Sequential(
            nn.Conv3d(3, half, 3, stride=2, padding=1),
            nn.BatchNorm3d(half),
            nn.GELU(),
            nn.Conv3d(half, DIMS[0], (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            nn.BatchNorm3d(DIMS[0]),
        )
        self.stages = nn.ModuleList()
        for index, (dim, depth, chunk) in enumerate(zip(DIMS, depths, chunks, strict=True)):
            spread = index == len(DIMS) - 1
            stage = nn.Sequential(*(Block(dim, chunk, frames, spread=spread) for _ in range(depth)))
            self.stages.append(stage if index == 0 else nn.Sequential(Downsample(DIMS[index - 1], dim), *stage))
        self.norm = nn.LayerNorm(DIMS[-1])
        self.head = nn.Linear(DIMS[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.patch_embed(x).permute(0, 2, 3, 4, 1)  # (B, T, H, W, C)
        for stage in self.stages:
            x = stage(x)
        scores: Tensor = self.head(self.norm(x.flatten(1, 3)).mean(1))
        return scores


def _sized(clip: Clip, num_classes: int, depths: Sequence[int]) -> SizedNetwork:
    frames, sides = -(-clip.frames // 2), [clip.height, clip.width]
    tokens = []
    for halvings in (2, 1, 1, 1):
        for _ in range(halvings):
            sides = [-(-side // 2) for side in sides]
        tokens.append(prod(sides))
    chunks = tuple(map(chunk_length, tokens, DIMS, CHUNKS))
    departures: tuple[str, ...] = ()
    if chunks != CHUNKS:
        departures += (f"chunks of {_listed(chunks)} tokens, the paper's of {_listed(CHUNKS)}",)
    if clip.frames not in (16, 32):
        departures += (f"linear layers over {frames} of {clip.frames} frames, the paper's over 8 of 16 or 16 of 32",)
    return SizedNetwork(MorphMLP(frames, num_classes, depths, chunks), departures)


def _listed(chunks: Sequence[int]) -> str:
    return ", ".join(map(str, chunks))


def morphmlp_s(clip: Clip, num_classes: int) -> SizedNetwork:
    """Small: 3, 4, 9 and 3 blocks."""
    return _sized(clip, num_classes, (3, 4, 9, 3))


def morphmlp_b(clip: Clip, num_classes: int) -> SizedNetwork:
    """Base: 4, 6, 15 and 4 blocks."""
    return _sized(clip, num_classes, (4, 6, 15, 4))
