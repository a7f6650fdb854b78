"""CSN (Tran et al. 2019, "Video Classification with Channel-Separated Convolutional Networks").

Paper: https://arxiv.org/abs/1904.02811 (figure 2, table 1). Code followed: https://github.com/facebookresearch/VMZ,
pt/vmz/models/csn.py, in the form and with the names of https://github.com/facebookresearch/pytorchvideo, models/csn.py,
which has the interaction-reduced network.

A bottleneck ResNet whose 3×3×3 convolutions see one channel each. The interaction-reduced (ir) form has nothing more;
the interaction-preserved (ip) form has a 1×1×1 convolution before each of them.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ...core.protocol import Clip
from .resnet3d import POOLED, STAGE_DEPTHS, Head, ResStage, Sizes, Stem, head_pool
from .sized_network import SizedNetwork

__all__ = ["CSN", "ip_csn_50", "ip_csn_101", "ip_csn_152", "ir_csn_50", "ir_csn_101", "ir_csn_152"]


def depthwise(channels: int, stride: int) -> nn.Module:
    """3×3×3, each channel separately."""
    return nn.Conv3d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False)


def preserved(channels: int, stride: int) -> nn.Module:
    """1×1×1 across channels, then 3×3×3 on each; no ReLU between them."""
    return nn.Sequential(
        nn.Conv3d(channels, channels, 1, bias=False), nn.BatchNorm3d(channels), depthwise(channels, stride)
    )


class CSN(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes).

    Arguments:
        num_classes: 400 (Kinetics) in the paper.
        pool: what the head pools over.
        depth: 50, 101 or 152.
        middle: builds the middle of a block.
    """

    def __init__(self, num_classes: int, pool: Sizes, *, depth: int, middle: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Stem(3)])
        dim_in = 64
        for index, blocks in enumerate(STAGE_DEPTHS[depth]):
            inner, stride = 64 * 2**index, 1 if index == 0 else 2
            stage = ResStage(blocks, dim_in, inner, 4 * inner, stride=stride, middle=middle, temporal_stride=True)
            self.blocks.append(stage)
            dim_in = 4 * inner
        self.blocks.append(Head(dim_in, num_classes, pool, dropout=0))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        for block in self.blocks:
            x = block(x)
        return x


def _csn(clip: Clip, num_classes: int, depth: int, middle: Callable[[int, int], nn.Module]) -> SizedNetwork:
    pool, departures = head_pool(-(-clip.frames // 8), clip, (4, POOLED, POOLED))  # res3 to res5 halve the frames
    return SizedNetwork(CSN(num_classes, pool, depth=depth, middle=middle), departures)


def ir_csn_50(clip: Clip, num_classes: int) -> SizedNetwork:
    """Interaction-reduced, 50 layers."""
    return _csn(clip, num_classes, 50, depthwise)


def ir_csn_101(clip: Clip, num_classes: int) -> SizedNetwork:
    """Interaction-reduced, 101 layers: pytorchvideo's csn_r101."""
    return _csn(clip, num_classes, 101, depthwise)


def ir_csn_152(clip: Clip, num_classes: int) -> SizedNetwork:
    """Interaction-reduced: only the 1×1×1 convolutions mix channels."""
    return _csn(clip, num_classes, 152, depthwise)


def ip_csn_50(clip: Clip, num_classes: int) -> SizedNetwork:
    """Interaction-preserved, 50 layers."""
    return _csn(clip, num_classes, 50, preserved)


def ip_csn_101(clip: Clip, num_classes: int) -> SizedNetwork:
    """Interaction-preserved, 101 layers."""
    return _csn(clip, num_classes, 101, preserved)


def ip_csn_152(clip: Clip, num_classes: int) -> SizedNetwork:
    """Interaction-preserved: one more 1×1×1 convolution in each block."""
    return _csn(clip, num_classes, 152, preserved)
