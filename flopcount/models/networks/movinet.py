"""MoViNets (Kondratyuk et al. 2021, "MoViNets: Mobile Video Networks for Efficient Video Recognition").

Paper: https://arxiv.org/abs/2103.11511 (table 1 and appendix). Code followed, with its sizes of A0 to A5:
https://github.com/tensorflow/models, official/projects/movinet/modeling/movinet.py and movinet_layers.py, and the
options that its README gives for base and streaming models. Stochastic depth, which only training uses, is left out.

Inverted bottlenecks with squeeze and excitation, each scaled by one learned number before it is added. A base network
has 3D convolutions on each channel. A streaming network splits them into 1×k×k and k×1×1, pads time at the front alone,
and averages over all frames so far: fed with new frames, it keeps the last k − 1 maps of each temporal convolution and
the sums of its averages. Convolutions pad to ceil(size / stride), as TensorFlow does, so that any clip is taken.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.protocol import Clip
from .movinet_sizes import A0, A1, A2, A3, A4, A5, Kernel, Size
from .sized_network import SizedNetwork
from .streamable import ALL

__all__ = [
    "MoViNet",
    "StreamMoViNet",
    "movinet_a0",
    "movinet_a0_stream",
    "movinet_a1",
    "movinet_a1_stream",
    "movinet_a2",
    "movinet_a2_stream",
    "movinet_a3",
    "movinet_a3_stream",
    "movinet_a4",
    "movinet_a4_stream",
    "movinet_a5",
    "movinet_a5_stream",
]

EPS, MOMENTUM = 1e-3, 0.01
HEAD_CHANNELS = 2048
SQUEEZE = 0.25  # channels inside a squeeze, relative to the channels that enter it
WAVELENGTHS = 10_000  # the ratio of the longest sine of a positional encoding to the shortest


def _to_eights(width: float) -> int:
    """The multiple of 8 closest to a width, at least 8, and at least nine tenths of it."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


class ConvBlock(nn.Module):
    """Convolution, batch norm and activation: (B, dim_in, T, H, W) -> (B, dim_out, T, ceil(H/stride), ceil(W/stride)).

    Where `ahead`, T is not padded: the kernel's k − 1 earlier maps are in front of the input.
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        kernel: Kernel = (1, 1, 1),
        stride: int = 1,
        *,
        activation: type[nn.Module] = nn.Identity,
        groups: int = 1,
        ahead: bool = False,
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        time, high, wide = (n // 2 for n in kernel)
        padding = (0 if ahead else time, *((high, wide) if stride == 1 else (0, 0)))
        self.conv = nn.Conv3d(
            dim_in, dim_out, kernel, stride=(1, stride, stride), padding=padding, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm3d(dim_out, eps=EPS, momentum=MOMENTUM)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        if self.stride > 1:
            x = F.pad(x, (*self._same(x.shape[4], self.kernel[2]), *self._same(x.shape[3], self.kernel[1])))
        maps: Tensor = self.activation(self.bn(self.conv(x)))
        return maps

    def _same(self, size: int, kernel: int) -> tuple[int, int]:
        """Zeros in front of an axis and behind it; one more behind where they are odd."""
        missing = max((-(-size // self.stride) - 1) * self.stride + kernel - size, 0)
        return missing // 2, missing - missing // 2


class SqueezeExcitation(nn.Module):
    """Feature maps, each channel scaled by a factor that two layers compute from the channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = _to_eights(SQUEEZE * channels)
        self.se_reduce = nn.Conv3d(channels, narrow, 1)
        self.se_expand = nn.Conv3d(narrow, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        factors = F.silu(self.se_reduce(x.mean((2, 3, 4), keepdim=True)))
        scaled: Tensor = x * self.se_expand(factors).sigmoid()
        return scaled


class StreamSqueezeExcitation(nn.Module):
    """The same of a stream: each frame is scaled by its own means and by those of all frames until then."""

    def __init__(self, channels: int, *, positions: bool) -> None:
        super().__init__()
        narrow = _to_eights(SQUEEZE * 2 * channels)
        self.se_reduce = nn.Conv3d(2 * channels, narrow, 1)
        self.se_expand = nn.Conv3d(narrow, channels, 1)
        self.weight_of_positions = nn.Parameter(torch.zeros(())) if positions else None

    def forward(self, x: Tensor, total: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The same shape, and the sum of all frames' means (B, C, 1, 1, 1) after `seen` earlier ones."""
        means = x.mean((3, 4), keepdim=True)
        sums = means.cumsum(2) + total
        number = seen + torch.arange(1, x.shape[2] + 1, device=x.device, dtype=x.dtype)
        both = torch.cat((sums / number[:, None, None], means), dim=1)
        if self.weight_of_positions is not None:
            both = both + self.weight_of_positions * _sines(number - 1, both.shape[1])[..., None, None]
        factors = F.hardsigmoid(self.se_expand(F.hardswish(self.se_reduce(both))))
        return x * factors, sums[:, :, -1:]


def _sines(places: Tensor, channels: int) -> Tensor:
    """Sines of half of the channels and cosines of the others, by place (channels, T)."""
    rates = WAVELENGTHS ** -torch.linspace(0, 1, channels // 2, device=places.device, dtype=places.dtype)
    angles = rates[:, None] * places
    return torch.cat((angles.sin(), angles.cos()))


class Skip(nn.Module):
    """The input of a block in the shape of its output: averaged over 3×3 where H and W are halved, and projected."""

    def __init__(self, dim_in: int, dim_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.skip_project = ConvBlock(dim_in, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps; what lies outside a frame is no part of a mean."""
        if self.stride > 1:
            sizes = x.shape[3:]
            kernel = (1, *(min(size, 3) for size in sizes))
            padding = (0, *(size % 2 if size > 1 else 0 for size in sizes))
            x = F.avg_pool3d(x, kernel, (1, 2, 2), padding, ceil_mode=True, count_include_pad=False)
        maps: Tensor = self.skip_project(x)
        return maps


class Block(nn.Module):
    """(B, dim_in, T, H, W) -> (B, dim_out, T, H/stride, W/stride): expanded, convolved, scaled, projected, added."""

    def __init__(self, dim_in: int, dim_out: int, inner: int, kernel: Kernel, stride: int) -> None:
        super().__init__()
        self.expansion = ConvBlock(dim_in, inner, activation=nn.SiLU)
        self.feature = ConvBlock(inner, inner, kernel, stride, activation=nn.SiLU, groups=inner)
        self.attention = SqueezeExcitation(inner)
        self.projection = ConvBlock(inner, dim_out)
        self.rezero = nn.Parameter(torch.zeros(()))
        self.skip = nn.Identity() if stride == 1 and dim_in == dim_out else Skip(dim_in, dim_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        maps = self.projection(self.attention(self.feature(self.expansion(x))))
        added: Tensor = self.rezero * maps + self.skip(x)
        return added


class StreamBlock(nn.Module):
    """The same of a stream; between steps it keeps the maps before its temporal convolution, and a sum of means."""

    def __init__(self, dim_in: int, dim_out: int, inner: int, kernel: Kernel, stride: int, *, positions: bool) -> None:
        super().__init__()
        self.kept = kernel[0] - 1
        self.expansion = ConvBlock(dim_in, inner, activation=nn.Hardswish)
        self.feature = ConvBlock(inner, inner, (1, *kernel[1:]), stride, activation=nn.Hardswish, groups=inner)
        self.temporal: ConvBlock | None = None
        if self.kept:
            time = (kernel[0], 1, 1)
            self.temporal = ConvBlock(inner, inner, time, activation=nn.Hardswish, groups=inner, ahead=True)
        self.attention = StreamSqueezeExcitation(inner, positions=positions)
        self.projection = ConvBlock(inner, dim_out)
        self.rezero = nn.Parameter(torch.zeros(()))
        self.skip = nn.Identity() if stride == 1 and dim_in == dim_out else Skip(dim_in, dim_out, stride)

    def forward(self, x: Tensor, state: Any, seen: Tensor) -> tuple[Tensor, Any]:
        """Feature maps, and the state after them; `state` is None in front of a video."""
        maps = self.feature(self.expansion(x))
        shape = maps.shape
        if state is None:
            state = maps.new_zeros((*shape[:2], self.kept, *shape[3:])), maps.new_zeros((*shape[:2], 1, 1, 1))
        buffer, total = state
        if self.temporal is not None:
            longer = torch.cat((buffer, maps), dim=2)
            buffer, maps = longer[:, :, -self.kept :], self.temporal(longer)
        maps, total = self.attention(maps, total, seen)
        added: Tensor = self.rezero * self.projection(maps) + self.skip(x)
        return added, (buffer, total)


class Head(nn.Module):
    """Features (B, C, 1, 1, 1), averaged -> scores (B, num_classes)."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Conv3d(features, HEAD_CHANNELS, 1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Conv3d(HEAD_CHANNELS, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.classifier(self.dropout(F.silu(self.head(x)))).flatten(1)
        return scores


class MoViNet(nn.Module):
    """A base network: clip (B, 3, T, H, W) -> scores (B, num_classes); any clip.

    Arguments:
        num_classes: 600 (Kinetics-600) in the paper.
        size: one of A0 to A5.
    """

    def __init__(self, num_classes: int, size: Size) -> None:
        super().__init__()
        self.stem = ConvBlock(3, size.stem, (1, 3, 3), 2, activation=nn.SiLU)
        self.blocks = nn.Sequential(*(Block(*block) for block in size.blocks))
        self.project = ConvBlock(size.stages[-1].channels, size.features, activation=nn.SiLU)
        self.head = Head(size.features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        features = self.project(self.blocks(self.stem(x)))
        scores: Tensor = self.head(features.mean((2, 3, 4), keepdim=True))
        return scores


class StreamMoViNet(nn.Module):
    """A streaming network: frames (B, 3, T, H, W) -> scores (B, num_classes) of all frames so far.

    Arguments:
        num_classes: 600 (Kinetics-600) in the paper.
        size: one of A0 to A5.
    """

    step_sees = ALL

    def __init__(self, num_classes: int, size: Size) -> None:
        super().__init__()
        self.stem = ConvBlock(3, size.stem, (1, 3, 3), 2, activation=nn.Hardswish)
        self.blocks = nn.ModuleList(StreamBlock(*block, positions=size.positions) for block in size.blocks)
        self.project = ConvBlock(size.stages[-1].channels, size.features, activation=nn.Hardswish)
        self.head = Head(size.features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax, of a video that begins with this clip."""
        return self.step(x, None)[0]

    def step(self, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Scores after these frames, and the state for the next ones."""
        states, total, seen = state or ([None] * len(self.blocks), 0, frames.new_zeros(()))
        x, left = self.stem(frames), []
        for block, past in zip(self.blocks, states, strict=True):
            x, kept = block(x, past, seen)
            left.append(kept)
        total = self.project(x).mean((3, 4), keepdim=True).sum(2, keepdim=True) + total
        seen = seen + frames.shape[2]
        return self.head(total / seen), (left, total, seen)


def movinet_a0(clip: Clip, num_classes: int) -> SizedNetwork:
    """A0 for whole clips."""
    return SizedNetwork(MoViNet(num_classes, A0))


def movinet_a1(clip: Clip, num_classes: int) -> SizedNetwork:
    """A1 for whole clips."""
    return SizedNetwork(MoViNet(num_classes, A1))


def movinet_a2(clip: Clip, num_classes: int) -> SizedNetwork:
    """A2 for whole clips."""
    return SizedNetwork(MoViNet(num_classes, A2))


def movinet_a3(clip: Clip, num_classes: int) -> SizedNetwork:
    """A3 for whole clips."""
    return SizedNetwork(MoViNet(num_classes, A3))


def movinet_a4(clip: Clip, num_classes: int) -> SizedNetwork:
    """A4 for whole clips."""
    return SizedNetwork(MoViNet(num_classes, A4))


def movinet_a5(clip: Clip, num_classes: int) -> SizedNetwork:
    """A5 for whole clips."""
    return SizedNetwork(MoViNet(num_classes, A5))


def movinet_a0_stream(clip: Clip, num_classes: int) -> SizedNetwork:
    """A0 for frames as they come."""
    return SizedNetwork(StreamMoViNet(num_classes, A0))


def movinet_a1_stream(clip: Clip, num_classes: int) -> SizedNetwork:
    """A1 for frames as they come."""
    return SizedNetwork(StreamMoViNet(num_classes, A1))


def movinet_a2_stream(clip: Clip, num_classes: int) -> SizedNetwork:
    """A2 for frames as they come."""
    return SizedNetwork(StreamMoViNet(num_classes, A2))


def movinet_a3_stream(clip: Clip, num_classes: int) -> SizedNetwork:
    """A3 for frames as they come."""
    return SizedNetwork(StreamMoViNet(num_classes, A3))


def movinet_a4_stream(clip: Clip, num_classes: int) -> SizedNetwork:
    """A4 for frames as they come."""
    return SizedNetwork(StreamMoViNet(num_classes, A4))


def movinet_a5_stream(clip: Clip, num_classes: int) -> SizedNetwork:
    """A5 for frames as they come."""
    return SizedNetwork(StreamMoViNet(num_classes, A5))
