"""PWC-Net (Sun et al. 2018, "PWC-Net: CNNs for Optical Flow Using Pyramid, Warping, and Cost Volume").

Paper: https://arxiv.org/abs/1709.02371 (section 3, figure 3, appendix). Code followed, names of submodules included:
https://github.com/NVlabs/PWC-Net, PyTorch/models/PWCNet.py. Its `PWCDCNet_old`, with two convolutions per level, is the
paper's network of 8.75 M parameters; `PWCDCNet`, with three, is the one whose weights are released, which the paper has
in table 5 as the larger feature pyramid. Both have a `deconv2` that nothing calls; it is left out (66 parameters).

From the coarsest of five levels to the finest, features of the second frame are moved by the flow so far, multiplied
with those of the first at 9×9 displacements, and a dense block of convolutions makes a flow of that. Its quarter of the
size is enlarged by the script that goes with the network; here this belongs to it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .sized_network import SizedNetwork

__all__ = ["PWCNet", "pwc_net"]

CHANNELS = (16, 32, 64, 96, 128, 196)  # of the levels 1 to 6
DENSE = (128, 128, 96, 64, 32)  # channels that each convolution of an estimator adds
CONTEXT = ((128, 1), (128, 2), (128, 4), (96, 8), (64, 16), (32, 1))  # channels and dilation
REACH = 4  # displacements in each direction
FINEST, COARSEST = 2, 6
PIXELS = 20.0  # that one unit of flow stands for
UNITS = {5: 0.625, 4: 1.25, 3: 2.5, 2: 5.0}  # positions of a level that one unit of flow stands for
SIDE = 2**COARSEST
SLOPE = 0.1  # of a leaky ReLU below zero
INSIDE = 0.9999  # how much of a position has to come from within the frame


def _conv(dim_in: int, dim_out: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(dim_in, dim_out, 3, stride, dilation, dilation), nn.LeakyReLU(SLOPE))


def _flow(dim_in: int) -> nn.Conv2d:
    return nn.Conv2d(dim_in, 2, 3, padding=1)


def _twice(dim_in: int) -> nn.ConvTranspose2d:
    """Two channels of twice the size."""
    return nn.ConvTranspose2d(dim_in, 2, 4, 2, 1)


class Correlation(nn.Module):
    """Two feature maps (N, C, h, w) -> mean products at 9×9 displacements (N, 81, h, w)."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The cost volume."""
        side = 2 * REACH + 1
        moved = F.unfold(second, side, padding=REACH).unflatten(1, (first.shape[1], side * side))  # (N, C, 81, h·w)
        products = torch.einsum("ncp,ncdp->ndp", first.flatten(2), moved)
        volume: Tensor = (products / first.shape[1]).unflatten(2, first.shape[2:])
        return volume


class PWCNet(nn.Module):
    """Clip (B, 3, T, H, W) -> flow (B, 2, T−1, H, W) from each frame to the next: (x, y) in pixels.

    Arguments:
        convolutions: of each level of the pyramid, 2 or 3.
    """

    def __init__(self, convolutions: int) -> None:
        super().__init__()
        names = {2: ("a", "b"), 3: ("a", "aa", "b")}
        self.levels: list[tuple[str, ...]] = []
        dim_in = 3
        for level, channels in enumerate(CHANNELS, 1):
            last = ("aa", "a", "b") if (level, convolutions) == (COARSEST, 3) else names[convolutions]
            self.levels.append(tuple(f"conv{level}{suffix}" for suffix in last))
            for index, name in enumerate(self.levels[-1]):
                self.add_module(name, _conv(channels if index else dim_in, channels, 1 if index else 2))
            dim_in = channels
        self.corr = Correlation()
        self.leakyRELU = nn.LeakyReLU(SLOPE)
        volume = (2 * REACH + 1) ** 2
        for level in range(COARSEST, FINEST - 1, -1):
            first = volume if level == COARSEST else volume + CHANNELS[level - 1] + 4
            widths = tuple(accumulate(DENSE, initial=first))
            for index, (width, channels) in enumerate(zip(widths[:-1], DENSE, strict=True)):
                self.add_module(f"conv{level}_{index}", _conv(width, channels))
            self.add_module(f"predict_flow{level}", _flow(widths[-1]))
            if level > FINEST:
                self.add_module(f"deconv{level}", _twice(2))
                self.add_module(f"upfeat{level}", _twice(widths[-1]))
        dim_in = widths[-1]
        for index, (channels, dilation) in enumerate(CONTEXT, 1):
            self.add_module(f"dc_conv{index}", _conv(dim_in, channels, dilation=dilation))
            dim_in = channels
        self.dc_conv7 = _flow(dim_in)

    def forward(self, clip: Tensor) -> Tensor:
        """Flow (B, 2, T−1, H, W)."""
        first, second = (frames.transpose(1, 2).flatten(0, 1) for frames in (clip[:, :, :-1], clip[:, :, 1:]))
        ours, theirs = self._pyramid(first), self._pyramid(second)
        x, flow = self._dense(COARSEST, self._volume(ours[COARSEST], theirs[COARSEST]))
        for level in range(COARSEST - 1, FINEST - 1, -1):
            flow = self._layer(f"deconv{level + 1}", flow)
            features = self._layer(f"upfeat{level + 1}", x)
            volume = self._volume(ours[level], _moved(theirs[level], flow * UNITS[level]))
            x, flow = self._dense(level, torch.cat((volume, ours[level], flow, features), dim=1))
        for index in range(1, len(CONTEXT) + 1):
            x = self._layer(f"dc_conv{index}", x)
        flow = PIXELS * (flow + self.dc_conv7(x))
        large = F.interpolate(flow, scale_factor=2**FINEST, mode="bilinear", align_corners=False)
        fields: Tensor = large.unflatten(0, (clip.shape[0], -1))
        return fields.transpose(1, 2)

    def _layer(self, name: str, x: Tensor) -> Tensor:
        made: Tensor = self.get_submodule(name)(x)
        return made

    def _pyramid(self, x: Tensor) -> dict[int, Tensor]:
        """Level -> features of frames (N, 3, H, W)."""
        levels = {}
        for level, names in enumerate(self.levels, 1):
            for name in names:
                x = self._layer(name, x)
            levels[level] = x
        return levels

    def _volume(self, first: Tensor, second: Tensor) -> Tensor:
        volume: Tensor = self.leakyRELU(self.corr(first, second))
        return volume

    def _dense(self, level: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """All features of a level's estimator, and its flow (N, 2, h, w)."""
        for index in range(len(DENSE)):
            x = torch.cat((self._layer(f"conv{level}_{index}", x), x), dim=1)
        return x, self._layer(f"predict_flow{level}", x)


def _moved(maps: Tensor, flow: Tensor) -> Tensor:
    """Maps (N, C, h, w) at the places that a flow (N, 2, h, w) leads to; zero where these are outside of the frame."""
    high, wide = maps.shape[2:]
    options: Any = {"device": maps.device, "dtype": maps.dtype}
    x = flow[:, 0] + torch.arange(wide, **options)
    y = flow[:, 1] + torch.arange(high, **options)[:, None]
    grid = torch.stack((2 * x / max(wide - 1, 1) - 1, 2 * y / max(high - 1, 1) - 1), dim=-1)
    moved = F.grid_sample(maps, grid, align_corners=True)
    inside = F.grid_sample(torch.ones_like(maps), grid, align_corners=True)
    return moved * (inside >= INSIDE)


def pwc_net(clip: Clip, num_classes: int, *, convolutions: int = 2) -> SizedNetwork:
    """Flow between the frames of a clip; there are no classes. Three convolutions per level make the released one."""
    if clip.frames < 2:
        raise InputError(f"optical flow needs two frames, the clip is {clip}", [("fix", "give more frames")])
    if clip.height % SIDE or clip.width % SIDE:
        raise InputError(
            f"PWC-Net takes no clip of {clip}",
            [("in", f"its pyramid, which halves frames {COARSEST} times"), ("fix", f"give sides in steps of {SIDE}")],
        )
    if convolutions not in (2, 3):
        raise InputError(f"convolutions is {convolutions}", [("fix", "give 2 or 3")])
    departures = ("three convolutions in each level, as released for PyTorch; the paper has two",)
    return SizedNetwork(PWCNet(convolutions), departures if convolutions == 3 else ())
