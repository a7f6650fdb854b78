"""VGG-16 (Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition").

Paper: https://arxiv.org/abs/1409.1556 (table 1, configuration D). Code followed:
https://github.com/pytorch/vision/blob/main/torchvision/models/vgg.py (vgg16, without batch normalisation).
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .sizing import one_frame, sizes_after

__all__ = ["VGG16", "vgg16"]

CONFIGURATION_D = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # (channels, 3×3 convolutions) before each pool


class VGG16(nn.Module):
    """Images (B, 3, H, W) -> class scores (B, num_classes); any size from 32×32, since the last pool is adaptive."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, convolutions in CONFIGURATION_D:
            for _ in range(convolutions):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores

    def check(self, clip: Clip) -> None:
        """Refuse frames that are too small.

        Raises:
            InputError: the frames are too small; the message names the pool that gets nothing.
        """
        pools = {f"features.{n}": part for n, part in self.features.named_children() if isinstance(part, nn.MaxPool2d)}
        sizes_after(pools, (clip.height, clip.width), clip)


def vgg16(clip: Clip, num_classes: int) -> SizedNetwork:
    """VGG-16 for one image."""
    inputs = (one_frame(clip),)
    model = VGG16(num_classes)
    model.check(clip)
    return SizedNetwork(model, inputs=inputs)
