"""I3D, inflated Inception-v1 (Carreira & Zisserman 2017, "Quo Vadis, Action Recognition?"), one stream or two.

Paper: https://arxiv.org/abs/1705.07750 (figure 3). Code followed, names of submodules included:
https://github.com/google-deepmind/kinetics-i3d, i3d.py. It pads like TensorFlow's SAME: an odd amount of padding has
one more zero at the end. Its batch norms shift but do not scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import UnknownNameError
from ...core.protocol import Clip
from ...core.units import times
from .averaged_streams import STREAMS, AveragedStreams
from .sized_network import SizedNetwork

__all__ = ["InceptionI3d", "Logits", "MaxPool3dSame", "head_pool", "i3d", "pad_same", "two_stream_i3d"]

RELEASED_POOL = (2, 7, 7)  # of the 8×7×7 that 64×224×224 leaves
_Sizes = tuple[int, int, int]


def pad_same(x: Tensor, kernel: _Sizes, stride: _Sizes) -> Tensor:
    """Zeros around (B, C, T, H, W), so that a strided layer makes size/stride outputs, rounded up.

    Max pools may see them, since their input has passed a ReLU.
    """
    padding: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):  # W first
        total = max((-(-size // s) - 1) * s + k - size, 0)
        padding += [total // 2, total - total // 2]
    return functional.pad(x, padding)


class Unit3D(nn.Module):
    """Convolution, batch norm without scale, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv_3d = nn.Conv3d(channels_in, channels_out, kernel, stride=stride, padding=padding, bias=False)
        self.batch_norm = nn.BatchNorm3d(channels_out, eps=0.001, momentum=0.001)
        self.batch_norm.register_parameter("weight", None)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        if self.stride != (1, 1, 1):
            x = pad_same(x, self.kernel, self.stride)
        maps: Tensor = self.relu(self.batch_norm(self.conv_3d(x)))
        return maps


class MaxPool3dSame(nn.MaxPool3d):
    """A max pool that halves, rounding up."""

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        maps: Tensor = super().forward(pad_same(x, self.kernel_size, self.stride))  # type: ignore[arg-type]
        return maps


class Mixed(nn.Module):
    """(B, C, T, H, W) -> four concatenated branches: 1×1×1, two of 3×3×3 after 1×1×1, 1×1×1 after a pool."""

    def __init__(self, channels_in: int, b0: int, b1_mid: int, b1: int, b2_mid: int, b2: int, b3: int) -> None:
        super().__init__()
        self.Branch_0 = nn.Sequential()
        self.Branch_0.add_module("Conv3d_0a_1x1", Unit3D(channels_in, b0))
        self.Branch_1 = nn.Sequential()
        self.Branch_1.add_module("Conv3d_0a_1x1", Unit3D(channels_in, b1_mid))
        self.Branch_1.add_module("Conv3d_0b_3x3", Unit3D(b1_mid, b1, 3))
        self.Branch_2 = nn.Sequential()
        self.Branch_2.add_module("Conv3d_0a_1x1", Unit3D(channels_in, b2_mid))
        self.Branch_2.add_module("Conv3d_0b_3x3", Unit3D(b2_mid, b2, 3))
        self.Branch_3 = nn.Sequential()
        self.Branch_3.add_module("MaxPool3d_0a_3x3", nn.MaxPool3d(3, stride=1, padding=1))
        self.Branch_3.add_module("Conv3d_0b_1x1", Unit3D(channels_in, b3))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of all branches."""
        return torch.cat([self.Branch_0(x), self.Branch_1(x), self.Branch_2(x), self.Branch_3(x)], 1)


class Logits(nn.Module):
    """Feature maps (B, 1024, T, H, W) -> scores (B, num_classes): pool, classify every remaining position, average."""

    def __init__(self, num_classes: int, pool: _Sizes) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d(pool, stride=1)
        self.dropout = nn.Dropout(0.5)
        self.Conv3d_0c_1x1 = nn.Conv3d(1024, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.Conv3d_0c_1x1(self.dropout(self.pool(x)))
        return scores.mean((2, 3, 4))


class InceptionI3d(nn.Sequential):
    """Clip (B, C, T, H, W) -> scores (B, num_classes).

    Arguments:
        num_classes: 400 (Kinetics) in the paper.
        channels: 3 for RGB, 2 for optical flow.
        pool: what is averaged before the classifier.
    """

    def __init__(self, num_classes: int, channels: int = 3, pool: _Sizes = RELEASED_POOL) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3D(channels, 64, 7, 2)
        self.MaxPool3d_2a_3x3 = MaxPool3dSame((1, 3, 3), stride=(1, 2, 2))
        self.Conv3d_2b_1x1 = Unit3D(64, 64)
        self.Conv3d_2c_3x3 = Unit3D(64, 192, 3)
        self.MaxPool3d_3a_3x3 = MaxPool3dSame((1, 3, 3), stride=(1, 2, 2))
        self.Mixed_3b = Mixed(192, 64, 96, 128, 16, 32, 32)
        self.Mixed_3c = Mixed(256, 128, 128, 192, 32, 96, 64)
        self.MaxPool3d_4a_3x3 = MaxPool3dSame((3, 3, 3), stride=(2, 2, 2))
        self.Mixed_4b = Mixed(480, 192, 96, 208, 16, 48, 64)
        self.Mixed_4c = Mixed(512, 160, 112, 224, 24, 64, 64)
        self.Mixed_4d = Mixed(512, 128, 128, 256, 24, 64, 64)
        self.Mixed_4e = Mixed(512, 112, 144, 288, 32, 64, 64)
        self.Mixed_4f = Mixed(528, 256, 160, 320, 32, 128, 128)
        self.MaxPool3d_5a_2x2 = MaxPool3dSame((2, 2, 2), stride=(2, 2, 2))
        self.Mixed_5b = Mixed(832, 256, 160, 320, 32, 128, 128)
        self.Mixed_5c = Mixed(832, 384, 192, 384, 48, 128, 128)
        self.Logits = Logits(num_classes, pool)


def head_pool(clip: Clip) -> tuple[_Sizes, tuple[str, ...]]:
    """The window that is averaged before the classifier, 2×7×7 or what a smaller clip leaves, and the departure."""
    sizes = -(-clip.frames // 8), -(-clip.height // 32), -(-clip.width // 32)
    pool = (min(sizes[0], RELEASED_POOL[0]), min(sizes[1], RELEASED_POOL[1]), min(sizes[2], RELEASED_POOL[2]))
    if pool == RELEASED_POOL:
        return pool, ()
    return pool, (f"head pools {times(pool)} of {clip}, released with {times(RELEASED_POOL)}",)


def i3d(clip: Clip, num_classes: int, *, stream: str = "rgb") -> SizedNetwork:
    """One stream: "rgb", or "flow" on two channels of optical flow."""
    if stream not in STREAMS:
        raise UnknownNameError("stream of i3d", stream, STREAMS, "choose rgb or flow")
    pool, departures = head_pool(clip)
    channels = STREAMS[stream]
    return SizedNetwork(InceptionI3d(num_classes, channels, pool), departures, ((channels, *clip.sizes),))


def two_stream_i3d(clip: Clip, num_classes: int) -> SizedNetwork:
    """Both streams; the cost of the flow itself is that of optical_flow_tvl1."""
    pool, departures = head_pool(clip)
    model = AveragedStreams(*(InceptionI3d(num_classes, channels, pool) for channels in STREAMS.values()))
    inputs = tuple((channels, *clip.sizes) for channels in STREAMS.values())
    return SizedNetwork(model, departures, inputs, streams=tuple(STREAMS))
