"""ST-GCN and ST-GCN++: convolutions over the joints of a skeleton, then over time.

Papers: ST-GCN (Yan et al. 2018), https://arxiv.org/abs/1801.07455; ST-GCN++ (Duan et al. 2022),
https://arxiv.org/abs/2205.09443. Code followed, names of submodules included: https://github.com/open-mmlab/mmaction2,
mmaction/models/backbones/stgcn.py, mmaction/models/utils/gcn_utils.py and mmaction/models/heads/gcn_head.py, with
configs/skeleton/stgcn and configs/skeleton/stgcnpp.

A 1×1 convolution makes one map per kind of neighbour, a V×V matrix per kind mixes the joints, and a convolution over
nine frames follows. ST-GCN++ learns the matrices themselves, adds a shortcut around them, and puts six thin branches of
several dilations in place of the nine frames. A clip is frames × joints × persons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .skeleton_graph import SKELETON_LAYOUT, JointNorm, by_direction, by_distance, skeleton_input, skeleton_of

__all__ = ["STGCN", "SkeletonHead", "TemporalConv", "plan", "stgcn", "stgcnpp"]

CHANNELS = 64
STAGES = 10
WIDER = (5, 8)  # stages, counted from 1, that double the channels and halve the frames


class TemporalConv(nn.Module):
    """Maps (B, Cin, T, V) -> (B, Cout, T/stride, V): a convolution over `kernel` frames of each joint, normalised."""

    def __init__(self, dim_in: int, dim_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim_in, dim_out, (kernel, 1), stride=(stride, 1), padding=(kernel // 2, 0))
        self.bn = nn.BatchNorm2d(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Maps with fewer frames where it strides."""
        maps: Tensor = self.bn(self.conv(x))
        return maps


class MultiScaleTemporalConv(nn.Module):
    """The same in six branches: three frames apart by 1, 2, 3 and 4, the largest of three, and the frame itself."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        thin = dim // 6
        widths = (dim - 5 * thin, *(thin,) * 5)
        branches: list[nn.Module] = []
        for dilation, width in enumerate(widths[:4], start=1):
            dilated = nn.Conv2d(width, width, (3, 1), stride=(stride, 1), padding=(dilation, 0), dilation=(dilation, 1))
            branches.append(nn.Sequential(*_narrowed(dim, width), dilated))
        pooled = nn.MaxPool2d((3, 1), stride=(stride, 1), padding=(1, 0))
        branches.append(nn.Sequential(*_narrowed(dim, thin), pooled))
        branches.append(nn.Conv2d(dim, thin, 1, stride=(stride, 1)))
        self.branches = nn.ModuleList(branches)
        self.transform = nn.Sequential(nn.BatchNorm2d(dim), nn.ReLU(), nn.Conv2d(dim, dim, 1))
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, dim, T/stride, V)."""
        maps: Tensor = self.bn(self.transform(torch.cat([branch(x) for branch in self.branches], 1)))
        return maps


def _narrowed(dim: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(dim, width, 1), nn.BatchNorm2d(width), nn.ReLU()


class WeightedGraphConv(nn.Module):
    """ST-GCN: maps (B, Cin, T, V) -> (B, Cout, T, V); the matrices are fixed, and each element has a learned weight."""

    def __init__(self, dim_in: int, dim_out: int, matrices: Tensor) -> None:
        super().__init__()
        self.register_buffer("A", matrices.clone())  # each stage has its own, as in the code
        self.PA = nn.Parameter(torch.ones_like(matrices))
        self.conv = nn.Conv2d(dim_in, dim_out * len(matrices), 1)
        self.bn = nn.BatchNorm2d(dim_out)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps of mixed joints."""
        mixed: Tensor = self.act(self.bn(_mixed_joints(self.conv(x), self.get_buffer("A") * self.PA)))
        return mixed


class LearnedGraphConv(nn.Module):
    """ST-GCN++: the same with learned matrices, which begin as those of the skeleton, and a shortcut."""

    def __init__(self, dim_in: int, dim_out: int, matrices: Tensor) -> None:
        super().__init__()
        self.A = nn.Parameter(matrices.clone())
        self.conv = nn.Conv2d(dim_in, dim_out * len(matrices), 1)
        self.bn = nn.BatchNorm2d(dim_out)
        self.act = nn.ReLU()
        wider = nn.Sequential(nn.Conv2d(dim_in, dim_out, 1), nn.BatchNorm2d(dim_out))
        self.down = nn.Identity() if dim_in == dim_out else wider

    def forward(self, x: Tensor) -> Tensor:
        """Maps of mixed joints."""
        mixed: Tensor = self.act(self.bn(_mixed_joints(self.conv(x), self.A)) + self.down(x))
        return mixed


def _mixed_joints(x: Tensor, matrices: Tensor) -> Tensor:
    """Maps (B, K·C, T, V) and matrices (K, V, V) -> (B, C, T, V), the sum over the K kinds of neighbours."""
    return torch.einsum("nkctv,kvw->nctw", x.unflatten(1, (len(matrices), -1)), matrices)


class Block(nn.Module):
    """Maps (B, Cin, T, V) -> (B, Cout, T/stride, V): joints, then frames, and a shortcut around both."""

    def __init__(self, gcn: nn.Module, tcn: nn.Module, residual: nn.Module | None) -> None:
        super().__init__()
        self.gcn = gcn
        self.tcn = tcn
        self.residual = residual
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the next stage."""
        maps = self.tcn(self.gcn(x))
        if self.residual is not None:
            maps = maps + self.residual(x)
        activated: Tensor = self.relu(maps)
        return activated


class SkeletonHead(nn.Module):
    """Maps (B·M, C, T, V) of `persons` persons -> scores (B, num_classes): means over frames, joints and persons."""

    def __init__(self, channels: int, num_classes: int, persons: int) -> None:
        super().__init__()
        self.persons = persons
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        features = self.pool(x).flatten(1).unflatten(0, (-1, self.persons)).mean(1)
        scores: Tensor = self.fc(features)
        return scores


def plan() -> list[tuple[int, int, int]]:
    """(Cin, Cout, stride) of stages 2 to 10; the first has CHANNELS, no stride and no shortcut."""
    stages, dim = [], CHANNELS
    for stage in range(2, STAGES + 1):
        dim_out, stride = (2 * dim, 2) if stage in WIDER else (dim, 1)
        stages.append((dim, dim_out, stride))
        dim = dim_out
    return stages


class STGCN(nn.Module):
    """Skeletons (B, M, T, V, 3) -> scores (B, num_classes).

    Arguments:
        clip: frames × joints × persons that it is built for; only the joints and persons matter.
        num_classes: 60 (NTU RGB+D) in the source's configurations.
        matrices: (3, V, V), how joints are mixed in the beginning.
        graph_conv: from channels in, channels out and the matrices to what mixes joints.
        temporal_conv: from channels and stride to what mixes frames.
    """

    def __init__(
        self,
        clip: Clip,
        num_classes: int,
        matrices: Tensor,
        graph_conv: Callable[[int, int, Tensor], nn.Module],
        temporal_conv: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__()
        self.data_bn = JointNorm(clip.height)
        first = Block(graph_conv(3, CHANNELS, matrices), temporal_conv(CHANNELS, 1), None)
        self.gcn = nn.Sequential(first)
        for dim_in, dim_out, stride in plan():
            same = dim_in == dim_out and stride == 1
            residual = nn.Identity() if same else TemporalConv(dim_in, dim_out, 1, stride)
            self.gcn.append(Block(graph_conv(dim_in, dim_out, matrices), temporal_conv(dim_out, stride), residual))
        self.cls_head = SkeletonHead(plan()[-1][1], num_classes, clip.width)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.cls_head(self.gcn(self.data_bn(x)))
        return scores


def _sized(clip: Clip, model: Any) -> SizedNetwork:
    return SizedNetwork(model, inputs=skeleton_input(clip), in_pixels=False, layouts=SKELETON_LAYOUT)


def stgcn(clip: Clip, num_classes: int) -> SizedNetwork:
    """ST-GCN: neighbours by their distance from the centre, nine frames at once."""
    matrices = by_distance(skeleton_of(clip))
    model = STGCN(clip, num_classes, matrices, WeightedGraphConv, lambda dim, stride: TemporalConv(dim, dim, 9, stride))
    return _sized(clip, model)


def stgcnpp(clip: Clip, num_classes: int) -> SizedNetwork:
    """ST-GCN++: learned matrices that begin as limbs inwards and outwards, branches of several dilations."""
    matrices = by_direction(skeleton_of(clip))
    return _sized(clip, STGCN(clip, num_classes, matrices, LearnedGraphConv, MultiScaleTemporalConv))
