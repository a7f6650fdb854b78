"""Lightweight UniFormer (Li et al. 2022): half of the tokens wait outside of most blocks with attention.

Paper: https://arxiv.org/abs/2201.09450 (its lightweight models), whose pruning is that of Evo-ViT,
https://arxiv.org/abs/2108.01390. Code followed, names of submodules included: https://github.com/Sense-X/UniFormer,
video_classification/slowfast/models/uniformer_light.py, with the sizes of video_classification/exp_light. The ratio of
the MLPs is 3, as those files say; the code would have a list of it.

A class token goes along through the last two stages; how much it attends to each other token, kept up from block to
block, says which half goes through a block. The others are merged into one token, and get its update. Left out are what
only training uses, stochastic depth and the class token's own classifier, and the learned factors of the residual
branches that three of the released networks have (uniformer_light_ls_fp32.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.protocol import Clip
from .feed_forward import mlp
from .mvit import EPS, new_parameter
from .sized_network import SizedNetwork
from .sizing import sizes_after
from .uniformer import LocalBlock, depthwise, halving

__all__ = ["LightUniFormer", "uniformer_xs", "uniformer_xxs"]

MLP_RATIO = 3
KEPT = 0.5  # of the tokens, by every block with attention except the first; the weight of a block's scores, too


@dataclass(frozen=True, slots=True)
class Size:
    """Blocks and channels of the four stages, and the channels of a head."""

    depths: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]
    head_channels: int


_XXS = Size((2, 5, 8, 2), (56, 112, 224, 448), 28)
_XS = Size((3, 5, 9, 3), (64, 128, 256, 512), 32)


def stem(channels: int) -> nn.Sequential:
    """Clip (B, 3, T, H, W) -> (B, channels, T/2, H/4, W/4): two convolutions in place of a patch embedding."""
    half = channels // 2
    return nn.Sequential(
        nn.Conv3d(3, half, 3, (1, 2, 2), 1),
        nn.BatchNorm3d(half),
        nn.GELU(),
        nn.Conv3d(half, channels, 3, 2, 1),
        nn.BatchNorm3d(channels),
    )


class ScoringAttention(nn.Module):
    """Tokens (B, N, dim) -> the same, and how much the first attends to each of the others, (B, N - 1)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Attended tokens, and the mean over heads of the first one's attention."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        attention = ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5).softmax(-1)  # (B, heads, N, N)
        return self.proj((attention @ v).transpose(1, 2).flatten(2)), attention[:, :, 0, 1:].mean(1)


class PruningBlock(nn.Module):
    """Class token (B, 1, channels), maps (B, channels, T, H, W) and scores (B, T·H·W) -> the same.

    Arguments:
        channels: of the maps.
        heads: of the attention.
        kept: the part of all tokens that goes through the block; 1 needs no scores.
    """

    def __init__(self, channels: int, heads: int, kept: float) -> None:
        super().__init__()
        self.kept = kept
        self.pos_embed = depthwise(channels, 3)
        self.norm1 = nn.LayerNorm(channels, eps=EPS)
        self.attn = ScoringAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=EPS)
        self.mlp = mlp(channels, MLP_RATIO * channels, channels)

    def forward(self, token: Tensor, maps: Tensor, scores: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Class token, maps and scores of the same sizes."""
        maps = maps + self.pos_embed(maps)
        sizes = maps.shape[2:]
        x = maps.flatten(2).transpose(1, 2)
        if scores is None:
            x, _, scores = self._updated(torch.cat([token, x], 1))
            token, x = x[:, :1], x[:, 1:]
        else:
            token, x, scores = self._of_the_best(token, x, scores)
        return token, x.transpose(1, 2).unflatten(2, sizes), scores

    def _updated(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, N, channels) after attention and MLP, the sum of both updates of the last, and new scores."""
        attended, seen = self.attn(self.norm1(x))
        x = x + attended
        update = self.mlp(self.norm2(x))
        return x + update, attended[:, -1:] + update[:, -1:], seen

    def _of_the_best(self, token: Tensor, x: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of the tokens with the highest scores; the others are one token, and get its update."""
        order = scores.argsort(1, descending=True)
        back = order.argsort(1)
        x, scores = _in_order(x, order), scores.gather(1, order)
        kept = int(self.kept * x.shape[1])
        best, others = x[:, :kept], x[:, kept:]
        weights = scores[:, kept:] / scores[:, kept:].sum(1, keepdim=True)
        merged = (weights.unsqueeze(-1) * others).sum(1, keepdim=True)
        x, update, seen = self._updated(torch.cat([token, best, merged], 1))
        scores = torch.cat([(1 - KEPT) * scores[:, :kept] + KEPT * seen[:, :-1], scores[:, kept:]], 1)
        token, x = x[:, :1], torch.cat([x[:, 1:-1], others + update], 1)
        return token, _in_order(x, back), scores.gather(1, back)


def _in_order(x: Tensor, order: Tensor) -> Tensor:
    """Tokens (B, N, channels) in this order (B, N)."""
    return x.gather(1, order.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def _pooled(scores: Tensor, sizes: torch.Size) -> Tensor:
    """Scores (B, T·H·W) -> (B, T·H/2·W/2), with the same sum."""
    fewer = F.avg_pool3d(scores.unflatten(1, (1, *sizes)), (1, 2, 2)).flatten(1)
    return fewer * (scores.sum(1, keepdim=True) / fewer.sum(1, keepdim=True))


class LightUniFormer(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); the modules are the same for every clip.

    Arguments:
        clip: what it has to take; the released networks have 4×128×128 to 32×192×192.
        num_classes: 400 (Kinetics) in the paper.
        size: which of the networks.
    """

    def __init__(self, clip: Clip, num_classes: int, size: Size) -> None:
        super().__init__()
        channels = size.channels
        self.patch_embed1 = stem(channels[0])
        convolutions = {f"patch_embed1.{index}": self.patch_embed1[index] for index in (0, 3)}
        sizes = sizes_after(convolutions, clip.sizes, clip)
        self.patch_embed2, self.patch_embed3, self.patch_embed4 = halving(channels, sizes, clip)
        self.cls_token = new_parameter(1, 1, channels[2])
        self.cls_upsample = nn.Linear(channels[2], channels[3])
        stages: list[Any] = []
        for stage, (width, depth) in enumerate(zip(channels, size.depths, strict=True)):
            if stage < 2:
                stages.append(nn.Sequential(*(LocalBlock(width, MLP_RATIO) for _ in range(depth))))
            else:
                kept = [1 if stage == 2 and index == 0 else KEPT for index in range(depth)]
                stages.append(nn.ModuleList(PruningBlock(width, width // size.head_channels, part) for part in kept))
        self.blocks1, self.blocks2, self.blocks3, self.blocks4 = stages
        self.norm = nn.BatchNorm3d(channels[-1])
        self.head = nn.Linear(channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.blocks1(self.patch_embed1(x))
        x = self.patch_embed3(self.blocks2(self.patch_embed2(x)))
        token: Tensor = self.cls_token.expand(x.shape[0], -1, -1)
        seen: Any = None  # how much the class token attends to each other; the first block has none to go by
        for block in self.blocks3:
            token, x, seen = block(token, x, seen)
        seen = _pooled(seen, x.shape[2:])
        token, x = self.cls_upsample(token), self.patch_embed4(x)
        for block in self.blocks4:
            token, x, seen = block(token, x, seen)
        scores: Tensor = self.head(self.norm(x).flatten(2).mean(-1))
        return scores


def uniformer_xxs(clip: Clip, num_classes: int) -> SizedNetwork:
    """UniFormer-XXS; the same for every clip."""
    return SizedNetwork(LightUniFormer(clip, num_classes, _XXS))


def uniformer_xs(clip: Clip, num_classes: int) -> SizedNetwork:
    """UniFormer-XS; the same for every clip."""
    return SizedNetwork(LightUniFormer(clip, num_classes, _XS))
