"""CNNs over frames: what the papers and the reference code give, as exact integers with their arithmetic."""

import pytest
import torch

from flopcount import InputError, count_model, create_model
from flopcount.clip import Clip


def count(name, clip=None, **options):
    classes = options.pop("num_classes", None)
    parsed = Clip.parse(clip) if clip else None
    return count_model(name, clip=parsed, num_classes=classes, options=options, strict=True)


# Image references: counted alike under torchvision 0.28, parameter by parameter and layer by layer


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [
        ("alexnet", 714_188_480, 61_100_840),  # the lecture: 0.7
        ("vgg16", 15_470_264_320, 138_357_544),  # the lecture's 13.6 lacks one convolution, 3·3·256·56·56·256 = 1.85 G
        ("resnet50", 4_089_184_256, 25_557_032),  # torchvision's documentation: 4.09
    ],
)
def test_image_networks_are_torchvisions(name, macs, params):
    report = count(name)
    assert (report.macs, report.params) == (macs, params)


def test_alexnet_in_two_towers_is_that_of_2012():
    report = count("alexnet", "1x227x227", two_towers=True)
    convolutions = [
        96 * 55**2 * 3 * 11**2,
        256 * 27**2 * (96 // 2) * 5**2,
        384 * 13**2 * 256 * 3**2,
        384 * 13**2 * (384 // 2) * 3**2,
        256 * 13**2 * (384 // 2) * 3**2,
    ]
    linears = [256 * 6 * 6 * 4096, 4096 * 4096, 4096 * 1000]
    assert report.macs == sum(convolutions) + sum(linears) == 724_406_816
    assert report.params == 60_965_224  # the paper: 60 million
    assert report.departures == ()


def test_alexnet_in_two_towers_says_what_224_does_to_it():
    assert count("alexnet", two_towers=True).departures == ("fc6 sized for 1×224×224: 6400 inputs, released with 9216",)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50"])
def test_image_networks_take_one_frame(name):
    message = "takes one image, clip 8×224×224 has 8 frames\n  fix     give --clip 1x224x224"
    with pytest.raises(InputError, match=message):
        create_model(name, clip="8x224x224")


def test_images_too_small_name_the_layer():
    with pytest.raises(InputError, match=r"in      features\.30 \(MaxPool2d of 2×2\)\n  seen    1×1 height × width"):
        create_model("vgg16", clip="1x31x31")
    with pytest.raises(InputError, match=r"in      features\.12 \(MaxPool2d of 3×3\)"):
        create_model("alexnet", clip="1x62x62")


# Karpathy et al. 2014

PER_FRAME = (  # positions · filters · inputs
    54**2 * 96 * 3 * 11**2
    + 27**2 * 256 * 96 * 5**2
    + 14**2 * 384 * 256 * 3**2
    + 14**2 * 384 * 384 * 3**2
    + 14**2 * 256 * 384 * 3**2
)
FEATURES = 256 * 7 * 7  # what the paper says the convolutional part ends in
HEAD = 4096 * 4096 + 4096 * 487


def test_single_frame():
    report = count("single_frame")
    assert report.macs == 10 * (PER_FRAME + FEATURES * 4096 + HEAD) == 12_265_954_560
    assert report.module("features.pool5").output_shapes == ((10, 256, 7, 7),)


def test_late_fusion_merges_in_the_first_fully_connected_layer():
    assert count("late_fusion_fc").macs == 10 * PER_FRAME + 10 * FEATURES * 4096 + HEAD
    report = count("late_fusion_fc", "16x170x170", two_frames=True)
    assert report.macs == 2 * PER_FRAME + 2 * FEATURES * 4096 + HEAD
    assert report.departures == ()


def test_late_fusion_of_two_frames_sees_the_first_and_the_last():
    torch.manual_seed(0)
    model = create_model("late_fusion_fc", clip="5x30x30", num_classes=3, two_frames=True).eval()
    clip = torch.randn(1, 3, 5, 30, 30)
    inner = clip.clone()
    inner[:, :, 1:-1] = 0
    ends = clip.clone()
    ends[:, :, -1] = 0
    with torch.no_grad():
        assert torch.equal(model(clip), model(inner))
        assert not torch.equal(model(clip), model(ends))
    assert model.recipe.departures == (
        "fc6 sized for 5×30×30: 512 inputs, the paper's has 25088",
        "two frames 4 apart, the paper's are 15 apart",
        "3 classes, the paper's network has 487",
    )


def test_late_fusion_of_two_frames_needs_two():
    with pytest.raises(InputError, match="late fusion of two frames, but clip 1×170×170 has one"):
        create_model("late_fusion_fc", clip="1x170x170", two_frames=True)


def test_late_fusion_by_pooling():
    report = count("late_fusion_pool")
    assert report.macs == 10 * PER_FRAME + 256 * 487
    assert report.params == count("single_frame").module("features").params + 256 * 487 + 487


def test_early_fusion_sees_thirty_channels():
    report = count("early_fusion")
    assert report.macs == PER_FRAME + 54**2 * 96 * 27 * 11**2 + FEATURES * 4096 + HEAD
    assert count("early_fusion", "4x170x170").departures == (
        "conv1 sized for 4×170×170: 12 input channels, the paper's has 30",
    )


def test_slow_fusion_merges_ten_frames_in_three_layers():
    report = count("slow_fusion")
    convolutions = [
        4 * 54**2 * 96 * 3 * 4 * 11**2,  # 10 frames, extent 4, stride 2: 4 responses in time
        2 * 27**2 * 256 * 96 * 2 * 5**2,
        1 * 14**2 * 384 * 256 * 2 * 3**2,
        1 * 14**2 * 384 * 384 * 3**2,
        1 * 14**2 * 256 * 384 * 3**2,
    ]
    assert report.macs == sum(convolutions) + FEATURES * 4096 + HEAD
    assert [report.module(f"features.conv{n}").output_shapes[0][2] for n in (1, 2, 3)] == [4, 2, 1]
    with pytest.raises(InputError, match=r"in      conv3 \(Conv3d of 2×3×3\)\n  seen    1×14×14"):
        create_model("slow_fusion", clip="9x170x170")


def test_a_frame_through_single_frame_is_the_frame_alone():
    torch.manual_seed(0)
    model = create_model("single_frame", clip="4x23x23", num_classes=3).eval()
    frame = torch.randn(1, 3, 1, 23, 23)
    with torch.no_grad():
        torch.testing.assert_close(model(frame.expand(1, 3, 4, 23, 23)), model(frame))
