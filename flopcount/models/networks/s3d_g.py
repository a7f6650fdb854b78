"""S3D-G (Xie et al. 2018, "Rethinking Spatiotemporal Feature Learning"): S3D with gated features, one stream or two.

Paper: https://arxiv.org/abs/1712.04851. Code followed: its authors' in TF-Slim, https://github.com/tensorflow/models,
research/slim/nets/s3dg.py and i3d_utils.py, names of submodules as in .i3d.

Other than torchvision's S3D, it does not split the first convolution, which sees 3 frames (the code says that the
paper's S3D-G sees 7), norms do not scale, and the convolutions over time have a bias and no norm. It pads like
TensorFlow's SAME.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import InputError, UnknownNameError
from ...core.protocol import Clip
from ...core.units import times
from .averaged_streams import STREAMS, AveragedStreams
from .i3d import Logits, MaxPool3dSame, head_pool, pad_same
from .sized_network import SizedNetwork

__all__ = ["S3DG", "s3d_g", "two_stream_s3d_g"]

FIRST_KERNELS = (1, 3, 5, 7)
RELEASED_FIRST = 3
_Sizes = tuple[int, int, int]


class Unit(nn.Module):
    """Convolution, batch norm without scale, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: _Sizes = (1, 1, 1), stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, channels_out, kernel, stride=stride, bias=False)
        self.norm = nn.BatchNorm3d(channels_out, eps=0.001, momentum=0.001)
        self.norm.register_parameter("weight", None)
        self.relu = nn.ReLU()
        self.kernel, self.stride = kernel, (stride,) * 3

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        if self.kernel != (1, 1, 1):
            x = pad_same(x, self.kernel, self.stride)
        maps: Tensor = self.relu(self.norm(self.conv(x)))
        return maps


class Separable(nn.Module):
    """1×3×3 with norm, 3×1×1 without."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.space = Unit(channels_in, channels_out, (1, 3, 3))
        self.time = nn.Conv3d(channels_out, channels_out, (3, 1, 1), padding=(1, 0, 0))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of the same size."""
        maps: Tensor = self.relu(self.time(self.space(x)))
        return maps


class SelfGating(nn.Module):
    """Feature maps, each channel scaled by a factor that a 1×1×1 convolution computes from the means of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transformer = nn.Conv3d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        gated: Tensor = torch.sigmoid(self.transformer(x.mean((2, 3, 4), keepdim=True))) * x
        return gated


class GatedMixed(nn.Module):
    """(B, C, T, H, W) -> four concatenated gated branches: 1×1×1, two separable after 1×1×1, 1×1×1 after a pool."""

    def __init__(self, channels_in: int, b0: int, b1_mid: int, b1: int, b2_mid: int, b2: int, b3: int) -> None:
        super().__init__()
        self.Branch_0 = nn.Sequential(Unit(channels_in, b0), SelfGating(b0))
        self.Branch_1 = nn.Sequential(Unit(channels_in, b1_mid), Separable(b1_mid, b1), SelfGating(b1))
        self.Branch_2 = nn.Sequential(Unit(channels_in, b2_mid), Separable(b2_mid, b2), SelfGating(b2))
        self.Branch_3 = nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), Unit(channels_in, b3), SelfGating(b3))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of all branches."""
        return torch.cat([self.Branch_0(x), self.Branch_1(x), self.Branch_2(x), self.Branch_3(x)], 1)


class S3DG(nn.Sequential):
    """Clip (B, C, T, H, W) -> scores (B, num_classes).

    Arguments:
        num_classes: 400 (Kinetics) in the paper.
        channels: 3 for RGB, 2 for optical flow.
        pool: what is averaged before the classifier.
        first_kernel: frames that the first convolution sees.
    """

    def __init__(self, num_classes: int, channels: int, pool: _Sizes, first_kernel: int) -> None:
        super().__init__()
        self.Conv2d_1a_7x7 = Unit(channels, 64, (first_kernel, 7, 7), 2)
        self.MaxPool_2a_3x3 = MaxPool3dSame((1, 3, 3), stride=(1, 2, 2))
        self.Conv2d_2b_1x1 = Unit(64, 64)
        self.Conv2d_2c_3x3 = nn.Sequential(Separable(64, 192), SelfGating(192))
        self.MaxPool_3a_3x3 = MaxPool3dSame((1, 3, 3), stride=(1, 2, 2))
        self.Mixed_3b = GatedMixed(192, 64, 96, 128, 16, 32, 32)
        self.Mixed_3c = GatedMixed(256, 128, 128, 192, 32, 96, 64)
        self.MaxPool_4a_3x3 = MaxPool3dSame((3, 3, 3), stride=(2, 2, 2))
        self.Mixed_4b = GatedMixed(480, 192, 96, 208, 16, 48, 64)
        self.Mixed_4c = GatedMixed(512, 160, 112, 224, 24, 64, 64)
        self.Mixed_4d = GatedMixed(512, 128, 128, 256, 24, 64, 64)
        self.Mixed_4e = GatedMixed(512, 112, 144, 288, 32, 64, 64)
        self.Mixed_4f = GatedMixed(528, 256, 160, 320, 32, 128, 128)
        self.MaxPool_5a_2x2 = MaxPool3dSame((2, 2, 2), stride=(2, 2, 2))
        self.Mixed_5b = GatedMixed(832, 256, 160, 320, 32, 128, 128)
        self.Mixed_5c = GatedMixed(832, 384, 192, 384, 48, 128, 128)
        self.Logits = Logits(num_classes, pool)


def _options(clip: Clip, first_kernel: int) -> tuple[_Sizes, tuple[str, ...]]:
    if first_kernel not in FIRST_KERNELS:
        raise InputError(
            f"a first convolution of {first_kernel} frames",
            [("fix", "give first_kernel 1, 3, 5 or 7, as the code takes")],
        )
    pool, departures = head_pool(clip)
    if first_kernel != RELEASED_FIRST:
        window = times((first_kernel, 7, 7))
        departures += (f"first convolution of {window}, released with {times((RELEASED_FIRST, 7, 7))}",)
    return pool, departures


def s3d_g(clip: Clip, num_classes: int, *, stream: str = "rgb", first_kernel: int = RELEASED_FIRST) -> SizedNetwork:
    """One stream: "rgb", or "flow" on two channels; `first_kernel`: frames that the first convolution sees."""
    if stream not in STREAMS:
        raise UnknownNameError("stream of s3d_g", stream, STREAMS, "choose rgb or flow")
    pool, departures = _options(clip, first_kernel)
    channels = STREAMS[stream]
    return SizedNetwork(S3DG(num_classes, channels, pool, first_kernel), departures, ((channels, *clip.sizes),))


def two_stream_s3d_g(clip: Clip, num_classes: int, *, first_kernel: int = RELEASED_FIRST) -> SizedNetwork:
    """Both streams; the cost of the flow itself is that of optical_flow_tvl1."""
    pool, departures = _options(clip, first_kernel)
    model = AveragedStreams(*(S3DG(num_classes, channels, pool, first_kernel) for channels in STREAMS.values()))
    inputs = tuple((channels, *clip.sizes) for channels in STREAMS.values())
    return SizedNetwork(model, departures, inputs, streams=tuple(STREAMS))
