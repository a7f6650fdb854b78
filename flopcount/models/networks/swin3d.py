"""Video Swin Transformer (Liu et al. 2021): self-attention within 3D windows, shifted in every second block.

Paper: https://arxiv.org/abs/2106.13230 (section 3; table 1 and 2 for its cost). Code followed, names of submodules
included: https://github.com/pytorch/vision, torchvision/models/video/swin_transformer.py; its state dicts load.
Stochastic depth, which only training uses, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import InputError
from ...core.protocol import Clip
from .feed_forward import mlp
from .sized_network import SizedNetwork

__all__ = ["SwinTransformer3d", "swin3d_b", "swin3d_l", "swin3d_l_384", "swin3d_s", "swin3d_t"]

Sizes = tuple[int, int, int]
PATCH: Sizes = (2, 4, 4)
WINDOW: Sizes = (8, 7, 7)


def padded(x: Tensor, multiples: Sizes) -> Tensor:
    """(B, T, H, W, C) -> the same with zeros at the ends, so that T, H and W are multiples of these."""
    t, h, w = (-size % n for size, n in zip(x.shape[1:4], multiples, strict=True))
    return F.pad(x, (0, 0, 0, w, 0, h, 0, t))


def into_windows(x: Tensor, window: Sizes) -> Tensor:
    """(B, T, H, W, C) -> (B, windows, positions, C)."""
    for axis in (3, 2, 1):
        x = x.unflatten(axis, (-1, window[axis - 1]))  # in the end (B, T/t, t, H/h, h, W/w, w, C)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(1, 3)


def out_of_windows(x: Tensor, window: Sizes, sizes: Sizes) -> Tensor:
    """(B, windows, positions, C) -> (B, T, H, W, C), where T, H and W are `sizes`."""
    counts = tuple(size // n for size, n in zip(sizes, window, strict=True))
    x = x.unflatten(2, window).unflatten(1, counts)  # (B, T/t, H/h, W/w, t, h, w, C)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).flatten(5, 6).flatten(3, 4).flatten(1, 2)


def strangers(sizes: Sizes, window: Sizes, shift: Sizes, device: torch.device) -> Tensor:
    """Pairs of positions that only the cyclic shift puts into one window: (windows, 1, positions, positions)."""
    regions = torch.zeros(1, 1, 1, dtype=torch.int64, device=device)
    for axis, (size, n, offset) in enumerate(zip(sizes, window, shift, strict=True)):
        places = torch.arange(size, device=device)
        region = (places >= size - n).long() + (places >= size - offset).long()  # the last window is of two regions
        regions = 3 * regions + region.view([-1 if other == axis else 1 for other in range(3)])
    of_window = into_windows(regions[None, ..., None], window)[0]  # (windows, positions, 1)
    return (of_window != of_window.transpose(1, 2)).unsqueeze(1)


class ShiftedWindowAttention3d(nn.Module):
    """Maps (B, T, H, W, C) -> the same size; every position attends to those of its window.

    Arguments:
        dim: C.
        window: T×H×W of a window; an axis of at most this size is one window and is not shifted.
        num_heads: of the attention.
        shifted: windows begin half a window later, and the last ones wrap around to the first positions.
    """

    relative_position_index: Tensor

    def __init__(self, dim: int, window: Sizes, num_heads: int, *, shifted: bool) -> None:
        super().__init__()
        self.window = window
        self.shifted = shifted
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        t, h, w = (2 * n - 1 for n in window)  # distances between two positions of a window, -n + 1 to n - 1
        self.relative_position_bias_table = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(t * h * w, num_heads), std=0.02)
        )
        places = torch.cartesian_prod(*(torch.arange(n) for n in window))  # (positions, 3)
        distances = places[:, None] - places[None] + torch.tensor([n - 1 for n in window])
        self.register_buffer("relative_position_index", (distances * torch.tensor([h * w, w, 1])).sum(-1))

    def forward(self, x: Tensor) -> Tensor:
        """Attended maps (B, T, H, W, C)."""
        _, t, h, w, _ = x.shape
        window = (min(self.window[0], t), min(self.window[1], h), min(self.window[2], w))
        shift = tuple(
            n // 2 if self.shifted and size > n else 0 for size, n in zip((t, h, w), self.window, strict=True)
        )
        x = padded(x, window)
        sizes = x.shape[1], x.shape[2], x.shape[3]
        if any(shift):
            x = x.roll([-n for n in shift], (1, 2, 3))
        apart = strangers(sizes, window, (shift[0], shift[1], shift[2]), x.device) if any(shift) else None
        x = out_of_windows(self._attend(into_windows(x, window), apart), window, sizes)
        if any(shift):
            x = x.roll(shift, (1, 2, 3))
        return x[:, :t, :h, :w]

    def _attend(self, x: Tensor, apart: Tensor | None) -> Tensor:
        """(B, windows, positions, C) -> the same size."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 1, 4, 2, 5)
        q, k, v = qkv.unbind()  # (B, windows, heads, positions, C/heads)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + self._position_bias(x.shape[2])
        if apart is not None:
            scores = scores.masked_fill(apart, float("-inf"))
        attended: Tensor = self.proj((scores.softmax(-1) @ v).transpose(2, 3).flatten(3))
        return attended

    def _position_bias(self, positions: int) -> Tensor:
        """(heads, positions, positions); a smaller window uses the first rows, as in the released code."""
        index = self.relative_position_index[:positions, :positions]
        return self.relative_position_bias_table[index].permute(2, 0, 1)


class SwinBlock(nn.Module):
    """Maps (B, T, H, W, C) -> the same size: attention and MLP, each normalised before and added to its input."""

    def __init__(self, dim: int, window: Sizes, num_heads: int, *, shifted: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = ShiftedWindowAttention3d(dim, window, num_heads, shifted=shifted)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = mlp(dim, 4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class PatchMerging(nn.Module):
    """Maps (B, T, H, W, C) -> (B, T, H/2, W/2, 2·C): four neighbours concatenated, then a linear layer."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of half the height and width."""
        x = padded(x, (1, 2, 2))
        corners = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        maps: Tensor = self.reduction(self.norm(torch.cat(corners, -1)))
        return maps


class PatchEmbed3d(nn.Module):
    """Clip (B, 3, T, H, W) -> one vector per patch (B, T/2, H/4, W/4, C)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, dim, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors, channels last."""
        x = padded(x.movedim(1, -1), PATCH).movedim(-1, 1)
        vectors: Tensor = self.norm(self.proj(x).movedim(1, -1))
        return vectors


class SwinTransformer3d(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); any clip.

    Arguments:
        dim: channels of the first stage; each stage doubles them.
        depths: blocks of the stages.
        num_heads: of the attention in the stages.
        num_classes: 400 (Kinetics) in the paper.
        window: T×H×W that a position attends to.
    """

    def __init__(
        self, dim: int, depths: Sequence[int], num_heads: Sequence[int], num_classes: int, window: Sizes = WINDOW
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed3d(dim)
        self.features = nn.Sequential()
        for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            if stage:
                self.features.append(PatchMerging(dim))
                dim *= 2
            self.features.append(
                nn.Sequential(*(SwinBlock(dim, window, heads, shifted=n % 2 == 1) for n in range(depth)))
            )
        self.norm = nn.LayerNorm(dim)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.norm(self.features(self.patch_embed(x)))
        scores: Tensor = self.head(self.avgpool(x.movedim(-1, 1)).flatten(1))
        return scores


def _swin(
    dim: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    num_classes: int,
    window_frames: int,
    window_side: int = WINDOW[1],
) -> SizedNetwork:
    if window_frames < 1:
        raise InputError(
            f"windows of {window_frames} frames", [("fix", "give window_frames 1 or more, counted in pairs")]
        )
    departures: tuple[str, ...] = ()
    window = (window_frames, window_side, window_side)
    model = SwinTransformer3d(dim, depths, num_heads, num_classes, window)
    if window_frames != WINDOW[0]:
        departures = (f"windows of {window_frames} pairs of frames, the paper's have {WINDOW[0]} on Kinetics",)
    return SizedNetwork(model, departures)


def swin3d_t(clip: Clip, num_classes: int, *, window_frames: int = WINDOW[0]) -> SizedNetwork:
    """Swin-T; `window_frames` counts positions, each of which holds two frames."""
    return _swin(96, (2, 2, 6, 2), (3, 6, 12, 24), num_classes, window_frames)


def swin3d_s(clip: Clip, num_classes: int, *, window_frames: int = WINDOW[0]) -> SizedNetwork:
    """Swin-S: three times the blocks of Swin-T in the third stage."""
    return _swin(96, (2, 2, 18, 2), (3, 6, 12, 24), num_classes, window_frames)


def swin3d_b(clip: Clip, num_classes: int, *, window_frames: int = WINDOW[0]) -> SizedNetwork:
    """Swin-B: Swin-S with 4/3 of the channels; 16 in `window_frames` is the paper's network for SSv2."""
    return _swin(128, (2, 2, 18, 2), (4, 8, 16, 32), num_classes, window_frames)


def swin3d_l(clip: Clip, num_classes: int, *, window_frames: int = WINDOW[0]) -> SizedNetwork:
    """Swin-L: Swin-S with twice the channels."""
    return _swin(192, (2, 2, 18, 2), (6, 12, 24, 48), num_classes, window_frames)


def swin3d_l_384(clip: Clip, num_classes: int, *, window_frames: int = WINDOW[0]) -> SizedNetwork:
    """Swin-L for frames of 384×384, with windows of 12×12, like the image network that initialises it."""
    return _swin(192, (2, 2, 18, 2), (6, 12, 24, 48), num_classes, window_frames, 12)
