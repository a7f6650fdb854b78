"""Multiscale vision transformers: MViT (Fan et al. 2021), MViTv2 (Li et al. 2022) and MaskFeat's (Wei et al. 2022).

Papers: https://arxiv.org/abs/2104.11227 (section 3; table 3 has the base network), https://arxiv.org/abs/2112.01526
(section 4), https://arxiv.org/abs/2112.09133. Code followed, names of submodules included:
https://github.com/pytorch/vision, torchvision/models/video/mvit.py; its state dicts load. The other sizes are those of
https://github.com/facebookresearch/SlowFast, configs/Kinetics and configs/masked_ssl. Stochastic depth, which only
training uses, is left out.

Attention pools its queries, keys and values over space, so that channels can grow while positions become fewer. The
second version widens channels in the attention instead of the MLP, pools every query and adds it to the output of its
attention, and encodes positions as distances between queries and keys instead of absolute positions. MaskFeat
fine-tunes the second version with channels widened in the MLP, as in the first.

Tables of distances are as long as the queries and keys need; SlowFast rounds an odd side down, and interpolates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.protocol import Clip
from ...core.units import times
from .feed_forward import mlp
from .sized_network import SizedNetwork

__all__ = [
    "Design",
    "MViT",
    "maskfeat_mvit_l_16x4",
    "maskfeat_mvit_s_16x4",
    "mvit_b_16x4",
    "mvit_b_24_32x3",
    "mvit_b_32x3",
    "mvit_b_64x3",
    "mvitv2_b_32x3",
    "mvitv2_l_40x3",
    "mvitv2_s_16x4",
]

Sizes = tuple[int, int, int]
PATCH_STRIDE = (2, 4, 4)
EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Design:
    """The differences between the networks; the defaults are MViT-B.

    `stages` are blocks and channels of each; every stage except the first halves height and width. `second` is the
    second version, `widens_in_attention` says where its channels grow, and `mean_pooled` whether it classifies the mean
    of all other tokens instead of the class token.
    """

    stages: tuple[tuple[int, int], ...] = ((1, 96), (2, 192), (11, 384), (2, 768))
    head_channels: int = 96
    second: bool = False
    widens_in_attention: bool = False
    mean_pooled: bool = False


_BASE = Design()
_BASE_24 = Design(((2, 96), (3, 192), (16, 384), (3, 768)))
_SMALL_V2 = Design(second=True, widens_in_attention=True)
_BASE_V2 = Design(_BASE_24.stages, second=True, widens_in_attention=True)
_LARGE_STAGES = ((2, 144), (6, 288), (36, 576), (4, 1152))
_LARGE_V2 = Design(_LARGE_STAGES, 72, second=True, widens_in_attention=True)
_SMALL_MASKFEAT = Design(second=True, mean_pooled=True)
_LARGE_MASKFEAT = Design(_LARGE_STAGES, 72, second=True, mean_pooled=True)


def strided(sizes: Sizes, stride: Sizes) -> Sizes:
    """The remaining T, H and W; all layers here are padded so that this rounds up."""
    t, h, w = (-(-size // n) for size, n in zip(sizes, stride, strict=True))
    return t, h, w


def new_parameter(*shape: int) -> nn.Parameter:
    """A table of positions, or a token, with fresh weights."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


class Pool(nn.Module):
    """Tokens (B, heads, 1 + T·H·W, C) -> (B, heads, 1 + what `pool` leaves of T·H·W, C).

    The class token is not pooled. The output is normalised if there is a norm.
    """

    def __init__(self, pool: nn.Module, sizes: Sizes, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.pool = pool
        self.sizes = sizes
        self.norm_act = nn.Sequential(norm) if norm is not None else None

    def forward(self, x: Tensor) -> Tensor:
        """Fewer tokens."""
        batch, heads = x.shape[:2]
        maps = x[:, :, 1:].flatten(0, 1).transpose(1, 2).unflatten(2, self.sizes)  # (B·heads, C, T, H, W)
        pooled = self.pool(maps).flatten(2).transpose(1, 2).unflatten(0, (batch, heads))
        tokens = torch.cat([x[:, :, :1], pooled], 2)
        return tokens if self.norm_act is None else self.norm_act(tokens)


def head_pool(channels: int, sizes: Sizes, stride: int) -> Pool:
    """Pooling of queries, keys or values: a depthwise 3×3×3 convolution over a head's channels, the same for each."""
    conv = nn.Conv3d(channels, channels, 3, stride=(1, stride, stride), padding=1, groups=channels, bias=False)
    return Pool(conv, sizes, nn.LayerNorm(channels, eps=EPS))


def distances(queries: int, keys: int) -> Tensor:
    """(queries, keys): their distances along one axis, from 0, in steps of the finer of the two."""
    query = torch.arange(queries)[:, None] * max(keys / queries, 1.0)
    key = (torch.arange(keys) - (keys - 1))[None] * max(queries / keys, 1.0)
    return (query - key).long()


class MultiscaleAttention(nn.Module):
    """Tokens (B, 1 + T·H·W, dim) -> (B, 1 + what is left, dim_out).

    Arguments:
        dim: of the input.
        dim_out: of the output.
        sizes: T×H×W of the tokens.
        stride_q: of H and W of the queries, and so of the output.
        stride_kv: of H and W of the keys and values.
        design: its channels of a head, and its version.
    """

    def __init__(self, dim: int, dim_out: int, sizes: Sizes, stride_q: int, stride_kv: int, design: Design) -> None:
        super().__init__()
        channels, second = design.head_channels, design.second
        self.num_heads = dim_out // channels
        self.scale = channels**-0.5
        self.second = second
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.project = nn.Sequential(nn.Linear(dim_out, dim_out))
        self.pool_q = head_pool(channels, sizes, stride_q) if second or stride_q > 1 else None
        self.pool_k = head_pool(channels, sizes, stride_kv)
        self.pool_v = head_pool(channels, sizes, stride_kv)
        if second:
            self.queries = strided(sizes, (1, stride_q, stride_q))
            keys = strided(sizes, (1, stride_kv, stride_kv))
            for axis, q, k in zip("thw", self.queries, keys, strict=True):
                self.register_parameter(f"rel_pos_{axis}", new_parameter(2 * max(q, k) - 1, channels))
                self.register_buffer(f"distances_{axis}", distances(q, k), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attended tokens."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        if self.pool_q is not None:
            q = self.pool_q(q)
        k, v = self.pool_k(k), self.pool_v(v)
        scores = (self.scale * q) @ k.transpose(-2, -1)  # (B, heads, 1 + q, 1 + k)
        if self.second:
            scores = scores + self._by_distance(q)
        x = scores.softmax(-1) @ v
        if self.second:
            x = torch.cat([x[:, :, :1], x[:, :, 1:] + q[:, :, 1:]], 2)
        attended: Tensor = self.project(x.transpose(1, 2).flatten(2))
        return attended

    def _by_distance(self, q: Tensor) -> Tensor:
        """The terms of the distances between queries and keys in the scores; 0 for the class token."""
        q = q[:, :, 1:].unflatten(2, self.queries)  # (B, heads, T, H, W, C)
        t, h, w = (getattr(self, f"rel_pos_{axis}")[getattr(self, f"distances_{axis}")] for axis in "thw")
        along_t = torch.einsum("bnthwc,tkc->bnthwk", q, t)[..., :, None, None]
        along_h = torch.einsum("bnthwc,hkc->bnthwk", q, h)[..., None, :, None]
        along_w = torch.einsum("bnthwc,wkc->bnthwk", q, w)[..., None, None, :]
        return F.pad((along_t + along_h + along_w).flatten(5).flatten(2, 4), (1, 0, 1, 0))


class MultiscaleBlock(nn.Module):
    """Tokens (B, 1 + T·H·W, dim) -> (B, 1 + what is left, dim_out): attention, then an MLP.

    The design says which of them widens dim to dim_out. Arguments as MultiscaleAttention.
    """

    def __init__(self, dim: int, dim_out: int, sizes: Sizes, stride_q: int, stride_kv: int, design: Design) -> None:
        super().__init__()
        self.widens_in_attention = design.widens_in_attention
        between = dim_out if self.widens_in_attention else dim
        self.pool_skip: nn.Module | None = None
        if stride_q > 1:
            pool = nn.MaxPool3d(
                (1, stride_q + 1, stride_q + 1), (1, stride_q, stride_q), (0, stride_q // 2, stride_q // 2)
            )
            self.pool_skip = Pool(pool, sizes)
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.norm2 = nn.LayerNorm(between, eps=EPS)
        self.attn = MultiscaleAttention(dim, between, sizes, stride_q, stride_kv, design)
        self.mlp = mlp(between, 4 * between, dim_out)
        self.project = nn.Linear(dim, dim_out) if dim != dim_out else None

    def forward(self, x: Tensor) -> Tensor:
        """Tokens, fewer where the queries are pooled."""
        before = self.norm1(x)
        if self.project is not None and self.widens_in_attention:
            x = self.project(before)
        if self.pool_skip is not None:
            x = self.pool_skip(x.unsqueeze(1)).squeeze(1)
        x = x + self.attn(before)
        before = self.norm2(x)
        if self.project is not None and not self.widens_in_attention:
            x = self.project(before)
        return x + self.mlp(before)  # type: ignore[no-any-return]


class PositionalEncoding(nn.Module):
    """Tokens (B, T·H·W, C) -> (B, 1 + T·H·W, C): a class token in front and, in the first version, positions added.

    A position is the sum of a learned vector for its frame and one for its row and column.
    """

    def __init__(self, channels: int, sizes: Sizes, *, second: bool) -> None:
        super().__init__()
        self.second = second
        self.class_token = new_parameter(channels)
        if not second:
            self.class_pos = new_parameter(channels)
            self.temporal_pos = new_parameter(sizes[0], channels)
            self.spatial_pos = new_parameter(sizes[1] * sizes[2], channels)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens with positions."""
        x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], 1)
        if self.second:
            return x
        places = (self.temporal_pos[:, None] + self.spatial_pos[None]).flatten(0, 1)
        return x + torch.cat([self.class_pos[None], places])


class MViT(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: 16×224×224 for the base networks of the papers.
        num_classes: 400 (Kinetics) in the papers.
        design: which of the networks.
    """

    def __init__(self, clip: Clip, num_classes: int, design: Design) -> None:
        super().__init__()
        stages = design.stages
        channels = stages[0][1]
        self.mean_pooled = design.mean_pooled
        self.conv_proj = nn.Conv3d(3, channels, (3, 7, 7), PATCH_STRIDE, (1, 3, 3))
        sizes = strided(clip.sizes, PATCH_STRIDE)
        self.pos_encoding = PositionalEncoding(channels, sizes, second=design.second)
        self.blocks = nn.ModuleList()
        for stage, (depth, width) in enumerate(stages):
            stride_kv = 2 ** (len(stages) - 1 - stage)  # every stage has as many keys as the last one has tokens
            following = width if design.widens_in_attention or stage == len(stages) - 1 else stages[stage + 1][1]
            for index in range(depth):
                stride_q = 2 if stage > 0 and index == 0 else 1
                wider = following if index == depth - 1 else width
                self.blocks.append(MultiscaleBlock(channels, wider, sizes, stride_q, stride_kv, design))
                channels, sizes = wider, strided(sizes, (1, stride_q, stride_q))
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.pos_encoding(self.conv_proj(x).flatten(2).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x[:, 1:].mean(1)) if self.mean_pooled else self.norm(x)[:, 0]
        scores: Tensor = self.head(x)
        return scores


def _built(design: Design, clip: Clip, num_classes: int, paper: Clip) -> SizedNetwork:
    """The network for a clip, and its departures from the paper's."""
    departures: tuple[str, ...] = ()
    if clip.sizes != paper.sizes:
        positions = "relative positions" if design.second else "position embeddings"
        sizes, released = (times(strided(one.sizes, PATCH_STRIDE)) for one in (clip, paper))
        departures = (f"{positions} sized for {sizes} tokens of {clip}, released with {released}",)
    return SizedNetwork(MViT(clip, num_classes, design), departures)


def mvit_b_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """MViT-B."""
    return _built(_BASE, clip, num_classes, Clip(16, 224, 224))


def mvit_b_32x3(clip: Clip, num_classes: int) -> SizedNetwork:
    """MViT-B on 32 frames."""
    return _built(_BASE, clip, num_classes, Clip(32, 224, 224))


def mvit_b_64x3(clip: Clip, num_classes: int) -> SizedNetwork:
    """MViT-B on 64 frames."""
    return _built(_BASE, clip, num_classes, Clip(64, 224, 224))


def mvit_b_24_32x3(clip: Clip, num_classes: int) -> SizedNetwork:
    """MViT-B-24: 24 blocks instead of 16, which the released code calls MVIT_B_32x3_CONV."""
    return _built(_BASE_24, clip, num_classes, Clip(32, 224, 224))


def mvitv2_s_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """MViTv2-S."""
    return _built(_SMALL_V2, clip, num_classes, Clip(16, 224, 224))


def mvitv2_b_32x3(clip: Clip, num_classes: int) -> SizedNetwork:
    """MViTv2-B: the blocks of MViT-B-24."""
    return _built(_BASE_V2, clip, num_classes, Clip(32, 224, 224))


def mvitv2_l_40x3(clip: Clip, num_classes: int) -> SizedNetwork:
    """MViTv2-L: 48 blocks, heads of 72 channels."""
    return _built(_LARGE_V2, clip, num_classes, Clip(40, 312, 312))


def maskfeat_mvit_s_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """MaskFeat's MViT-S, fine-tuned."""
    return _built(_SMALL_MASKFEAT, clip, num_classes, Clip(16, 224, 224))


def maskfeat_mvit_l_16x4(clip: Clip, num_classes: int) -> SizedNetwork:
    """MaskFeat's MViT-L, fine-tuned."""
    return _built(_LARGE_MASKFEAT, clip, num_classes, Clip(16, 224, 224))
