"""RAFT (Teed and Deng 2020, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow").

Paper: https://arxiv.org/abs/2003.12039 (section 3, appendix A). Code followed, names of submodules included, so that
its state dicts load: https://github.com/pytorch/vision, torchvision/models/optical_flow/raft.py, which is
https://github.com/princeton-vl/RAFT with other names.

Two frames become features at an eighth of their size, and all pairs of their positions one correlation volume. Updates
then look up that volume around the current flow, at four scales, and change the flow by a recurrent unit. Each brings
its flow to full size, as in the released code; the last is the output.

A clip is taken as its pairs of successive frames, each by itself as in the paper, so that most frames are encoded
twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .sized_network import SizedNetwork

__all__ = ["RAFT", "raft", "raft_small"]

UPDATES = 12  # of the released code; the paper has 32 for Sintel and 24 for KITTI
SCALE = 8  # pixels per feature
LEVELS = 4  # scales of the correlation volume
NEIGHBOURS = 9  # positions of the small flow that a pixel of the large one is mixed of
MASK_CHANNELS, MASK_WEIGHT = 256, 0.25
SMALLEST = SCALE * 2**LEVELS  # pixels at which the coarsest scale has two positions


@dataclass(frozen=True, slots=True)
class Size:
    """Channels and kernels of a RAFT.

    `features` and `context` are the channels of the encoders; `state` those of the recurrent unit, with one kernel
    (H, W) for each step of it; `radius` is how far a lookup reaches.
    """

    features: tuple[int, int, int, int, int]
    context: tuple[int, int, int, int, int]
    bottleneck: bool
    context_norm: type[nn.Module] | None
    radius: int
    correlation: tuple[int, ...]
    flow: tuple[int, int]
    motion: int
    state: int
    kernels: tuple[tuple[int, int], ...]
    head: int
    mask: bool


LARGE = Size(
    features=(64, 64, 96, 128, 256),
    context=(64, 64, 96, 128, 256),
    bottleneck=False,
    context_norm=nn.BatchNorm2d,
    radius=4,
    correlation=(256, 192),
    flow=(128, 64),
    motion=128,
    state=128,
    kernels=((1, 5), (5, 1)),
    head=256,
    mask=True,
)
SMALL = Size(
    features=(32, 32, 64, 96, 128),
    context=(32, 32, 64, 96, 160),
    bottleneck=True,
    context_norm=None,
    radius=3,
    correlation=(96,),
    flow=(64, 32),
    motion=82,
    state=96,
    kernels=((3, 3),),
    head=128,
    mask=False,
)


def _conv(
    dim_in: int, dim_out: int, kernel: int, stride: int = 1, *, norm: type[nn.Module] | None = None, relu: bool = True
) -> nn.Sequential:
    """Convolution with a bias, normalised or not, with a ReLU or without."""
    layers: list[nn.Module] = [nn.Conv2d(dim_in, dim_out, kernel, stride, kernel // 2)]
    if norm is not None:
        layers.append(norm(dim_out))
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class Block(nn.Module):
    """(N, dim_in, H, W) -> (N, dim_out, H/stride, W/stride): two 3×3 convolutions, or a bottleneck, and a shortcut."""

    def __init__(
        self, dim_in: int, dim_out: int, stride: int, *, bottleneck: bool, norm: type[nn.Module] | None
    ) -> None:
        super().__init__()
        inner = dim_out // 4 if bottleneck else dim_out
        self.convnormrelu1 = _conv(dim_in, inner, *((1, 1) if bottleneck else (3, stride)), norm=norm)
        self.convnormrelu2 = _conv(inner, inner, 3, stride if bottleneck else 1, norm=norm)
        self.convnormrelu3 = _conv(inner, dim_out, 1, norm=norm) if bottleneck else nn.Identity()
        self.downsample = nn.Identity() if stride == 1 else _conv(dim_in, dim_out, 1, stride, norm=norm, relu=False)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        branch = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x)))
        maps: Tensor = self.relu(self.downsample(x) + branch)
        return maps


class Encoder(nn.Module):
    """Frames (N, 3, H, W) -> features (N, C, H/8, W/8)."""

    def __init__(self, channels: tuple[int, ...], *, bottleneck: bool, norm: type[nn.Module] | None) -> None:
        super().__init__()
        first, *stages, last = channels
        self.convnormrelu = _conv(3, first, 7, 2, norm=norm)
        layers, dim_in = [], first
        for dim, stride in zip(stages, (1, 2, 2), strict=True):
            down = Block(dim_in, dim, stride, bottleneck=bottleneck, norm=norm)
            layers.append(nn.Sequential(down, Block(dim, dim, 1, bottleneck=bottleneck, norm=norm)))
            dim_in = dim
        self.layer1, self.layer2, self.layer3 = layers
        self.conv = nn.Conv2d(dim_in, last, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        x = self.layer3(self.layer2(self.layer1(self.convnormrelu(x))))
        features: Tensor = self.conv(x)
        return features


class Correlation(nn.Module):
    """Products of all pairs of positions of two feature maps, at four scales, and what lies around a position there."""

    def __init__(self, radius: int) -> None:
        super().__init__()
        self.radius = radius
        self.channels = LEVELS * (2 * radius + 1) ** 2

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        """Volumes (N·h·w, 1, h, w), (N·h·w, 1, h/2, w/2), ... of two feature maps (N, C, h, w)."""
        channels, *sizes = first.shape[1:]
        products = first.flatten(2).transpose(1, 2) @ second.flatten(2) / channels**0.5
        volumes = [products.flatten(0, 1).unflatten(1, (1, *sizes))]
        for _ in range(LEVELS - 1):
            volumes.append(F.avg_pool2d(volumes[-1], 2))
        return tuple(volumes)

    def around(self, volumes: tuple[Tensor, ...], places: Tensor) -> Tensor:
        """What the volumes have around places (N, 2, h, w) as (x, y): (N, channels, h, w)."""
        batch, _, *sizes = places.shape
        reach = torch.arange(-self.radius, self.radius + 1, device=places.device, dtype=places.dtype)
        offsets = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), dim=-1)  # (2r + 1, 2r + 1, 2)
        centres = places.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
        looked_up = []
        for volume in volumes:
            high, wide = volume.shape[2:]
            x, y = (centres + offsets).unbind(-1)
            grid = torch.stack((2 * x / (wide - 1) - 1, 2 * y / (high - 1) - 1), dim=-1)
            found = F.grid_sample(volume, grid, mode="bilinear", align_corners=True)
            looked_up.append(found.reshape(batch, *sizes, -1))
            centres = centres / 2
        return torch.cat(looked_up, dim=-1).permute(0, 3, 1, 2)


class MotionEncoder(nn.Module):
    """Flow (N, 2, h, w) and what was looked up -> (N, motion, h, w), the last two channels of which are the flow."""

    def __init__(self, size: Size, looked_up: int) -> None:
        super().__init__()
        first, *second = size.correlation
        self.convcorr1 = _conv(looked_up, first, 1)
        self.convcorr2 = _conv(first, second[0], 3) if second else nn.Identity()
        self.convflow1 = _conv(2, size.flow[0], 7)
        self.convflow2 = _conv(size.flow[0], size.flow[1], 3)
        self.conv = _conv(size.correlation[-1] + size.flow[1], size.motion - 2, 3)

    def forward(self, flow: Tensor, looked_up: Tensor) -> Tensor:
        """Features of the motion."""
        both = torch.cat((self.convcorr2(self.convcorr1(looked_up)), self.convflow2(self.convflow1(flow))), dim=1)
        return torch.cat((self.conv(both), flow), dim=1)


class ConvGRU(nn.Module):
    """State (N, state, h, w) and input -> the next state, by convolutions instead of matrices."""

    def __init__(self, state: int, inputs: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convz, self.convr, self.convq = (
            nn.Conv2d(state + inputs, state, kernel, padding=padding) for _ in range(3)
        )

    def forward(self, state: Tensor, x: Tensor) -> Tensor:
        """The next state."""
        both = torch.cat((state, x), dim=1)
        update, reset = self.convz(both).sigmoid(), self.convr(both).sigmoid()
        new = self.convq(torch.cat((reset * state, x), dim=1)).tanh()
        mixed: Tensor = (1 - update) * state + update * new
        return mixed


class RecurrentBlock(nn.Module):
    """One unit after the other, with a kernel of its own each."""

    def __init__(self, size: Size, inputs: int) -> None:
        super().__init__()
        self.units = [f"convgru{index}" for index in range(1, len(size.kernels) + 1)]
        for name, kernel in zip(self.units, size.kernels, strict=True):
            self.add_module(name, ConvGRU(size.state, inputs, kernel))

    def forward(self, state: Tensor, x: Tensor) -> Tensor:
        """The next state."""
        for name in self.units:
            state = self.get_submodule(name)(state, x)
        return state


class FlowHead(nn.Module):
    """State (N, state, h, w) -> a change of the flow (N, 2, h, w)."""

    def __init__(self, state: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(state, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """The change."""
        change: Tensor = self.conv2(self.conv1(x).relu())
        return change


class UpdateBlock(nn.Module):
    """State, context, what was looked up and flow -> the next state and a change of the flow."""

    def __init__(self, size: Size, looked_up: int) -> None:
        super().__init__()
        self.motion_encoder = MotionEncoder(size, looked_up)
        self.recurrent_block = RecurrentBlock(size, size.motion + size.context[-1] - size.state)
        self.flow_head = FlowHead(size.state, size.head)

    def forward(self, state: Tensor, context: Tensor, looked_up: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """State and change."""
        x = torch.cat((context, self.motion_encoder(flow, looked_up)), dim=1)
        state = self.recurrent_block(state, x)
        return state, self.flow_head(state)


class MaskPredictor(nn.Module):
    """State (N, state, h, w) -> how each pixel at full size is mixed of 9 of the small flow (N, 9·8·8, h, w)."""

    def __init__(self, state: int) -> None:
        super().__init__()
        self.convrelu = _conv(state, MASK_CHANNELS, 3)
        self.conv = nn.Conv2d(MASK_CHANNELS, NEIGHBOURS * SCALE * SCALE, 1)

    def forward(self, state: Tensor) -> Tensor:
        """Weights before the softmax."""
        weights: Tensor = MASK_WEIGHT * self.conv(self.convrelu(state))
        return weights


class RAFT(nn.Module):
    """Clip (B, 3, T, H, W) -> flow (B, 2, T−1, H, W) from each frame to the next: (x, y) in pixels.

    Arguments:
        size: LARGE or SMALL.
        updates: how often the flow is improved.
    """

    def __init__(self, size: Size, updates: int) -> None:
        super().__init__()
        self.state, self.updates = size.state, updates
        self.feature_encoder = Encoder(size.features, bottleneck=size.bottleneck, norm=nn.InstanceNorm2d)
        self.context_encoder = Encoder(size.context, bottleneck=size.bottleneck, norm=size.context_norm)
        self.corr_block = Correlation(size.radius)
        self.update_block = UpdateBlock(size, self.corr_block.channels)
        self.mask_predictor = MaskPredictor(size.state) if size.mask else None

    def forward(self, clip: Tensor) -> Tensor:
        """Flow (B, 2, T−1, H, W)."""
        first, second = (frames.transpose(1, 2).flatten(0, 1) for frames in (clip[:, :, :-1], clip[:, :, 1:]))
        volumes = self.corr_block(*self.feature_encoder(torch.cat((first, second))).chunk(2))
        encoded = self.context_encoder(first)
        state, context = encoded[:, : self.state].tanh(), encoded[:, self.state :].relu()
        start = _places(encoded)
        places, flow = start, clip
        for _ in range(self.updates):
            places = places.detach()  # no gradient goes through an earlier flow: section 3.4
            looked_up = self.corr_block.around(volumes, places)
            state, change = self.update_block(state, context, looked_up, places - start)
            places = places + change
            flow = self._enlarged(places - start, state)
        fields: Tensor = flow.unflatten(0, (clip.shape[0], -1))
        return fields.transpose(1, 2)

    def _enlarged(self, flow: Tensor, state: Tensor) -> Tensor:
        """Flow (N, 2, h, w) in eighths of a frame -> (N, 2, H, W) in pixels."""
        flow, (high, wide) = SCALE * flow, flow.shape[2:]
        if self.mask_predictor is None:
            return F.interpolate(flow, size=(high * SCALE, wide * SCALE), mode="bilinear", align_corners=True)
        weights = self.mask_predictor(state).unflatten(1, (1, NEIGHBOURS, SCALE, SCALE)).softmax(2)
        around = F.unfold(flow, 3, padding=1).reshape(-1, 2, NEIGHBOURS, 1, 1, high, wide)
        large: Tensor = (weights * around).sum(2)  # (N, 2, 8, 8, h, w)
        return large.permute(0, 1, 4, 2, 5, 3).reshape(-1, 2, high * SCALE, wide * SCALE)


def _places(maps: Tensor) -> Tensor:
    """(x, y) of every position of feature maps (N, C, h, w): (N, 2, h, w)."""
    batch, _, high, wide = maps.shape
    options: Any = {"device": maps.device, "dtype": maps.dtype}
    y, x = torch.meshgrid(torch.arange(high, **options), torch.arange(wide, **options), indexing="ij")
    return torch.stack((x, y)).expand(batch, -1, -1, -1)


def _raft(clip: Clip, size: Size, updates: int) -> SizedNetwork:
    if clip.frames < 2:
        raise InputError(f"optical flow needs two frames, the clip is {clip}", [("fix", "give more frames")])
    if min(clip.height, clip.width) < SMALLEST or clip.height % SCALE or clip.width % SCALE:
        raise InputError(
            f"RAFT takes no clip of {clip}",
            [
                ("in", f"its correlation volume, which has {LEVELS} scales of 1/{SCALE} of a frame"),
                ("fix", f"give sides of {SMALLEST} or more, in steps of {SCALE}"),
            ],
        )
    if updates < 1:
        raise InputError(f"updates is {updates}", [("fix", "give 1 or more")])
    return SizedNetwork(RAFT(size, updates))


def raft(clip: Clip, num_classes: int, *, updates: int = UPDATES) -> SizedNetwork:
    """Flow between the frames of a clip; there are no classes."""
    return _raft(clip, LARGE, updates)


def raft_small(clip: Clip, num_classes: int, *, updates: int = UPDATES) -> SizedNetwork:
    """Flow by bottlenecks of fewer channels, one recurrent unit, and interpolation in place of a mask."""
    return _raft(clip, SMALL, updates)
