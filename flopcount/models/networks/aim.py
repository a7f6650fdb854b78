"""AIM: CLIP's image encoder, frozen, with adapters that let its attention see time as well.

Paper: https://arxiv.org/abs/2302.03024 (section 3, figure 2). Code followed:
https://github.com/taoyang1122/adapt-image-models, mmaction/models/backbones/vit_clip.py and configs/recognition/vit.
Stochastic depth, which only training uses, is left out.

Every block applies the same attention twice, over the frames of each place and over the places of each frame. Only the
adapters, the places in time, the last norm and the classifier are trained, as tools/train.py says.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .clip_vit import B16, L14, ClipBlock, ClipSize, FrameTokens, resized_encoder
from .mvit import new_parameter
from .sized_network import SizedNetwork

__all__ = ["AIM", "Adapter", "aim_b16", "aim_l14"]

TRAINED = ("adapter", "times", "norm_post", "head")


class Adapter(nn.Sequential):
    """(..., dim) -> (..., dim), with a quarter of the channels between."""

    def __init__(self, dim: int) -> None:
        super().__init__(nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, dim))


class AdaptedBlock(ClipBlock):
    """Tokens (B, T, N, dim) -> the same: attention over T, attention over N by the same weights, and an MLP.

    Arguments:
        dim: channels.
        heads: of the attention.
        adapter_before: whether another adapter stands before the attention over time.
    """

    def __init__(self, dim: int, heads: int, *, adapter_before: bool) -> None:
        super().__init__(dim, heads)
        self.before_adapter = Adapter(dim) if adapter_before else None
        self.time_adapter = Adapter(dim)
        self.space_adapter = Adapter(dim)
        self.mlp_adapter = Adapter(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        batch, frames = x.shape[:2]
        over_time = self.norm1(x.transpose(1, 2).flatten(0, 1))  # (B·N, T, dim)
        if self.before_adapter is not None:
            over_time = over_time + self.before_adapter(over_time)
        seen = self.time_adapter(self.attn(over_time))
        x = x + seen.unflatten(0, (batch, -1)).transpose(1, 2)
        seen = self.attn(self.norm1(x.flatten(0, 1))).unflatten(0, (batch, frames))
        x = x + seen + self.space_adapter(seen)
        normed = self.norm2(x)
        return x + self.mlp(normed) + 0.5 * self.mlp_adapter(normed)  # type: ignore[no-any-return]


class AIM(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the paper.
        size: which image encoder of CLIP.
        adapter_before: whether every block has a fourth adapter.
    """

    def __init__(self, clip: Clip, num_classes: int, size: ClipSize, *, adapter_before: bool) -> None:
        super().__init__()
        dim = size.size.dim
        self.tokens = FrameTokens(clip, size)
        self.times = new_parameter(clip.frames, 1, dim)
        self.norm_pre = nn.LayerNorm(dim)
        self.blocks = nn.Sequential(
            *(AdaptedBlock(dim, size.size.heads, adapter_before=adapter_before) for _ in range(size.size.depth))
        )
        self.norm_post = nn.LayerNorm(dim)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(dim, num_classes))
        for name, parameter in self.named_parameters():
            parameter.requires_grad = any(part in name for part in TRAINED)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.blocks(self.norm_pre(self.tokens(x) + self.times))
        scores: Tensor = self.head(self.norm_post(x)[:, :, 0].mean(1))
        return scores


def _aim(clip: Clip, num_classes: int, size: ClipSize, adapters: int) -> SizedNetwork:
    if adapters not in (3, 4):
        raise InputError(f"{adapters} adapters in a block", [("fix", "choose 3, or 4 as for Something-Something")])
    model = AIM(clip, num_classes, size, adapter_before=adapters == 4)
    return SizedNetwork(model, resized_encoder(clip))


def aim_b16(clip: Clip, num_classes: int, *, adapters: int = 3) -> SizedNetwork:
    """AIM on CLIP's ViT-B/16; with 4 adapters in a block instead of 3, as for Something-Something V2."""
    return _aim(clip, num_classes, B16, adapters)


def aim_l14(clip: Clip, num_classes: int, *, adapters: int = 3) -> SizedNetwork:
    """AIM on CLIP's ViT-L/14, with 3 adapters in a block, or 4."""
    return _aim(clip, num_classes, L14, adapters)
