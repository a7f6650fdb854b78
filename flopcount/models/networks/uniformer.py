"""UniFormer (Li et al. 2022): convolutions among neighbours in the first two stages, attention among all in the others.

Paper: https://arxiv.org/abs/2201.04676 (section 3; figure 2 and table 1). Code followed, names of submodules included:
https://github.com/Sense-X/UniFormer, video_classification/slowfast/models/uniformer.py, with the sizes of
video_classification/exp. Stochastic depth, which only training uses, is left out.

Every block first adds a depthwise convolution of its input, which is what tells it positions: no table of positions is
sized to the clip. Only the first of the four patch embeddings halves frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .sizing import sizes_after
from .vit import Block

__all__ = ["LocalBlock", "PatchEmbed", "UniFormer", "depthwise", "halving", "uniformer_b", "uniformer_s"]

Sizes = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Size:
    """Blocks and channels of the four stages, and the channels of a head."""

    depths: tuple[int, int, int, int]
    channels: tuple[int, int, int, int] = (64, 128, 320, 512)
    head_channels: int = 64


_SMALL = Size((3, 4, 8, 3))
_BASE = Size((5, 8, 20, 7))


class PatchEmbed(nn.Module):
    """Maps (B, in_channels, T, H, W) -> (B, out_channels, what is left of T, H and W), each position normalised."""

    def __init__(self, in_channels: int, out_channels: int, kernel: Sizes, stride: Sizes, padding: Sizes) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(out_channels)
        self.proj = nn.Conv3d(in_channels, out_channels, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """Fewer positions."""
        normalised: Tensor = self.norm(self.proj(x).movedim(1, -1)).movedim(-1, 1)
        return normalised


def halving(channels: tuple[int, ...], sizes: tuple[int, ...], clip: Clip) -> list[PatchEmbed]:
    """The patch embeddings before the last three stages, each of 2×2 positions of one frame.

    Arguments:
        channels: of the four stages.
        sizes: T×H×W of the first stage.
        clip: what these are of.

    Raises:
        InputError: the clip is too small; the message names the layer.
    """
    embeddings = [PatchEmbed(before, after, (1, 2, 2), (1, 2, 2), (0, 0, 0)) for before, after in pairwise(channels)]
    sizes_after({f"patch_embed{n}.proj": each.proj for n, each in enumerate(embeddings, 2)}, sizes, clip)
    return embeddings


def depthwise(channels: int, kernel: int) -> nn.Conv3d:
    """(B, channels, T, H, W) -> the same size: a convolution of each channel apart."""
    return nn.Conv3d(channels, channels, kernel, padding=kernel // 2, groups=channels)


def pointwise(channels: int, out: int) -> nn.Conv3d:
    """(B, channels, T, H, W) -> (B, out, T, H, W): a linear layer at each position."""
    return nn.Conv3d(channels, out, 1)


class ConvMlp(nn.Module):
    """Maps (B, channels, T, H, W) -> the same size: two linear layers at each position, with a GELU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = pointwise(channels, hidden)
        self.act = nn.GELU()
        self.fc2 = pointwise(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size."""
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class LocalBlock(nn.Module):
    """Maps (B, channels, T, H, W) -> the same size: each position sees 5×5×5 neighbours, with learned weights."""

    def __init__(self, channels: int, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.pos_embed = depthwise(channels, 3)
        self.norm1 = nn.BatchNorm3d(channels)
        self.conv1 = pointwise(channels, channels)
        self.conv2 = pointwise(channels, channels)
        self.attn = depthwise(channels, 5)
        self.norm2 = nn.BatchNorm3d(channels)
        self.mlp = ConvMlp(channels, mlp_ratio * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size."""
        x = x + self.pos_embed(x)
        x = x + self.conv2(self.attn(self.conv1(self.norm1(x))))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class GlobalBlock(Block):
    """Maps (B, channels, T, H, W) -> the same size: each position attends to all."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, heads)
        self.pos_embed = depthwise(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same size."""
        x = x + self.pos_embed(x)
        maps: Tensor = super().forward(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])
        return maps


class UniFormer(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); the modules are the same for every clip.

    Arguments:
        clip: what it has to take; 16×224×224 in the paper.
        num_classes: 400 (Kinetics) in the paper.
        size: which of the networks.
    """

    def __init__(self, clip: Clip, num_classes: int, size: Size) -> None:
        super().__init__()
        channels = size.channels
        self.patch_embed1 = PatchEmbed(3, channels[0], (3, 4, 4), (2, 4, 4), (1, 0, 0))
        sizes = sizes_after({"patch_embed1.proj": self.patch_embed1.proj}, clip.sizes, clip)
        self.patch_embed2, self.patch_embed3, self.patch_embed4 = halving(channels, sizes, clip)
        stages: list[Any] = []
        for stage, (width, depth) in enumerate(zip(channels, size.depths, strict=True)):
            heads = width // size.head_channels
            stages.append(
                nn.Sequential(*(LocalBlock(width) if stage < 2 else GlobalBlock(width, heads) for _ in range(depth)))
            )
        self.blocks1, self.blocks2, self.blocks3, self.blocks4 = stages
        self.norm = nn.BatchNorm3d(channels[-1])
        self.head = nn.Linear(channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.blocks1(self.patch_embed1(x))
        x = self.blocks2(self.patch_embed2(x))
        x = self.blocks3(self.patch_embed3(x))
        x = self.blocks4(self.patch_embed4(x))
        scores: Tensor = self.head(self.norm(x).flatten(2).mean(-1))
        return scores


def uniformer_s(clip: Clip, num_classes: int) -> SizedNetwork:
    """UniFormer-S; the same for every clip."""
    return SizedNetwork(UniFormer(clip, num_classes, _SMALL))


def uniformer_b(clip: Clip, num_classes: int) -> SizedNetwork:
    """UniFormer-B; the same for every clip."""
    return SizedNetwork(UniFormer(clip, num_classes, _BASE))
