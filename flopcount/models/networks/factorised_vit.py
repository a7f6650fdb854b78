"""Transformers over space first and over time second: ViViT's factorised encoder and STAM.

Papers: https://arxiv.org/abs/2103.15691 (section 3.3, model 2), https://arxiv.org/abs/2103.13915 (section 3). Code
followed: https://github.com/google-research/scenic, scenic/projects/vivit (SpaceTimeViViT, and the configuration of its
large network, whose temporal transformer has 24 blocks), and https://github.com/Alibaba-MIIL/STAM (its temporal
transformer is torch's own, normalised after each addition).

A vision transformer makes a vector of each frame, or of each pair of frames; a second transformer over these vectors
makes one of the clip.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .vit import BASE, LARGE, Places, SelfAttention, Size, encoder, patch_embedding, patch_grid, resized_positions

__all__ = ["FactorisedViT", "stam_8", "stam_16", "stam_32", "stam_64", "vivit_b_16x2_fe", "vivit_l_16x2_fe"]


class ClassTokenEncoder(nn.Module):
    """Tokens (B, N, dim) -> one vector (B, dim): that of the class token, after all blocks.

    Arguments:
        tokens: N, which positions are sized to.
        dim: channels.
        blocks: (B, 1 + N, dim) -> the same.
    """

    def __init__(self, tokens: int, dim: int, blocks: nn.Module) -> None:
        super().__init__()
        self.pos_encoding = Places(dim, tokens)
        self.blocks = blocks
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """The vector."""
        vector: Tensor = self.norm(self.blocks(self.pos_encoding(x))[:, 0])
        return vector


class PostNormBlock(nn.Module):
    """Tokens (B, N, dim) -> the same: attention and MLP, each added to its input and normalised afterwards."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attn = SelfAttention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = self.norm1(x + self.attn(x))
        tokens: Tensor = self.norm2(x + self.mlp(x))
        return tokens


class FactorisedViT(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the papers.
        dim: channels.
        frames: of a patch.
        over_space: blocks of the transformer over the patches of a frame.
        over_time: blocks of the transformer over the frames.
    """

    def __init__(
        self, clip: Clip, num_classes: int, dim: int, frames: int, over_space: nn.Module, over_time: nn.Module
    ) -> None:
        super().__init__()
        steps, rows, columns = patch_grid(clip, frames)
        self.patch_embed = patch_embedding(dim, frames)
        self.spatial = ClassTokenEncoder(rows * columns, dim, over_space)
        self.temporal = ClassTokenEncoder(steps, dim, over_time)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.patch_embed(x).flatten(3).permute(0, 2, 3, 1)  # (B, T, places, dim)
        of_frames = self.spatial(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        scores: Tensor = self.head(self.temporal(of_frames))
        return scores


def vivit_b_16x2_fe(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViViT-B/16x2 FE: 12 blocks over space, 4 over time."""
    model = FactorisedViT(clip, num_classes, BASE.dim, 2, encoder(BASE), encoder(Size(BASE.dim, 4, BASE.heads)))
    return SizedNetwork(model, resized_positions(clip, Clip(32, 224, 224)))


def vivit_l_16x2_fe(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViViT-L/16x2 FE: 24 blocks over space, 24 over time."""
    model = FactorisedViT(clip, num_classes, LARGE.dim, 2, encoder(LARGE), encoder(LARGE))
    return SizedNetwork(model, resized_positions(clip, Clip(128, 224, 224)))


def _stam(clip: Clip, num_classes: int, frames: int) -> SizedNetwork:
    over_time = nn.Sequential(*(PostNormBlock(BASE.dim, 8, 2048) for _ in range(6)))
    model = FactorisedViT(clip, num_classes, BASE.dim, 1, encoder(BASE, bias=False), over_time)
    return SizedNetwork(model, resized_positions(clip, Clip(frames, 224, 224)))


def stam_8(clip: Clip, num_classes: int) -> SizedNetwork:
    """STAM on 8 frames of a video."""
    return _stam(clip, num_classes, 8)


def stam_16(clip: Clip, num_classes: int) -> SizedNetwork:
    """STAM: a ViT-B over each of 16 frames of a video, six blocks over time."""
    return _stam(clip, num_classes, 16)


def stam_32(clip: Clip, num_classes: int) -> SizedNetwork:
    """STAM on 32 frames of a video."""
    return _stam(clip, num_classes, 32)


def stam_64(clip: Clip, num_classes: int) -> SizedNetwork:
    """STAM on 64 frames of a video."""
    return _stam(clip, num_classes, 64)
