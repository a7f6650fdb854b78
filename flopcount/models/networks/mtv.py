"""MTV (Yan et al. 2022, "Multiview Transformers for Video Recognition").

Paper: https://arxiv.org/abs/2201.04288 (section 3). Code followed: https://github.com/google-research/scenic,
scenic/projects/mtv/model.py with configs/kinetics/k400_mtv_b2_cva.py and k600_mtv_l2_cva.py. Stochastic depth, which
only training uses, is left out.

Several transformers see one clip, each in tubelets of another length: the smallest network has the longest. All attend
within the time that the longest tubelet covers. In two layers each network first looks at the next larger one. A last
transformer runs over time, on all their class tokens side by side; its hidden layers have the 3072 channels of the
configuration, whatever its width.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .feed_forward import mlp
from .mvit import EPS, new_parameter
from .sized_network import SizedNetwork
from .vit import BASE, LARGE, SMALL, Block, Places, Size, patch_embedding, patch_grid, resized_positions

__all__ = ["MTV", "View", "mtv_b", "mtv_l"]

GLOBAL_LAYERS, GLOBAL_HEADS, GLOBAL_HIDDEN = 12, 8, 3072


@dataclass(frozen=True, slots=True)
class View:
    """A transformer, and the frames of its tubelets, whose sides are 16."""

    size: Size
    frames: int


_TINY = Size(192, 12, 3)
_B = (View(_TINY, 8), View(SMALL, 4), View(BASE, 2))
_L = (View(_TINY, 16), View(SMALL, 8), View(BASE, 4), View(LARGE, 2))


class ViewTokens(nn.Module):
    """Clip (B, 3, T, H, W) -> tokens (B·T', T/frames/T'·(1 + H/16·W/16), dim), each step behind a class token.

    Arguments:
        clip: what it is built for.
        view: its transformer and its tubelets.
        steps: T', in which all views are divided.

    Raises:
        InputError: the clip does not consist of whole tubelets.
    """

    def __init__(self, clip: Clip, view: View, steps: int) -> None:
        super().__init__()
        times, rows, columns = patch_grid(clip, view.frames)
        self.steps = steps
        self.patch_embed = patch_embedding(view.size.dim, view.frames)
        self.class_tokens = new_parameter(times, 1, view.size.dim)
        self.positions = new_parameter(1 + rows * columns, view.size.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens with positions, which all steps share."""
        x = self.patch_embed(x).flatten(3).permute(0, 2, 3, 1)  # (B, T/frames, places, dim)
        x = torch.cat([self.class_tokens.expand(x.shape[0], -1, -1, -1), x], 2) + self.positions
        in_steps: Tensor = x.unflatten(1, (self.steps, -1)).flatten(2, 3).flatten(0, 1)
        return in_steps


class LookAtLarger(nn.Module):
    """Tokens (B, N, dim) and those of the next larger view (B, M, larger) -> the former with what they read."""

    def __init__(self, size: Size, larger: int) -> None:
        super().__init__()
        self.heads = size.heads
        self.q = nn.Linear(size.dim, size.dim)
        self.k, self.v = (nn.Linear(larger, size.dim) for _ in range(2))
        self.proj = nn.Linear(size.dim, size.dim)

    def forward(self, x: Tensor, larger: Tensor) -> Tensor:
        """What is read."""
        parts = ((self.q, x), (self.k, larger), (self.v, larger))
        q, k, v = (layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer, tokens in parts)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        read: Tensor = self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return read


class Fusion(nn.Module):
    """Tokens of all views, each (B, N, dim) -> the same, where all but the largest have read the next larger one."""

    def __init__(self, views: tuple[View, ...]) -> None:
        super().__init__()
        sizes = [view.size for view in views]
        self.norms = nn.ModuleList(nn.LayerNorm(size.dim, eps=EPS) for size in sizes)
        self.looks = nn.ModuleList(LookAtLarger(size, larger.dim) for size, larger in pairwise(sizes))

    def forward(self, tokens: list[Tensor]) -> list[Tensor]:
        """Tokens of the same sizes."""
        normed = [norm(x) for norm, x in zip(self.norms, tokens, strict=True)]
        looks = zip(self.looks, tokens[:-1], normed[:-1], normed[1:], strict=True)
        return [*(x + look(query, larger) for look, x, query, larger in looks), tokens[-1]]


class GlobalBlock(Block):
    """Tokens (B, N, dim) -> the same: a block whose hidden layer does not grow with its width."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, GLOBAL_HEADS)
        self.mlp = mlp(dim, GLOBAL_HIDDEN, dim)


class MTV(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: whole tubelets of each view.
        num_classes: 400 (Kinetics) in the paper.
        views: from the smallest transformer, with the longest tubelets, to the largest.
        fusions: numbers of the layers in which views look at each other.
    """

    def __init__(self, clip: Clip, num_classes: int, views: tuple[View, ...], fusions: tuple[int, ...]) -> None:
        super().__init__()
        steps, moments = (patch_grid(clip, view.frames)[0] for view in (views[0], views[-1]))
        self.steps = [patch_grid(clip, view.frames)[0] for view in views]
        self.tokens = nn.ModuleList(ViewTokens(clip, view, steps) for view in views)
        self.encoders = nn.ModuleList(
            nn.ModuleList(Block(view.size.dim, view.size.heads) for _ in range(view.size.depth)) for view in views
        )
        self.fusions = nn.ModuleDict({str(layer): Fusion(views) for layer in fusions})
        self.layers = max(view.size.depth for view in views)
        width = sum(view.size.dim for view in views)
        self.places = Places(width, moments)
        self.global_encoder = nn.Sequential(*(GlobalBlock(width) for _ in range(GLOBAL_LAYERS)))
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        views = [tokens(x) for tokens in self.tokens]
        encoders: list[Any] = list(self.encoders)
        for layer in range(self.layers):
            if str(layer) in self.fusions:
                views = self.fusions[str(layer)](views)
            views = [
                blocks[layer](tokens) if layer < len(blocks) else tokens
                for blocks, tokens in zip(encoders, views, strict=True)
            ]
        moments = torch.cat([self._moments(x.shape[0], *view) for view in zip(views, self.steps, strict=True)], 2)
        scores: Tensor = self.head(self.norm(self.global_encoder(self.places(moments))[:, 0]))
        return scores

    def _moments(self, batch: int, tokens: Tensor, steps: int) -> Tensor:
        """Class tokens of a view (B, T/frames, dim), again and again until there are as many as of the largest."""
        of_steps = tokens.unflatten(0, (batch, -1)).flatten(1, 2).unflatten(1, (steps, -1))[:, :, 0]
        again: Tensor = of_steps.repeat(1, self.steps[-1] // steps, 1)
        return again


def mtv_b(clip: Clip, num_classes: int) -> SizedNetwork:
    """MTV-B: B/2 + S/4 + Ti/8, which look at each other in layers 5 and 11, counted from 0."""
    return SizedNetwork(MTV(clip, num_classes, _B, (5, 11)), resized_positions(clip, Clip(32, 224, 224)))


def mtv_l(clip: Clip, num_classes: int) -> SizedNetwork:
    """MTV-L: L/2 + B/4 + S/8 + Ti/16, which look at each other in layers 11 and 23, counted from 0."""
    return SizedNetwork(MTV(clip, num_classes, _L, (11, 23)), resized_positions(clip, Clip(32, 224, 224)))
