"""Motionformer: attention along the trajectory that each patch takes through the frames.

Paper: https://arxiv.org/abs/2106.05392 (section 3; table 6 has the networks). Code followed:
https://github.com/facebookresearch/Motionformer, slowfast/models/vit_helper.py and video_model_builder.py, with the
configurations of configs/K400 and configs/SSV2 (exact attention, positions of space and time apart). Stochastic depth,
which only training uses, is left out, and so are parameters of the code that nothing uses: a second patch embedding,
and positions of 14×14 patches, which the code interpolates to other sizes; positions are sized to the clip here.

As released, the attention over a trajectory takes its points as values before they are projected; the projected values
are computed and unused ("a typo in the original code", its authors write). The option
puts them to use, as in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import UnknownNameError
from ...core.protocol import Clip
from .feed_forward import mlp
from .mvit import EPS, PositionalEncoding
from .sized_network import SizedNetwork
from .vit import BASE, patch_embedding, patch_grid, resized_positions

__all__ = ["Motionformer", "TrajectoryAttention", "motionformer", "motionformer_hr", "motionformer_l"]

VALUES = ("released", "projected")


class TrajectoryAttention(nn.Module):
    """Tokens (B, 1 + T·N, dim) -> the same; the class token attends to all of them.

    Every patch attends to each frame apart, which gives T points of its trajectory, and then to these points.

    Arguments:
        dim: channels.
        heads: of both attentions.
        frames: T.
        projected: whether the values of a trajectory are projected, as in the paper.
    """

    def __init__(self, dim: int, heads: int, frames: int, *, projected: bool) -> None:
        super().__init__()
        self.heads, self.frames, self.projected = heads, frames, projected
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj_q = nn.Linear(dim, dim)
        self.proj_kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens."""
        scale = (x.shape[-1] // self.heads) ** -0.5
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()  # (B, heads, 1 + S, C)
        of_class = ((scale * q[:, :, :1]) @ k.transpose(-2, -1)).softmax(-1) @ v
        scores = scale * (q[:, :, 1:] @ k[:, :, 1:].transpose(-2, -1))  # (B, heads, S, S)
        in_frames = scores.unflatten(-1, (self.frames, -1)).softmax(-1).transpose(2, 3)  # (B, heads, T, S, N)
        points = in_frames @ v[:, :, 1:].unflatten(2, (self.frames, -1))  # (B, heads, T, S, C)
        points = points.permute(0, 3, 2, 1, 4).flatten(3)  # (B, S, T, dim)
        along = self._along(points)
        return self.proj(torch.cat([of_class.transpose(1, 2).flatten(2), along], 1))  # type: ignore[no-any-return]

    def _along(self, points: Tensor) -> Tensor:
        """Trajectories (B, S, T, dim) -> (B, S, dim); a patch's query is the point of its own frame."""
        own = points.unflatten(1, (self.frames, -1)).diagonal(dim1=1, dim2=3)  # (B, N, dim, T)
        query = self.proj_q(own.permute(0, 3, 1, 2).flatten(1, 2))  # (B, S, dim)
        keys, values = self.proj_kv(points).chunk(2, -1)
        values = values if self.projected else points
        query = query.unflatten(-1, (self.heads, 1, -1)) * (query.shape[-1] // self.heads) ** -0.5
        keys, values = (each.unflatten(-1, (self.heads, -1)).transpose(2, 3) for each in (keys, values))
        attended: Tensor = (query @ keys.transpose(-2, -1)).softmax(-1) @ values  # (B, S, heads, 1, C)
        return attended.flatten(2)


class TrajectoryBlock(nn.Module):
    """Tokens (B, 1 + T·N, dim) -> the same: trajectory attention and MLP. Arguments as TrajectoryAttention."""

    def __init__(self, dim: int, heads: int, frames: int, *, projected: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = TrajectoryAttention(dim, heads, frames, projected=projected)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = mlp(dim, 4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Motionformer(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for; a patch has two frames.
        num_classes: 400 (Kinetics) in the paper.
        projected: whether the values of a trajectory are projected.
    """

    def __init__(self, clip: Clip, num_classes: int, *, projected: bool) -> None:
        super().__init__()
        sizes, dim = patch_grid(clip, 2), BASE.dim
        self.patch_embed = patch_embedding(dim, 2)
        self.pos_encoding = PositionalEncoding(dim, sizes, second=False)
        self.blocks = nn.Sequential(
            *(TrajectoryBlock(dim, BASE.heads, sizes[0], projected=projected) for _ in range(BASE.depth))
        )
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.pre_logits = nn.Sequential(nn.Linear(dim, dim), nn.Tanh())
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.blocks(self.pos_encoding(self.patch_embed(x).flatten(2).transpose(1, 2)))
        scores: Tensor = self.head(self.pre_logits(self.norm(x)[:, 0]))
        return scores


def _motionformer(clip: Clip, num_classes: int, values: str, paper: Clip) -> SizedNetwork:
    if values not in VALUES:
        raise UnknownNameError("values", values, VALUES, f"choose {', '.join(VALUES)}")
    departures = resized_positions(clip, paper)
    if values == "projected":
        departures += ("projected values in the attention over a trajectory, the released networks have none",)
    return SizedNetwork(Motionformer(clip, num_classes, projected=values == "projected"), departures)


def motionformer(clip: Clip, num_classes: int, *, values: str = "released") -> SizedNetwork:
    """Motionformer."""
    return _motionformer(clip, num_classes, values, Clip(16, 224, 224))


def motionformer_hr(clip: Clip, num_classes: int, *, values: str = "released") -> SizedNetwork:
    """Motionformer-HR: the same on larger frames."""
    return _motionformer(clip, num_classes, values, Clip(16, 336, 336))


def motionformer_l(clip: Clip, num_classes: int, *, values: str = "released") -> SizedNetwork:
    """Motionformer-L: the same on 32 frames."""
    return _motionformer(clip, num_classes, values, Clip(32, 224, 224))
