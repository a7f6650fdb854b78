"""ST-Adapter: CLIP's image encoder, frozen, with depthwise convolutions over time in bottlenecks.

Paper: https://arxiv.org/abs/2206.13559 (section 3, figure 2). Code followed: https://github.com/linziyi96/st-adapter,
models_adapter.py. Weights are float32 here; the code keeps the frozen ones in half precision.

An adapter takes the patches of all frames, not the class tokens. The code calls a network by its adapters and their
channels: 12x384 has one in each block, before the MLP, and 24x384 another before the attention.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.protocol import Clip
from .clip_vit import B16, ClipBlock, ClipSize, FrameTokens, resized_encoder
from .sized_network import SizedNetwork
from .vit import patch_grid

__all__ = ["STAdapter", "SpaceTimeAdapter", "st_adapter_b16_12x384", "st_adapter_b16_24x384"]

CHANNELS = 384
Grid = tuple[int, int, int]


class SpaceTimeAdapter(nn.Module):
    """Tokens (B·T, 1 + H·W, dim) -> the same: what frames before and after show at each place is added.

    Arguments:
        dim: channels.
        grid: T×H×W of the patches.
    """

    def __init__(self, dim: int, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.down = nn.Linear(dim, CHANNELS)
        self.conv = nn.Conv3d(CHANNELS, CHANNELS, (3, 1, 1), padding=(1, 0, 0), groups=CHANNELS)
        self.up = nn.Linear(CHANNELS, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        frames, rows, columns = self.grid
        y = self.down(x[:, 1:]).reshape(-1, frames, rows, columns, CHANNELS).permute(0, 4, 1, 2, 3)
        y = self.conv(y).permute(0, 2, 3, 4, 1).flatten(2, 3).flatten(0, 1)
        return x + nn.functional.pad(self.up(y), (0, 0, 1, 0))


class AdapterBlock(ClipBlock):
    """Tokens (B·T, 1 + N, dim) -> the same: attention within frames and an MLP, with adapters before them.

    Arguments:
        dim: channels.
        heads: of the attention.
        grid: T×H×W of the patches.
        twice: whether an adapter stands before the attention too.
    """

    def __init__(self, dim: int, heads: int, grid: Grid, *, twice: bool) -> None:
        super().__init__(dim, heads)
        self.adapter_attn = SpaceTimeAdapter(dim, grid) if twice else nn.Identity()
        self.adapter_mlp = SpaceTimeAdapter(dim, grid)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of the same size."""
        x = self.adapter_attn(x)
        x = self.adapter_mlp(x + self.attn(self.norm1(x)))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class STAdapter(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the paper.
        size: which image encoder of CLIP.
        twice: whether every block has two adapters.
    """

    def __init__(self, clip: Clip, num_classes: int, size: ClipSize, *, twice: bool) -> None:
        super().__init__()
        dim, grid = size.size.dim, patch_grid(clip, 1, size.patch)
        self.tokens = FrameTokens(clip, size)
        self.norm_pre = nn.LayerNorm(dim)
        self.blocks = nn.Sequential(
            *(AdapterBlock(dim, size.size.heads, grid, twice=twice) for _ in range(size.size.depth))
        )
        self.norm_post = nn.LayerNorm(dim)
        for name, parameter in self.named_parameters():
            parameter.requires_grad = "adapter" in name
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(dim, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        batch, _, frames = x.shape[:3]
        x = self.blocks(self.norm_pre(self.tokens(x).flatten(0, 1)))
        scores: Tensor = self.head(self.norm_post(x[:, 0].unflatten(0, (batch, frames)).mean(1)))
        return scores


def st_adapter_b16_12x384(clip: Clip, num_classes: int) -> SizedNetwork:
    """ST-Adapter on CLIP's ViT-B/16 with one adapter in each block."""
    return SizedNetwork(STAdapter(clip, num_classes, B16, twice=False), resized_encoder(clip))


def st_adapter_b16_24x384(clip: Clip, num_classes: int) -> SizedNetwork:
    """ST-Adapter on CLIP's ViT-B/16 with two adapters in each block."""
    return SizedNetwork(STAdapter(clip, num_classes, B16, twice=True), resized_encoder(clip))
