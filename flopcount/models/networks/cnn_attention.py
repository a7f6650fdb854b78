"""Self-attention over the features of a CNN (Kozlov et al. 2019, the Video Transformer Network).

Paper: https://arxiv.org/abs/1905.08711 (section 3). Code followed, names of submodules included:
https://github.com/openvinotoolkit/training_extensions, pytorch_toolkit/action_recognition (its resnet34_vtn). ResNet-34
makes a vector of each frame, and the frames see each other in four blocks of self-attention. Each frame is classified,
and the scores are averaged. nn.LayerNorm replaces the code's own norm, whose deviation divides by one element less.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .streamable import WINDOW, latest

__all__ = ["CnnAttention", "ResNet34", "cnn_attention"]

FRAMES = 16
FEATURES = 512
HEADS = 8
LAYERS = 4
RESNET_BLOCKS = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels, blocks; https://arxiv.org/abs/1512.03385, table 1


class BasicBlock(nn.Module):
    """Maps (N, C, H, W) -> (N, channels, H/stride, W/stride): two 3×3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        maps: Tensor = self.relu(self.bn2(self.conv2(x)) + shortcut)
        return maps


class ResNet34(nn.Module):
    """Frames (N, 3, H, W) -> features (N, 512); any size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels_in = 64
        for stage, (channels, blocks) in enumerate(RESNET_BLOCKS, start=1):
            first = BasicBlock(channels_in, channels, stride=1 if stage == 1 else 2)
            rest = (BasicBlock(channels, channels, stride=1) for _ in range(blocks - 1))
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))
            channels_in = channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of each frame."""
        for layer in self.children():
            x = layer(x)
        return x.flatten(1)


class SelfAttention(nn.Module):
    """Frames (B, T, 512) -> the same: each head compares 64 channels of all pairs of frames; no output projection."""

    def __init__(self) -> None:
        super().__init__()
        self.w_qs = nn.Linear(FEATURES, FEATURES, bias=False)
        self.w_ks = nn.Linear(FEATURES, FEATURES, bias=False)
        self.w_vs = nn.Linear(FEATURES, FEATURES, bias=False)
        self.dropout = nn.Dropout(0.1)
        self.layer_norm = nn.LayerNorm(FEATURES, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """The frames plus what they attend to, normalised."""
        q, k, v = (w(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for w in (self.w_qs, self.w_ks, self.w_vs))
        scores = q @ k.transpose(2, 3) / FEATURES**0.5  # (B, heads, T, T); scaled by all channels, not a head's
        attended = self.dropout(scores.softmax(-1)) @ v
        attended = self.dropout(attended.transpose(1, 2).flatten(2))
        frames: Tensor = self.layer_norm(attended + x)
        return frames


class FeedForward(nn.Module):
    """Frames (B, T, 512) -> the same: two linear layers, added and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.w_1 = nn.Linear(FEATURES, 2 * FEATURES)
        self.w_2 = nn.Linear(2 * FEATURES, FEATURES)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.1)
        self.layer_norm = nn.LayerNorm(FEATURES, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """Frames of the same size."""
        frames: Tensor = self.layer_norm(self.dropout(self.w_2(self.relu(self.w_1(x)))) + x)
        return frames


class DecoderBlock(nn.Module):
    """Frames (B, T, 512) -> the same."""

    def __init__(self) -> None:
        super().__init__()
        self.slf_attn = SelfAttention()
        self.pos_ffn = FeedForward()

    def forward(self, x: Tensor) -> Tensor:
        """Frames after attention to each other."""
        frames: Tensor = self.pos_ffn(self.slf_attn(x))
        return frames


class SelfAttentionDecoder(nn.Module):
    """Frames (B, T, 512) -> the same; positions are learned, starting from sines and cosines."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.position_encoding = nn.Parameter(sinusoids(frames))
        self.layers = nn.Sequential(*(DecoderBlock() for _ in range(LAYERS)))

    def forward(self, x: Tensor) -> Tensor:
        """Frames after attention to each other."""
        frames: Tensor = self.layers(x + self.position_encoding)
        return frames


def sinusoids(frames: int) -> Tensor:
    """(frames, 512): sines in even channels, cosines in odd ones, wavelengths from 2π to 20000π (1706.03762, 3.5)."""
    rates = 10_000 ** (-torch.arange(0, FEATURES, 2) / FEATURES)
    angles = torch.arange(frames)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)


class CnnAttention(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes).

    Arguments:
        frames: T, which positions are sized to; 16 in the paper.
        num_classes: 400 (Kinetics) in the paper.
    """

    step_sees = WINDOW

    def __init__(self, frames: int, num_classes: int) -> None:
        super().__init__()
        self.frames = frames
        self.resnet = ResNet34()
        self.self_attention_decoder = SelfAttentionDecoder(frames)
        self.fc = nn.Linear(FEATURES, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax, averaged over the frames."""
        return self._scores(self._of_frames(x))

    def step(self, frames: Tensor, state: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Scores of the last clip, once there is one; keeps the features of its frames (B, T, 512).

        Attention is computed anew: a frame's position in the clip, and with it all it attends to, changes every step.
        """
        window = latest(state, self._of_frames(frames), self.frames)
        return self._scores(window) if window.shape[1] == self.frames else None, window

    def _of_frames(self, x: Tensor) -> Tensor:
        """Features of every frame (B, T, 512)."""
        features: Tensor = self.resnet(x.transpose(1, 2).flatten(0, 1))
        of_frames: Tensor = features.unflatten(0, (x.shape[0], x.shape[2]))
        return of_frames

    def _scores(self, features: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.self_attention_decoder(features)).mean(1)
        return scores


def cnn_attention(clip: Clip, num_classes: int) -> SizedNetwork:
    """VTN on ResNet-34, its positions sized to the frames of the clip."""
    departures: tuple[str, ...] = ()
    if clip.frames != FRAMES:
        departures = (f"position encoding sized for {clip.frames} frames, released with {FRAMES}",)
    return SizedNetwork(CnnAttention(clip.frames, num_classes), departures)
