"""3D ResNets with bottleneck blocks: C2D, I3D, Slow and Fast, and the parts that SlowFast, CSN and others share.

Papers: C2D and I3D with a ResNet backbone, https://arxiv.org/abs/1711.07971 (tables 1 and 2); Slow and Fast, a pathway
alone, https://arxiv.org/abs/1812.03982 (table 5a). Code followed, names of submodules included:
https://github.com/facebookresearch/pytorchvideo, models/resnet.py and models/hub/resnet.py; its state dicts load.

They differ in the temporal extent of conv_a, the first 1×1 convolution of a block, and in a pool over time after res2.
They are trained on crops of 224 and tested on larger ones, where the head also pools 7×7 and averages the scores.

The networks of table 1 see 32 frames at stride 2, which the stem halves twice; the released code then saw 8 frames at
stride 8 instead (https://github.com/facebookresearch/video-nonlocal-net, lib/models/resnet_video_org.py and
resnet_video.py). Both are here: names end in 32x2, or do not. https://github.com/open-mmlab/mmaction2 follows the first
(configs/_base_/models/i3d_r50.py), pools as torchvision's ResNet does, and has a "heavy" form in which every conv_a
sees three frames and only the pool after res2 halves time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor, nn

from ...core.protocol import Clip
from ...core.units import times
from .sized_network import SizedNetwork
from .sizing import sizes_after

__all__ = [
    "STAGE_DEPTHS",
    "Head",
    "ResNet3d",
    "ResStage",
    "Stem",
    "c2d_r50",
    "c2d_r50_32x2",
    "c2d_r101",
    "fast_only_r50",
    "i3d_r50",
    "i3d_r50_32x2",
    "i3d_r101",
    "i3d_r101_32x2",
    "slow_r50_8x8",
    "slow_r101_8x8",
]

STAGE_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
POOLED = 7  # side of the head's pool: that of the last maps of a crop of 224
Sizes = tuple[int, int, int]
Kernels = Sequence[Sequence[int]]
"""Frames that conv_a sees, per stage and block; repeated if a stage has more blocks."""

SINGLE_FRAMES: Kernels = ((1,), (1,), (1,), (1,))
EVERY_SECOND: Kernels = ((3,), (3, 1), (3, 1), (1, 3))
AS_IN_R50: Kernels = ((3,), (3, 1), (3, 1) * 3 + (1,) * 17, (1, 3))
LAST_STAGES: Kernels = ((1,), (1,), (3,), (3,))
THROUGHOUT: Kernels = ((3,), (3,), (3,), (3,))


class Stem(nn.Module):
    """Clip (B, Cin, T, H, W) -> (B, C, T, H/4, W/4): 7×7 over `temporal_kernel` frames, then max pooling.

    With `halve_time`, the convolution and the pool halve T each. Without `pool_padding` the pool leaves out the last
    row and column.
    """

    def __init__(
        self,
        temporal_kernel: int,
        channels: int = 64,
        in_channels: int = 3,
        *,
        halve_time: bool = False,
        pool_padding: bool = True,
    ) -> None:
        super().__init__()
        kernel, padding = (temporal_kernel, 7, 7), (temporal_kernel // 2, 3, 3)
        strides = (2 if halve_time else 1, 2, 2)
        self.conv = nn.Conv3d(in_channels, channels, kernel, stride=strides, padding=padding, bias=False)
        self.norm = nn.BatchNorm3d(channels)
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool3d((1, 3, 3), stride=strides, padding=(0, 1, 1) if pool_padding else 0)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        maps: Tensor = self.pool(self.activation(self.norm(self.conv(x))))
        return maps


def spatial_conv(channels: int, stride: int) -> nn.Module:
    """The 3×3 convolution in the middle of a block: sees one frame."""
    return nn.Conv3d(channels, channels, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)


def dilated_conv(channels: int, stride: int) -> nn.Module:
    """The same over every second row and column, which detection has in res5 instead of a stride."""
    return nn.Conv3d(channels, channels, (1, 3, 3), (1, stride, stride), (0, 2, 2), dilation=(1, 2, 2), bias=False)


LAST_STRIDES: dict[str, tuple[int, Callable[[int, int], nn.Module]]] = {
    "strided": (2, spatial_conv),
    "kept": (1, spatial_conv),
    "dilated": (1, dilated_conv),
}
"""Stride and 3×3 convolutions of res5: it halves H and W, or keeps them, as detection does."""


def strides(stage: int, res5: str) -> tuple[int, Callable[[int, int], nn.Module]]:
    """Stride and 3×3 convolutions of a stage, of which there are four."""
    return LAST_STRIDES[res5] if stage == 3 else (1 if stage == 0 else 2, spatial_conv)


class Bottleneck(nn.Module):
    """Branch of a block: 1×1 over `temporal_kernel` frames, the convolution that `middle` builds, 1×1."""

    def __init__(
        self,
        dim_in: int,
        dim_inner: int,
        dim_out: int,
        temporal_kernel: int,
        stride: int,
        middle: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__()
        padding = (temporal_kernel // 2, 0, 0)
        self.conv_a = nn.Conv3d(dim_in, dim_inner, (temporal_kernel, 1, 1), padding=padding, bias=False)
        self.norm_a = nn.BatchNorm3d(dim_inner)
        self.act_a = nn.ReLU()
        self.conv_b = middle(dim_inner, stride)
        self.norm_b = nn.BatchNorm3d(dim_inner)
        self.act_b = nn.ReLU()
        self.conv_c = nn.Conv3d(dim_inner, dim_out, 1, bias=False)
        self.norm_c = nn.BatchNorm3d(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Residual (B, dim_out, T, H, W), before it is added."""
        x = self.act_a(self.norm_a(self.conv_a(x)))
        x = self.act_b(self.norm_b(self.conv_b(x)))
        residual: Tensor = self.norm_c(self.conv_c(x))
        return residual


class ResBlock(nn.Module):
    """Shortcut plus branch; the shortcut is a 1×1 convolution if the shape changes."""

    def __init__(
        self,
        dim_in: int,
        dim_inner: int,
        dim_out: int,
        temporal_kernel: int,
        stride: int,
        middle: Callable[[int, int], nn.Module],
        shortcut_stride: Sizes,
    ) -> None:
        super().__init__()
        self.branch1_conv: nn.Module | None = None
        self.branch1_norm: nn.Module | None = None
        if dim_in != dim_out or stride > 1:
            self.branch1_conv = nn.Conv3d(dim_in, dim_out, 1, stride=shortcut_stride, bias=False)
            self.branch1_norm = nn.BatchNorm3d(dim_out)
        self.branch2 = Bottleneck(dim_in, dim_inner, dim_out, temporal_kernel, stride, middle)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, dim_out, T, H, W)."""
        shortcut = x
        if self.branch1_conv is not None and self.branch1_norm is not None:
            shortcut = self.branch1_norm(self.branch1_conv(x))
        maps: Tensor = self.activation(shortcut + self.branch2(x))
        return maps


class ResStage(nn.Module):
    """Blocks of one resolution; the first one strides.

    Arguments:
        depth: number of blocks.
        dim_in: channels of the input.
        dim_inner: channels inside a block.
        dim_out: channels of the output.
        temporal_kernels: frames that conv_a sees, block by block; repeated if there are more blocks.
        stride: of H and W; with `temporal_stride` also of T.
        middle: builds the convolution in the middle of a block from its channels and stride.
        temporal_stride: the first block strides over time as over space (CSN).
    """

    def __init__(
        self,
        depth: int,
        dim_in: int,
        dim_inner: int,
        dim_out: int,
        *,
        temporal_kernels: Sequence[int] = (1,),
        stride: int = 1,
        middle: Callable[[int, int], nn.Module] = spatial_conv,
        temporal_stride: bool = False,
    ) -> None:
        super().__init__()
        self.res_blocks = nn.ModuleList()
        shortcut_stride = (stride if temporal_stride else 1, stride, stride)
        for index in range(depth):
            kernel = temporal_kernels[index % len(temporal_kernels)]
            first = index == 0
            channels = dim_in if first else dim_out
            block_stride = stride if first else 1
            block = ResBlock(channels, dim_inner, dim_out, kernel, block_stride, middle, shortcut_stride)
            self.res_blocks.append(block)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, dim_out, T, H/stride, W/stride)."""
        for block in self.res_blocks:
            x = block(x)
        return x


class Head(nn.Module):
    """Feature maps (B, C, T, H, W) -> scores (B, num_classes): pool, classify every remaining position, average."""

    def __init__(self, channels: int, num_classes: int, pool: Sizes | None, dropout: float = 0.5) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d(pool, stride=1) if pool else None
        self.dropout = nn.Dropout(dropout)
        self.proj = nn.Linear(channels, num_classes)
        self.output_pool = nn.AdaptiveAvgPool3d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        if self.pool is not None:
            x = self.pool(x)
        x = self.proj(self.dropout(x.permute(0, 2, 3, 4, 1)))
        scores: Tensor = self.output_pool(x.permute(0, 4, 1, 2, 3)).flatten(1)
        return scores


def head_pool(frames: int, clip: Clip, released: Sizes) -> tuple[Sizes, tuple[str, ...]]:
    """The window of the head's pool, all remaining `frames` and at most 7×7 positions, and the departure.

    All networks here halve H and W five times, rounding up.
    """
    pool = (frames, min(released[1], -(-clip.height // 32)), min(released[2], -(-clip.width // 32)))
    if pool == released:
        return pool, ()
    return pool, (f"head pools {times(pool)} of {clip}, released with {times(released)}",)


class ResNet3d(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes).

    Arguments:
        num_classes: 400 (Kinetics) in the papers.
        pool: what the head pools over.
        stem_kernel: frames that the first convolution sees.
        temporal_kernels: frames that conv_a sees, per stage and block.
        pool_time: halve the frames after res2.
        depth: 50 or 101.
        width: channels of the stem; those of all stages are multiples of it.
        halve_time: the stem halves the frames twice.
        pool_padding: the stem's pool pads its frames.
        res5: how its first block strides, a key of `LAST_STRIDES`.
    """

    def __init__(
        self,
        num_classes: int,
        pool: Sizes,
        *,
        stem_kernel: int,
        temporal_kernels: Kernels,
        pool_time: bool = False,
        depth: int = 50,
        width: int = 64,
        halve_time: bool = False,
        pool_padding: bool = True,
        res5: str = "strided",
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Stem(stem_kernel, width, halve_time=halve_time, pool_padding=pool_padding)])
        dim_in = width
        for index, (blocks, kernels) in enumerate(zip(STAGE_DEPTHS[depth], temporal_kernels, strict=True)):
            inner = width * 2**index
            stride, middle = strides(index, res5)
            stage = ResStage(blocks, dim_in, inner, 4 * inner, temporal_kernels=kernels, stride=stride, middle=middle)
            self.blocks.append(stage)
            dim_in = 4 * inner
            if index == 0 and pool_time:
                self.blocks.append(nn.MaxPool3d((2, 1, 1)))
        self.blocks.append(Head(dim_in, num_classes, pool))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        for block in self.blocks:
            x = block(x)
        return x


def _pooled_in_time(
    clip: Clip,
    num_classes: int,
    stem_kernel: int,
    temporal_kernels: Kernels,
    *,
    depth: int = 50,
    pool_padding: bool = True,
) -> SizedNetwork:
    """A network released for 8 frames, of which the head pools 4."""
    left = sizes_after({"blocks.2": nn.MaxPool3d((2, 1, 1))}, clip.sizes, clip)
    pool, departures = head_pool(left[0], clip, (4, POOLED, POOLED))
    model = ResNet3d(
        num_classes,
        pool,
        stem_kernel=stem_kernel,
        temporal_kernels=temporal_kernels,
        pool_time=True,
        depth=depth,
        pool_padding=pool_padding,
    )
    return SizedNetwork(model, departures + unpadded(pool_padding))


def halved_in_time(
    clip: Clip,
    num_classes: int,
    stem_kernel: int,
    temporal_kernels: Kernels,
    *,
    depth: int = 50,
    heavy: bool = False,
    pool_padding: bool = True,
) -> SizedNetwork:
    """A network whose stem halves time twice, unless it is `heavy`; the head pools all frames that are left.

    Raises:
        InputError: no frame is left.
    """
    stem = Stem(stem_kernel, halve_time=not heavy, pool_padding=pool_padding)
    layers = {"blocks.0.conv": stem.conv, "blocks.0.pool": stem.pool, "blocks.2": nn.MaxPool3d((2, 1, 1))}
    left = sizes_after(layers, clip.sizes, clip)
    pool, departures = head_pool(left[0], clip, (left[0], POOLED, POOLED))
    model = ResNet3d(
        num_classes,
        pool,
        stem_kernel=stem_kernel,
        temporal_kernels=THROUGHOUT if heavy else temporal_kernels,
        pool_time=True,
        depth=depth,
        halve_time=not heavy,
        pool_padding=pool_padding,
    )
    if heavy:
        departures += ("heavy: every conv_a sees three frames, and the stem keeps all frames",)
    return SizedNetwork(model, departures + unpadded(pool_padding))


def unpadded(pool_padding: bool) -> tuple[str, ...]:
    """What a stem without padding departs from."""
    return () if pool_padding else ("the stem's pool has no padding, as in video-nonlocal-net",)


def c2d_r50(clip: Clip, num_classes: int, *, pool_padding: bool = True) -> SizedNetwork:
    """C2D: no convolution sees more than one frame; time is pooled after res2 and in the head."""
    return _pooled_in_time(clip, num_classes, 1, SINGLE_FRAMES, pool_padding=pool_padding)


def c2d_r101(clip: Clip, num_classes: int, *, pool_padding: bool = True) -> SizedNetwork:
    """C2D on ResNet-101 (the paper's table 2)."""
    return _pooled_in_time(clip, num_classes, 1, SINGLE_FRAMES, depth=101, pool_padding=pool_padding)


def c2d_r50_32x2(clip: Clip, num_classes: int, *, pool_padding: bool = True) -> SizedNetwork:
    """C2D of the paper's table 1: the stem halves time twice."""
    return halved_in_time(clip, num_classes, 1, SINGLE_FRAMES, pool_padding=pool_padding)


def i3d_r50(clip: Clip, num_classes: int, *, pool_padding: bool = True) -> SizedNetwork:
    """I3D on ResNet-50: every second conv_a (every one in res2) sees three frames, the first convolution five."""
    return _pooled_in_time(clip, num_classes, 5, EVERY_SECOND, pool_padding=pool_padding)


def i3d_r101(clip: Clip, num_classes: int, *, pool_padding: bool = True) -> SizedNetwork:
    """I3D on ResNet-101 (PySlowFast's I3D_8x8_R101)."""
    return _pooled_in_time(clip, num_classes, 5, EVERY_SECOND, depth=101, pool_padding=pool_padding)


def i3d_r50_32x2(clip: Clip, num_classes: int, *, heavy: bool = False, pool_padding: bool = True) -> SizedNetwork:
    """I3D of the paper's table 1 and of mmaction2, which has a heavy form too."""
    return halved_in_time(clip, num_classes, 5, EVERY_SECOND, heavy=heavy, pool_padding=pool_padding)


def i3d_r101_32x2(clip: Clip, num_classes: int, *, pool_padding: bool = True, as_in_r50: bool = False) -> SizedNetwork:
    """I3D on ResNet-101, the stem of which halves time twice; `as_in_r50`, res4 has as few temporal kernels as R50."""
    kernels = AS_IN_R50 if as_in_r50 else EVERY_SECOND
    network = halved_in_time(clip, num_classes, 5, kernels, depth=101, pool_padding=pool_padding)
    if not as_in_r50:
        return network
    departure = "res4 has three temporal kernels, as in ResNet-50; released with twelve"
    return replace(network, departures=(*network.departures, departure))


def slow(clip: Clip, num_classes: int, depth: int) -> SizedNetwork:
    """Slow of this depth, released for 8 frames."""
    pool, departures = head_pool(clip.frames, clip, (8, POOLED, POOLED))
    model = ResNet3d(num_classes, pool, stem_kernel=1, temporal_kernels=LAST_STAGES, depth=depth)
    return SizedNetwork(model, departures)


def slow_r50_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """Slow, the slow pathway of SlowFast alone: conv_a of res4 and res5 sees three frames."""
    return slow(clip, num_classes, 50)


def slow_r101_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """Slow on ResNet-101 (mmaction2's slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb)."""
    return slow(clip, num_classes, 101)


def fast_only_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """Fast, the fast pathway of SlowFast alone: 1/8 of the channels, and every conv_a sees three frames."""
    pool, departures = head_pool(clip.frames, clip, (32, POOLED, POOLED))
    model = ResNet3d(num_classes, pool, stem_kernel=5, temporal_kernels=THROUGHOUT, width=8)
    return SizedNetwork(model, departures)
