"""Image networks, and 2D CNNs over frames that came after the lecture's."""

from __future__ import annotations

from ...core.protocol import Clip
from .card import Card

__all__ = ["CARDS"]

CARDS = (
    Card(
        name="tsn_r50",
        title="TSN: ResNet-50 on a frame of each segment, averaged",
        family="2D CNN",
        year=2016,
        paper="https://arxiv.org/abs/1608.00859",
        code="https://github.com/open-mmlab/mmaction2",
        builder="tsn:tsn_r50",
        clip=Clip(25, 224, 224),
        smallest=Clip(2, 33, 33),
        stride=1,
        num_classes=400,
    ),
    Card(
        name="tsm_r50",
        title="TSM: ResNet-50 on a frame of each segment, channels shifted between them",
        family="2D CNN",
        year=2018,
        paper="https://arxiv.org/abs/1811.08383",
        code="https://github.com/mit-han-lab/temporal-shift-module",
        builder="tsm:tsm_r50",
        clip=Clip(8, 224, 224),
        smallest=Clip(2, 33, 33),
        stride=1,
        num_classes=400,
    ),
    Card(
        name="alexnet",
        title="AlexNet in one tower, for one image",
        family="image",
        year=2014,
        paper="https://arxiv.org/abs/1404.5997",
        code="https://github.com/pytorch/vision/blob/main/torchvision/models/alexnet.py",
        builder="alexnet:alexnet",
        clip=Clip(1, 224, 224),
        smallest=Clip(1, 63, 63),
        stride=1,
        num_classes=1000,
    ),
    Card(
        name="vgg16",
        title="VGG-16, for one image",
        family="image",
        year=2014,
        paper="https://arxiv.org/abs/1409.1556",
        code="https://github.com/pytorch/vision/blob/main/torchvision/models/vgg.py",
        builder="vgg:vgg16",
        clip=Clip(1, 224, 224),
        smallest=Clip(1, 32, 32),
        stride=1,
        num_classes=1000,
    ),
    Card(
        name="resnet50",
        title="ResNet-50, stride in the 3×3 convolutions, for one image",
        family="image",
        year=2015,
        paper="https://arxiv.org/abs/1512.03385",
        code="https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py",
        builder="resnet:resnet50",
        clip=Clip(1, 224, 224),
        smallest=Clip(1, 33, 33),
        stride=1,
        num_classes=1000,
    ),
)
