"""UniFormerV2 (Li et al. 2022): a vision transformer on every frame, and a class token that looks into its last layers.

Paper: https://arxiv.org/abs/2211.09552 (section 3; figure 2). Code followed:
https://github.com/OpenGVLab/UniFormerV2, slowfast/models/uniformerv2_model.py, with the settings of exp: on Kinetics
and Moments in Time the blocks of CLIP's transformer are as they were, and four of them are looked into; on
Something-Something convolutions over time stand before and after each attention, the patch embedding halves frames, and
the last two thirds of the blocks are looked into. Stochastic depth and dropout, which only training uses, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from ...core.units import times
from .mvit import new_parameter
from .sized_network import SizedNetwork
from .vit import BASE, LARGE, SelfAttention, Size, patch_grid

__all__ = [
    "Looks",
    "QuickGELU",
    "UniFormerV2",
    "uniformerv2_b16",
    "uniformerv2_b16_ssv2",
    "uniformerv2_l14",
    "uniformerv2_l14_336",
    "uniformerv2_l14_ssv2",
]

Sizes = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Looks:
    """What a data set asks for: how many of the last blocks are looked into, and whether blocks mix frames."""

    blocks: int
    over_time: bool


_KINETICS = Looks(4, over_time=False)
_SSV2_BASE = Looks(8, over_time=True)
_SSV2_LARGE = Looks(16, over_time=True)


class QuickGELU(nn.Module):
    """CLIP's approximation of the GELU, of any shape."""

    def forward(self, x: Tensor) -> Tensor:
        """x·sigmoid(1.702·x)."""
        return x * torch.sigmoid(1.702 * x)


def clip_mlp(dim: int) -> nn.Sequential:
    """(..., dim) -> the same size: two linear layers with CLIP's activation between."""
    return nn.Sequential(nn.Linear(dim, 4 * dim), QuickGELU(), nn.Linear(4 * dim, dim))


class OverTime(nn.Module):
    """Tokens (B·T, 1 + H·W, dim) -> the same, after each but the first was added what a convolution over time sees.

    Arguments:
        dim: of the tokens; the convolution has two thirds of that.
        frames: T.
    """

    def __init__(self, dim: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        narrow = int(dim // 1.5)
        self.convolutions = nn.Sequential(
            nn.BatchNorm3d(dim),
            nn.Conv3d(dim, narrow, 1),
            nn.Conv3d(narrow, narrow, (3, 1, 1), padding=(1, 0, 0), groups=narrow),
            nn.Conv3d(narrow, dim, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        patches = x[:, 1:].unflatten(0, (-1, self.frames))  # (B, T, H·W, dim)
        seen = self.convolutions(patches.permute(0, 3, 1, 2).unsqueeze(-1)).squeeze(-1)
        patches = patches + seen.permute(0, 2, 3, 1)
        return torch.cat([x[:, :1], patches.flatten(0, 1)], 1)


class FrameBlock(nn.Module):
    """Tokens (B·T, 1 + H·W, dim) -> the same: attention within each frame, and an MLP."""

    def __init__(self, size: Size, frames: int, *, over_time: bool) -> None:
        super().__init__()
        self.before = OverTime(size.dim, frames) if over_time else nn.Identity()
        self.ln_1 = nn.LayerNorm(size.dim)
        self.attn = SelfAttention(size.dim, size.heads)
        self.after = OverTime(size.dim, frames) if over_time else nn.Identity()
        self.ln_2 = nn.LayerNorm(size.dim)
        self.mlp = clip_mlp(size.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = self.before(x)
        x = self.after(x + self.attn(self.ln_1(x)))
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class CrossAttention(nn.Module):
    """Queries (B, M, dim) and tokens (B, N, dim) -> (B, M, dim); each query attends to all tokens."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Attended queries."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.q, queries), (self.k, tokens), (self.v, tokens))
        )
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5  # (B, heads, M, N)
        attended: Tensor = self.out_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return attended


class GlobalBlock(nn.Module):
    """The class token of the clip (B, 1, dim) and tokens of all frames (B·T, 1 + H·W, dim) -> the class token.

    Arguments:
        size: channels and heads.
        sizes: T×H×W of the tokens of patches, which a depthwise convolution tells their positions.
    """

    def __init__(self, size: Size, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.dpe = nn.Conv3d(size.dim, size.dim, 3, padding=1, groups=size.dim)
        self.attn = CrossAttention(size.dim, size.heads)
        self.ln_1 = nn.LayerNorm(size.dim)
        self.ln_2 = nn.LayerNorm(size.dim)
        self.ln_3 = nn.LayerNorm(size.dim)
        self.mlp = clip_mlp(size.dim)

    def forward(self, token: Tensor, x: Tensor) -> Tensor:
        """The class token after it has looked at all tokens."""
        x = x.unflatten(0, (-1, self.sizes[0]))  # (B, T, 1 + H·W, dim)
        patches = x[:, :, 1:]
        maps = patches.permute(0, 3, 1, 2).unflatten(3, self.sizes[1:])
        patches = patches + self.dpe(maps).flatten(3).permute(0, 2, 3, 1)
        tokens = torch.cat([x[:, :, :1], patches], 2).flatten(1, 2)
        token = token + self.attn(self.ln_1(token), self.ln_3(tokens))
        return token + self.mlp(self.ln_2(token))  # type: ignore[no-any-return]


class UniFormerV2(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) or 174 (Something-Something) in the paper.
        size: channels, blocks and heads of CLIP's transformer.
        patch: pixels of a side of its patches.
        looks: what the data set asks for.
        frozen: all that is CLIP's takes no gradient, and its own class tokens are not classified.
    """

    def __init__(self, clip: Clip, num_classes: int, size: Size, patch: int, looks: Looks, *, frozen: bool) -> None:
        super().__init__()
        dim, over_time = size.dim, looks.over_time
        stride = 2 if over_time else 1
        sizes = patch_grid(clip, stride, patch)
        kernel, padding = ((3, patch, patch), (1, 0, 0)) if over_time else ((1, patch, patch), (0, 0, 0))
        self.frames = sizes[0]
        self.conv1 = nn.Conv3d(3, dim, kernel, (stride, patch, patch), padding, bias=False)
        self.class_embedding = new_parameter(dim)
        self.positional_embedding = new_parameter(1 + prod(sizes[1:]), dim)
        self.ln_pre = nn.LayerNorm(dim)
        self.resblocks = nn.ModuleList(FrameBlock(size, sizes[0], over_time=over_time) for _ in range(size.depth))
        if frozen:
            self.requires_grad_(False)
        self.temporal_cls_token = new_parameter(1, 1, dim)
        self.global_blocks = nn.ModuleList(GlobalBlock(size, sizes) for _ in range(looks.blocks))
        self.proj = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, num_classes))
        self.balance = None if frozen else nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.conv1(x).transpose(1, 2).flatten(0, 1).flatten(2).transpose(1, 2)  # (B·T, H·W, dim)
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, -1), x], 1) + self.positional_embedding
        x = self.ln_pre(x)
        token = self.temporal_cls_token.expand(x.shape[0] // self.frames, -1, -1)
        first = len(self.resblocks) - len(self.global_blocks)
        for index, block in enumerate(self.resblocks):
            x = block(x)
            if index >= first:
                token = self.global_blocks[index - first](token, x)
        token = token[:, 0]
        if self.balance is not None:
            weight = self.balance.sigmoid()
            token = (1 - weight) * token + weight * x[:, 0].unflatten(0, (-1, self.frames)).mean(1)
        scores: Tensor = self.proj(token)
        return scores


def _built(
    clip: Clip, num_classes: int, size: Size, patch: int, looks: Looks, *, side: int = 224, frozen: bool = False
) -> SizedNetwork:
    """The network for a clip; positions are those of one frame of side×side in the paper."""
    model = UniFormerV2(clip, num_classes, size, patch, looks, frozen=frozen)
    frame, paper = (clip.height, clip.width), (side, side)
    if frame == paper:
        return SizedNetwork(model)
    return SizedNetwork(model, (f"position embeddings sized for {times(frame)}, the paper's for {times(paper)}",))


def uniformerv2_b16(clip: Clip, num_classes: int, *, frozen: bool = False) -> SizedNetwork:
    """UniFormerV2-B/16 of Kinetics; `frozen` trains only what is not CLIP's."""
    return _built(clip, num_classes, BASE, 16, _KINETICS, frozen=frozen)


def uniformerv2_l14(clip: Clip, num_classes: int, *, frozen: bool = False) -> SizedNetwork:
    """UniFormerV2-L/14 of Kinetics; `frozen` trains only what is not CLIP's."""
    return _built(clip, num_classes, LARGE, 14, _KINETICS, frozen=frozen)


def uniformerv2_l14_336(clip: Clip, num_classes: int, *, frozen: bool = False) -> SizedNetwork:
    """UniFormerV2-L/14 of Kinetics for larger frames; `frozen` trains only what is not CLIP's."""
    return _built(clip, num_classes, LARGE, 14, _KINETICS, side=336, frozen=frozen)


def uniformerv2_b16_ssv2(clip: Clip, num_classes: int) -> SizedNetwork:
    """UniFormerV2-B/16 of Something-Something: convolutions over time, half of the frames, looks into 8 blocks."""
    return _built(clip, num_classes, BASE, 16, _SSV2_BASE)


def uniformerv2_l14_ssv2(clip: Clip, num_classes: int) -> SizedNetwork:
    """UniFormerV2-L/14 of Something-Something: convolutions over time, half of the frames, looks into 16 blocks."""
    return _built(clip, num_classes, LARGE, 14, _SSV2_LARGE)
