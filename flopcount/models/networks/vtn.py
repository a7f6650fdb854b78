"""VTN (Neimark et al. 2021): a ViT-B on every frame, then a Longformer over the frames of a whole video.

Paper: https://arxiv.org/abs/2102.00719 (section 3; table 5 has the cost of 250 frames). Code followed:
https://github.com/bomri/SlowFast, VTN of slowfast/models/video_model_builder.py with configs/Kinetics/VIT_B_VTN.yaml,
and its Longformer, https://github.com/huggingface/transformers, src/transformers/models/longformer, whose control flow
depends on the mask. Here one class token attends to all and is attended by all, and frames attend to nine on each side:
masks are constants. Dropout within the Longformer is left out.

Windows are products of overlapping chunks, of which a part is used, as in the code. A frame's position is its number
in the clip.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.protocol import Clip
from .clip_vit import resized_encoder
from .factorised_vit import ClassTokenEncoder
from .feed_forward import mlp
from .sized_network import SizedNetwork
from .vit import BASE, PATCH, encoder, patch_grid

__all__ = ["VTN", "SlidingAttention", "vtn_vit_b_250f"]

LAYERS = 3
SIDE = 9  # frames that a frame attends to, before it and after it
PADDED_TO = 4 * SIDE
POSITIONS = 288  # the last two are of the class token and of what is padded
EPS = 1e-12


class Window:
    """Where the scores of each token with its neighbours lie in products of chunks, and where they go for the values.

    Chunks have 2·SIDE tokens and begin every SIDE. Attributes:
        scores: (N, 2·SIDE + 1) of a token with its neighbours, in products (N/SIDE - 1, 2·SIDE, 2·SIDE) laid flat.
        unseen: the same size, true for neighbours that are no frame of the clip.
        weights: (N/SIDE, SIDE, 3·SIDE), weights of SIDE tokens for those of three chunks of SIDE, in (N, 2·SIDE + 2)
            laid flat; the last of a row is 0.
    """

    def __init__(self, tokens: int, padded: int) -> None:
        query = torch.arange(padded)[:, None]
        key = query + torch.arange(-SIDE, SIDE + 1)
        chunk = (torch.minimum(query, key) // SIDE).clamp(0, padded // SIDE - 2)
        inside = (key >= 0) & (key < padded)
        self.scores = torch.where(inside, (chunk * 2 * SIDE + query - chunk * SIDE) * 2 * SIDE + key - chunk * SIDE, 0)
        self.unseen = (key < 1) | (key >= tokens)
        row = torch.arange(SIDE)[:, None]
        offset = torch.arange(3 * SIDE) - row
        offset = torch.where((offset < 0) | (offset > 2 * SIDE), 2 * SIDE + 1, offset)
        self.weights = (query.unflatten(0, (-1, SIDE)) * (2 * SIDE + 2)) + offset


class SlidingAttention(nn.Module):
    """Tokens (B, N, dim) -> the same: the first attends to all, by layers of its own; others to it and near ones.

    Arguments:
        dim: channels.
        heads: of the attention.
        tokens: that are seen; the others of N only fill chunks.
        padded: N, a multiple of 2·SIDE.
    """

    scores: Tensor
    unseen: Tensor
    weights: Tensor
    filling: Tensor

    def __init__(self, dim: int, heads: int, tokens: int, padded: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.query_global, self.key_global, self.value_global = (nn.Linear(dim, dim) for _ in range(3))
        window = Window(tokens, padded)
        self.register_buffer("scores", window.scores.flatten(), persistent=False)
        self.register_buffer("unseen", window.unseen, persistent=False)
        self.register_buffer("weights", window.weights.flatten(), persistent=False)
        self.register_buffer("filling", torch.arange(padded) >= tokens, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens, heads side by side."""
        attended = torch.cat([self._of_first(x), self._of_frames(x)[:, :, 1:]], 2)
        return attended.transpose(1, 2).flatten(2)

    def _in_heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, C)
        return heads

    def _of_first(self, x: Tensor) -> Tensor:
        q = self._in_heads(self.query_global(x[:, :1])) * self.scale
        k, v = self._in_heads(self.key_global(x)), self._in_heads(self.value_global(x))
        scores = (q @ k.transpose(-2, -1)).masked_fill(self.filling, float("-inf"))
        attended: Tensor = scores.softmax(-1) @ v
        return attended

    def _of_frames(self, x: Tensor) -> Tensor:
        q, k, v = (self._in_heads(layer(x)) for layer in (self.query, self.key, self.value))
        q = q * self.scale
        chunks_q, chunks_k = (part.unfold(2, 2 * SIDE, SIDE) for part in (q, k))  # (B, heads, chunks, C, 2·SIDE)
        products = chunks_q.transpose(-2, -1) @ chunks_k
        near = products.flatten(2)[:, :, self.scores].unflatten(2, self.unseen.shape)
        near = near.masked_fill(self.unseen, float("-inf"))
        weights = torch.cat([q @ k[:, :, :1].transpose(-2, -1), near], -1).softmax(-1)
        placed = F.pad(weights[..., 1:], (0, 1)).flatten(2)[:, :, self.weights].unflatten(2, (-1, SIDE, 3 * SIDE))
        chunks_v = F.pad(v, (0, 0, SIDE, SIDE)).unfold(2, 3 * SIDE, SIDE)
        attended = (placed @ chunks_v.transpose(-2, -1)).flatten(2, 3)
        both: Tensor = attended + weights[..., :1] @ v[:, :, :1]
        return both


class LongformerLayer(nn.Module):
    """Tokens (B, N, dim) -> the same: attention and MLP, each added to its input and normalised afterwards."""

    def __init__(self, dim: int, heads: int, tokens: int, padded: int) -> None:
        super().__init__()
        self.attn = SlidingAttention(dim, heads, tokens, padded)
        self.proj = nn.Linear(dim, dim)
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = mlp(dim, 4 * dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = self.norm1(x + self.proj(self.attn(x)))
        tokens: Tensor = self.norm2(x + self.mlp(x))
        return tokens


class Longformer(nn.Module):
    """Vectors of frames (B, T, dim) -> that of a class token in front of them (B, dim)."""

    places: Tensor
    types: Tensor

    def __init__(self, dim: int, heads: int, frames: int) -> None:
        super().__init__()
        tokens = 1 + frames
        self.padding = -tokens % PADDED_TO
        padded = tokens + self.padding
        self.class_token = nn.Parameter(torch.randn(1, dim))
        self.positions = nn.Embedding(POSITIONS, dim)
        self.token_types = nn.Embedding(2, dim)
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.layers = nn.Sequential(*(LongformerLayer(dim, heads, tokens, padded) for _ in range(LAYERS)))
        places = torch.full((padded,), POSITIONS - 1)
        places[0], places[1:tokens] = POSITIONS - 2, torch.arange(frames) % (POSITIONS - 2)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("types", (torch.arange(padded) == 0).long(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The vector of the class token."""
        x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], 1)
        x = F.pad(x, (0, 0, 0, self.padding), value=-1.0)
        x = self.norm(x + self.positions(self.places) + self.token_types(self.types))
        vector: Tensor = self.layers(x)[:, 0]
        return vector


class VTN(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip.

    Raises:
        InputError: a frame does not consist of whole patches.
    """

    def __init__(self, clip: Clip, num_classes: int) -> None:
        super().__init__()
        frames, rows, columns = patch_grid(clip, 1)
        dim = BASE.dim
        self.patch_embed = nn.Conv2d(3, dim, PATCH, stride=PATCH)
        self.backbone = ClassTokenEncoder(rows * columns, dim, encoder(BASE))
        self.temporal_encoder = Longformer(dim, BASE.heads, frames)
        self.mlp_head = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Dropout(0.5), nn.Linear(dim, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        frames = x.transpose(1, 2)
        tokens = self.patch_embed(frames.flatten(0, 1)).flatten(2).transpose(1, 2)
        of_frames = self.backbone(tokens).unflatten(0, frames.shape[:2])
        scores: Tensor = self.mlp_head(self.temporal_encoder(of_frames))
        return scores


def vtn_vit_b_250f(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViT-B-VTN; all frames of a video of ten seconds are one clip."""
    return SizedNetwork(VTN(clip, num_classes), resized_encoder(clip))
