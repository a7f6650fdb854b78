"""Convolutions over single frames whose weights are scaled anew for each frame, and what computes the scales.

Papers: TAdaConv, https://arxiv.org/abs/2110.06178 (section 3); TAdaConvV2, https://arxiv.org/abs/2308.12642
(section 3). Code followed, names of submodules included: https://github.com/alibaba-mmai-research/TAdaConv,
tadaconv/models/module_zoo/ops/tadaconv.py and tadaconv_v2.py.

Each frame of each clip has its own weights, so all of them are one grouped convolution with a group per frame.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip

__all__ = [
    "AttentiveRoute",
    "ChannelNorm",
    "DepthwiseTAdaConv",
    "QuickGELU",
    "convolved_by_frame",
    "mean_of_three_frames",
    "require_three_frames",
]


def convolved_by_frame(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, groups: int = 1
) -> Tensor:
    """Maps (B, C, T, H, W) -> (B, Cout, T, H/stride, W/stride), each frame by its own k×k kernel.

    Arguments:
        x: the maps.
        weight: (B, T, Cout, C/groups, k, k) of an odd k; the maps are padded by k // 2.
        bias: (B, T, Cout), or none.
        stride: of height and width.
        groups: of the channels of one frame.
    """
    batch, _, frames, height, width = x.shape
    maps = F.conv2d(
        x.transpose(1, 2).reshape(1, -1, height, width),
        weight.flatten(0, 2),
        None if bias is None else bias.flatten(),
        stride=stride,
        padding=weight.shape[-1] // 2,
        groups=groups * batch * frames,
    )
    return maps.reshape(batch, frames, -1, *maps.shape[-2:]).transpose(1, 2)


def mean_of_three_frames() -> nn.AvgPool3d:
    """Maps (B, C, T, H, W) -> the same, what the result of a TAdaConv is added to; zeros count at both ends."""
    return nn.AvgPool3d((3, 1, 1), stride=1, padding=(1, 0, 0))


def require_three_frames(frames: int, clip: Clip) -> None:
    """Refuse a clip of which fewer than three frames are left for the means over three.

    Raises:
        InputError: torch's pool takes no fewer, padding or not.
    """
    if frames < 3:
        raise InputError(
            f"clip {clip} has too few frames for this network",
            [
                ("in", "avgpool (AvgPool3d of 3×1×1)"),
                ("seen", f"{frames} of {clip.frames} frames left for it"),
                ("fix", "give frames enough for three to be left"),
            ],
        )


class QuickGELU(nn.Module):
    """x·σ(1.702·x), CLIP's approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x * torch.sigmoid(1.702 * x)


class ChannelNorm(nn.Module):
    """A layer norm over the channels of maps (B, C, T, H, W), written out in elementwise operations as in the code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        centred = x - x.mean(1, keepdim=True)
        scaled = centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None, None] * scaled + self.bias[:, None, None, None]


class AttentiveRoute(nn.Module):
    """Maps (B, C, T, H, W) -> scales of weights and of biases, each (B, T, C): a vector per frame, with attention.

    Arguments:
        channels: C.
        head: channels of a head; C over `RATIO` is a multiple of it.
        offset: what is added to the scales: 1 where the last convolutions begin with zeros.
    """

    RATIO = 2

    def __init__(self, channels: int, head: int, *, offset: int) -> None:
        super().__init__()
        inner = channels // self.RATIO
        self.head, self.offset, self.scale = head, offset, inner**-0.5
        self.a = nn.Conv3d(channels, inner, (3, 1, 1), padding=(1, 0, 0))
        self.norm = ChannelNorm(inner)
        self.norm_transformer = ChannelNorm(inner)
        self.gelu = QuickGELU()
        self.qkv_proj = nn.Conv3d(inner, 3 * inner, 1)
        self.attn_out = nn.Conv3d(inner, inner, 1)
        self.b = nn.Conv3d(inner, channels, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.b_bias = nn.Conv3d(inner, channels, (3, 1, 1), padding=(1, 0, 0), bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scales of the weights and of the biases, of each frame."""
        x = self.gelu(self.norm(self.a(x.mean((3, 4), keepdim=True))))  # (B, C/2, T, 1, 1)
        x = x + self._attended(self.norm_transformer(x))
        weights, biases = (conv(x).flatten(2).transpose(1, 2) + self.offset for conv in (self.b, self.b_bias))
        return weights, biases

    def _attended(self, x: Tensor) -> Tensor:
        """The same shape: frames look at one another in each head."""
        projected = self.qkv_proj(x).flatten(2)  # (B, 3·C/2, T)
        q, k, v = projected.unflatten(1, (3, self.head, -1)).permute(1, 0, 3, 4, 2).unbind()  # (B, heads, T, head)
        attended = ((q @ k.transpose(-2, -1)) * self.scale).softmax(-1) @ v
        mixed: Tensor = self.attn_out(attended.transpose(-2, -1).reshape(x.shape))
        return mixed


class DepthwiseTAdaConv(nn.Module):
    """Maps (B, C, T, H, W) -> the same: k×k on each channel, weights and biases scaled for each frame."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, scales: tuple[Tensor, Tensor]) -> Tensor:
        """Maps of the same size; `scales` are (B, T, C) of the weights and of the biases."""
        of_weights, of_biases = scales
        weight = of_weights[..., None, None, None] * self.weight
        return convolved_by_frame(x, weight, of_biases * self.bias, groups=x.shape[1])
