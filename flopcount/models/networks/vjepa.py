"""V-JEPA (Bardes et al. 2024): a frozen vision transformer, and a probe that learns to classify what it gives.

Paper: https://arxiv.org/abs/2404.08471 (section 4.1 and its appendix on attentive probing). Code followed:
https://github.com/facebookresearch/jepa, src/models/vision_transformer.py and src/models/attentive_pooler.py with
configs/evals/vit*_k400_16x8x3.yaml. A linear layer of the probe that the code makes and never runs is left out.

Its tables have probes that read all clips of a video together; here the probe reads one clip, so that clips add up to
slightly more: the query, its MLP and the classifier run for each. Gradients end at the encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.protocol import Clip
from .feed_forward import mlp
from .mvit import EPS, new_parameter
from .sized_network import SizedNetwork
from .vit import HUGE, LARGE, Size, patch_embedding, patch_grid

__all__ = ["VJEPA", "AttentiveProbe", "vjepa_vit_h16", "vjepa_vit_h16_384", "vjepa_vit_l16"]

TUBELET = 2


def sines_of_axes(sizes: tuple[int, int, int], dim: int) -> Tensor:
    """(T·H·W, dim): each third of the channels has sines, then cosines, of the place along one axis."""
    pairs = -(-dim // 6)
    rates = 10000.0 ** -(torch.arange(pairs) / pairs)
    places = torch.cartesian_prod(*(torch.arange(float(size)) for size in sizes))  # (T·H·W, 3)
    angles = places[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(1)[:, :dim]


class FusedAttention(nn.Module):
    """Tokens (B, N, dim) -> the same; each attends to all."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        attended: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return attended


class EncoderBlock(nn.Module):
    """Tokens (B, N, dim) -> the same: attention and MLP, each normalised before and added to its input."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = FusedAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = mlp(dim, 4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Clip (B, 3, T, H, W) -> tokens (B, T/2·H/16·W/16, dim); built for one clip.

    Raises:
        InputError: the clip does not consist of whole patches.
    """

    def __init__(self, clip: Clip, size: Size) -> None:
        super().__init__()
        sizes = patch_grid(clip, TUBELET)
        self.patch_embed = patch_embedding(size.dim, TUBELET)
        self.pos_embed = nn.Parameter(sines_of_axes(sizes, size.dim))
        self.blocks = nn.Sequential(*(EncoderBlock(size.dim, size.heads) for _ in range(size.depth)))
        self.norm = nn.LayerNorm(size.dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised tokens."""
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        tokens: Tensor = self.norm(self.blocks(x))
        return tokens


class AttentiveProbe(nn.Module):
    """Tokens (B, N, dim) -> class scores (B, num_classes): a learned query attends to all, then an MLP and a layer."""

    def __init__(self, dim: int, heads: int, num_classes: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = new_parameter(1, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = mlp(dim, 4 * dim, dim)
        self.linear = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        query = self.query.expand(x.shape[0], -1, -1)
        q = self.q(query).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(self.norm1(x)).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        query = query + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        query = query + self.mlp(self.norm2(query))
        scores: Tensor = self.linear(query.squeeze(1))
        return scores


class VJEPA(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); the encoder takes no gradient."""

    def __init__(self, clip: Clip, num_classes: int, size: Size) -> None:
        super().__init__()
        self.encoder = Encoder(clip, size).requires_grad_(False)
        self.classifier = AttentiveProbe(size.dim, size.heads, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.classifier(self.encoder(x))
        return scores


def vjepa_vit_l16(clip: Clip, num_classes: int) -> SizedNetwork:
    """V-JEPA ViT-L/16; its positions are sines, which fit any clip."""
    return SizedNetwork(VJEPA(clip, num_classes, LARGE))


def vjepa_vit_h16(clip: Clip, num_classes: int) -> SizedNetwork:
    """V-JEPA ViT-H/16."""
    return SizedNetwork(VJEPA(clip, num_classes, HUGE))


def vjepa_vit_h16_384(clip: Clip, num_classes: int) -> SizedNetwork:
    """V-JEPA ViT-H/16 for larger frames."""
    return vjepa_vit_h16(clip, num_classes)
