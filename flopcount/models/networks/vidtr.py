"""VidTr: attention over time and then over space by the same queries and keys; the compact one drops frames.

Paper: https://arxiv.org/abs/2104.11746 (sections 3.2 to 3.4). Code followed:
https://github.com/amazon-science/gluonmm, src/transformers/models/vidtr and scripts/action_recognition/config.

The values that attention over time makes are those of attention over space: one projection serves both. The tokens are
a grid with a class token in front of each frame and of each place. The compact network has one class token, which its
first blocks leave alone; some of these keep the frames whose attention to others varies most, head by head and place
by place, and the blocks after them attend to all that is left at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .mvit import new_parameter
from .sized_network import SizedNetwork
from .vit import BASE, SelfAttention, patch_embedding, patch_grid, resized_positions

__all__ = [
    "CompactVidTr",
    "Pooling",
    "SplitAttention",
    "VidTr",
    "vidtr_compact_m",
    "vidtr_compact_s",
    "vidtr_l",
    "vidtr_m",
    "vidtr_s",
]


@dataclass(frozen=True, slots=True)
class Pooling:
    """The blocks of a compact network that drop frames, and how many each drops."""

    blocks: tuple[int, ...]
    dropped: tuple[int, ...]

    def dropped_by(self, block: int) -> int:
        """Frames that a block drops; none where it is not in the list."""
        return dict(zip(self.blocks, self.dropped, strict=True)).get(block, 0)


_COMPACT_S = Pooling((1, 3, 5), (2, 2, 2))
_COMPACT_M = Pooling((1, 2, 4), (8, 4, 2))


def attend(scores: Tensor, values: Tensor) -> Tensor:
    """(..., Q, K) and (..., K, C) -> (..., Q, C)."""
    return scores.softmax(-1) @ values


class SplitAttention(nn.Module):
    """A grid of tokens (B, T, N, dim) -> (B, T - dropped, N, dim): each attends along T, then along N.

    Arguments:
        dim: channels.
        heads: of both attentions, which share queries and keys.
        dropped: frames left out: those whose attention to the others varies least.
    """

    def __init__(self, dim: int, heads: int, dropped: int = 0) -> None:
        super().__init__()
        self.heads, self.dropped = heads, dropped
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Attended tokens, and the frames that are kept (B, heads, N, T - dropped) if some are not."""
        q, k, v = (
            self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 4, 2, 1, 5).unbind()
        )  # (B, heads, N, T, C)
        scale = q.shape[-1] ** -0.5
        scores = scale * (q @ k.transpose(-2, -1))  # (B, heads, N, T, T)
        kept = None
        if self.dropped:
            scores = scores.softmax(-1)  # the rows that are kept get a second softmax in attend
            count = scores.shape[-1] - self.dropped
            kept = scores.std(-1).topk(count).indices.sort().values
            scores, q, k = (each.gather(-2, rows(kept, each.shape[-1])) for each in (scores, q, k))
        v = attend(scores, v)
        q, k, v = (each.transpose(2, 3) for each in (q, k, v))  # (B, heads, T, N, C)
        seen = attend(scale * (q @ k.transpose(-2, -1)), v)
        return self.proj(seen.permute(0, 2, 3, 1, 4).flatten(3)), kept


def rows(kept: Tensor, channels: int) -> Tensor:
    """Indices (..., K) -> (..., K, channels), by which whole rows are gathered."""
    return kept.unsqueeze(-1).expand(*kept.shape, channels)


def relu_mlp(dim: int) -> nn.Sequential:
    """(..., dim) -> (..., dim), with four times the channels between."""
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))


class SplitBlock(nn.Module):
    """A grid of tokens (B, T, N, dim) -> (B, T - dropped, N, dim). Arguments as SplitAttention."""

    def __init__(self, dim: int, heads: int, dropped: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = SplitAttention(dim, heads, dropped)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = relu_mlp(dim)

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Tokens; positions, of the size of a clip's tokens, are added to what attention gets."""
        normed = self.norm1(x)
        x = self.attn(normed if positions is None else normed + positions)[0] + x
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class VidTr(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the paper.
        positions_in_every_block: positions are added in every block, not only in the first.
    """

    def __init__(self, clip: Clip, num_classes: int, *, positions_in_every_block: bool) -> None:
        super().__init__()
        (frames, height, width), dim = patch_grid(clip, 1), BASE.dim
        self.positions_in_every_block = positions_in_every_block
        self.patch_embed = patch_embedding(dim, 1)
        self.class_of_frames = new_parameter(frames, 1, dim)
        self.class_of_places = new_parameter(1, 1 + height * width, dim)
        self.positions = new_parameter(1 + frames, 1 + height * width, dim)
        self.blocks = nn.ModuleList(SplitBlock(dim, BASE.heads) for _ in range(BASE.depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(dim, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.patch_embed(x).flatten(3).permute(0, 2, 3, 1)  # (B, T, N, dim)
        batch = x.shape[0]
        x = torch.cat([self.class_of_frames.expand(batch, -1, -1, -1), x], 2)
        x = torch.cat([self.class_of_places.expand(batch, -1, -1, -1), x], 1)
        for index, block in enumerate(self.blocks):
            x = block(x, self.positions if index == 0 or self.positions_in_every_block else None)
        scores: Tensor = self.head(self.norm(x)[:, 0, 0])
        return scores


class PoolingBlock(SplitBlock):
    """Tokens (B, 1 + T·N, dim) -> (B, 1 + (T - dropped)·N, dim); attention leaves the class token alone.

    Arguments:
        dim: channels.
        heads: of the attention.
        places: N.
        dropped: frames, of each head and place its own.
    """

    def __init__(self, dim: int, heads: int, places: int, dropped: int) -> None:
        super().__init__(dim, heads, dropped)
        self.places = places

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Tokens, fewer where frames are dropped."""
        normed = self.norm1(x)
        if positions is not None:
            normed = normed + positions
        seen, kept = self.attn(normed[:, 1:].unflatten(1, (-1, self.places)))
        before = x[:, 1:].unflatten(1, (-1, self.places))
        if kept is not None:
            heads = before.unflatten(-1, (self.attn.heads, -1)).permute(0, 3, 2, 1, 4)  # (B, heads, N, T, C)
            heads = heads.gather(-2, rows(kept, heads.shape[-1]))
            before = heads.permute(0, 3, 2, 1, 4).flatten(3)
        x = torch.cat([x[:, :1] + normed[:, :1], (before + seen).flatten(1, 2)], 1)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class JointBlock(nn.Module):
    """Tokens (B, N, dim) -> the same: attention to all that is left, and an MLP."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = SelfAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = relu_mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class CompactVidTr(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the paper.
        pooling: where frames are dropped.
    """

    def __init__(self, clip: Clip, num_classes: int, pooling: Pooling) -> None:
        super().__init__()
        (frames, height, width), dim = patch_grid(clip, 1), BASE.dim
        split = pooling.blocks[-1] + 1
        self.patch_embed = patch_embedding(dim, 1)
        self.class_token = new_parameter(1, dim)
        self.positions = new_parameter(1 + frames * height * width, dim)
        self.pooling_blocks = nn.ModuleList(
            PoolingBlock(dim, BASE.heads, height * width, pooling.dropped_by(index)) for index in range(split)
        )
        self.joint_blocks = nn.Sequential(*(JointBlock(dim, BASE.heads) for _ in range(BASE.depth - split)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(dim, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1)
        for index, block in enumerate(self.pooling_blocks):
            x = block(x, self.positions if index == 0 else None)
        scores: Tensor = self.head(self.norm(self.joint_blocks(x))[:, 0])
        return scores


def _vidtr(clip: Clip, num_classes: int, paper: Clip, *, every_block: bool = False) -> SizedNetwork:
    model = VidTr(clip, num_classes, positions_in_every_block=every_block)
    return SizedNetwork(model, resized_positions(clip, paper))


def vidtr_s(clip: Clip, num_classes: int) -> SizedNetwork:
    """VidTr-S on 8 frames."""
    return _vidtr(clip, num_classes, Clip(8, 224, 224))


def vidtr_m(clip: Clip, num_classes: int) -> SizedNetwork:
    """VidTr-M on 16 frames, whose positions are added in every block."""
    return _vidtr(clip, num_classes, Clip(16, 224, 224), every_block=True)


def vidtr_l(clip: Clip, num_classes: int) -> SizedNetwork:
    """VidTr-L on 32 frames."""
    return _vidtr(clip, num_classes, Clip(32, 224, 224))


def _compact(clip: Clip, num_classes: int, pooling: Pooling, paper: Clip) -> SizedNetwork:
    if clip.frames <= sum(pooling.dropped):
        raise InputError(
            f"clip {clip} is too small for this network",
            [
                ("in", f"the blocks {', '.join(map(str, pooling.blocks))}"),
                ("seen", f"{clip.frames} frames, of which they drop {sum(pooling.dropped)}"),
                ("fix", "give more frames"),
            ],
        )
    return SizedNetwork(CompactVidTr(clip, num_classes, pooling), resized_positions(clip, paper))


def vidtr_compact_s(clip: Clip, num_classes: int) -> SizedNetwork:
    """Compact VidTr-S on 8 frames, of which two are left."""
    return _compact(clip, num_classes, _COMPACT_S, Clip(8, 224, 224))


def vidtr_compact_m(clip: Clip, num_classes: int) -> SizedNetwork:
    """Compact VidTr-M on 16 frames, of which two are left."""
    return _compact(clip, num_classes, _COMPACT_M, Clip(16, 224, 224))
