"""X3D (Feichtenhofer 2020, "X3D: Expanding Architectures for Efficient Video Recognition").

Paper: https://arxiv.org/abs/2004.04730 (tables 1 and 3). Code followed, names of submodules included, so that its state
dicts load: https://github.com/facebookresearch/pytorchvideo, models/x3d.py.

A ResNet of inverted bottlenecks: 1×1×1 up, 3×3×3 on each channel, 1×1×1 down, every second block with squeeze and
excitation. The sizes differ in clip and depth, and X3D-XL, of which no weights are released, in width. On test crops
larger than the training crops, the head pools the window of training.
"""

from __future__ import annotations

from math import ceil

from torch import Tensor, nn

from ...core.protocol import Clip
from ...core.units import times
from .sized_network import SizedNetwork

__all__ = ["X3D", "x3d_l", "x3d_m", "x3d_s", "x3d_xl", "x3d_xs"]

STAGE_CHANNELS = (12, 24, 48, 96)  # before the width factor; those of the stem are the first
STAGE_DEPTHS = (1, 2, 5, 3)  # before the depth factor
EXPANSION = 2.25  # ratio of the channels inside a block to those outside
HEAD_CHANNELS = 2048
_Sizes = tuple[int, int, int]


class Conv2plus1d(nn.Module):
    """1×3×3, then 5×1×1 on each channel; the released code calls the spatial one conv_t, the temporal one conv_xy."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_t = nn.Conv3d(3, channels, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), bias=False)
        self.conv_xy = nn.Conv3d(channels, channels, (5, 1, 1), padding=(2, 0, 0), groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, C, T, H/2, W/2)."""
        maps: Tensor = self.conv_xy(self.conv_t(x))
        return maps


class Stem(nn.Module):
    """Clip (B, 3, T, H, W) -> (B, C, T, H/2, W/2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2plus1d(channels)
        self.norm = nn.BatchNorm3d(channels)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        maps: Tensor = self.activation(self.norm(self.conv(x)))
        return maps


class SqueezeExcitation(nn.Module):
    """Feature maps, each channel scaled by a factor that two 1×1×1 convolutions compute from the channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = _to_eights(channels / 16)
        self.block = nn.Sequential(
            nn.Conv3d(channels, narrow, 1), nn.ReLU(), nn.Conv3d(narrow, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        scaled: Tensor = x * self.block(x.mean((2, 3, 4), keepdim=True))
        return scaled


def _to_eights(width: float) -> int:
    """The multiple of 8 closest to a width, at least 8, and at least nine tenths of it."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


class Bottleneck(nn.Module):
    """Branch of a block."""

    def __init__(self, dim_in: int, dim_out: int, stride: int, squeeze: bool) -> None:
        super().__init__()
        inner = int(EXPANSION * dim_out)
        strides = (1, stride, stride)
        self.conv_a = nn.Conv3d(dim_in, inner, 1, bias=False)
        self.norm_a = nn.BatchNorm3d(inner)
        self.act_a = nn.ReLU()
        self.conv_b = nn.Conv3d(inner, inner, 3, stride=strides, padding=1, groups=inner, bias=False)
        self.norm_b = nn.Sequential(nn.BatchNorm3d(inner), SqueezeExcitation(inner) if squeeze else nn.Identity())
        self.act_b = nn.SiLU()
        self.conv_c = nn.Conv3d(inner, dim_out, 1, bias=False)
        self.norm_c = nn.BatchNorm3d(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Residual (B, dim_out, T, H, W), before it is added."""
        x = self.act_a(self.norm_a(self.conv_a(x)))
        x = self.act_b(self.norm_b(self.conv_b(x)))
        residual: Tensor = self.norm_c(self.conv_c(x))
        return residual


class ResBlock(nn.Module):
    """Shortcut plus branch; the shortcut is a 1×1×1 convolution if the shape changes, normalised if C changes."""

    def __init__(self, dim_in: int, dim_out: int, stride: int, squeeze: bool) -> None:
        super().__init__()
        self.branch1_conv: nn.Module | None = None
        self.branch1_norm: nn.Module | None = None
        if dim_in != dim_out or stride > 1:
            self.branch1_conv = nn.Conv3d(dim_in, dim_out, 1, stride=(1, stride, stride), bias=False)
        if dim_in != dim_out:
            self.branch1_norm = nn.BatchNorm3d(dim_out)
        self.branch2 = Bottleneck(dim_in, dim_out, stride, squeeze)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, dim_out, T, H, W)."""
        shortcut = x if self.branch1_conv is None else self.branch1_conv(x)
        if self.branch1_norm is not None:
            shortcut = self.branch1_norm(shortcut)
        maps: Tensor = self.activation(shortcut + self.branch2(x))
        return maps


class Stage(nn.Module):
    """Blocks of one resolution; the first halves H and W."""

    def __init__(self, depth: int, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.res_blocks = nn.ModuleList()
        for index in range(depth):
            first = index == 0
            block = ResBlock(dim_in if first else dim_out, dim_out, 2 if first else 1, squeeze=index % 2 == 0)
            self.res_blocks.append(block)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, dim_out, T, H/2, W/2)."""
        for block in self.res_blocks:
            x = block(x)
        return x


class ProjectedPool(nn.Module):
    """(B, C, T, H, W) -> (B, 2048, 1, h, w): 1×1×1, pool, and 1×1×1 again, on few positions."""

    def __init__(self, channels: int, pool: _Sizes) -> None:
        super().__init__()
        inner = int(EXPANSION * channels)
        self.pre_conv = nn.Conv3d(channels, inner, 1, bias=False)
        self.pre_norm = nn.BatchNorm3d(inner)
        self.pre_act = nn.ReLU()
        self.pool = nn.AvgPool3d(pool, stride=1)
        self.post_conv = nn.Conv3d(inner, HEAD_CHANNELS, 1, bias=False)
        self.post_act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Features of every remaining position."""
        x = self.pool(self.pre_act(self.pre_norm(self.pre_conv(x))))
        features: Tensor = self.post_act(self.post_conv(x))
        return features


class Head(nn.Module):
    """Feature maps -> scores (B, num_classes): classify every remaining position, average."""

    def __init__(self, channels: int, num_classes: int, pool: _Sizes) -> None:
        super().__init__()
        self.pool = ProjectedPool(channels, pool)
        self.dropout = nn.Dropout(0.5)
        self.proj = nn.Linear(HEAD_CHANNELS, num_classes)
        self.output_pool = nn.AdaptiveAvgPool3d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.proj(self.dropout(self.pool(x).permute(0, 2, 3, 4, 1)))
        scores: Tensor = self.output_pool(x.permute(0, 4, 1, 2, 3)).flatten(1)
        return scores


class X3D(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes).

    Arguments:
        num_classes: 400 (Kinetics) in the paper.
        pool: what the head pools over.
        depth_factor: multiplies the blocks of each stage.
        width_factor: multiplies the channels of stem and stages, which are rounded to multiples of 8.
    """

    def __init__(self, num_classes: int, pool: _Sizes, *, depth_factor: float, width_factor: float) -> None:
        super().__init__()
        widths = [_to_eights(width_factor * channels) for channels in STAGE_CHANNELS]
        dim_in = widths[0]
        self.blocks = nn.ModuleList([Stem(dim_in)])
        for depth, channels in zip(STAGE_DEPTHS, widths, strict=True):
            self.blocks.append(Stage(ceil(depth * depth_factor), dim_in, channels))
            dim_in = channels
        self.blocks.append(Head(dim_in, num_classes, pool))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        for block in self.blocks:
            x = block(x)
        return x


def _x3d(
    clip: Clip, num_classes: int, *, trained: Clip, depth_factor: float = 2.2, width_factor: float = 2.0
) -> SizedNetwork:
    """A size of X3D; its head pools all frames of `clip` and the training crop, or a smaller one."""
    released = (trained.frames, -(-trained.height // 32), -(-trained.width // 32))
    pool = (clip.frames, min(released[1], -(-clip.height // 32)), min(released[2], -(-clip.width // 32)))
    departure = f"head pools {times(pool)} of {clip}, released with {times(released)}"
    model = X3D(num_classes, pool, depth_factor=depth_factor, width_factor=width_factor)
    return SizedNetwork(model, () if pool == released else (departure,))


def x3d_xs(clip: Clip, num_classes: int) -> SizedNetwork:
    """4 frames of 160×160."""
    return _x3d(clip, num_classes, trained=Clip(4, 160, 160))


def x3d_s(clip: Clip, num_classes: int) -> SizedNetwork:
    """13 frames of 160×160."""
    return _x3d(clip, num_classes, trained=Clip(13, 160, 160))


def x3d_m(clip: Clip, num_classes: int) -> SizedNetwork:
    """16 frames of 224×224."""
    return _x3d(clip, num_classes, trained=Clip(16, 224, 224))


def x3d_l(clip: Clip, num_classes: int) -> SizedNetwork:
    """16 frames of 312×312, and more than twice as deep."""
    return _x3d(clip, num_classes, trained=Clip(16, 312, 312), depth_factor=5.0)


def x3d_xl(clip: Clip, num_classes: int) -> SizedNetwork:
    """X3D-L with 32, 72, 136 and 280 channels instead of 24, 48, 96 and 192 (table 3c)."""
    return _x3d(clip, num_classes, trained=Clip(16, 312, 312), depth_factor=5.0, width_factor=2.9)
