"""Karpathy et al. 2014, "Large-scale Video Classification with Convolutional Neural Networks": five ways over time.

Paper: https://research.google/pubs/pub42455/ (CVPR 2014, section 3). No code was released. All five share a
backbone, so that they compare: C(96,11,3)-N-P-C(256,5,1)-N-P-C(384,3,1)-C(384,3,1)-C(256,3,1)-P-FC(4096)-FC(4096), on
frames of 170×170. C(d, f, s) has d filters of f×f at stride s, P pools 2×2 without overlap, N normalises across
channels.

The paper prints no padding. It says that the convolutional part ends in 7×7×256 for whole frames and, without the last
pool, for the 89×89 streams of the multiresolution network. This holds with a first convolution without padding, other
convolutions padded to keep their size, and pools that keep the border, as in Krizhevsky's code (170: 54, 27, 14, 7;
89: 27, 14, 7).
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .sizing import sizes_after
from .streamable import WINDOW, latest

__all__ = ["early_fusion", "late_fusion_fc", "late_fusion_pool", "single_frame", "slow_fusion"]

MAPS = 256  # of conv5
FRAME_FEATURES = 256 * 7 * 7  # section 3.2: the convolutional part ends in 7×7×256
FUSED_FRAMES = 10  # section 3.1: early and slow fusion see T = 10 frames, a third of a second
LATE_FUSION_DISTANCE = 15  # section 3.1: late fusion sees two frames, 15 apart


def _norm() -> nn.LocalResponseNorm:
    # k = 2, n = 5, α = 1e-4, β = 0.5 (section 3). There α multiplies the sum, in torch the mean over n.
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.5, k=2)


class Stack(nn.Module):
    """The convolutional part, whose layers have the same order and see more or less of time."""

    conv1: nn.Module
    norm1: nn.Module
    pool1: nn.Module
    conv2: nn.Module
    norm2: nn.Module
    pool2: nn.Module
    conv3: nn.Module
    conv4: nn.Module
    conv5: nn.Module
    pool5: nn.Module
    relu: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps with 256 channels."""
        x = self.pool1(self.norm1(self.relu(self.conv1(x))))
        x = self.pool2(self.norm2(self.relu(self.conv2(x))))
        x = self.relu(self.conv3(x))
        x = self.relu(self.conv4(x))
        maps: Tensor = self.pool5(self.relu(self.conv5(x)))
        return maps

    def features_left(self, sizes: tuple[int, ...], clip: Clip) -> int:
        """The number of features for (H, W) or (T, H, W)."""
        parts = dict(self.named_children())
        order = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
        return MAPS * prod(sizes_after({name: parts[name] for name in order}, sizes, clip))


class FrameConvolutions(Stack):
    """Frames (N, C, H, W) -> feature maps (N, 256, h, w); C is 3, or 3 per frame if frames are channels."""

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 96, 11, stride=3)
        self.norm1 = _norm()
        self.pool1 = nn.MaxPool2d(2, ceil_mode=True)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2)
        self.norm2 = _norm()
        self.pool2 = nn.MaxPool2d(2, ceil_mode=True)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1)
        self.conv5 = nn.Conv2d(384, MAPS, 3, padding=1)
        self.pool5 = nn.MaxPool2d(2, ceil_mode=True)
        self.relu = nn.ReLU()


class ClipConvolutions(Stack):
    """Clip (B, 3, T, H, W) -> feature maps (B, 256, t, h, w); the first three convolutions merge 10 frames, 4, 2, 1.

    Section 3.1: temporal extent 4 at stride 2 in the first layer, without padding; extent 2 at stride 2 in two more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 96, (4, 11, 11), stride=(2, 3, 3))
        self.norm1 = _norm()
        self.pool1 = nn.MaxPool3d((1, 2, 2), ceil_mode=True)
        self.conv2 = nn.Conv3d(96, 256, (2, 5, 5), stride=(2, 1, 1), padding=(0, 2, 2))
        self.norm2 = _norm()
        self.pool2 = nn.MaxPool3d((1, 2, 2), ceil_mode=True)
        self.conv3 = nn.Conv3d(256, 384, (2, 3, 3), stride=(2, 1, 1), padding=(0, 1, 1))
        self.conv4 = nn.Conv3d(384, 384, (1, 3, 3), padding=(0, 1, 1))
        self.conv5 = nn.Conv3d(384, MAPS, (1, 3, 3), padding=(0, 1, 1))
        self.pool5 = nn.MaxPool3d((1, 2, 2), ceil_mode=True)
        self.relu = nn.ReLU()


class Classifier(nn.Module):
    """Features (N, D) -> class scores (N, num_classes)."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(features, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, num_classes) before the softmax."""
        scores: Tensor = self.fc8(self.relu(self.fc7(self.relu(self.fc6(x)))))
        return scores


def _frames(clip: Tensor) -> Tensor:
    """(B, 3, T, H, W) -> (B·T, 3, H, W): every frame an image of the batch."""
    return clip.transpose(1, 2).flatten(0, 1)


class SingleFrame(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes): the CNN on every frame, scores averaged."""

    step_sees = WINDOW

    def __init__(self, clip: Clip, num_classes: int) -> None:
        super().__init__()
        self.frames = clip.frames
        self.features = FrameConvolutions()
        self.classifier = Classifier(self.features.features_left((clip.height, clip.width), clip), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        return self._of_frames(x).mean(1)

    def step(self, frames: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores of the last clip; keeps those of its frames (B, T, num_classes)."""
        window = latest(state, self._of_frames(frames), self.frames)
        return window.mean(1), window

    def _of_frames(self, x: Tensor) -> Tensor:
        """Scores of every frame (B, T, num_classes)."""
        per_frame: Tensor = self.classifier(self.features(_frames(x)).flatten(1))
        of_frames: Tensor = per_frame.unflatten(0, (x.shape[0], x.shape[2]))
        return of_frames


class LateFusion(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes): fully connected layers over the features of the frames.

    Arguments:
        clip: T×H×W that fc6 is sized for.
        num_classes: 487 (Sports-1M) in the paper.
        two_frames: use only the first and the last frame, as in the paper (15 apart, in a clip of 16 frames).
    """

    step_sees = WINDOW

    def __init__(self, clip: Clip, num_classes: int, *, two_frames: bool = False) -> None:
        super().__init__()
        self.two_frames = two_frames
        self.frames = clip.frames
        self.features = FrameConvolutions()
        per_frame = self.features.features_left((clip.height, clip.width), clip)
        self.classifier = Classifier((2 if two_frames else clip.frames) * per_frame, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        if self.two_frames:
            x = x[:, :, :: x.shape[2] - 1]
        scores: Tensor = self.classifier(self._of_frames(x).flatten(1))
        return scores

    def step(self, frames: Tensor, state: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Scores of the last clip, once there is one; keeps the maps of its frames (B, T, 256, h, w)."""
        window = latest(state, self._of_frames(frames), self.frames)
        if window.shape[1] < self.frames:
            return None, window
        maps = window[:, :: self.frames - 1] if self.two_frames else window
        return self.classifier(maps.flatten(1)), window

    def _of_frames(self, x: Tensor) -> Tensor:
        """Maps of every frame (B, T, 256, h, w)."""
        maps: Tensor = self.features(_frames(x))
        of_frames: Tensor = maps.unflatten(0, (x.shape[0], x.shape[2]))
        return of_frames


class LateFusionPooled(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes): a linear layer over features averaged over time and space."""

    step_sees = WINDOW

    def __init__(self, clip: Clip, num_classes: int) -> None:
        super().__init__()
        self.frames = clip.frames
        self.features = FrameConvolutions()
        self.features.features_left((clip.height, clip.width), clip)  # raises for frames that are too small
        self.fc = nn.Linear(MAPS, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.fc(self._of_frames(x).mean((1, 3, 4)))
        return scores

    def step(self, frames: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores of the last clip; keeps the features of its frames (B, T, 256), averaged over space."""
        window = latest(state, self._of_frames(frames).mean((3, 4)), self.frames)
        return self.fc(window.mean(1)), window

    def _of_frames(self, x: Tensor) -> Tensor:
        """Maps of every frame (B, T, 256, h, w)."""
        maps: Tensor = self.features(_frames(x))
        of_frames: Tensor = maps.unflatten(0, (x.shape[0], x.shape[2]))
        return of_frames


class EarlyFusion(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes): the first convolution sees 3·T channels, the rest one image."""

    def __init__(self, clip: Clip, num_classes: int) -> None:
        super().__init__()
        self.features = FrameConvolutions(3 * clip.frames)
        self.classifier = Classifier(self.features.features_left((clip.height, clip.width), clip), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.classifier(self.features(x.transpose(1, 2).flatten(1, 2)).flatten(1))
        return scores


class SlowFusion(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes): a 3D CNN that merges time gradually."""

    def __init__(self, clip: Clip, num_classes: int) -> None:
        super().__init__()
        self.features = ClipConvolutions()
        self.classifier = Classifier(self.features.features_left(clip.sizes, clip), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.classifier(self.features(x).flatten(1))
        return scores


def _departures(classifier: Classifier, clip: Clip, frames: int = 1) -> tuple[str, ...]:
    inputs, paper = classifier.fc6.in_features, frames * FRAME_FEATURES
    return () if inputs == paper else (f"fc6 sized for {clip}: {inputs} inputs, the paper's has {paper}",)


def single_frame(clip: Clip, num_classes: int) -> SizedNetwork:
    """The backbone on every frame of `clip`, scores averaged."""
    model = SingleFrame(clip, num_classes)
    return SizedNetwork(model, _departures(model.classifier, clip))


def late_fusion_fc(clip: Clip, num_classes: int, *, two_frames: bool = False) -> SizedNetwork:
    """Fully connected layers over the features of all frames (the lecture's), or of two (the paper's)."""
    if two_frames and clip.frames < 2:
        raise InputError(f"late fusion of two frames, but clip {clip} has one", [("fix", "give --clip 16x170x170")])
    model = LateFusion(clip, num_classes, two_frames=two_frames)
    departures = _departures(model.classifier, clip, 2 if two_frames else clip.frames)
    if two_frames and clip.frames != LATE_FUSION_DISTANCE + 1:
        departures += (f"two frames {clip.frames - 1} apart, the paper's are {LATE_FUSION_DISTANCE} apart",)
    return SizedNetwork(model, departures)


def late_fusion_pool(clip: Clip, num_classes: int) -> SizedNetwork:
    """A linear layer over the features of all frames, averaged over time and space (the lecture's)."""
    return SizedNetwork(LateFusionPooled(clip, num_classes))


def early_fusion(clip: Clip, num_classes: int) -> SizedNetwork:
    """All frames as channels of the first convolution."""
    model = EarlyFusion(clip, num_classes)
    departures = _departures(model.classifier, clip)
    if clip.frames != FUSED_FRAMES:
        channels = 3 * clip.frames
        departures += (f"conv1 sized for {clip}: {channels} input channels, the paper's has {3 * FUSED_FRAMES}",)
    return SizedNetwork(model, departures)


def slow_fusion(clip: Clip, num_classes: int) -> SizedNetwork:
    """The 3D CNN that merges time in its first three convolutions."""
    model = SlowFusion(clip, num_classes)
    departures = _departures(model.classifier, clip)
    if clip.frames != FUSED_FRAMES:
        departures += (f"{clip.frames} frames, the paper's network sees {FUSED_FRAMES}",)
    return SizedNetwork(model, departures)
