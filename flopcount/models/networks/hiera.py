"""Hiera (Ryali et al. 2023): a hierarchical vision transformer without convolutions or relative positions.

Paper: https://arxiv.org/abs/2306.00989 (section 3; tables 1, 4 and 9). Code followed, names of submodules included:
https://github.com/facebookresearch/hiera, hiera/hiera.py, the networks of 16×224×224; their state dicts load.
Stochastic depth, which only training uses, is left out.

Tokens are put in an order in which those that will become one lie together: pooling is a maximum over one axis, and in
the first two stages attention stays within units of 8×8 tokens of one frame, which pooling makes smaller. The first
block of a stage still attends as the stage before does, since it is there that queries are pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import InputError
from ...core.protocol import Clip
from .feed_forward import mlp
from .mvit import EPS, new_parameter, strided
from .sized_network import SizedNetwork
from .vit import resized_positions

__all__ = ["Hiera", "hiera_b", "hiera_b_plus", "hiera_h", "hiera_l"]

PATCH_STRIDE = (2, 4, 4)
UNIT = 8 * 8
POOL = 2 * 2
STAGES_OF_UNITS = 2


@dataclass(frozen=True, slots=True)
class Size:
    """Channels and heads of the first stage, which each stage doubles, and the blocks of the four stages."""

    dim: int
    heads: int
    depths: tuple[int, int, int, int]


_BASE = Size(96, 1, (2, 3, 16, 3))
_BASE_PLUS = Size(112, 2, (2, 3, 16, 3))
_LARGE = Size(144, 2, (2, 6, 36, 4))
_HUGE = Size(256, 4, (2, 6, 36, 4))


def pooled(x: Tensor, axis: int) -> Tensor:
    """A quarter of the tokens of this axis: the maximum of those that the order puts apart by a quarter."""
    fewer: Tensor = x.unflatten(axis, (POOL, -1)).amax(axis)
    return fewer


class UnitAttention(nn.Module):
    """Tokens (B, N, dim) -> (B, N, dim_out), or N/4 if queries are pooled.

    Arguments:
        dim: of the input.
        dim_out: of the output.
        heads: of the attention.
        unit: tokens of a unit after pooling, within which attention stays; without it, all attend to all.
        pools: whether queries are pooled.
    """

    def __init__(self, dim: int, dim_out: int, heads: int, unit: int | None, *, pools: bool) -> None:
        super().__init__()
        self.heads = heads
        self.in_unit = unit and unit * (POOL if pools else 1)
        self.pools = pools
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens."""
        units = x.shape[1] // self.in_unit if self.in_unit else 1
        qkv = self.qkv(x).unflatten(1, (-1, units)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(3, 0, 4, 2, 1, 5).unbind()  # (B, heads, units, tokens, channels)
        if self.pools:
            q = pooled(q, 3)
        attended: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 3).flatten(3).flatten(1, 2))
        return attended


class HieraBlock(nn.Module):
    """Tokens (B, N, dim) -> (B, N, dim_out), or N/4 where channels grow; arguments as UnitAttention."""

    def __init__(self, dim: int, dim_out: int, heads: int, unit: int | None) -> None:
        super().__init__()
        wider = dim != dim_out
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = UnitAttention(dim, dim_out, heads, unit, pools=wider)
        self.norm2 = nn.LayerNorm(dim_out, eps=EPS)
        self.mlp = mlp(dim_out, 4 * dim_out, dim_out)
        self.proj = nn.Linear(dim, dim_out) if wider else None

    def forward(self, x: Tensor) -> Tensor:
        """Tokens, fewer where channels grow."""
        before = self.norm1(x)
        if self.proj is not None:
            x = pooled(self.proj(before), 1)
        x = x + self.attn(before)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


def in_units(x: Tensor, pools: int) -> Tensor:
    """(B, T, H, W, C) -> (B, T·H·W, C), such that each of so many poolings takes one of 2×2 tokens by `pooled`."""
    places: list[Tensor] = [x]
    batch = x.shape[0]
    for _ in range(pools):
        _, t, h, w, c = places[-1].shape
        split = places[-1].reshape(-1, t, h // 2, 2, w // 2, 2, c)
        places.append(split.permute(0, 3, 5, 1, 2, 4, 6).flatten(0, 2))
    return places[-1].reshape(batch, -1, x.shape[-1])


class Hiera(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    A position is the sum of a learned vector for its frame and one for its row and column.

    Arguments:
        clip: 16×224×224 in the paper.
        num_classes: 400 (Kinetics) in the paper.
        size: which of the networks.
    """

    def __init__(self, clip: Clip, num_classes: int, size: Size) -> None:
        super().__init__()
        self.sizes = strided(clip.sizes, PATCH_STRIDE)
        self.pools = len(size.depths) - 1
        self.patch_embed = nn.Conv3d(3, size.dim, (3, 7, 7), PATCH_STRIDE, (1, 3, 3))
        self.pos_embed_spatial = new_parameter(1, self.sizes[1] * self.sizes[2], size.dim)
        self.pos_embed_temporal = new_parameter(1, self.sizes[0], size.dim)
        self.blocks = nn.Sequential(*_blocks(size))
        dim = size.dim << self.pools
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.patch_embed(x).permute(0, 2, 3, 4, 1)
        places = self.pos_embed_temporal.unsqueeze(2) + self.pos_embed_spatial.unsqueeze(1)  # (1, T, H·W, C)
        x = self.blocks(in_units(x + places.unflatten(2, self.sizes[1:]), self.pools))
        scores: Tensor = self.head(self.norm(x.mean(1)))
        return scores


def _blocks(size: Size) -> Sequence[nn.Module]:
    """The blocks of all stages, in order."""
    blocks = []
    for stage, depth in enumerate(size.depths):
        dim, heads = size.dim << stage, size.heads << stage
        for index in range(depth):
            first = index == 0 and stage > 0
            attends_as = stage - 1 if first else stage
            unit = UNIT // POOL**stage if attends_as < STAGES_OF_UNITS else None
            blocks.append(HieraBlock(dim // 2 if first else dim, dim, heads, unit))
    return blocks


def _built(clip: Clip, num_classes: int, size: Size) -> SizedNetwork:
    side = 8 * PATCH_STRIDE[1]
    if clip.frames % PATCH_STRIDE[0] or clip.height % side or clip.width % side:
        raise InputError(
            f"clip {clip} does not consist of whole units of 8×8 tokens",
            [("in", "the first two stages"), ("fix", f"give an even number of frames, and sides in steps of {side}")],
        )
    return SizedNetwork(Hiera(clip, num_classes, size), resized_positions(clip, Clip(16, 224, 224)))


def hiera_b(clip: Clip, num_classes: int) -> SizedNetwork:
    """Hiera-B."""
    return _built(clip, num_classes, _BASE)


def hiera_b_plus(clip: Clip, num_classes: int) -> SizedNetwork:
    """Hiera-B+: somewhat wider."""
    return _built(clip, num_classes, _BASE_PLUS)


def hiera_l(clip: Clip, num_classes: int) -> SizedNetwork:
    """Hiera-L."""
    return _built(clip, num_classes, _LARGE)


def hiera_h(clip: Clip, num_classes: int) -> SizedNetwork:
    """Hiera-H."""
    return _built(clip, num_classes, _HUGE)
