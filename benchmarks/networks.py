"""The four networks of the benchmark: readable torch.nn, and for each its input and its exact MACs by hand.

They represent what video papers use: plain 3D convolutions (C3D), residual ones (R3D-18), two pathways of many
small layers (SlowFast), all three from flopcount's own zoo, and attention over thousands of tokens (ViViT).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import formulas
import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["NETWORKS", "Network", "VideoTransformer"]


class VideoTransformer(nn.Module):
    """ViViT-B/16×2 with joint space-time attention (its model 1): 12 layers over all tubelets of the clip.

    Paper: Arnab et al. 2021, "ViViT: A Video Vision Transformer", https://arxiv.org/abs/2103.15691.
    """

    def __init__(
        self, clip: tuple[int, int, int] = (32, 224, 224), width: int = 768, num_classes: int = 400, depth: int = 12
    ) -> None:
        super().__init__()
        tubelet = (2, 16, 16)
        tokens = 1
        for size, step in zip(clip, tubelet, strict=True):
            tokens *= size // step
        self.embed = nn.Conv3d(3, width, tubelet, tubelet)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, tokens + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads=12) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Clip (B, 3, T, H, W) -> scores from the class token."""
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class Block(nn.Module):
    """Attention and MLP, each normalised first and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, N, D) -> the same shape."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


@dataclass(frozen=True)
class Network:
    """What is measured: how it is built, on which input, and its MACs by hand."""

    title: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    macs: int


def zoo(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from flopcount import create_model

        return create_model(name)

    return build


NETWORKS = {
    "c3d": Network("C3D 16×112×112", zoo("c3d"), (1, 3, 16, 112, 112), formulas.c3d()),
    "r3d18": Network("R3D-18 16×112×112", zoo("r3d_18"), (1, 3, 16, 112, 112), formulas.r3d18()),
    "slowfast": Network("SlowFast R50 32×256×256", zoo("slowfast_r50_8x8"), (1, 3, 32, 256, 256), formulas.slowfast()),
    "vivit": Network("ViViT-B 32×224×224", VideoTransformer, (1, 3, 32, 224, 224), formulas.video_transformer()),
}
