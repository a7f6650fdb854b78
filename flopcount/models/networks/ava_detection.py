"""SlowFast and Slow that detect actions: a ResNet over the clip, then a score per class for each box of a person.

Paper: https://arxiv.org/abs/1812.03982 (section 5). Code followed: https://github.com/facebookresearch/pytorchvideo,
models/hub/{resnet,slowfast}.py (slow_r50_detection, slowfast_r50_detection) and models/head.py, and
https://github.com/facebookresearch/SlowFast, configs/AVA/c2/*.yaml and slowfast/models/head_helper.py: res5 keeps H and
W and spreads its 3×3 convolutions instead, maps are averaged over all frames, 7×7 values of each box are sampled from
them (RoIAlign), and the largest of each channel are classified. https://github.com/open-mmlab/mmaction2,
configs/detection/slowfast, keeps H and W without spreading (`dilated`), and has no norm behind lateral convolutions.

Boxes come from a detector of persons that is no part of these networks. How many a clip has is up to it, and no source
states a number: the cost is that of `boxes`, one if not said; each further one costs as much again in the head.
RoIAlign takes as many samples per value as the box is large; here they are 2×2. It multiplies nothing that MACs count.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .nonlocal_block import insert_nonlocal
from .resnet3d import LAST_STAGES, ResNet3d
from .sized_network import SizedNetwork
from .slowfast import AS_IN_R50, NONLOCAL_PLACES, THROUGHOUT, SlowFast, require_frames

__all__ = [
    "slow_r50_4x16_ava",
    "slowfast_r50_4x16_ava",
    "slowfast_r50_8x8_ava",
    "slowfast_r101_8x8_nl_ava",
    "slowfast_r101_16x8_nl_ava",
]

STRIDE = 16  # pixels of the clip per position of res5
RESOLUTION = 7  # sampled values per side of a box
SAMPLES = 2  # per side of such a value


class BoxHead(nn.Module):
    """Maps of pathways (B, C, T, H, W) and boxes (B, N, 4) -> scores of classes (B, N, num_classes), after a sigmoid.

    A box is (left, top, right, bottom) in pixels of the clip.
    """

    def __init__(self, channels: tuple[int, ...], frames: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.pool = nn.ModuleList(nn.AvgPool3d((number, 1, 1)) for number in frames)
        self.average = nn.AvgPool2d(SAMPLES)
        self.pool_spatial = nn.MaxPool2d(RESOLUTION)
        self.dropout = nn.Dropout(0.5)
        self.proj = nn.Linear(sum(channels), num_classes)

    def forward(self, maps: list[Tensor], boxes: Tensor) -> Tensor:
        """Scores between 0 and 1; a person may do several things at once."""
        pooled = torch.cat([pool(x) for pool, x in zip(self.pool, maps, strict=True)], 1).squeeze(2)  # (B, C, H, W)
        sampled = F.grid_sample(pooled, _grid(boxes, pooled), padding_mode="border", align_corners=False)
        largest = self.pool_spatial(self.average(sampled)).squeeze(3).transpose(1, 2)  # (B, N, C)
        scores: Tensor = self.proj(self.dropout(largest))
        return scores.sigmoid()


def _grid(boxes: Tensor, maps: Tensor) -> Tensor:
    """Where to sample (B, N·14, 14, 2), from -1 to 1: the centres of equal parts of each box, row by row."""
    side = RESOLUTION * SAMPLES
    size = maps.new_tensor([maps.shape[3] * STRIDE, maps.shape[2] * STRIDE])  # in pixels, width first
    start, end = (corner / size * 2 - 1 for corner in boxes.split(2, 2))  # (B, N, 2) twice
    steps = (torch.arange(side, device=maps.device, dtype=maps.dtype) + 0.5) / side
    along = start[:, :, None] + (end - start)[:, :, None] * steps[:, None]  # (B, N, 14, 2)
    columns = along[:, :, None, :, 0].expand(-1, -1, side, -1)
    rows = along[:, :, :, None, 1].expand(-1, -1, -1, side)
    return torch.stack([columns, rows], 4).flatten(1, 2)


class SlowDetector(nn.Module):
    """Clip (B, 3, T, H, W) and boxes (B, N, 4) -> scores (B, N, num_classes)."""

    def __init__(self, frames: int, num_classes: int) -> None:
        super().__init__()
        slow = ResNet3d(num_classes, (1, 1, 1), stem_kernel=1, temporal_kernels=LAST_STAGES, res5="dilated")
        self.blocks = slow.blocks[:-1]
        self.detection_head = BoxHead((2048,), (frames,), num_classes)

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        """Scores between 0 and 1."""
        for block in self.blocks:
            x = block(x)
        scores: Tensor = self.detection_head([x], boxes)
        return scores


class SlowFastDetector(nn.Module):
    """Clip (B, 3, T, H, W) and boxes (B, N, 4) -> scores (B, N, num_classes)."""

    def __init__(self, network: SlowFast, frames: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        self.register_buffer("slow_frames", network.get_buffer("slow_frames"), persistent=False)
        self.blocks = network.blocks[:-2]
        self.detection_head = BoxHead((2048, 256), frames, num_classes)

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        """Scores between 0 and 1."""
        maps = [x.index_select(2, self.get_buffer("slow_frames")), x]
        for block in self.blocks:
            maps = block(maps)
        scores: Tensor = self.detection_head(maps, boxes)
        return scores


def _with_boxes(module: nn.Module, clip: Clip, boxes: int, departures: tuple[str, ...] = ()) -> SizedNetwork:
    """The network with its inputs.

    Raises:
        InputError: there is no box.
    """
    if boxes < 1:
        raise InputError(f"{boxes} boxes", [("fix", "give --set boxes=1 or more")])
    return SizedNetwork(module, departures, inputs=((3, *clip.sizes), (boxes, 4)))


def _slowfast(
    clip: Clip,
    num_classes: int,
    boxes: int,
    *,
    depth: int,
    alpha: int,
    fusion_kernel: int,
    dilated: bool = True,
    lateral_norm: bool = True,
) -> SizedNetwork:
    require_frames(clip, alpha)
    frames = clip.frames // alpha, clip.frames
    network = SlowFast(
        clip.frames,
        num_classes,
        ((1, 1, 1), (1, 1, 1)),
        depths=(depth, depth),
        alpha=alpha,
        fusion_kernel=fusion_kernel,
        temporal_kernels=THROUGHOUT if depth == 50 else AS_IN_R50,
        lateral_norm=lateral_norm,
        res5="dilated" if dilated else "kept",
    )
    if depth == 101:
        if min(clip.height, clip.width) <= 16 or clip.frames < 2 * alpha:
            raise InputError(
                f"clip {clip} leaves 1 frame, row or column in res4, where non-local blocks pool 2×2×2",
                [("fix", "give more frames or larger ones")],
            )
        insert_nonlocal(network, NONLOCAL_PLACES, pairwise="dot_product", pool_frames=True)
    return _with_boxes(SlowFastDetector(network, frames, num_classes), clip, boxes)


def slow_r50_4x16_ava(clip: Clip, num_classes: int, *, boxes: int = 1) -> SizedNetwork:
    """Slow on ResNet-50 (slow_r50_detection; configs/AVA/c2/SLOW_8x8_R50.yaml with 4 frames)."""
    return _with_boxes(SlowDetector(clip.frames, num_classes), clip, boxes)


def slowfast_r50_8x8_ava(clip: Clip, num_classes: int, *, boxes: int = 1) -> SizedNetwork:
    """SlowFast on ResNet-50 (slowfast_r50_detection; configs/AVA/c2/SLOWFAST_32x2_R50.yaml)."""
    return _slowfast(clip, num_classes, boxes, depth=50, alpha=4, fusion_kernel=7)


def slowfast_r50_4x16_ava(clip: Clip, num_classes: int, *, boxes: int = 1) -> SizedNetwork:
    """SlowFast on ResNet-50 (mmaction2's slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb)."""
    return _slowfast(clip, num_classes, boxes, depth=50, alpha=8, fusion_kernel=5, dilated=False, lateral_norm=False)


def slowfast_r101_8x8_nl_ava(clip: Clip, num_classes: int, *, boxes: int = 1) -> SizedNetwork:
    """The paper's ResNet-101 with three non-local blocks (configs/AVA/c2/SLOWFAST_32x2_R101_50_50.yaml)."""
    return _slowfast(clip, num_classes, boxes, depth=101, alpha=4, fusion_kernel=5)


def slowfast_r101_16x8_nl_ava(clip: Clip, num_classes: int, *, boxes: int = 1) -> SizedNetwork:
    """The same on 64 frames (configs/AVA/c2/SLOWFAST_64x2_R101_50_50.yaml)."""
    return _slowfast(clip, num_classes, boxes, depth=101, alpha=4, fusion_kernel=5)
