"""Later 3D networks of the zoo: costs by hand, as printed, and as the code they follow has them.

VMZ: its own pt/vmz/models (commit 4cc542d) on torchvision's VideoResNet gives r2plus1d_34 and r2plus1d_152 the same
layers, names and shapes of weights, and so do R(2+1)D-18 and MC2, MC4 and MC5 of its parts. X3D-XL is pytorchvideo's
create_x3d of the same factors, name by name. ARTNet's sums are those of its prototxt, layer by layer (commit d597eb6).
"""

from functools import cache

import pytest
import torch
from torch import nn

from flopcount import InputError, Kind, UnknownNameError, count_flops, create_model, weightless
from flopcount.facts import Printed
from flopcount.models.networks.artnet import Smart
from flopcount.models.networks.r2plus1d import Bottleneck, conv2plus1d_alone
from flopcount.models.networks.s3d_g import SelfGating


@cache
def count(name, clip=None, **options):
    model = weightless(create_model, name, clip=clip, **options).eval()
    return count_flops(model, tuple((1, *shape) for shape in model.recipe.inputs), strict=True)


def norm_elements(report):
    return sum(op.op.signature.inputs[0].numel for op in report.ops if op.kind is Kind.NORM)


def without_norms(name, **options):
    """Parameters as VMZ counts them."""
    parts = weightless(create_model, name, **options).modules()
    return sum(p.numel() for part in parts if isinstance(part, (nn.Conv3d, nn.Linear)) for p in part.parameters())


# name, MACs, parameters, and what VMZ's models.md prints: GMACs on 8 and 16 frames, millions of parameters
VMZ_18 = [
    ("r3d_18", 40_696_553_472, 33_371_472, "20.3", "40.7", "33.4"),
    ("f_r2d_18", 27_601_018_880, 11_381_712, "13.8", "27.6", "11.4"),
    ("mc2_18", 28_545_130_496, 11_400_528, "14.3", "28.5", "11.4"),
    ("mc3_18", 43_342_635_008, 11_695_440, "21.7", "43.3", "11.7"),
    ("mc4_18", 39_951_540_224, 12_727_632, "20", "40", "12.7"),
    ("mc5_18", 39_900_160_000, 16_856_400, "20", "39.9", "16.8"),
    ("rmc2_18", 39_752_441_856, 33_352_656, "19.9", "39.8", "33.3"),
    ("rmc3_18", 24_954_937_344, 33_057_744, "12.5", "25", "33"),
    ("rmc4_18", 29_091_045_376, 32_025_552, "14.5", "29.1", "32"),
    ("rmc5_18", 30_786_592_768, 27_896_784, "15.4", "30.8", "27.9"),
]


@pytest.mark.parametrize(("name", "macs", "params", "on_8", "on_16", "printed_params"), VMZ_18)
def test_networks_of_18_layers_cost_what_vmz_prints(name, macs, params, on_8, on_16, printed_params):
    assert (count(name).macs, count(name).params) == (macs, params)
    assert Printed(on_16, "G").matches(macs)
    assert Printed(on_8, "G").matches(count(name, "8x112x112").macs)
    assert Printed(printed_params, "M").matches(without_norms(name))
    assert count(name).departures == ()


def test_r2d_sees_all_frames_in_its_first_convolution():
    for frames, printed, params in ((8, "1.9", "11.4"), (16, "2.2", "11.5")):
        report = count("r2d_18", f"{frames}x112x112")
        assert report.module("stem.0").cost.macs == 64 * 3 * frames * 7 * 7 * 56 * 56
        assert report.module("layer1").output_shapes == ((1, 64, 1, 56, 56),)
        assert Printed(printed, "G").matches(report.macs)
        assert Printed(params, "M").matches(without_norms("r2d_18", clip=f"{frames}x112x112"))


def test_vmz_gives_each_convolution_its_own_channels_between():
    shared, own = count("r2plus1d_18"), count("r2plus1d_18", shared_between=False)
    assert (own.macs, own.params) == (41_496_308_736, 33_370_839)
    assert Printed("41.5", "G").matches(own.macs)
    assert Printed("20.7", "G").matches(count("r2plus1d_18", "8x112x112", shared_between=False).macs)
    assert Printed("33.3", "M").matches(without_norms("r2plus1d_18", shared_between=False))
    # 64 to 128 channels need 230 between, and 128 to 128 need 288: torchvision takes 230 for both.
    assert (64 * 128 * 27 // (64 * 9 + 3 * 128), 128 * 128 * 27 // (128 * 9 + 3 * 128)) == (230, 288)
    second = "layer2.0.conv2.0.0"
    assert shared.module(second).cost.macs == 230 * 128 * 9 * 8 * 28 * 28
    assert own.module(second).cost.macs == 288 * 128 * 9 * 8 * 28 * 28
    assert shared.departures == ()
    assert own.departures[0].startswith("each convolution has its own channels between, as in paper and VMZ")


def test_deeper_r2plus1d_cost_what_vmz_prints_for_128_pixels():
    r34, r152 = count("r2plus1d_34"), count("r2plus1d_152")
    assert (r34.macs, r34.params, r34.departures) == (152_355_715_072, 63_697_175, ())
    assert (r152.macs, r152.params, r152.departures) == (251_997_435_904, 118_226_785, ())
    # VMZ's model_zoo.md names 112 pixels.
    assert Printed("199.0", "G").matches(count("r2plus1d_34", "32x128x128").macs)
    assert Printed("329.1", "G").matches(count("r2plus1d_152", "32x128x128").macs)
    assert count("r2plus1d_34", "8x128x128").macs == 49_748_942_848  # it prints 49.8, a quarter of 199.0
    assert Printed("63.6", "M").matches(without_norms("r2plus1d_34"))
    assert Printed("118.0", "M").matches(without_norms("r2plus1d_152"))


def test_bottlenecks_pass_a_gradient_to_every_weight():
    """R(2+1)D-152 is too large to run for its laws; its block is not."""
    shortcut = nn.Conv3d(16, 32, 1, stride=2, bias=False)
    block = Bottleneck(16, 8, conv2plus1d_alone, 2, shortcut)
    maps = block(torch.randn(2, 16, 4, 6, 6))
    assert maps.shape == (2, 32, 2, 3, 3)
    maps.sum().backward()
    assert all(p.grad is not None for p in block.parameters())
    assert block.conv2[0][0].out_channels == 8 * 8 * 27 // (8 * 9 + 3 * 8)  # by the block's inner channels


def test_flow_and_both_streams_of_r2plus1d():
    rgb, flow, both = count("r2plus1d_34"), count("r2plus1d_34", stream="flow"), count("two_stream_r2plus1d_34")
    assert flow.macs == rgb.macs - 45 * 7 * 7 * 32 * 56 * 56  # two channels instead of three
    assert (both.macs, both.params) == (rgb.macs + flow.macs, rgb.params + flow.params)
    assert both.input.shapes == ((1, 3, 32, 112, 112), (1, 2, 32, 112, 112))
    for printed, report in (("152", rgb), ("152", flow), ("304", both)):  # SlowFast paper, table 2
        assert Printed(printed, "G").matches(report.macs)


def test_streams_and_forms_have_names():
    with pytest.raises(UnknownNameError, match="no stream of r2plus1d_34 named 'flo'\n  near    flow"):
        create_model("r2plus1d_34", clip="2x32x32", stream="flo")
    with pytest.raises(UnknownNameError, match="no form of r2plus1d_34 on rgb named 'mmaction'\n  near    mmaction2"):
        create_model("r2plus1d_34", clip="2x32x32", form="mmaction")
    with pytest.raises(UnknownNameError, match="no form of r2plus1d_34 on flow named 'mmaction2'"):
        create_model("r2plus1d_34", clip="2x32x32", stream="flow", form="mmaction2")


# mmaction2's counters


def _as_mmcv(name, clip, *, counted=lambda path: True, **options):
    """MACs as counted by mmcv 1: all hooked modules, each norm twice per element, ReLU once, pools once per input.

    `counted` leaves out norms that it did not know (SyncBN). Heads are counted by the caller.
    """
    model = weightless(create_model, name, clip=clip, **options).eval()
    report = count_flops(model, tuple((1, *shape) for shape in model.recipe.inputs))
    hooked = 0
    for path, part in model.named_modules():
        if isinstance(part, nn.BatchNorm3d) and counted(path):
            hooked += 2 * _elements(report.module(path).input_shapes)
        elif isinstance(part, nn.ReLU):
            hooked += _elements(report.module(path).output_shapes, report.module(path).calls)
        elif isinstance(part, nn.MaxPool3d):
            hooked += _elements(report.module(path).input_shapes)
    return report.macs + hooked


def _elements(shapes, calls=1):
    (shape,) = shapes
    return calls * torch.Size(shape).numel()


@pytest.mark.parametrize(("name", "printed"), [("ir_csn_50", 56_209_211_392), ("ir_csn_152", 98_096_676_864)])
def test_csn_costs_the_digits_that_mmaction2_printed_until_2022(name, printed):
    """configs/recognition/csn/metafile.yml up to December 2022, on 32×256×256, where it says 224."""
    several, once = 4 * 2048 * 400, 2048 * 400  # our head scores 2×2 positions, mmaction2's their mean
    pool = 2048 * 4 * 8 * 8
    assert _as_mmcv(name, "32x256x256") - several + once + pool == printed


def test_what_mmaction2_prints_of_csn_now():
    """MACs and 2 for each element normalised, without a head; 97.63 is the 2929 of 30 views printed before, over 30."""
    for name, printed in (("ir_csn_50", "55.90"), ("ip_csn_152", "109.9")):
        report = count(name, "32x256x256")
        assert Printed(printed, "G").matches(report.macs - 4 * 2048 * 400 + 2 * norm_elements(report))
    ir = count("ir_csn_152", "32x256x256")
    assert Printed("2929", "G").matches(30 * (ir.macs - 4 * 2048 * 400 + 2 * norm_elements(ir)))
    assert Printed("97.63", "G").matches(2929 * 10**9 // 30)
    assert count("ir_csn_50").params == 13_131_152  # 13.13 M


def test_mmaction2s_form_of_r2plus1d_costs_the_digits_that_it_printed():
    """configs/recognition/r2plus1d/metafile.yml up to December 2022, on 256 pixels, where it says 224.

    Only the norms inside split convolutions are counted; the others are SyncBN.
    """

    def inside(path):
        return path.endswith(("conv1.0.1", "conv2.0.1", "stem.1", "downsample.0.1"))

    for frames, printed in ((8, 53_175_572_992), (32, 212_701_677_568)):
        pool = 512 * (frames // 8) * 8 * 8
        clip = f"{frames}x256x256"
        assert _as_mmcv("r2plus1d_34", clip, counted=inside, form="mmaction2") + pool == printed
    report = count("r2plus1d_34", "8x256x256", form="mmaction2")
    assert report.params == 63_759_281  # as printed then
    assert Printed("53.1", "G").matches(report.macs + 2 * norm_elements(report))  # as printed now
    assert report.departures == (
        "the form of mmaction2: a pool after the stem, and the rule of channels between in stem and shortcuts",
    )
    # The stem by the rule: 3·49·64·3 over 3·49 + 3·64 gives 83 channels between, where the paper has 45.
    assert report.module("stem.0").cost.macs == 83 * 3 * 49 * 8 * 128 * 128


# pytorchvideo


@pytest.mark.parametrize(
    ("name", "macs", "params", "printed", "printed_params"),
    [
        ("ir_csn_101", 73_756_573_696, 22_213_776, "75.62", "22.21"),
        ("r2plus1d_r50", 75_148_427_264, 28_107_600, "76.45", "28.11"),
    ],
)
def test_networks_of_pytorchvideos_model_zoo(name, macs, params, printed, printed_params):
    frames = 32 if name == "ir_csn_101" else 16
    report = count(name, f"{frames}x256x256")
    assert (report.macs, report.params, report.departures) == (macs, params, ())
    assert Printed(printed, "G").matches(macs + 5 * norm_elements(report))
    assert Printed(printed_params, "M").matches(params)


def test_pytorchvideos_r2plus1d_convolves_time_before_it_strides_space():
    report = count("r2plus1d_r50")
    middle = "blocks.3.res_blocks.0.branch2.conv_b"
    assert report.module(f"{middle}.conv_t").cost.macs == 256 * 256 * 3 * 8 * 32 * 32  # half the frames, all positions
    assert report.module(f"{middle}.conv_xy").cost.macs == 256 * 256 * 9 * 8 * 16 * 16
    assert count("r2plus1d_r50", "8x224x224").departures == ("head pools 2×7×7 of 8×224×224, released with 4×7×7",)


# X3D


def test_x3d_xl_has_the_cost_that_is_quoted():
    """48.4 G on 356 pixels, as STAM and MViT quote it: a width factor of 2.9 gives it."""
    report = count("x3d_xl")
    assert (report.macs, report.params, report.departures) == (35_837_627_616, 11_095_840, ())
    assert Printed("48.4", "G").matches(count("x3d_xl", "16x356x356").macs)
    widths = [report.module(f"blocks.{stage}").output_shapes[0][1] for stage in range(5)]
    assert widths == [32, 32, 72, 136, 280]


@pytest.mark.parametrize(
    ("name", "clip", "printed"), [("x3d_s", "13x192x192", 2_967_543_760), ("x3d_m", "16x256x256", 6_490_866_832)]
)
def test_what_mmaction2_prints_of_x3d_is_mmcvs_count(name, clip, printed):
    """On 192 pixels, neither the 160 of its page nor the 182 of its configuration, and on 256."""
    report = count(name, clip)
    positions = 4  # that our head scores, mmaction2's their mean
    fewer = (positions - 1) * (432 * 2048 + 2048 * 400 + 2048)  # two layers and a ReLU
    first = report.module("blocks.1.res_blocks.0.branch1_conv").output_shapes
    gates = [row for row in report.modules if row.type == "SqueezeExcitation"]
    means = sum(_elements(row.input_shapes) for row in gates)
    biases = sum(
        _elements(report.module(f"{row.path}.block.{index}").output_shapes) for row in gates for index in (0, 2)
    )
    pool = _elements(report.module("blocks.5.pool.pool").input_shapes)
    norm_of_first_shortcut = 2 * _elements(first)
    assert _as_mmcv(name, clip) - fewer + norm_of_first_shortcut + means + biases + pool == printed


# S3D and S3D-G


def test_s3d_g_by_hand():
    """Every gate is one square matrix; all else is Inception-v1 with separable convolutions behind the first."""
    report, flow, both = count("s3d_g"), count("s3d_g", stream="flow"), count("two_stream_s3d_g")
    branches = [
        *((64, 128, 32, 32), (128, 192, 96, 64), (192, 208, 48, 64), (160, 224, 64, 64), (128, 256, 64, 64)),
        *((112, 288, 64, 64), (256, 320, 128, 128), (256, 320, 128, 128), (384, 384, 128, 128)),
    ]
    gates = 192**2 + sum(width**2 for block in branches for width in block)
    model = weightless(create_model, "s3d_g")
    found = [part for part in model.modules() if isinstance(part, SelfGating)]
    assert sum(p.numel() for gate in found for p in gate.parameters()) == gates == 1_219_328
    split, whole = 64 * 3 * 49 * 64 * 112**2 + 64 * 64 * 7 * 32 * 112**2, 64 * 3 * 3 * 49 * 32 * 112**2
    assert report.macs == count("s3d", "64x224x224").macs - split + whole + gates == 64_184_810_240
    assert report.params == 9_518_848
    assert flow.macs == report.macs - whole // 3
    assert (both.macs, both.params) == (report.macs + flow.macs, report.params + flow.params)
    assert report.departures == flow.departures == both.departures == ()


def test_s3d_g_sees_so_many_frames_first():
    report = count("s3d_g", first_kernel=7)
    assert report.macs == count("s3d_g").macs + 4 * 64 * 3 * 49 * 32 * 112**2
    assert report.departures == ("first convolution of 7×7×7, released with 3×7×7",)
    with pytest.raises(InputError, match="a first convolution of 4 frames\n  fix     give first_kernel 1, 3, 5 or 7"):
        create_model("s3d_g", clip="8x32x32", first_kernel=4)
    with pytest.raises(UnknownNameError, match="no stream of s3d_g named 'flo'\n  near    flow"):
        create_model("s3d_g", clip="8x32x32", stream="flo")


def test_gates_scale_channels_by_a_product_of_their_means():
    torch.manual_seed(0)
    gate, x = SelfGating(3), torch.randn(2, 3, 2, 4, 5)
    factors = torch.sigmoid(x.mean((2, 3, 4)) @ gate.transformer.weight[:, :, 0, 0, 0].T)
    assert torch.allclose(gate(x), x * factors[:, :, None, None, None], atol=1e-6)


def test_what_would_give_the_costs_that_the_s3d_paper_prints():
    """107.9 for I3D and 66.4 for S3D, where the networks released cost 111.2 and 71.9 or 64.2.

    Both follow if the last convolution of every Branch_2 is taken for 1×1×1, and in S3D the first convolution strides
    time before space and one convolution of the last block is whole. No code that was read says so.
    """
    i3d, s3d = count("i3d"), count("s3d", "64x224x224")
    blocks = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
    cubes = sum(i3d.module(f"Mixed_{block}.Branch_2.Conv3d_0b_3x3.conv_3d").cost.macs for block in blocks)
    assert Printed("107.9", "G").matches(i3d.macs - cubes + cubes // 27)
    split = sum(s3d.module(f"features.{index}.branch2.1").cost.macs for index in (5, 6, 8, 9, 10, 11, 12, 14, 15))
    first = s3d.module("features.0.0").cost.macs // 2
    last = 384 * 192 * 27 * 8 * 7 * 7 - s3d.module("features.15.branch1.1").cost.macs
    assert Printed("66.4", "G").matches(s3d.macs - split + cubes // 27 - first + last)


# ARTNet


def test_artnet_is_the_network_of_its_prototxt():
    report = count("artnet_r18")
    assert report.macs == 25_689_714_688  # the SlowFast paper prints 23.5 G: 2.2 G less, unexplained
    norms = 2 * (64 + 64 + 32 + 64 + 9 * (64 + 128 + 256) + 4 * 512)
    assert report.params == 39_663_568 + norms == 39_676_176
    fixed = 32 + 2 * (32 + 64 + 128)  # the sums of squares, two weights per channel pair
    assert report.trainable_params == report.params - 2 * fixed
    assert report.departures == ()
    smart = "blocks.0.conv2"
    assert report.module(f"{smart}.relation").cost.macs == 64 * 64 * 27 * 8 * 56 * 56
    assert report.module(f"{smart}.appearance").cost.macs == 64 * 64 * 9 * 8 * 56 * 56
    assert report.module(f"{smart}.pool").cost.macs == 64 * 8 * 56 * 56
    assert report.module(f"{smart}.reduction").cost.macs == 96 * 64 * 8 * 56 * 56


def test_relations_are_half_the_squares_of_channels_in_pairs():
    torch.manual_seed(0)
    smart, x = Smart(2, 4, 3, 1, bias=False).eval(), torch.randn(1, 2, 3, 4, 4)
    relation = smart.relation_norm(smart.relation(x))
    squares = (relation[:, ::2] ** 2 + relation[:, 1::2] ** 2) / 2
    assert torch.allclose(smart.pool(relation**2), squares, atol=1e-6)
    both = torch.cat([smart.appearance_norm(smart.appearance(x)), smart.pool_norm(squares)], 1)
    assert torch.allclose(smart(x), smart.reduction(torch.relu(both)), atol=1e-6)
