"""ResNets with bottleneck blocks (He et al. 2015, "Deep Residual Learning for Image Recognition").

Paper: https://arxiv.org/abs/1512.03385 (table 1). Code followed:
https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py, which is "v1.5": a block that shrinks the
image does so in its 3×3 convolution, while the paper's does in its first 1×1 (3.8 instead of 4.1 GMACs).
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .sizing import one_frame

__all__ = ["BLOCKS", "Bottleneck", "ResNet", "ResNet50", "resnet50"]

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4


class Bottleneck(nn.Module):
    """Maps (B, C, H, W) -> (B, 4·width, H/stride, W/stride): 1×1, 3×3 and 1×1 convolutions beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv2d(channels, width, 1, bias=False)  # TSM wraps it
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, EXPANSION * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(EXPANSION * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != EXPANSION * width:
            shortcut = nn.Conv2d(channels, EXPANSION * width, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(EXPANSION * width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, 4·width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x)) + shortcut
        maps: Tensor = self.relu(x)
        return maps


class ResNet(nn.Module):
    """Images (B, 3, H, W) -> class scores (B, num_classes); any size.

    Arguments:
        num_classes: 1,000 (ImageNet) in the paper.
        depth: 50, 101 or 152.
    """

    features = EXPANSION * 512

    def __init__(self, num_classes: int, depth: int = 50) -> None:
        super().__init__()
        blocks = BLOCKS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._stage(64, 64, blocks[0], stride=1)
        self.layer2 = self._stage(256, 128, blocks[1], stride=2)
        self.layer3 = self._stage(512, 256, blocks[2], stride=2)
        self.layer4 = self._stage(1024, 512, blocks[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc: nn.Module = nn.Linear(self.features, num_classes)

    @staticmethod
    def _stage(channels: int, width: int, blocks: int, *, stride: int) -> nn.Sequential:
        rest = (Bottleneck(EXPANSION * width, width, 1) for _ in range(blocks - 1))
        return nn.Sequential(Bottleneck(channels, width, stride), *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


class ResNet50(ResNet):
    """ResNet of 50 layers."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, 50)


def resnet50(clip: Clip, num_classes: int) -> SizedNetwork:
    """ResNet-50 for one image."""
    return SizedNetwork(ResNet50(num_classes), inputs=(one_frame(clip),))
