"""Inflation: the output on a repeated frame is that of the 2D network on the frame."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import flopcount
from flopcount import InputError, UnknownNameError, count_flops, inflate, weightless

FRAMES = (1, 2, 5, 8)


class Block(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=2, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        return F.relu(out, inplace=True)


class ResNet(nn.Module):
    """Functional ReLU, pool and flatten, as in many networks."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layers = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2))
        self.fc = nn.Linear(32, 5)

    def features(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        return self.layers(x)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.fc(x.view(x.size(0), -1))


class Features(ResNet):
    def forward(self, x):
        return self.features(x)


class VGG(nn.Module):
    """Unpadded pools, and a classifier that sees every position."""

    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for width in (8, 16, 16):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(True), nn.MaxPool2d(2)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(nn.Linear(16 * 9, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 5))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Squeeze(nn.Module):
    """Squeeze and excitation through vectors."""

    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, 4), nn.ReLU(), nn.Linear(4, channels), nn.Hardsigmoid())

    def forward(self, x):
        b, c, _, _ = x.shape
        return x * self.fc(x.mean((2, 3))).view(b, c, 1, 1)


class Inverted(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        inner = 4 * channels_in
        self.skip = stride == 1 and channels_in == channels
        self.conv = nn.Sequential(
            *(nn.Conv2d(channels_in, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6()),
            *(nn.Conv2d(inner, inner, 5, stride, 2, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.Hardswish()),
            Squeeze(inner),
            *(nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels)),
        )
        self.scale = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x):
        return x + self.scale * self.conv(x) if self.skip else self.conv(x)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6())
        self.features = nn.Sequential(Inverted(8, 8, 1), Inverted(8, 12, 2), Inverted(12, 12, 1))
        self.classifier = nn.Linear(12, 5)

    def forward(self, x):
        return self.classifier(self.features(self.stem(x)).mean([2, 3]))


class Branches(nn.Module):
    """Branches of every kind, whose outputs must have the same number of frames."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.dilated = nn.Conv2d(3, 4, 3, stride=2, padding=2, dilation=2, padding_mode="reflect")
        self.even = nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(3, 4, 4, stride=2), nn.LocalResponseNorm(3))
        self.same = nn.Sequential(
            nn.Conv2d(3, 4, 5, padding="same"), nn.MaxPool2d(2, ceil_mode=True), nn.GroupNorm(2, 4)
        )
        self.row = nn.Conv2d(3, 4, (1, 7), stride=2, padding=(0, 3))
        self.norm = nn.InstanceNorm2d(4, affine=True)

    def forward(self, x):
        pooled = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        rounded = F.max_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, stride=2, ceil_mode=True)
        maps = [
            self.conv(x),
            self.dilated(x),
            self.even(x),
            self.same(x),
            self.norm(self.row(x)),
            pooled,
            rounded[:, :2],
        ]
        first, second = torch.split(torch.cat(maps, -3), [10, 15], dim=1)
        both = torch.cat([F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)], dim=1)
        return F.adaptive_max_pool2d(both, 1).squeeze(3).squeeze(2)


NETWORKS = (ResNet, VGG, MobileNet, Branches)


def build(network):
    torch.manual_seed(0)
    model = network()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):  # statistics that a fresh network does not have
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
    return model.eval()


def repeated(image, frames):
    return image.unsqueeze(2).expand(-1, -1, frames, -1, -1)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("keep_frames", [False, True])
@pytest.mark.parametrize("frames", FRAMES)
def test_a_repeated_frame_gives_what_the_2d_network_gives(network, keep_frames, frames):
    model = build(network)
    image = torch.randn(2, 3, 39, 47)
    video = inflate(model, keep_frames=keep_frames)(repeated(image, frames))
    torch.testing.assert_close(video, model(image), rtol=1e-5, atol=1e-5)


# Half the frames that a feature sees: 3 by conv1, then 1 by the pool and each of six convolutions, times the strides so
# far: 3 + 2 + 4 + 4 + 4 + 8 + 8 + 16 = 49, or 3 + 7 with strides of 1. Strides of 2, 2, 2 and 2 leave 13 of 200 frames.
@pytest.mark.parametrize(
    ("keep_frames", "frames", "left", "inside"), [(False, 200, 13, range(4, 9)), (True, 30, 30, range(10, 20))]
)
def test_with_zero_padding_the_frames_away_from_the_ends_agree(keep_frames, frames, left, inside):
    model = build(Features)
    image = torch.randn(1, 3, 32, 32)
    maps = inflate(model, "zero", keep_frames=keep_frames)(repeated(image, frames))
    expected = model(image)
    assert maps.shape[2] == left
    for frame in inside:
        torch.testing.assert_close(maps[:, :, frame], expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(maps[:, :, 0], expected, atol=1e-2)


def test_zero_padding_goes_through_every_kind_of_layer():
    model = build(Branches)
    assert inflate(model, "zero")(torch.randn(2, 3, 5, 39, 47)).shape == model(torch.randn(2, 3, 39, 47)).shape


def test_kernels_are_repeated_and_divided_and_the_rest_is_copied():
    model = build(ResNet)
    before = copy.deepcopy(model.state_dict())
    inflated = inflate(model)
    assert set(inflated.state_dict()) == set(before)  # the same names
    for name, value in inflated.state_dict().items():
        if value.ndim == 5:
            kernel = value.shape[2]
            assert kernel == value.shape[3]
            assert torch.equal(value, before[name][:, :, None].repeat(1, 1, kernel, 1, 1) / kernel)
        else:
            assert torch.equal(value, before[name])
    conv = inflated.get_submodule("layers.1.conv2")
    assert (conv.kernel_size, conv.stride, conv.groups) == ((3, 3, 3), (1, 1, 1), 2)
    assert inflated.get_submodule("layers.1.downsample.0").stride == (2, 2, 2)
    with torch.no_grad():
        for p in inflated.parameters():
            p.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())  # nothing is shared


def test_modes_and_gradients_stay():
    model = build(ResNet).train()
    model.bn1.eval()
    model.conv1.requires_grad_(False)
    inflated = inflate(model)
    assert inflated.training
    assert not inflated.get_submodule("bn1").training
    assert [name for name, p in inflated.named_parameters() if not p.requires_grad] == ["conv1.weight"]
    inflated(torch.randn(2, 3, 4, 32, 32)).sum().backward()
    assert inflated.get_parameter("layers.0.conv1.weight").grad is not None


def test_a_layer_alone():
    assert isinstance(inflate(nn.Conv2d(3, 4, 3)), nn.Conv3d)
    pool = inflate(nn.AvgPool2d(2, divisor_override=3))
    assert pool(torch.ones(1, 1, 2, 2, 2)).item() == pytest.approx(4 / 3)


def test_what_an_inflated_network_costs():
    """Three frames per 3×3 kernel: three times the 2D cost for each frame left."""
    image = count_flops(weightless(VGG).eval(), (1, 3, 32, 32))
    video = count_flops(inflate(weightless(VGG)).eval(), (1, 3, 8, 32, 32), strict=True)
    convolutions = [3 * 8 * 32 * 32 * 9, 8 * 16 * 16 * 16 * 9, 16 * 16 * 8 * 8 * 9]
    classifier = 16 * 9 * 16 + 16 * 5
    assert image.macs == sum(convolutions) + classifier
    frames = (8, 4, 2)  # each pool halves them
    assert video.macs == sum(3 * t * macs for t, macs in zip(frames, convolutions, strict=True)) + classifier
    assert video.module("features.0").cost.macs == 3 * 8 * convolutions[0]


class Refused(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.code = code
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x)
        if self.code == "branch":
            return x if x.sum() > 0 else -x
        if self.code == "shuffle":
            return x.view(x.size(0), 2, 2, x.size(2), x.size(3))
        if self.code == "tokens":
            return x.flatten(2).transpose(1, 2)
        if self.code == "permute":
            return x.permute(0, 2, 3, 1)
        if self.code == "height":
            return x.mean(2, keepdim=True)
        if self.code == "size":
            return F.avg_pool2d(x, x.shape[2:])
        if self.code == "vector":
            return x + x.mean((2, 3))
        return x.T + 1


@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        ("branch", "inflate cannot follow Refused: symbolically traced variables", "return x if x.sum() > 0 else -x"),
        ("shuffle", "inflate has no 3D counterpart of a view of feature maps", "return x.view(x.size(0), 2, 2"),
        ("tokens", "inflate has no 3D counterpart of flatten, except from", "return x.flatten(2).transpose(1, 2)"),
        ("permute", "inflate has no 3D counterpart of permute", "return x.permute(0, 2, 3, 1)"),
        ("height", "inflate has no 3D counterpart of a mean, except over", "return x.mean(2, keepdim=True)"),
        ("size", "inflate has no 3D counterpart of the index slice(2", "return F.avg_pool2d(x, x.shape[2:])"),
        ("vector", "inflate has no 3D counterpart of arithmetic of", "return x + x.mean((2, 3))"),
        ("transpose", "inflate has no 3D counterpart of the attribute T", "return x.T + 1"),
    ],
)
def test_what_cannot_be_inflated_is_refused_with_its_line(code, message, line):
    with pytest.raises(InputError) as raised:
        inflate(Refused(code))
    assert str(raised.value).startswith(message)
    where = dict(raised.value.details)["in"]
    assert where.startswith("test_inflation.py:")
    assert f" in forward: {line}" in where


def test_layers_without_counterpart_are_refused():
    with pytest.raises(InputError, match=r"no 3D counterpart of ConvTranspose2d \(1\)"):
        inflate(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 4, 2)))
    with pytest.raises(InputError, match="no pool that returns indices"):
        inflate(nn.MaxPool2d(2, return_indices=True))
    with pytest.raises(InputError, match="no padding='same' for a kernel of"):
        inflate(nn.Conv2d(3, 4, 2, padding="same"))
    with pytest.raises(UnknownNameError, match="no temporal padding named 'zeros'\n  near    zero"):
        inflate(nn.Conv2d(3, 4, 3), "zeros")


def test_inflate_is_public():
    assert flopcount.inflate is inflate
