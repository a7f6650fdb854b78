"""3D ResNets with bottleneck blocks: C2D, I3D, Slow and non-local nets, and the parts that SlowFast and CSN share.

Papers: C2D and I3D with a ResNet backbone, https://arxiv.org/abs/1711.07971 (tables 1 and 2); Slow, the slow pathway
alone, https://arxiv.org/abs/1812.03982 (table 5a). Code followed, names of submodules included:
https://github.com/facebookresearch/pytorchvideo, models/resnet.py and models/hub/resnet.py; its state dicts load.

The three differ in the temporal extent of conv_a, the first 1×1 convolution of a block, and in a pool over time after
res2. They are trained on crops of 224 and tested on larger ones, where the head also pools 7×7 and averages the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from ...core.units import times
from .nonlocal_block import insert_nonlocal
from .sized_network import SizedNetwork
from .sizing import sizes_after

__all__ = ["STAGE_DEPTHS", "Head", "ResStage", "Stem", "c2d_nl_r50", "c2d_r50", "i3d_nl_r50", "i3d_r50", "slow_r50_8x8"]

STAGE_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
POOLED = 7  # side of the head's pool: that of the last maps of a crop of 224
Sizes = tuple[int, int, int]


class Stem(nn.Module):
    """Clip (B, Cin, T, H, W) -> (B, C, T, H/4, W/4): 7×7 over `temporal_kernel` frames, then max pooling."""

    def __init__(self, temporal_kernel: int, channels: int = 64, in_channels: int = 3) -> None:
        super().__init__()
        kernel, padding = (temporal_kernel, 7, 7), (temporal_kernel // 2, 3, 3)
        self.conv = nn.Conv3d(in_channels, channels, kernel, stride=(1, 2, 2), padding=padding, bias=False)
        self.norm = nn.BatchNorm3d(channels)
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        maps: Tensor = self.pool(self.activation(self.norm(self.conv(x))))
        return maps


def spatial_conv(channels: int, stride: int) -> nn.Module:
    """The 3×3 convolution in the middle of a block: sees one frame."""
    return nn.Conv3d(channels, channels, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)


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
    """

    def __init__(
        self,
        num_classes: int,
        pool: Sizes,
        *,
        stem_kernel: int,
        temporal_kernels: Sequence[Sequence[int]],
        pool_time: bool,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Stem(stem_kernel)])
        dim_in = 64
        for index, (depth, kernels) in enumerate(zip(STAGE_DEPTHS[50], temporal_kernels, strict=True)):
            inner = 64 * 2**index
            stride = 1 if index == 0 else 2
            self.blocks.append(ResStage(depth, dim_in, inner, 4 * inner, temporal_kernels=kernels, stride=stride))
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
    clip: Clip, num_classes: int, stem_kernel: int, temporal_kernels: Sequence[Sequence[int]]
) -> SizedNetwork:
    left = sizes_after({"blocks.2": nn.MaxPool3d((2, 1, 1))}, clip.sizes, clip)
    pool, departures = head_pool(left[0], clip, (4, POOLED, POOLED))
    model = ResNet3d(num_classes, pool, stem_kernel=stem_kernel, temporal_kernels=temporal_kernels, pool_time=True)
    return SizedNetwork(model, departures)


def c2d_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """C2D: no convolution sees more than one frame; time is pooled after res2 and in the head."""
    return _pooled_in_time(clip, num_classes, 1, ((1,), (1,), (1,), (1,)))


def i3d_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """I3D on ResNet-50: every second conv_a (every one in res2) sees three frames, the first convolution five."""
    return _pooled_in_time(clip, num_classes, 5, ((3,), (3, 1), (3, 1), (1, 3)))


def slow_r50_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """Slow, the slow pathway of SlowFast alone: conv_a of res4 and res5 sees three frames."""
    pool, departures = head_pool(clip.frames, clip, (8, POOLED, POOLED))
    model = ResNet3d(num_classes, pool, stem_kernel=1, temporal_kernels=((1,), (1,), (3,), (3,)), pool_time=False)
    return SizedNetwork(model, departures)


def _nonlocal_places(model: ResNet3d, blocks: int) -> dict[str, int]:
    """The places of the paper's 1, 5 or 10 non-local blocks, and their channels (section 5.1).

    One is before the last block of res4; five are after every second block of res3 and res4; ten after every block.
    """
    places: dict[int, dict[int, Sequence[int]]] = {
        1: {1: (), 2: (4,)},
        5: {1: (1, 3), 2: (1, 3, 5)},
        10: {1: range(4), 2: range(6)},
    }
    if blocks not in places:
        raise InputError(f"{blocks} non-local blocks", [("fix", "give nonlocal_blocks 1, 5 or 10, as in the paper")])
    stages = {name: part for name, part in model.blocks.named_children() if isinstance(part, ResStage)}
    return {
        f"blocks.{name}.res_blocks.{block}": 256 * 2**index
        for index, name in islice(enumerate(stages), 1, 3)
        for block in places[blocks][index]
    }


def _with_nonlocal(
    network: SizedNetwork, clip: Clip, nonlocal_blocks: int, *, pairwise: str, pool_keys: bool, pool_after: bool
) -> SizedNetwork:
    assert isinstance(network.module, ResNet3d)
    places = _nonlocal_places(network.module, nonlocal_blocks)
    if pool_keys and min(clip.height, clip.width) <= 16:
        fix = "give larger frames, or --set pool_keys=false"
        raise InputError(f"clip {clip} leaves 1 row or column in res4, where non-local blocks pool 2×2", [("fix", fix)])
    insert_nonlocal(network.module, places, pairwise=pairwise, pool_keys=pool_keys, pool_after=pool_after)
    departures = network.departures
    if nonlocal_blocks != 5:
        departures += (f"{nonlocal_blocks} non-local blocks, released with 5",)
    if pairwise != "embedded_gaussian":
        departures += (f"non-local blocks of pairwise function {pairwise}, released with embedded_gaussian",)
    if not pool_keys:
        departures += ("non-local blocks with all keys, released with keys pooled 2×2",)
    elif pool_after:
        departures += ("keys pooled after φ and g, as in the paper; released with the pool before them",)
    return SizedNetwork(network.module, departures)


def c2d_nl_r50(
    clip: Clip,
    num_classes: int,
    *,
    nonlocal_blocks: int = 5,
    pairwise: str = "embedded_gaussian",
    pool_keys: bool = True,
    pool_after: bool = False,
) -> SizedNetwork:
    """C2D with 1, 5 or 10 non-local blocks (1711.07971, section 5.1)."""
    network = c2d_r50(clip, num_classes)
    return _with_nonlocal(network, clip, nonlocal_blocks, pairwise=pairwise, pool_keys=pool_keys, pool_after=pool_after)


def i3d_nl_r50(
    clip: Clip,
    num_classes: int,
    *,
    nonlocal_blocks: int = 5,
    pairwise: str = "embedded_gaussian",
    pool_keys: bool = True,
    pool_after: bool = False,
) -> SizedNetwork:
    """I3D with 1, 5 or 10 non-local blocks (1711.07971, section 5.1; PySlowFast's I3D_NLN_8x8_R50)."""
    network = i3d_r50(clip, num_classes)
    return _with_nonlocal(network, clip, nonlocal_blocks, pairwise=pairwise, pool_keys=pool_keys, pool_after=pool_after)
