"""AlexNet: one tower (Krizhevsky 2014, as in torchvision), or the two towers of 2012.

Papers: https://arxiv.org/abs/1404.5997 ("One weird trick", section 5) and Krizhevsky, Sutskever, Hinton, NIPS 2012.
Code followed: https://github.com/pytorch/vision/blob/main/torchvision/models/alexnet.py, and for the two towers
https://github.com/BVLC/caffe/blob/master/models/bvlc_alexnet/deploy.prototxt: groups of 2 where each GPU saw its half.
"""

from __future__ import annotations

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .sizing import one_frame, sizes_after

__all__ = ["AlexNet", "TwoTowerAlexNet", "alexnet"]

TWO_TOWER_FC6_INPUTS = 256 * 6 * 6


class AlexNet(nn.Module):
    """Images (B, 3, H, W) -> class scores (B, num_classes); any size, since the last pool is adaptive."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


class TwoTowerAlexNet(nn.Module):
    """Images (B, 3, H, W) -> class scores (B, num_classes); 227×227 as released, since fc6 sees every position."""

    def __init__(self, clip: Clip, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 96, 11, stride=4),
                relu1=nn.ReLU(inplace=True),
                norm1=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
                pool1=nn.MaxPool2d(3, stride=2),
                conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
                relu2=nn.ReLU(inplace=True),
                norm2=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
                pool2=nn.MaxPool2d(3, stride=2),
                conv3=nn.Conv2d(256, 384, 3, padding=1),  # sees both towers
                relu3=nn.ReLU(inplace=True),
                conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
                relu4=nn.ReLU(inplace=True),
                conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
                relu5=nn.ReLU(inplace=True),
                pool5=nn.MaxPool2d(3, stride=2),
            )
        )
        self.fc6 = nn.Linear(256 * self._positions(clip), 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.5)

    def _positions(self, clip: Clip) -> int:
        layers = {n: part for n, part in self.features.named_children() if n.startswith(("conv", "pool"))}
        return prod(sizes_after(layers, (clip.height, clip.width), clip))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.features(x).flatten(1)
        x = self.dropout(self.relu(self.fc6(x)))
        x = self.dropout(self.relu(self.fc7(x)))
        scores: Tensor = self.fc8(x)
        return scores


def alexnet(clip: Clip, num_classes: int, *, two_towers: bool = False) -> SizedNetwork:
    """AlexNet for one image: torchvision's, or that of 2012, which is for 227×227."""
    inputs = (one_frame(clip),)
    if not two_towers:
        model = AlexNet(num_classes)
        layers = {f"features.{n}": part for n, part in model.features.named_children() if hasattr(part, "stride")}
        sizes_after(layers, (clip.height, clip.width), clip)  # raises for images that are too small
        return SizedNetwork(model, inputs=inputs)
    towers = TwoTowerAlexNet(clip, num_classes)
    seen, released = towers.fc6.in_features, TWO_TOWER_FC6_INPUTS
    departures = () if seen == released else (f"fc6 sized for {clip}: {seen} inputs, released with {released}",)
    return SizedNetwork(towers, departures, inputs)
