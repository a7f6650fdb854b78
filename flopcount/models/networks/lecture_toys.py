"""The three toy networks of the lecture's comparison: late fusion, early fusion and a 3D CNN on 20 frames of 64×64.

Slides: https://web.eecs.umich.edu/~justincj/teaching/eecs498/ (lecture 18, "Videos": size and receptive field of every
layer). Convolution to 12 channels, pool of 4, convolution to 24, global average pool; as on the slides there are no
activations. The last layer, a classifier of 24 features, is their "FC".
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .streamable import WINDOW, latest

__all__ = ["toy_3d_cnn", "toy_early_fusion", "toy_late_fusion"]

COLOURS, FIRST, SECOND = 3, 12, 24  # channels
POOL = 4
FRAMES = 20


class ToyLateFusion(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes): a 2D CNN on every frame, features averaged at the end."""

    step_sees = WINDOW

    def __init__(self, frames: int, num_classes: int) -> None:
        super().__init__()
        self.frames = frames
        self.conv1 = nn.Conv2d(COLOURS, FIRST, 3, padding=1)
        self.pool1 = nn.MaxPool2d(POOL)
        self.conv2 = nn.Conv2d(FIRST, SECOND, 3, padding=1)
        self.global_pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(SECOND, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.fc(self.global_pool(self._of_frames(x)).flatten(1))
        return scores

    def step(self, frames: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores of the last clip; keeps the features of its frames (B, T, 24), averaged over space."""
        window = latest(state, self._of_frames(frames).mean((3, 4)).transpose(1, 2), self.frames)
        return self.fc(window.mean(1)), window

    def _of_frames(self, x: Tensor) -> Tensor:
        """Maps of every frame (B, 24, T, h, w)."""
        maps: Tensor = self.conv2(self.pool1(self.conv1(x.transpose(1, 2).flatten(0, 1))))
        of_frames: Tensor = maps.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
        return of_frames


class ToyEarlyFusion(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes): the first convolution sees 3·T channels, the rest one image."""

    def __init__(self, frames: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(COLOURS * frames, FIRST, 3, padding=1)
        self.pool1 = nn.MaxPool2d(POOL)
        self.conv2 = nn.Conv2d(FIRST, SECOND, 3, padding=1)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(SECOND, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        maps = self.conv2(self.pool1(self.conv1(x.transpose(1, 2).flatten(1, 2))))
        scores: Tensor = self.fc(self.global_pool(maps).flatten(1))
        return scores


class Toy3DCNN(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes): every layer sees a little of time."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(COLOURS, FIRST, 3, padding=1)
        self.pool1 = nn.MaxPool3d(POOL)
        self.conv2 = nn.Conv3d(FIRST, SECOND, 3, padding=1)
        self.global_pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(SECOND, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.fc(self.global_pool(self.conv2(self.pool1(self.conv1(x)))).flatten(1))
        return scores


def toy_late_fusion(clip: Clip, num_classes: int) -> SizedNetwork:
    """Time is merged all at once at the end."""
    _check(clip, frames=1)
    return SizedNetwork(ToyLateFusion(clip.frames, num_classes))


def toy_early_fusion(clip: Clip, num_classes: int) -> SizedNetwork:
    """Time is merged all at once at the start."""
    _check(clip, frames=1)
    departures: tuple[str, ...] = ()
    if clip.frames != FRAMES:
        departures = (f"conv1 sized for {clip.frames} frames, the lecture's has {FRAMES}",)
    return SizedNetwork(ToyEarlyFusion(clip.frames, num_classes), departures)


def toy_3d_cnn(clip: Clip, num_classes: int) -> SizedNetwork:
    """Time is merged slowly."""
    _check(clip, frames=POOL)
    return SizedNetwork(Toy3DCNN(num_classes))


def _check(clip: Clip, *, frames: int) -> None:
    if clip.frames < frames or min(clip.height, clip.width) < POOL:
        fix = f"give at least --clip {frames}x{POOL}x{POOL}"
        raise InputError(f"clip {clip} is too small for pool1, whose windows are {POOL} wide", [("fix", fix)])
