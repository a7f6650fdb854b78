"""2s-AGCN (Shi et al. 2019, "Two-Stream Adaptive Graph Convolutional Networks"), one of its streams.

Paper: https://arxiv.org/abs/1805.07694 (figure 2: the adaptive graph convolution). Code followed, names of submodules
included: https://github.com/open-mmlab/mmaction2, mmaction/models/backbones/aagcn.py with gcn_attention=False and
mmaction/models/utils/gcn_utils.py, configs/skeleton/2s-agcn. The second stream is the same network on bones instead of
joints, whose scores are added.

As ST-GCN, but the matrices are learned, and to each a matrix is added that says how alike two joints of this clip are:
a product over channels and frames. A clip is frames × joints × persons.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .skeleton_graph import SKELETON_LAYOUT, JointNorm, by_direction, skeleton_input, skeleton_of
from .stgcn import CHANNELS, Block, SkeletonHead, TemporalConv, plan

__all__ = ["AGCN", "agcn"]

EMBEDDING = 4  # channels over the channels in which joints are compared


class AdaptiveGraphConv(nn.Module):
    """Maps (B, Cin, T, V) -> (B, Cout, T, V), joints mixed by learned matrices plus those of the clip itself.

    The 1×1 convolutions come behind the mixing, one per kind of neighbour.
    """

    def __init__(self, dim_in: int, dim_out: int, matrices: Tensor) -> None:
        super().__init__()
        self.A = nn.Parameter(matrices.clone())
        self.alpha = nn.Parameter(torch.zeros(1))
        kinds = range(len(matrices))
        self.conv_a = nn.ModuleList([nn.Conv2d(dim_in, dim_out // EMBEDDING, 1) for _ in kinds])
        self.conv_b = nn.ModuleList([nn.Conv2d(dim_in, dim_out // EMBEDDING, 1) for _ in kinds])
        self.conv_d = nn.ModuleList([nn.Conv2d(dim_in, dim_out, 1) for _ in kinds])
        wider = nn.Sequential(nn.Conv2d(dim_in, dim_out, 1), nn.BatchNorm2d(dim_out))
        self.down = nn.Identity() if dim_in == dim_out else wider
        self.bn = nn.BatchNorm2d(dim_out)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps of mixed joints."""
        frames = x.shape[2]
        signals = x.flatten(1, 2)  # (B, Cin·T, V)
        mixed: Tensor | None = None
        for matrix, first, second, conv in zip(self.A, self.conv_a, self.conv_b, self.conv_d, strict=True):
            rows, columns = first(x).flatten(1, 2).transpose(1, 2), second(x).flatten(1, 2)
            alike = torch.tanh(rows @ columns / rows.shape[-1])  # (B, V, V)
            maps = conv((signals @ (matrix + self.alpha * alike)).unflatten(1, (-1, frames)))
            mixed = maps if mixed is None else mixed + maps
        activated: Tensor = self.relu(self.bn(mixed) + self.down(x))
        return activated


class AGCN(nn.Module):
    """Skeletons (B, M, T, V, 3) -> scores (B, num_classes).

    Arguments:
        clip: frames × joints × persons that it is built for; the first normalisation has weights for each person.
        num_classes: 60 (NTU RGB+D) in the source's configurations.
        matrices: (3, V, V), how joints are mixed in the beginning.
    """

    def __init__(self, clip: Clip, num_classes: int, matrices: Tensor) -> None:
        super().__init__()
        self.data_bn = JointNorm(clip.height, clip.width)
        self.gcn = nn.Sequential(
            Block(AdaptiveGraphConv(3, CHANNELS, matrices), TemporalConv(CHANNELS, CHANNELS, 9, 1), None)
        )
        for dim_in, dim_out, stride in plan():
            same = dim_in == dim_out and stride == 1
            residual = nn.Identity() if same else TemporalConv(dim_in, dim_out, 1, stride)
            graph_conv = AdaptiveGraphConv(dim_in, dim_out, matrices)
            self.gcn.append(Block(graph_conv, TemporalConv(dim_out, dim_out, 9, stride), residual))
        self.cls_head = SkeletonHead(plan()[-1][1], num_classes, clip.width)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.cls_head(self.gcn(self.data_bn(x)))
        return scores


def agcn(clip: Clip, num_classes: int) -> SizedNetwork:
    """One stream, of joints or of bones; the first normalisation is sized to the persons of the clip."""
    model = AGCN(clip, num_classes, by_direction(skeleton_of(clip)))
    departures = () if clip.width == 2 else (f"normalisation sized for {clip.width} persons, the source's for 2",)
    return SizedNetwork(model, departures, skeleton_input(clip), in_pixels=False, layouts=SKELETON_LAYOUT)
