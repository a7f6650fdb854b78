"""The image encoder of CLIP, on which networks of 2022 to 2024 for video are built.

Paper: https://arxiv.org/abs/2103.00020 (section 2.4; table 20 has the sizes). Code followed:
https://github.com/openai/CLIP, clip/model.py.

It is a vision transformer whose patches have no bias, whose tokens are normalised before the first block, and whose
MLPs have a GELU made of a sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .vit import BASE, LARGE, Places, SelfAttention, Size, patch_grid

__all__ = ["B16", "B32", "L14", "ClipBlock", "ClipSize", "FrameTokens", "QuickGELU", "clip_mlp", "resized_encoder"]


@dataclass(frozen=True, slots=True)
class ClipSize:
    """Channels, blocks and heads, the side of a patch in pixels, and the channels that images share with texts."""

    size: Size
    patch: int
    shared: int


B32 = ClipSize(BASE, 32, 512)
B16 = ClipSize(BASE, 16, 512)
L14 = ClipSize(LARGE, 14, 768)


class QuickGELU(nn.Module):
    """Any shape -> the same."""

    def forward(self, x: Tensor) -> Tensor:
        """About the GELU, by a sigmoid."""
        return x * torch.sigmoid(1.702 * x)


def clip_mlp(dim: int) -> nn.Sequential:
    """(..., dim) -> (..., dim), with four times the channels between."""
    return nn.Sequential(nn.Linear(dim, 4 * dim), QuickGELU(), nn.Linear(4 * dim, dim))


class ClipBlock(nn.Module):
    """Tokens (B, N, dim) -> the same: attention and MLP, each normalised before and added to its input."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = SelfAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = clip_mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class FrameTokens(nn.Module):
    """Clip (B, 3, T, H, W) -> tokens (B, T, 1 + N, dim): the patches of each frame behind a class token, with places.

    Arguments:
        clip: what places are sized to.
        size: channels, and the side of a patch.

    Raises:
        InputError: a frame does not consist of whole patches.
    """

    def __init__(self, clip: Clip, size: ClipSize) -> None:
        super().__init__()
        _, rows, columns = patch_grid(clip, 1, size.patch)
        self.patch_embed = nn.Conv2d(3, size.size.dim, size.patch, stride=size.patch, bias=False)
        self.places = Places(size.size.dim, rows * columns)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens, not yet normalised."""
        frames = x.transpose(1, 2)
        tokens = self.patch_embed(frames.flatten(0, 1)).flatten(2).transpose(1, 2)
        placed: Tensor = self.places(tokens).unflatten(0, frames.shape[:2])
        return placed


def resized_encoder(clip: Clip, side: int = 224) -> tuple[str, ...]:
    """The departure of an image encoder whose positions are sized to other frames than side×side, the paper's."""
    if (clip.height, clip.width) == (side, side):
        return ()
    return (f"position embeddings sized for frames of {clip.height}×{clip.width}, the paper's for {side}×{side}",)
