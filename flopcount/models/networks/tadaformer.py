"""TAdaFormer (Huang et al. 2023, "Temporally-Adaptive Models for Efficient Video Understanding").

Paper: https://arxiv.org/abs/2308.12642 (section 4). Code followed, names of submodules included:
https://github.com/alibaba-mmai-research/TAdaConv, tadaconv/models/module_zoo/branches/tadaformer.py and
tadaconv/models/base/backbone.py (VisionTransformer), with configs/pool/backbone/tadaformer_*.yaml.

CLIP's vision transformer over the tokens of each tubelet of frames. Before its attention a block adds a TAdaConv on the
patches, between two projections of half the channels. On Something-Something (configs/projects/tadaformer/*_ssv2_*)
there is a second one before the MLP (double_tada), and the first projection sees three frames (temp_enhance).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .temporally_adaptive import (
    AttentiveRoute,
    DepthwiseTAdaConv,
    QuickGELU,
    mean_of_three_frames,
    require_three_frames,
)
from .vit import BASE, LARGE, Places, SelfAttention, Size, patch_grid, resized_positions

__all__ = ["TAdaFormer", "tadaformer_b16", "tadaformer_l14"]

TUBELET = (3, 2)  # frames that a patch sees, and from one to the next
HEAD = 64  # channels of a head of attention over frames
PAPER = Clip(16, 224, 224)


class TAdaBlock(nn.Module):
    """Maps of patches (B, C, T, h, w) -> the same: a 3×3 TAdaConv on half the channels, and its mean over three frames.

    `temporal`: the first projection sees three frames instead of one.
    """

    def __init__(self, dim: int, *, temporal: bool) -> None:
        super().__init__()
        inner, frames = dim // 2, 3 if temporal else 1
        self.tada_pre_proj = nn.Conv3d(dim, inner, (frames, 1, 1), padding=(frames // 2, 0, 0))
        self.tadaconv = DepthwiseTAdaConv(inner, 3)
        self.rf_func = AttentiveRoute(inner, HEAD, offset=0)
        self.bn_a = nn.BatchNorm3d(inner)
        self.bn_b = nn.BatchNorm3d(inner)
        self.avgpool = mean_of_three_frames()
        self.gelu = QuickGELU()
        self.tada_proj = nn.Conv3d(inner, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """What is added to the patches."""
        x = self.tada_pre_proj(x)
        x = self.tadaconv(x, self.rf_func(x))
        x = self.bn_a(x) + self.bn_b(self.avgpool(x))
        added: Tensor = self.tada_proj(self.gelu(x))
        return added


class Block(nn.Module):
    """Tokens (B·T, 1 + h·w, C) of T frames -> the same; the class token takes no part in TAdaConv."""

    def __init__(self, size: Size, grid: tuple[int, int, int], *, double_tada: bool, temp_enhance: bool) -> None:
        super().__init__()
        self.grid = grid
        self.tada = TAdaBlock(size.dim, temporal=temp_enhance)
        self.tada2 = TAdaBlock(size.dim, temporal=temp_enhance) if double_tada else None
        self.ln_1 = nn.LayerNorm(size.dim)
        self.attn = SelfAttention(size.dim, size.heads)
        self.ln_2 = nn.LayerNorm(size.dim)
        self.mlp = nn.Sequential(nn.Linear(size.dim, 4 * size.dim), QuickGELU(), nn.Linear(4 * size.dim, size.dim))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = self._adapted(x, self.tada)
        x = x + self.attn(self.ln_1(x))
        if self.tada2 is not None:
            x = self._adapted(x, self.tada2)
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]

    def _adapted(self, x: Tensor, tada: nn.Module) -> Tensor:
        """Tokens plus TAdaConv on all but the first."""
        frames, height, width = self.grid
        patches = x[:, 1:].unflatten(0, (-1, frames)).unflatten(2, (height, width))  # (B, T, h, w, C)
        added = tada(patches.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1).flatten(2, 3).flatten(0, 1)
        return x + torch.cat([torch.zeros_like(x[:, :1]), added], 1)


class TAdaFormer(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the paper.
        size: channels, blocks and heads.
        patch: side of a patch.
        double_tada: a second TAdaConv in each block.
        temp_enhance: the first projection of a TAdaConv sees three frames.
    """

    def __init__(
        self, clip: Clip, num_classes: int, size: Size, patch: int, *, double_tada: bool, temp_enhance: bool
    ) -> None:
        super().__init__()
        _, height, width = patch_grid(clip, TUBELET[1], patch)
        grid = (clip.frames // TUBELET[1], height, width)
        require_three_frames(grid[0], clip)
        self.conv1 = nn.Conv3d(
            3,
            size.dim,
            (TUBELET[0], patch, patch),
            stride=(TUBELET[1], patch, patch),
            padding=(TUBELET[0] // 2, 0, 0),
            bias=False,
        )
        self.places = Places(size.dim, height * width)
        self.ln_pre = nn.LayerNorm(size.dim)
        self.layers = nn.Sequential(
            *(Block(size, grid, double_tada=double_tada, temp_enhance=temp_enhance) for _ in range(size.depth))
        )
        self.frames = grid[0]
        self.ln_post = nn.LayerNorm(size.dim)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(size.dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        patches = self.conv1(x).permute(0, 2, 3, 4, 1).flatten(2, 3).flatten(0, 1)  # (B·T, h·w, C)
        tokens = self.layers(self.ln_pre(self.places(patches)))
        features = self.ln_post(tokens[:, 0].unflatten(0, (-1, self.frames)).mean(1))
        scores: Tensor = self.out(self.dropout(features))
        return scores


def _sized(
    clip: Clip, num_classes: int, size: Size, patch: int, *, double_tada: bool, temp_enhance: bool
) -> SizedNetwork:
    model = TAdaFormer(clip, num_classes, size, patch, double_tada=double_tada, temp_enhance=temp_enhance)
    # positions have no time, so only another grid of patches departs from the paper's
    same = Clip(PAPER.frames, clip.height, clip.width)
    return SizedNetwork(model, resized_positions(same, PAPER))


def tadaformer_b16(
    clip: Clip, num_classes: int, *, double_tada: bool = False, temp_enhance: bool = False
) -> SizedNetwork:
    """CLIP's ViT-B/16."""
    return _sized(clip, num_classes, BASE, 16, double_tada=double_tada, temp_enhance=temp_enhance)


def tadaformer_l14(
    clip: Clip, num_classes: int, *, double_tada: bool = False, temp_enhance: bool = False
) -> SizedNetwork:
    """CLIP's ViT-L/14."""
    return _sized(clip, num_classes, LARGE, 14, double_tada=double_tada, temp_enhance=temp_enhance)
