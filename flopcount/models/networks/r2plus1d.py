"""R2D, R3D, MCx, rMCx and R(2+1)D (Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions").

Paper: https://arxiv.org/abs/1711.11248 (table 1, sections 3.1 to 3.5). Code followed, names of submodules included, so
that its state dicts load: https://github.com/pytorch/vision, torchvision/models/video/resnet.py, for R3D-18, MC3-18 and
R(2+1)D-18; for all others the authors' https://github.com/facebookresearch/VMZ, pt/vmz/models/r2plus1d.py, which builds
on torchvision's classes, and c2/lib/models/r3d_model.py.

One ResNet, and three ways to build the convolutions of its blocks: 3×3×3; 1×3×3; 1×3×3 and then 3×1×1, with as many
channels between them as match the parameters of 3×3×3. torchvision gives both convolutions of a block the channels
between that the first one needs; paper and VMZ give each its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ...core.errors import UnknownNameError
from ...core.protocol import Clip
from .averaged_streams import STREAMS, AveragedStreams
from .sized_network import SizedNetwork

__all__ = [
    "Bottleneck",
    "VideoResNet",
    "conv2plus1d_alone",
    "f_r2d_18",
    "mc2_18",
    "mc3_18",
    "mc4_18",
    "mc5_18",
    "r2d_18",
    "r2plus1d_18",
    "r2plus1d_34",
    "r2plus1d_152",
    "r3d_18",
    "rmc2_18",
    "rmc3_18",
    "rmc4_18",
    "rmc5_18",
    "two_stream_r2plus1d_34",
]

STAGE_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 152: (3, 8, 36, 3)}
BOTTLENECK_FROM = 50  # layers

Conv = Callable[[int, int, int, int], nn.Module]
"""Builds a block's convolution from its channels in, between and out, and its stride."""


def conv3d(channels_in: int, between: int, channels_out: int, stride: int) -> nn.Module:
    """3×3×3."""
    return nn.Conv3d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


def conv_no_temporal(channels_in: int, between: int, channels_out: int, stride: int) -> nn.Module:
    """1×3×3: sees one frame, and keeps all."""
    return nn.Conv3d(channels_in, channels_out, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)


def conv2plus1d(channels_in: int, between: int, channels_out: int, stride: int) -> nn.Module:
    """1×3×3, then 3×1×1."""
    return nn.Sequential(
        nn.Conv3d(channels_in, between, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False),
        nn.BatchNorm3d(between),
        nn.ReLU(),
        nn.Conv3d(between, channels_out, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False),
    )


def conv2plus1d_alone(channels_in: int, between: int, channels_out: int, stride: int) -> nn.Module:
    """1×3×3, then 3×1×1, with the channels between that this convolution needs, whatever the block says."""
    return conv2plus1d(channels_in, channels_between(channels_in, channels_out), channels_out, stride)


def channels_between(channels_in: int, channels_out: int, area: int = 9) -> int:
    """The channels at which 1×k×k, of this area, and 3×1×1 have the parameters of one 3×k×k (section 3.5)."""
    return (channels_in * channels_out * 3 * area) // (channels_in * area + 3 * channels_out)


class BasicBlock(nn.Module):
    """Shortcut plus two convolutions; both are told the middle channels that the first one needs."""

    expansion = 1

    def __init__(self, channels_in: int, channels: int, conv: Conv, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        between = channels_between(channels_in, channels)
        self.conv1 = nn.Sequential(conv(channels_in, between, channels, stride), nn.BatchNorm3d(channels), nn.ReLU())
        self.conv2 = nn.Sequential(conv(channels, between, channels, 1), nn.BatchNorm3d(channels))
        self.relu = nn.ReLU()
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, channels, T, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        maps: Tensor = self.relu(self.conv2(self.conv1(x)) + shortcut)
        return maps


class Bottleneck(nn.Module):
    """Shortcut plus 1×1×1, the convolution, and 1×1×1 to four times the channels."""

    expansion = 4

    def __init__(self, channels_in: int, channels: int, conv: Conv, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        between, wide = channels_between(channels_in, channels), self.expansion * channels
        self.conv1 = nn.Sequential(nn.Conv3d(channels_in, channels, 1, bias=False), nn.BatchNorm3d(channels), nn.ReLU())
        self.conv2 = nn.Sequential(conv(channels, between, channels, stride), nn.BatchNorm3d(channels), nn.ReLU())
        self.conv3 = nn.Sequential(nn.Conv3d(channels, wide, 1, bias=False), nn.BatchNorm3d(wide))
        self.relu = nn.ReLU()
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, 4·channels, T, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        maps: Tensor = self.relu(self.conv3(self.conv2(self.conv1(x))) + shortcut)
        return maps


def _shortcut(channels_in: int, channels_out: int, strides: tuple[int, int, int]) -> nn.Module:
    """1×1×1."""
    return nn.Conv3d(channels_in, channels_out, 1, stride=strides, bias=False)


def stem3d(channels: int = 3) -> nn.Sequential:
    """3×7×7."""
    conv = nn.Conv3d(channels, 64, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(64), nn.ReLU())


def stem2d(frames: int = 1) -> nn.Sequential:
    """7×7 over so many frames, none of them padded."""
    conv = nn.Conv3d(3, 64, (frames, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(64), nn.ReLU())


def stem2plus1d(channels: int = 3, between: int = 45) -> nn.Sequential:
    """1×7×7, then 3×1×1; the paper does not derive its 45 channels between."""
    return nn.Sequential(
        nn.Conv3d(channels, between, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(between),
        nn.ReLU(),
        nn.Conv3d(between, 64, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(),
    )


class VideoResNet(nn.Module):
    """Clip (B, C, T, H, W) -> scores (B, num_classes); any clip.

    Arguments:
        num_classes: 400 (Kinetics) in the paper.
        stem: the first convolution.
        convs: what builds the convolutions of each stage.
        depth: 18, 34 or 152 layers.
        shortcut: what builds the convolution of a shortcut from its channels and strides.
    """

    def __init__(
        self,
        num_classes: int,
        stem: nn.Sequential,
        convs: Sequence[Conv],
        *,
        depth: int = 18,
        shortcut: Callable[[int, int, tuple[int, int, int]], nn.Module] = _shortcut,
    ) -> None:
        super().__init__()
        block: type[BasicBlock | Bottleneck] = Bottleneck if depth >= BOTTLENECK_FROM else BasicBlock
        self.stem = stem
        channels_in, stages = 64, []
        for index, (blocks, conv) in enumerate(zip(STAGE_DEPTHS[depth], convs, strict=True)):
            channels, stride = 64 * 2**index, 1 if index == 0 else 2
            wide = channels * block.expansion
            stage = nn.Sequential()
            for place in range(blocks):
                projection = None
                if place == 0 and (stride > 1 or channels_in != wide):
                    strides = (1 if conv is conv_no_temporal else stride, stride, stride)
                    projection = nn.Sequential(shortcut(channels_in, wide, strides), nn.BatchNorm3d(wide))
                stage.append(block(channels_in, channels, conv, stride if place == 0 else 1, projection))
                channels_in = wide
            stages.append(stage)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(channels_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


def r3d_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """All convolutions 3×3×3."""
    return SizedNetwork(VideoResNet(num_classes, stem3d(), [conv3d] * 4))


def r2d_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """R2D: the first convolution sees all frames at once, and one is left."""
    return SizedNetwork(VideoResNet(num_classes, stem2d(clip.frames), [conv_no_temporal] * 4))


def f_r2d_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """f-R2D: no convolution sees more than one frame; the head averages all."""
    return SizedNetwork(VideoResNet(num_classes, stem2d(), [conv_no_temporal] * 4))


def _mixed(num_classes: int, stem: nn.Sequential, first: Conv, stages: int, then: Conv) -> SizedNetwork:
    return SizedNetwork(VideoResNet(num_classes, stem, [first] * stages + [then] * (4 - stages)))


def mc2_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """3×7×7 in the stem alone, 1×3×3 after it."""
    return _mixed(num_classes, stem3d(), conv3d, 0, conv_no_temporal)


def mc3_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """3×3×3 in the first stage, 1×3×3 after it."""
    return _mixed(num_classes, stem3d(), conv3d, 1, conv_no_temporal)


def mc4_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """3×3×3 in the first two stages, 1×3×3 after them."""
    return _mixed(num_classes, stem3d(), conv3d, 2, conv_no_temporal)


def mc5_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """3×3×3 in the first three stages, 1×3×3 in the last."""
    return _mixed(num_classes, stem3d(), conv3d, 3, conv_no_temporal)


def rmc2_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """Reversed: 1×7×7 in the stem, 3×3×3 after it."""
    return _mixed(num_classes, stem2d(), conv_no_temporal, 0, conv3d)


def rmc3_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """Reversed: 1×3×3 in the first stage, 3×3×3 after it."""
    return _mixed(num_classes, stem2d(), conv_no_temporal, 1, conv3d)


def rmc4_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """Reversed: 1×3×3 in the first two stages, 3×3×3 after them."""
    return _mixed(num_classes, stem2d(), conv_no_temporal, 2, conv3d)


def rmc5_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """Reversed: 1×3×3 in the first three stages, 3×3×3 in the last."""
    return _mixed(num_classes, stem2d(), conv_no_temporal, 3, conv3d)


def r2plus1d_18(clip: Clip, num_classes: int, *, shared_between: bool = True) -> SizedNetwork:
    """All convolutions split into space and time; `shared_between`: a block's two have the same channels between."""
    conv = conv2plus1d if shared_between else conv2plus1d_alone
    departure = (
        "each convolution has its own channels between, as in paper and VMZ; torchvision's share them in a block"
    )
    return SizedNetwork(VideoResNet(num_classes, stem2plus1d(), [conv] * 4), () if shared_between else (departure,))


def _as_mmaction2(num_classes: int) -> VideoResNet:
    """The rule of channels between holds in stem and shortcuts too, where 1×1×1 is split; a pool follows the stem.

    https://github.com/open-mmlab/mmaction2, configs/_base_/models/r2plus1d_r34.py, models/common/conv2plus1d.py.
    """

    def shortcut(channels_in: int, channels_out: int, strides: tuple[int, int, int]) -> nn.Module:
        between = channels_between(channels_in, channels_out, area=1)
        return nn.Sequential(
            nn.Conv3d(channels_in, between, 1, stride=(1, *strides[1:]), bias=False),
            nn.BatchNorm3d(between),
            nn.ReLU(),
            nn.Conv3d(between, channels_out, 1, stride=(strides[0], 1, 1), bias=False),
        )

    stem = stem2plus1d(between=channels_between(3, 64, area=49))
    stem.append(nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)))
    return VideoResNet(num_classes, stem, [conv2plus1d_alone] * 4, depth=34, shortcut=shortcut)


def _r2plus1d_34(num_classes: int, stream: str) -> VideoResNet:
    return VideoResNet(num_classes, stem2plus1d(STREAMS[stream]), [conv2plus1d_alone] * 4, depth=34)


def r2plus1d_34(clip: Clip, num_classes: int, *, stream: str = "rgb", form: str = "vmz") -> SizedNetwork:
    """34 layers; "rgb" or, on two channels, "flow"; in the form of "vmz", or of "mmaction2" (rgb)."""
    if stream not in STREAMS:
        raise UnknownNameError("stream of r2plus1d_34", stream, STREAMS, "choose rgb or flow")
    if form == "vmz":
        return SizedNetwork(_r2plus1d_34(num_classes, stream), (), ((STREAMS[stream], *clip.sizes),))
    forms = ("vmz", "mmaction2") if stream == "rgb" else ("vmz",)
    if form not in forms:
        raise UnknownNameError(f"form of r2plus1d_34 on {stream}", form, forms, f"choose {' or '.join(forms)}")
    departure = "the form of mmaction2: a pool after the stem, and the rule of channels between in stem and shortcuts"
    return SizedNetwork(_as_mmaction2(num_classes), (departure,))


def two_stream_r2plus1d_34(clip: Clip, num_classes: int) -> SizedNetwork:
    """Both streams, averaged (section 4.3); the cost of the flow itself is not in it."""
    model = AveragedStreams(_r2plus1d_34(num_classes, "rgb"), _r2plus1d_34(num_classes, "flow"))
    inputs = tuple((channels, *clip.sizes) for channels in STREAMS.values())
    return SizedNetwork(model, (), inputs, streams=tuple(STREAMS))


def r2plus1d_152(clip: Clip, num_classes: int) -> SizedNetwork:
    """152 layers in bottlenecks, the middle convolution of each split into space and time."""
    return SizedNetwork(VideoResNet(num_classes, stem2plus1d(), [conv2plus1d_alone] * 4, depth=152))
