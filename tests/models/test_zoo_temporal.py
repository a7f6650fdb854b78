"""ResNets with temporal modules and heads of boxes: counts by hand, costs of the papers, official code where installed.

TDN was built by hand from ops/tdn_net.py of https://github.com/MCG-NJU/TDN at commit a7c7e9b, on shapes alone, for 8
segments with ResNet-50 and 16 with ResNet-101: the same contractions, and 9,472 parameters more in a convolution that
it never runs.
"""

from functools import cache

import pytest
import torch
from torch import nn

from flopcount import InputError, count_flops, create_model, weightless
from flopcount.models.networks.ava_detection import BoxHead
from flopcount.models.networks.nonlocal_block import NonLocal
from flopcount.models.networks.trn import relations
from flopcount.models.torchvision_operators import ready_torchvision


@cache
def count(name, clip=None, **options):
    model = weightless(create_model, name, clip=clip, **options).eval()
    return count_flops(model, tuple((1, *shape) for shape in model.recipe.inputs), strict=True)


# name, clip, options, MACs, parameters, printed GFLOPs, source
PRINTED = [
    ("i3d_nl_r50_32x2", "128x256x256", (), 281_524_961_280, 35_401_936, 282, "SlowFast paper, table 2, at 256×256"),
    ("i3d_nl_r101_32x2", "128x256x256", ("as_in_r50",), 359_102_808_064, 54_394_064, 359, "the same"),
    ("tdn_en_r101", None, (), 197_536_842_240, 88_270_656, 198, "VideoMAE paper, table 7: TDN-En, 88 M parameters"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "clip", "options", "macs", "params", "printed", "source"), PRINTED)
def test_costs_of_papers(name, clip, options, macs, params, printed, source):
    report = count(name, clip, **dict.fromkeys(options, True))
    assert (report.macs, report.params) == (macs, params)
    assert round(report.macs / 1e9) == printed, source


@pytest.mark.slow
def test_difference_networks_cost_what_their_code_costs():
    eight, sixteen = count("tdn_r50"), count("tdn_r101", "80x224x224")
    assert (eight.macs, eight.params) == (35_642_446_848, 24_873_648)
    assert (sixteen.macs, sixteen.params) == (131_691_228_160, 44_135_328)


def test_blocks_of_res3_in_groups():
    """128 frames: 16 in res3, of 32×32 positions at 256×256; four groups of four see a quarter of the keys each."""
    whole, grouped = count("i3d_nl_r50_32x2", "128x256x256"), count("i3d_nl_r50_32x2", "128x256x256", grouped=True)
    positions = 16 * 32 * 32
    products = 2 * positions * (positions // 4) * 256
    assert whole.macs - grouped.macs == 2 * (products - products // 4)
    assert whole.params == grouped.params
    assert count("i3d_nl_r50_32x2", grouped=True).macs == count("i3d_nl_r50_32x2").macs  # four frames are all
    with pytest.raises(InputError, match="leaves 5 frames in res3, where non-local blocks see 4 at a time"):
        create_model("i3d_nl_r50_32x2", clip="40x32x32", grouped=True)


def test_a_group_is_a_clip_of_its_own():
    torch.manual_seed(0)
    grouped, whole = NonLocal(6, group_frames=2).eval(), NonLocal(6).eval()
    nn.init.normal_(grouped.norm.weight)
    whole.load_state_dict(grouped.state_dict())
    x = torch.randn(2, 6, 4, 4, 4)
    expected = torch.cat([whole(part) for part in x.split(2, 2)], 2)
    assert torch.allclose(grouped(x), expected, atol=1e-6)


def test_stem_halves_time_twice():
    report = count("i3d_r50_32x2")
    assert report.module("blocks.0").output_shapes == ((1, 64, 8, 64, 64),)
    assert report.module("blocks.2").output_shapes == ((1, 256, 4, 64, 64),)
    assert count("i3d_r50_32x2", pool_padding=False).module("blocks.0").output_shapes == ((1, 64, 8, 63, 63),)


def test_relations_of_frames():
    assert relations(3) == {3: ((0, 1, 2),), 2: ((0, 1), (0, 2), (1, 2))}
    # Eight frames: all once, three choices of each number from 7 to 2, each scored by two linear layers.
    scored = [8, *(number for number in range(7, 1, -1) for _ in range(3))]
    head = 8 * 2048 * 256 + sum(number * 256 * 256 + 256 * 174 for number in scored)
    backbone = 8 * count("resnet50", num_classes=1).macs - 8 * 2048
    assert count("trn_r50").macs == backbone + head
    with pytest.raises(InputError, match="clip 1×64×64 has one frame, and relations are between frames"):
        create_model("trn_r50", clip="1x64x64")


def test_temporal_adaptive_module_by_hand():
    """The one of res2's second block: 64 channels, 8 frames of 64×64 positions."""
    report = count("tanet_r50")
    gates = 8 * (64 * 16 * 3 + 16 * 64)  # two convolutions over time
    kernels = 64 * (8 * 16 + 16 * 3)  # two linear layers per channel
    assert report.module("base_model.layer1.1.tam").cost.macs == gates + kernels + 3 * 64 * 8 * 64 * 64


def test_temporal_adaptive_module_filters_each_channel():
    model = create_model("tanet_r50", clip="4x33x33", num_classes=2).eval()
    tam = model.base_model.layer1[1].tam
    torch.manual_seed(0)
    x = torch.randn(2 * 4, 64, 3, 3)
    clips = x.view(2, 4, 64, 3, 3)
    averages = clips.mean((3, 4)).transpose(1, 2)  # (B, C, T)
    kernels, gates = tam.G(averages.reshape(-1, 4)).view(2, 64, 3), tam.L(averages)
    gated = clips * gates.transpose(1, 2)[..., None, None]
    zeros = torch.zeros_like(gated[:, :1])
    taps = torch.cat([zeros, gated[:, :-1]], 1), gated, torch.cat([gated[:, 1:], zeros], 1)
    expected = sum(tap * kernels[:, None, :, k, None, None] for k, tap in enumerate(taps))
    assert torch.allclose(tam(x), expected.flatten(0, 1), atol=1e-5)


def test_segment_differences_by_hand():
    """TDN's second block of layer2: 128 channels, 8 of them in differences, of 28×28 positions."""
    maps, quarter = 8 * 28 * 28, 8 * 14 * 14
    narrow = maps * (128 * 8 + 8 * 9)  # 1×1, and 3×3 on each channel
    one_way = quarter * 8 * 8 * 9 + maps * (8 * 8 * 9 + 8 * 128)  # two scales and the way up
    report = count("tdn_r50")
    assert report.module("layer2_bak.1.mse").cost.macs == narrow + 2 * one_way
    assert report.module("layer2_bak.1.shift").cost.macs == 3 * 128 * maps
    assert report.module("layer1_bak").cost.macs == 4 * report.module("resnext_layer1").cost.macs  # at half the size


def test_segments_of_five_frames():
    for clip in ("12x64x64", "5x64x64"):
        with pytest.raises(InputError, match="which are not five of each of two or more segments\n  fix     give a"):
            create_model("tdn_r50", clip=clip)
    with pytest.raises(InputError, match="clip 10×32×64 leaves 1 row or column in layer4"):
        create_model("tdn_r50", clip="10x32x64")
    # Not of eight segments: the frame weighs more than its differences.
    assert create_model("tdn_r50", clip="10x64x64", num_classes=2).passed == 0.75


def test_pyramid_by_hand():
    """On Slow, 8 frames of 224×224: res5 has 7×7 positions; both levels keep one frame."""
    positions = 7 * 7
    spatial = 8 * positions * 9 * 1024 * 2048
    temporal = 2 * 8 * positions * 3 * 2048 * 1024 // 32
    down = positions * 3 * 1024 * 1024
    fusion = 2 * positions * 1024 * 1024 // 32 + positions * 2048 * 2048
    report = count("tpn_slow_r50_8x8")
    assert report.module("neck").cost.macs == spatial + temporal + down + 2 * fusion + positions * 4096 * 2048
    slow = count("slow_r50_8x8", "8x224x224")
    assert report.macs == slow.macs + report.module("neck").cost.macs
    assert count("tpn_slow_r101_8x8").module("neck.downsample").output_shapes == ((1, 1024, 1, 7, 7),)


# Boxes


def test_sampled_values_of_a_box():
    """Bilinear samples at the centres of 14×14 parts of the box, averaged by four: RoIAlign with aligned corners."""
    head = BoxHead((1,), (1,), 1).eval()
    nn.init.ones_(head.proj.weight)
    nn.init.zeros_(head.proj.bias)
    torch.manual_seed(0)
    maps = torch.randn(1, 1, 1, 6, 8)
    box = [10.0, 20.0, 90.0, 70.0]
    largest = max(_roi_align(maps[0, 0, 0], box, row, column) for row in range(7) for column in range(7))
    scores = head([maps], torch.tensor([[box]]))
    assert torch.allclose(scores, largest.sigmoid().view(1, 1, 1), atol=1e-6)


def _roi_align(image, box, row, column):
    """Value (row, column) of 7×7 as https://arxiv.org/abs/1703.06870 defines it, from two samples along each side."""
    left, top, right, bottom = (corner / 16 - 0.5 for corner in box)
    values = []
    for i in range(2):
        for j in range(2):
            y = top + (bottom - top) * (2 * row + i + 0.5) / 14
            x = left + (right - left) * (2 * column + j + 0.5) / 14
            values.append(_bilinear(image, y, x))
    return sum(values) / 4


def _bilinear(image, y, x):
    y, x = min(max(y, 0), image.shape[0] - 1), min(max(x, 0), image.shape[1] - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
    above = image[top, left] * (1 - (x - left)) + image[top, right] * (x - left)
    below = image[bottom, left] * (1 - (x - left)) + image[bottom, right] * (x - left)
    return above * (1 - (y - top)) + below * (y - top)


def test_boxes_cost_little():
    one, three = count("slowfast_r50_8x8_ava"), count("slowfast_r50_8x8_ava", boxes=3)
    assert three.macs - one.macs == 2 * (2048 + 256) * 80
    assert three.input.shapes == ((1, 3, 32, 256, 256), (1, 3, 4))
    assert one.departures == three.departures == ()
    with pytest.raises(InputError, match="0 boxes"):
        create_model("slow_r50_4x16_ava", boxes=0)


@pytest.mark.parametrize(
    ("ours", "theirs", "inputs"),
    [
        ("slow_r50_4x16_ava", "slow_r50_detection", (1, 3, 4, 256, 256)),
        ("slowfast_r50_8x8_ava", "slowfast_r50_detection", [(1, 3, 8, 256, 256), (1, 3, 32, 256, 256)]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_detection_costs_what_pytorchvideos_costs(ours, theirs, inputs):
    """Their values of boxes are given, since torchvision's RoIAlign needs its compiled part; it has no MACs."""
    ready_torchvision()
    hub = pytest.importorskip("pytorchvideo.models.hub")

    class Values(nn.Module):
        def forward(self, x, boxes):
            return x.mean() + x.new_zeros(boxes.shape[0], x.shape[1], 7, 7)

    def build():
        model = getattr(hub, theirs)(pretrained=False)
        model.detection_head.roi_layer = Values()
        return model

    other = count_flops(weightless(build).eval(), (inputs, (3, 5)), strict=True)
    mine = count(ours, boxes=3)
    assert (mine.macs, mine.params) == (other.macs, other.params)
