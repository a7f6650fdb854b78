"""SlowFast (Feichtenhofer et al. 2019, "SlowFast Networks for Video Recognition").

Paper: https://arxiv.org/abs/1812.03982 (table 1). Code followed: https://github.com/facebookresearch/pytorchvideo,
models/slowfast.py and models/hub/slowfast.py, names of submodules included, so that its state dicts load; the
differences between variants are in https://github.com/facebookresearch/SlowFast, configs/Kinetics/c2/SLOWFAST_*.yaml.

A slow pathway sees every α-th frame, a fast one all of them with 1/8 of the channels; after the stem and res2 to res4
a lateral convolution merges α fast frames into each slow one. In the name, 8x8 is the slow pathway's clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .nonlocal_block import insert_nonlocal
from .resnet3d import POOLED, STAGE_DEPTHS, Head, ResStage, Sizes, Stem, head_pool
from .sized_network import SizedNetwork

__all__ = [
    "SlowFast",
    "slowfast_r50_4x16",
    "slowfast_r50_8x8",
    "slowfast_r101_8x8",
    "slowfast_r101_16x8_nl",
    "slowfast_r101_50_50_8x8",
    "slowfast_r101_50_50_16x8",
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

    def __init__(self, channels: int, kernel: int, alpha: int) -> None:
        super().__init__()
        self.conv_fast_to_slow = nn.Conv3d(
            channels,
            FUSED * channels,
            (kernel, 1, 1),
            stride=(alpha, 1, 1),
            padding=(kernel // 2, 0, 0),
            bias=False,
        )
        self.norm = nn.BatchNorm3d(FUSED * channels)
        self.activation = nn.ReLU()

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
        depth: 50 or 101.
        alpha: α, how many times faster the fast pathway is.
        fusion_kernel: fast frames that a lateral convolution sees.
        temporal_kernels: frames that conv_a sees, per pathway, stage and block.
    """

    def __init__(
        self,
        frames: int,
        num_classes: int,
        pools: tuple[Sizes, Sizes],
        *,
        depth: int,
        alpha: int,
        fusion_kernel: int,
        temporal_kernels: Sequence[Sequence[Sequence[int]]] = THROUGHOUT,
    ) -> None:
        super().__init__()
        slow_frames = torch.linspace(0, frames - 1, frames // alpha).long()
        self.register_buffer("slow_frames", slow_frames, persistent=False)
        stem = Stem(1, 64), Stem(5, 64 // REDUCTION)
        self.blocks = nn.ModuleList([TwoPathways(*stem, FuseFastToSlow(64 // REDUCTION, fusion_kernel, alpha))])
        dim_in = 64
        for index, blocks in enumerate(STAGE_DEPTHS[depth]):
            inner, dim_out, stride = 64 * 2**index, 256 * 2**index, 1 if index == 0 else 2
            slow_in = dim_in + FUSED * dim_in // REDUCTION
            slow = ResStage(blocks, slow_in, inner, dim_out, temporal_kernels=temporal_kernels[0][index], stride=stride)
            fast = ResStage(
                blocks,
                dim_in // REDUCTION,
                inner // REDUCTION,
                dim_out // REDUCTION,
                temporal_kernels=temporal_kernels[1][index],
                stride=stride,
            )
            last = index == len(STAGE_DEPTHS[depth]) - 1
            fusion = nn.Identity() if last else FuseFastToSlow(dim_out // REDUCTION, fusion_kernel, alpha)
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
    depth: int,
    alpha: int,
    fusion_kernel: int,
    temporal_kernels: Sequence[Sequence[Sequence[int]]] = THROUGHOUT,
) -> SizedNetwork:
    """A SlowFast network that is released for clips of this many frames."""
    if clip.frames % alpha:
        nearest = max(alpha, clip.frames // alpha * alpha)
        fix = f"give a multiple of {alpha} frames, such as --clip {nearest}x{clip.height}x{clip.width}"
        raise InputError(
            f"clip {clip} has {clip.frames} frames, and the slow pathway takes every {alpha}th",
            [("in", f"slow_frames: {clip.frames}/{alpha} is not a whole number"), ("fix", fix)],
        )
    slow, departures = head_pool(clip.frames // alpha, clip, (frames // alpha, POOLED, POOLED))
    pools = slow, (clip.frames, *slow[1:])
    model = SlowFast(
        clip.frames,
        num_classes,
        pools,
        depth=depth,
        alpha=alpha,
        fusion_kernel=fusion_kernel,
        temporal_kernels=temporal_kernels,
    )
    return SizedNetwork(model, departures)


def slowfast_r50_4x16(clip: Clip, num_classes: int) -> SizedNetwork:
    """ResNet-50, slow pathway of 4 frames (SLOWFAST_4x16_R50.yaml)."""
    return _slowfast(clip, num_classes, frames=32, depth=50, alpha=8, fusion_kernel=5)


def slowfast_r50_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """ResNet-50, slow pathway of 8 frames (SLOWFAST_8x8_R50.yaml)."""
    return _slowfast(clip, num_classes, frames=32, depth=50, alpha=4, fusion_kernel=7)


def slowfast_r101_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """ResNet-101 with temporal kernels in all blocks of res4 (SLOWFAST_8x8_R101_101_101.yaml), not the paper's."""
    return _slowfast(clip, num_classes, frames=32, depth=101, alpha=4, fusion_kernel=5)


def slowfast_r101_50_50_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """ResNet-101 with as many temporal kernels as ResNet-50: the paper's 8×8 (SLOWFAST_8x8_R101_50_50.yaml)."""
    return _slowfast(clip, num_classes, frames=32, depth=101, alpha=4, fusion_kernel=5, temporal_kernels=AS_IN_R50)


def slowfast_r101_50_50_16x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """The paper's 16×8 (SLOWFAST_16x8_R101_50_50.yaml)."""
    return _slowfast(clip, num_classes, frames=64, depth=101, alpha=4, fusion_kernel=5, temporal_kernels=AS_IN_R50)


def slowfast_r101_16x8_nl(clip: Clip, num_classes: int) -> SizedNetwork:
    """The paper's 16×8 with three non-local blocks in the slow pathway's res4 (SLOWFAST_NLN_16x8_R101_50_50.yaml)."""
    if min(clip.height, clip.width) <= 16:
        fix = "give larger frames, or choose slowfast_r101_50_50_16x8"
        raise InputError(f"clip {clip} leaves 1 row or column in res4, where non-local blocks pool 2×2", [("fix", fix)])
    network = slowfast_r101_50_50_16x8(clip, num_classes)
    places = {f"blocks.3.multipathway_blocks.0.res_blocks.{block}": 1024 for block in (6, 13, 20)}
    insert_nonlocal(network.module, places, pairwise="dot_product")
    return network
