"""CNN and LSTM (Donahue et al. 2014, "Long-term Recurrent Convolutional Networks for Visual Recognition ...").

Paper: https://arxiv.org/abs/1411.4389 (activity recognition, section 4: LRCN-fc6). Code followed:
https://github.com/LisaAnne/lisa-caffe-public, examples/LRCN_activity_recognition/train_test_lstm_RGB.prototxt: fc6 of a
hybrid of CaffeNet and the network of Zeiler & Fergus, one LSTM of 256 units, the scores of 16 frames averaged.
"""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor, nn

from ...core.errors import UnknownNameError
from ...core.protocol import Clip
from .resnet import ResNet50
from .sized_network import SizedNetwork
from .sizing import sizes_after
from .streamable import ALL, latest

__all__ = ["CaffeNet", "CnnLstm", "cnn_lstm"]

FRAMES = 16
HIDDEN = 256
FC6_INPUTS = 384 * 6 * 6  # at 227×227
BACKBONES = ("caffenet", "resnet50")


class CaffeNet(nn.Module):
    """Frames (N, 3, H, W) -> fc6 features (N, 4096); the hybrid of LRCN, 227×227 as released.

    Caffe's pools keep the border (`ceil_mode`).
    """

    features = 4096

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.conv2 = nn.Conv2d(96, 384, 5, stride=2, groups=2)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm2 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.conv3 = nn.Conv2d(384, 512, 3, padding=1)
        self.conv4 = nn.Conv2d(512, 512, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(512, 384, 3, padding=1, groups=2)
        self.pool5 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.fc6 = nn.Linear(384 * self._positions(clip), self.features)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.9)

    def _positions(self, clip: Clip) -> int:
        layers = {name: part for name, part in self.named_children() if name.startswith(("conv", "pool"))}
        return prod(sizes_after(layers, (clip.height, clip.width), clip))

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, 4096)."""
        x = self.norm1(self.pool1(self.relu(self.conv1(x))))
        x = self.norm2(self.pool2(self.relu(self.conv2(x))))
        x = self.relu(self.conv3(x))
        x = self.relu(self.conv4(x))
        x = self.pool5(self.relu(self.conv5(x)))
        features: Tensor = self.dropout(self.relu(self.fc6(x.flatten(1))))
        return features


class CnnLstm(nn.Module):
    """Clip (B, 3, T, H, W) -> class probabilities (B, num_classes), averaged over the frames.

    Arguments:
        frames: T, over which a stream averages; a clip may have any number.
        cnn: the CNN of one frame; (N, 3, H, W) -> (N, features).
        features: of the CNN.
        num_classes: 101 (UCF-101) in the paper.
        freeze_cnn: train only the LSTM and the classifier.
    """

    step_sees = ALL

    def __init__(
        self, frames: int, cnn: nn.Module, features: int, num_classes: int, *, freeze_cnn: bool = False
    ) -> None:
        super().__init__()
        self.frames = frames
        self.cnn = cnn.requires_grad_(not freeze_cnn)
        self.lstm = nn.LSTM(features, HIDDEN, batch_first=True)  # it has two biases per gate, Caffe's has one
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(HIDDEN, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (B, num_classes)."""
        probabilities, _ = self._of_frames(x, None)
        return probabilities.mean(1)

    def step(self, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Probabilities averaged over the last clip; keeps those of its frames, and the state of the LSTM."""
        past, memory = state if state is not None else (None, None)
        probabilities, memory = self._of_frames(frames, memory)
        window = latest(past, probabilities, self.frames)
        return window.mean(1), (window, memory)

    def _of_frames(self, x: Tensor, memory: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Probabilities of every frame (B, T, num_classes), and the state after the last."""
        batch, frames = x.shape[0], x.shape[2]
        features = self.cnn(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, frames))  # (B, T, features)
        states, memory = self.lstm(features, memory)
        assert memory is not None
        return self.fc(self.dropout(states)).softmax(-1), memory


def cnn_lstm(clip: Clip, num_classes: int, *, backbone: str = "caffenet", freeze_cnn: bool = False) -> SizedNetwork:
    """LRCN with its own CNN, or with ResNet-50 up to its global pool."""
    if backbone not in BACKBONES:
        raise UnknownNameError("backbone of cnn_lstm", str(backbone), BACKBONES, f"choose {', '.join(BACKBONES)}")
    departures = []
    if backbone == "caffenet":
        caffenet = CaffeNet(clip)
        model = CnnLstm(clip.frames, caffenet, caffenet.features, num_classes, freeze_cnn=freeze_cnn)
        if caffenet.fc6.in_features != FC6_INPUTS:
            width = caffenet.fc6.in_features
            departures.append(f"fc6 sized for {clip}: {width} inputs, released with {FC6_INPUTS}")
    else:
        resnet = ResNet50(num_classes)
        resnet.fc = nn.Identity()
        model = CnnLstm(clip.frames, resnet, resnet.features, num_classes, freeze_cnn=freeze_cnn)
        departures.append("ResNet-50 per frame, the paper's CNN is a CaffeNet")
    if clip.frames != FRAMES:
        departures.append(f"{clip.frames} frames, the paper's clips have {FRAMES}")
    if freeze_cnn:
        departures.append("CNN frozen, the paper trains it with the LSTM")
    return SizedNetwork(model, tuple(departures))
