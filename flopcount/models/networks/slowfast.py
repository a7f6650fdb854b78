"""SlowFast (Feichtenhofer et al. 2019, "SlowFast Networks for Video Recognition").

Paper: https://arxiv.org/abs/1812.03982 (table 1). Code followed: https://github.com/facebookresearch/pytorchvideo,
models/slowfast.py and models/hub/slowfast.py, names of submodules included, so that its state dicts load; the
differences between variants are in https://github.com/facebookresearch/SlowFast, configs/Kinetics/c2/SLOWFAST_*.yaml.
In https://github.com/open-mmlab/mmaction2, mmaction/models/backbones/resnet3d_slowfast.py, lateral convolutions have
neither a norm nor an activation (`lateral_norm`), and see seven frames in every network of 8×8 (`fusion_kernel`).

A slow pathway sees every α-th frame, a fast one all of them with 1/8 of the channels; after the stem and res2 to res4
a lateral convolution merges α fast frames into each slow one. In the name, 8x8 is the slow pathway's clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .nonlocal_block import insert_nonlocal
from .resnet3d import POOLED, STAGE_DEPTHS, Head, ResStage, Sizes, Stem, head_pool, strides
from .sized_network import SizedNetwork

__all__ = [
    "SlowFast",
    "slowfast_r50_4x16",
    "slowfast_r50_8x8",
    "slowfast_r101_8x8",
    "slowfast_r101_16x8_nl",
    "slowfast_r101_50_50_8x8",
    "slowfast_r101_50_50_16x8",
    "slowfast_r101_r50_4x16",
]

REDUCTION = 8  # 1/β of the paper: the slow pathway's channels over the fast pathway's
FUSED = 2  # a lateral convolution doubles the channels of the fast pathway

THROUGHOUT = ((1,), (1,), (3,), (3,)), ((3,), (3,), (3,), (3,))
"""Frames that conv_a sees, per pathway, stage and block."""

FIRST_SIX = (3,) * 6 + (1,) * 17
"""In res4 of the paper's R101, only as many blocks as an R50 has see more than one frame."""

AS_IN_R50 = ((1,), (1,), FIRST_SIX, (3,)), ((3,), (3,), FIRST_SIX, (3,))


class FuseFastToSlow(nn.Module):
    """[slow, fast] -> [slow with channels of the fast pathway, fast]."""

    def __init__(self, channels: int, kernel: int, alpha: int, norm: bool = True) -> None:
        super().__init__()
        self.conv_fast_to_slow = nn.Conv3d(
            channels,
            FUSED * channels,
            (kernel, 1, 1),
            stride=(alpha, 1, 1),
            padding=(kernel // 2, 0, 0),
            bias=False,
        )
        self.norm = nn.BatchNorm3d(FUSED * channels) if norm else nn.Identity()
        self.activation = nn.ReLU() if norm else nn.Identity()

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Slow (B, C + C/4, T, H, W) and fast (B, C/8, αT, H, W)."""
        slow, fast = x
        return [torch.cat([slow, self.activation(self.norm(self.conv_fast_to_slow(fast)))], 1), fast]


class TwoPathways(nn.Module):
    """A block of each pathway, then the lateral connection."""

    def __init__(self, slow: nn.Module, fast: nn.Module, fusion: nn.Module) -> None:
        super().__init__()
        self.multipathway_blocks = nn.ModuleList([slow, fast])
        self.multipathway_fusion = fusion

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Slow and fast feature maps."""
        maps = [block(path) for block, path in zip(self.multipathway_blocks, x, strict=True)]
        fused: list[Tensor] = self.multipathway_fusion(maps)
        return fused


class PoolConcat(nn.Module):
    """[slow, fast] -> (B, C + C/8, 1, h, w): each pooled over its frames, then concatenated."""

    def __init__(self, slow: Sizes, fast: Sizes) -> None:
        super().__init__()
        self.pool = nn.ModuleList([nn.AvgPool3d(slow, stride=1), nn.AvgPool3d(fast, stride=1)])

    def forward(self, x: list[Tensor]) -> Tensor:
        """Features of every remaining position."""
        return torch.cat([pool(maps) for pool, maps in zip(self.pool, x, strict=True)], 1)


class SlowFast(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes); the model itself samples T/α frames for the slow pathway.

    Arguments:
        frames: T, a multiple of α.
        num_classes: 400 (Kinetics) in the paper.
        pools: what the head pools over, slow and fast.
        depths: 50 or 101, of the slow and of the fast pathway.
        alpha: α, how many times faster the fast pathway is.
        fusion_kernel: fast frames that a lateral convolution sees.
        temporal_kernels: frames that conv_a sees, per pathway, stage and block.
        lateral_norm: lateral convolutions are followed by a norm and an activation.
        res5: how its first block strides, a key of resnet3d.LAST_STRIDES.
    """

    def __init__(
        self,
        frames: int,
        num_classes: int,
        pools: tuple[Sizes, Sizes],
        *,
        depths: tuple[int, int],
        alpha: int,
        fusion_kernel: int,
        temporal_kernels: Sequence[Sequence[Sequence[int]]] = THROUGHOUT,
        lateral_norm: bool = True,
        res5: str = "strided",
    ) -> None:
        super().__init__()
        slow_frames = torch.linspace(0, frames - 1, frames // alpha).long()
        self.register_buffer("slow_frames", slow_frames, persistent=False)
        stem = Stem(1, 64), Stem(5, 64 // REDUCTION)
        fusion: nn.Module = FuseFastToSlow(64 // REDUCTION, fusion_kernel, alpha, lateral_norm)
        self.blocks = nn.ModuleList([TwoPathways(*stem, fusion)])
        dim_in = 64
        for index, blocks in enumerate(zip(*(STAGE_DEPTHS[depth] for depth in depths), strict=True)):
            last = index == 3
            inner, dim_out = 64 * 2**index, 256 * 2**index
            stride, middle = strides(index, res5)
            sizes = (
                (dim_in + FUSED * dim_in // REDUCTION, inner, dim_out),
                (dim_in // REDUCTION, inner // REDUCTION, dim_out // REDUCTION),
            )
            slow, fast = (
                ResStage(depth, *dims, temporal_kernels=kernels[index], stride=stride, middle=middle)
                for depth, dims, kernels in zip(blocks, sizes, temporal_kernels, strict=True)
            )
            narrow = dim_out // REDUCTION
            fusion = nn.Identity() if last else FuseFastToSlow(narrow, fusion_kernel, alpha, lateral_norm)
            self.blocks.append(TwoPathways(slow, fast, fusion))
            dim_in = dim_out
        self.blocks.append(PoolConcat(*pools))
        self.blocks.append(Head(dim_in + dim_in // REDUCTION, num_classes, None))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        maps = [x.index_select(2, self.get_buffer("slow_frames")), x]
        for block in self.blocks:
            maps = block(maps)
        assert isinstance(maps, Tensor)  # one map holds both pathways
        return maps


def _slowfast(
    clip: Clip,
    num_classes: int,
    *,
    frames: int,
    depths: tuple[int, int],
    alpha: int,
    fusion_kernel: int,
    temporal_kernels: Sequence[Sequence[Sequence[int]]] = THROUGHOUT,
    lateral_norm: bool = True,
) -> SizedNetwork:
    """A SlowFast network that is released for clips of this many frames."""
    require_frames(clip, alpha)
    slow, departures = head_pool(clip.frames // alpha, clip, (frames // alpha, POOLED, POOLED))
    pools = slow, (clip.frames, *slow[1:])
    model = SlowFast(
        clip.frames,
        num_classes,
        pools,
        depths=depths,
        alpha=alpha,
        fusion_kernel=fusion_kernel,
        temporal_kernels=temporal_kernels,
        lateral_norm=lateral_norm,
    )
    return SizedNetwork(model, departures)


def require_frames(clip: Clip, alpha: int) -> None:
    """The frames are a multiple of α.

    Raises:
        InputError: they are not.
    """
    if clip.frames % alpha:
        nearest = max(alpha, clip.frames // alpha * alpha)
        fix = f"give a multiple of {alpha} frames, such as --clip {nearest}x{clip.height}x{clip.width}"
        raise InputError(
            f"clip {clip} has {clip.frames} frames, and the slow pathway takes every {alpha}th",
            [("in", f"slow_frames: {clip.frames}/{alpha} is not a whole number"), ("fix", fix)],
        )


def _as_in_mmaction2(network: SizedNetwork, lateral_norm: bool, *, kernel: tuple[int, int] = (0, 0)) -> SizedNetwork:
    """The network with what it departs from; `kernel` is the chosen and the released one of lateral convolutions."""
    departures = network.departures
    if not lateral_norm:
        departures += ("lateral convolutions without norm and activation, as in mmaction2",)
    if kernel[0] != kernel[1]:
        departures += (f"lateral convolutions over {kernel[0]} frames, released with {kernel[1]}",)
    return replace(network, departures=departures)


def slowfast_r50_4x16(clip: Clip, num_classes: int, *, lateral_norm: bool = True) -> SizedNetwork:
    """ResNet-50, slow pathway of 4 frames (SLOWFAST_4x16_R50.yaml)."""
    network = _slowfast(
        clip, num_classes, frames=32, depths=(50, 50), alpha=8, fusion_kernel=5, lateral_norm=lateral_norm
    )
    return _as_in_mmaction2(network, lateral_norm)


def slowfast_r50_8x8(clip: Clip, num_classes: int, *, lateral_norm: bool = True) -> SizedNetwork:
    """ResNet-50, slow pathway of 8 frames (SLOWFAST_8x8_R50.yaml)."""
    network = _slowfast(
        clip, num_classes, frames=32, depths=(50, 50), alpha=4, fusion_kernel=7, lateral_norm=lateral_norm
    )
    return _as_in_mmaction2(network, lateral_norm)


def slowfast_r101_8x8(
    clip: Clip, num_classes: int, *, lateral_norm: bool = True, fusion_kernel: int = 5
) -> SizedNetwork:
    """ResNet-101 with temporal kernels in all blocks of res4 (SLOWFAST_8x8_R101_101_101.yaml), not the paper's."""
    network = _slowfast(
        clip,
        num_classes,
        frames=32,
        depths=(101, 101),
        alpha=4,
        fusion_kernel=fusion_kernel,
        lateral_norm=lateral_norm,
    )
    return _as_in_mmaction2(network, lateral_norm, kernel=(fusion_kernel, 5))


def slowfast_r101_r50_4x16(clip: Clip, num_classes: int) -> SizedNetwork:
    """Slow pathway of ResNet-101 and fast one of ResNet-50 (mmaction2's slowfast_r101-r50_32xb8-4x16x1-256e)."""
    return _slowfast(clip, num_classes, frames=32, depths=(101, 50), alpha=8, fusion_kernel=5, lateral_norm=False)


def slowfast_r101_50_50_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """ResNet-101 with as many temporal kernels as ResNet-50: the paper's 8×8 (SLOWFAST_8x8_R101_50_50.yaml)."""
    return _slowfast(
        clip, num_classes, frames=32, depths=(101, 101), alpha=4, fusion_kernel=5, temporal_kernels=AS_IN_R50
    )


def slowfast_r101_50_50_16x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """The paper's 16×8 (SLOWFAST_16x8_R101_50_50.yaml)."""
    return _slowfast(
        clip, num_classes, frames=64, depths=(101, 101), alpha=4, fusion_kernel=5, temporal_kernels=AS_IN_R50
    )


NONLOCAL_PLACES = {f"blocks.3.multipathway_blocks.0.res_blocks.{block}": 1024 for block in (6, 13, 20)}
"""After these blocks of the slow pathway's res4 (SLOWFAST_NLN_16x8_R101_50_50.yaml)."""


def slowfast_r101_16x8_nl(clip: Clip, num_classes: int, *, pool_frames: bool = True) -> SizedNetwork:
    """The paper's 16×8 with three non-local blocks in the slow pathway's res4 (SLOWFAST_NLN_16x8_R101_50_50.yaml).

    Keys are pooled 2×2×2, which configs/AVA/c2/SLOWFAST_{32x2,64x2}_R101_50_50.yaml say of the networks that were
    first trained on Kinetics, and which makes the 234 GFLOPs that the paper prints (table 2). The file of Kinetics
    itself says nothing, so that PySlowFast's default 1×2×2 holds: that is 242 GFLOPs, `pool_frames=false`.
    """
    keys = 8 if pool_frames else 4  # frames of the clip that leave one for keys
    if min(clip.height, clip.width) <= 16 or clip.frames < keys:
        raise InputError(
            f"clip {clip} leaves 1 frame, row or column in res4, where non-local blocks pool 2×2×2",
            [("fix", "give more frames or larger ones, or choose slowfast_r101_50_50_16x8")],
        )
    network = slowfast_r101_50_50_16x8(clip, num_classes)
    insert_nonlocal(network.module, NONLOCAL_PLACES, pairwise="dot_product", pool_frames=pool_frames)
    if pool_frames:
        return network
    departure = "keys pooled 1×2×2, as PySlowFast's file for Kinetics leaves them; the paper's cost has 2×2×2"
    return replace(network, departures=(*network.departures, departure))
