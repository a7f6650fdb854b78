"""Convolutional video networks: exact costs against the code they follow, and what printed costs add to them.

Integers marked "pytorchvideo" or "torchvision" are counts of those libraries' own modules (pytorchvideo 0.1.5,
torchvision 0.28) with the same input: equal in total and layer by layer, and so are their parameters.
"""

from functools import cache

import pytest
import torch
from torch import nn

from flopcount import InputError, Kind, UnknownNameError, count_flops, create_model, weightless
from flopcount.models.networks.nonlocal_block import PAIRWISE, NonLocal, insert_nonlocal


@cache  # several printed numbers are of one network
def count(name, **kwargs):
    model = weightless(create_model, name, **kwargs).eval()
    return count_flops(model, tuple((1, *shape) for shape in model.recipe.inputs), strict=True)


def norm_elements(report):
    """Elements that go through a batch norm: fvcore adds 5 FLOPs for each to its MACs, mmengine 2."""
    return sum(op.op.signature.inputs[0].numel for op in report.ops if op.kind is Kind.NORM)


# name, clip, MACs, parameters, elements normalised
RESNETS = [
    ("c2d_r50", None, 25_462_702_080, 24_327_632, 85_327_872),  # pytorchvideo
    ("i3d_r50", None, 37_106_089_984, 28_043_472, 85_327_872),  # pytorchvideo
    ("slow_r50_8x8", None, 54_520_840_192, 32_454_096, 116_129_792),  # pytorchvideo
    ("slowfast_r50_4x16", None, 36_101_963_776, 34_480_216, 118_226_944),
    ("slowfast_r50_8x8", None, 65_711_652_864, 34_566_488, 178_388_992),  # pytorchvideo
    ("slowfast_r101_8x8", None, 125_908_303_872, 62_826_968, 258_605_056),  # pytorchvideo
    ("slowfast_r101_50_50_8x8", None, 106_513_842_176, 53_774_808, 258_605_056),
    ("slowfast_r101_50_50_16x8", None, 213_023_997_952, 53_774_808, 517_210_112),  # pytorchvideo
]


@pytest.mark.parametrize(("name", "clip", "macs", "params", "normalised"), RESNETS)
def test_resnets_cost_what_the_code_they_follow_costs(name, clip, macs, params, normalised):
    report = count(name, clip=clip)
    assert (report.macs, report.params, norm_elements(report)) == (macs, params, normalised)
    assert report.departures == ()


# name, clip, printed GFLOPs, FLOPs added per normalised element, source
PRINTED = [
    ("c2d_r50", None, 25.89, 5, "pytorchvideo's model zoo"),
    ("i3d_r50", None, 37.53, 5, "pytorchvideo's model zoo"),
    ("slow_r50_8x8", None, 54.52, 0, "pytorchvideo's model zoo, Kinetics"),
    ("slow_r50_8x8", None, 55.1, 5, "pytorchvideo's model zoo, SSv2 and Charades"),
    ("slow_r50_8x8", "4x256x256", 27.55, 5, "pytorchvideo's model zoo, 4x16"),
    ("slow_r50_8x8", "4x256x256", 27.3, 0, "SlowFast paper, table 5, 4x16"),
    ("slow_r50_8x8", None, 54.75, 2, "mmaction2"),
    ("slow_r50_8x8", "4x256x256", 27.38, 2, "mmaction2, 4x16"),
    ("slowfast_r50_4x16", None, 36.1, 0, "SlowFast paper, table 2"),
    ("slowfast_r50_4x16", None, 36.69, 5, "pytorchvideo's model zoo"),
    ("slowfast_r50_4x16", None, 36.3, 2, "mmaction2"),
    ("slowfast_r50_8x8", None, 65.7, 0, "SlowFast paper, table 2"),
    ("slowfast_r50_8x8", None, 65.71, 0, "pytorchvideo's model zoo, Kinetics"),
    ("slowfast_r50_8x8", None, 66.6, 5, "pytorchvideo's model zoo, SSv2 and Charades"),
    ("slowfast_r50_8x8", None, 66.1, 2, "mmaction2"),
    ("slowfast_r101_8x8", None, 127.2, 5, "pytorchvideo's model zoo"),
    ("slowfast_r101_50_50_16x8", None, 213, 0, "SlowFast paper, table 2"),
    ("slowfast_r101_50_50_16x8", None, 215.61, 5, "pytorchvideo's model zoo"),
]


@pytest.mark.parametrize(("name", "clip", "printed", "per_norm_element", "source"), PRINTED)
def test_printed_costs_are_macs_and_so_much_per_normalised_element(name, clip, printed, per_norm_element, source):
    report = count(name, clip=clip)
    digits = len(str(printed).partition(".")[2])
    assert round((report.macs + per_norm_element * norm_elements(report)) / 1e9, digits) == printed, source


def test_the_papers_slowfast_r101_8x8_is_printed_rounded_down():
    assert int(count("slowfast_r101_50_50_8x8").macs / 1e9) == 106  # 106.51


@pytest.mark.parametrize(("pool_frames", "macs"), [(True, 233_961_963_520), (False, 242_015_027_200)])
def test_slowfast_with_nonlocal_blocks_that_pool_time_costs_what_is_printed(pool_frames, macs):
    """234 in the SlowFast paper: keys pooled 2×2×2, as in configs/AVA/c2/SLOWFAST_64x2_R101_50_50.yaml."""
    report = count("slowfast_r101_16x8_nl", pool_frames=pool_frames)
    positions, keys = 16 * 16 * 16, (8 if pool_frames else 16) * 8 * 8  # in res4
    projections = 2 * positions * 1024 * 512 + 2 * keys * 1024 * 512  # θ and out, φ and g
    attention = 2 * positions * keys * 512  # pairs, and the sum over keys
    assert report.macs == 213_023_997_952 + 3 * (projections + attention) == macs
    assert (round(report.macs / 1e9) == 234) is pool_frames
    assert report.params == 53_774_808 + 3 * (4 * 1024 * 512 + 3 * 512 + 1024 + 2 * 1024)
    assert (report.departures == ()) is pool_frames


def test_slow_pathway_sees_the_frames_that_the_released_code_picks():
    model = create_model("slowfast_r50_8x8", clip="32x32x32", num_classes=2)
    assert model.slow_frames.tolist() == [0, 4, 8, 13, 17, 22, 26, 31]
    assert "slow_frames" not in model.state_dict()  # pytorchvideo's loads


def test_slowfast_refuses_frames_that_do_not_divide():
    with pytest.raises(InputError) as raised:
        create_model("slowfast_r50_4x16", clip="30x256x256")
    assert str(raised.value) == (
        "clip 30×256×256 has 30 frames, and the slow pathway takes every 8th\n"
        "  in      slow_frames: 30/8 is not a whole number\n"
        "  fix     give a multiple of 8 frames, such as --clip 24x256x256"
    )


def test_heads_are_sized_to_the_clip_and_say_so():
    assert count("i3d_r50", clip="16x112x112").departures == ("head pools 8×4×4 of 16×112×112, released with 4×7×7",)
    assert count("i3d_r50", clip="8x224x224").departures == ()
    # Tested on larger frames than trained on, the head classifies (8-7+1)² positions and averages.
    assert count("slow_r50_8x8").module("blocks.5.proj").output_shapes == ((1, 1, 2, 2, 400),)


def test_c2d_refuses_a_single_frame():
    with pytest.raises(InputError, match=r"clip 1×256×256 is too small for this network\n  in      blocks.2"):
        create_model("c2d_r50", clip="1x256x256")


# Non-local blocks


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("pool_after", [False, True])
@pytest.mark.parametrize(("dimensions", "sizes"), [(2, (6, 4)), (3, (3, 6, 4))])
def test_nonlocal_block_is_the_sum_that_the_paper_defines(pairwise, pool_after, dimensions, sizes):
    torch.manual_seed(0)
    block = NonLocal(6, dimensions=dimensions, pairwise=pairwise, pool_after=pool_after).eval()
    nn.init.normal_(block.norm.weight)
    x = torch.randn(2, 6, *sizes)
    assert torch.allclose(block(x), _by_pairs(block, x), atol=1e-5)


def _by_pairs(block, x):
    """Equation 1 of the paper, written as a loop over pairs of positions."""
    theta = x if block.conv_theta is None else block.conv_theta(x)
    before, after = (nn.Identity(), block.pool) if block.pool_after else (block.pool, nn.Identity())
    keys = before(x)
    phi = after(keys if block.conv_phi is None else block.conv_phi(keys))
    theta, phi, g = theta.flatten(2), phi.flatten(2), after(block.conv_g(keys)).flatten(2)
    out = torch.zeros(x.shape[0], g.shape[1], theta.shape[2])
    for i in range(theta.shape[2]):
        f = torch.stack([_f(block, theta[:, :, i], phi[:, :, j]) for j in range(phi.shape[2])], 1)
        normaliser = f.sum(1, keepdim=True) if "gaussian" in block.pairwise else phi.shape[2]
        out[:, :, i] = (g * (f / normaliser)[:, None]).sum(2)
    return x + block.norm(block.conv_out(out.unflatten(2, x.shape[2:])))


def _f(block, theta, phi):
    if block.pairwise == "concatenation":
        weight = torch.cat([block.weight_theta.weight, block.weight_phi.weight], 1)
        return torch.relu(torch.cat([theta, phi], 1) @ weight[0])
    similarity = (theta * phi).sum(1)
    if block.pairwise == "dot_product":
        return similarity
    return torch.exp(similarity / (theta.shape[1] ** 0.5 if block.pairwise == "embedded_gaussian" else 1))


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_inserted_blocks_keep_the_function_of_a_2d_network(pairwise):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()), nn.Conv2d(8, 4, 3)).eval()
    x = torch.randn(2, 3, 12, 12)
    before = model(x)
    insert_nonlocal(model, {"0": 8, "1.1": 8}, dimensions=2, pairwise=pairwise)
    assert torch.equal(model(x), before)
    assert [name for name, _ in model.named_modules() if name.endswith("nonlocal")] == ["0.nonlocal", "1.1.nonlocal"]


@pytest.mark.parametrize("blocks", [1, 5, 10])
def test_inserted_blocks_keep_the_function_of_a_3d_resnet(blocks):
    torch.manual_seed(0)
    plain = create_model("i3d_r50", clip="2x32x32", num_classes=3).eval()
    model = create_model("i3d_nl_r50", clip="2x32x32", num_classes=3, nonlocal_blocks=blocks).eval()
    added = [name for name, part in model.named_modules() if isinstance(part, NonLocal)]
    assert len(added) == blocks
    weights = {name.replace(".block.", "."): value for name, value in model.state_dict().items()}
    plain.load_state_dict({name: value for name, value in weights.items() if ".nonlocal." not in name})
    x = torch.randn(1, 3, 2, 32, 32)
    assert torch.equal(model(x), plain(x))


def test_cost_of_nonlocal_blocks_by_hand():
    def block(channels, positions, phi=2, gaussian=False):
        inner, keys = channels // 2, positions // 4
        projections = 2 * positions * channels * inner + phi * keys * channels * inner  # θ and out, φ and g
        if gaussian:  # no θ and φ; pairs compare all channels
            projections -= positions * channels * inner + keys * channels * inner
        return projections + positions * keys * ((channels if gaussian else inner) + inner)

    res3, res4 = 4 * 32 * 32, 4 * 16 * 16  # positions: 8 frames are pooled to 4
    for name, base in (("c2d_nl_r50", 25_462_702_080), ("i3d_nl_r50", 37_106_089_984)):
        assert count(name).macs == base + 2 * block(512, res3) + 3 * block(1024, res4)
        assert count(name, nonlocal_blocks=1).macs == base + block(1024, res4)
        assert count(name, nonlocal_blocks=10).macs == base + 4 * block(512, res3) + 6 * block(1024, res4)
        gaussian = count(name, pairwise="gaussian")
        assert gaussian.macs == base + 2 * block(512, res3, gaussian=True) + 3 * block(1024, res4, gaussian=True)


def test_parameters_of_nonlocal_resnets_are_as_printed():
    assert count("i3d_nl_r50").params == 35_401_936  # mmaction2 prints 35.4 M
    projections = 2 * 2 * (512 * 256 + 256) + 3 * 2 * (1024 * 512 + 512)  # θ and φ with their biases
    assert count("i3d_nl_r50", pairwise="gaussian").params == 35_401_936 - projections == 31_727_824  # 31.7 M
    assert count("c2d_nl_r50").params == 31_686_096  # tsm_r50_nl, the same network except for the shift: 31.68 M


@pytest.mark.parametrize(("frames", "printed"), [(4, 43.23), (8, 96.66)])
def test_mmaction2_pools_keys_behind_their_projections(frames, printed):
    """slow_r50_nl_4x16 and 8x8: blocks after every second block of res3 and res4, 2 FLOPs per normalised element."""

    def build():
        model = create_model("slow_r50_8x8", clip=(frames, 256, 256))
        places = {f"blocks.2.res_blocks.{i}": 512 for i in (0, 2)} | {
            f"blocks.3.res_blocks.{i}": 1024 for i in (0, 2, 4)
        }
        insert_nonlocal(model, places, pool_after=True)
        return model

    report = count_flops(weightless(build).eval(), (1, 3, frames, 256, 256))
    assert report.params == 39_812_560  # 39.81 M
    assert round((report.macs + 2 * norm_elements(report)) / 1e9, 2) == printed


def test_departures_and_mistakes_of_nonlocal_options():
    options = {"nonlocal_blocks": 1, "pairwise": "dot_product", "pool_keys": False}
    assert count("c2d_nl_r50", **options).departures == (
        "1 non-local blocks, released with 5",
        "non-local blocks of pairwise function dot_product, released with embedded_gaussian",
        "non-local blocks with all keys, released with keys pooled 2×2",
    )
    after = ("keys pooled after φ and g, as in the paper; released with the pool before them",)
    assert count("c2d_nl_r50", pool_after=True).departures == after
    with pytest.raises(UnknownNameError, match="no pairwise function named 'gausian'\n  near    gaussian"):
        create_model("c2d_nl_r50", clip="2x32x32", pairwise="gausian")
    with pytest.raises(InputError, match="2 non-local blocks\n  fix     give nonlocal_blocks 1, 5 or 10"):
        create_model("c2d_nl_r50", clip="2x32x32", nonlocal_blocks=2)
    for name in ("i3d_nl_r50", "slowfast_r101_16x8_nl"):
        with pytest.raises(InputError, match="row or column in res4, where non-local blocks pool 2×2"):
            create_model(name, clip="4x16x32")


# Later networks

# name, clip, MACs, parameters, elements normalised
LATER = [
    ("r3d_18", None, 40_696_553_472, 33_371_472, 21_324_800),  # torchvision, here and below
    ("mc3_18", None, 43_342_635_008, 11_695_440, 30_105_600),
    ("r2plus1d_18", None, 40_519_080_960, 31_505_325, 62_906_102),
    ("s3d", None, 17_978_771_456, 8_320_048, 44_134_496),
    ("s3d", "64x224x224", 71_916_314_624, 8_320_048, 176_537_984),
    ("s3d", "128x224x224", 143_833_038_848, 8_320_048, 353_075_968),
    ("x3d_xs", None, 605_256_512, 3_794_274, 10_444_800),  # pytorchvideo, here and below
    ("x3d_xs", "4x182x182", 843_919_472, 3_794_274, 14_132_904),
    ("x3d_s", None, 1_962_892_112, 3_794_274, 33_945_600),
    ("x3d_s", "13x182x182", 2_727_045_164, 3_794_274, 45_931_938),
    ("x3d_m", None, 4_732_468_736, 3_794_274, 81_887_232),
    ("x3d_m", "16x256x256", 6_185_725_184, 3_794_274, 106_954_752),
    ("x3d_l", None, 18_367_710_176, 6_153_384, 280_046_400),
    ("x3d_l", "16x356x356", 24_777_648_768, 6_153_384, 371_924_832),
    ("ir_csn_152", None, 74_046_244_864, 29_703_568, 355_747_840),
    ("ir_csn_152", "32x256x256", 96_715_669_504, 29_703_568, 464_650_240),
    ("ip_csn_152", None, 83_294_685_184, 33_016_592, 417_363_968),  # VMZ's blocks in torchvision's VideoResNet
    ("ip_csn_152", "32x256x256", 108_795_265_024, 33_016_592, 545_128_448),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "clip", "macs", "params", "normalised"), LATER)
def test_later_networks_cost_what_the_code_they_follow_costs(name, clip, macs, params, normalised):
    report = count(name, clip=clip)
    assert (report.macs, report.params, norm_elements(report)) == (macs, params, normalised)
    assert report.departures == ()


# name, clip, printed GFLOPs, FLOPs added per normalised element, source
LATER_PRINTED = [
    ("r3d_18", None, 40.697, 0, "torchvision"),
    ("mc3_18", None, 43.343, 0, "torchvision"),
    ("r2plus1d_18", None, 40.519, 0, "torchvision"),
    ("s3d", None, 17.979, 0, "torchvision: at 16 frames, its accuracy at 128"),
    ("x3d_xs", None, 0.6, 0, "PySlowFast"),
    ("x3d_s", None, 1.96, 0, "PySlowFast"),
    ("x3d_m", None, 4.73, 0, "PySlowFast"),
    ("x3d_l", None, 18.37, 0, "PySlowFast"),
    ("x3d_m", "16x256x256", 6.2, 0, "MViT paper"),
    ("x3d_l", "16x356x356", 24.8, 0, "X3D paper, as STAM quotes it"),
    ("x3d_xs", "4x182x182", 0.91, 5, "pytorchvideo's model zoo"),
    ("x3d_s", "13x182x182", 2.96, 5, "pytorchvideo's model zoo"),
    ("x3d_m", "16x256x256", 6.72, 5, "pytorchvideo's model zoo"),
    ("x3d_l", "16x356x356", 26.64, 5, "pytorchvideo's model zoo"),
    ("ir_csn_152", "32x256x256", 96.7, 0, "VMZ, which prints 224"),
    ("ip_csn_152", "32x256x256", 108.8, 0, "VMZ, which prints 224"),
    ("ip_csn_152", "32x256x256", 109.9, 2, "mmaction2, which prints 224"),
]


@pytest.mark.parametrize(("name", "clip", "printed", "per_norm_element", "source"), LATER_PRINTED)
def test_printed_costs_of_later_networks(name, clip, printed, per_norm_element, source):
    report = count(name, clip=clip)
    digits = len(str(printed).partition(".")[2])
    assert round((report.macs + per_norm_element * norm_elements(report)) / 1e9, digits) == printed, source


@pytest.mark.parametrize(("name", "printed"), [("ir_csn_152", 29.6), ("ip_csn_152", 32.8)])
def test_vmz_prints_parameters_without_those_of_batch_norms(name, printed):
    model = weightless(create_model, name)
    without = (nn.Conv3d, nn.Linear)
    params = sum(p.numel() for part in model.modules() if isinstance(part, without) for p in part.parameters())
    assert round(params / 1e6, 1) == printed


def test_r2plus1d_has_as_many_parameters_between_as_a_3d_convolution():
    model = create_model("r2plus1d_18", clip="1x16x16")
    space, _, _, time = model.layer1[0].conv1[0]
    assert space.out_channels == time.in_channels == 64 * 64 * 27 // (64 * 9 + 3 * 64) == 144
    assert space.weight.numel() + time.weight.numel() == 64 * 64 * 27


@pytest.mark.parametrize(
    ("name", "clip", "departure"),
    [
        ("s3d", "8x112x112", "head pools 1×3×3 of 8×112×112, released with 2×7×7"),
        ("x3d_m", "16x112x112", "head pools 16×4×4 of 16×112×112, released with 16×7×7"),
        ("ir_csn_152", "16x112x112", "head pools 2×4×4 of 16×112×112, released with 4×7×7"),
        ("i3d", "8x112x112", "head pools 1×4×4 of 8×112×112, released with 2×7×7"),
    ],
)
def test_heads_of_other_networks_are_sized_to_the_clip(name, clip, departure):
    assert count(name, clip=clip).departures == (departure,)


def test_s3d_refuses_what_its_last_pool_cannot_halve():
    with pytest.raises(InputError, match=r"clip 4×224×224 is too small for this network\n  in      features.13"):
        create_model("s3d", clip="4x224x224")


def test_inflated_inception():
    """The paper prints 25 M for both streams (table 1), Open Model Zoo 12.69 M for one: batch norms do not scale."""
    rgb, flow, both = count("i3d"), count("i3d", stream="flow"), count("two_stream_i3d")
    first = 64 * 32 * 112 * 112 * 7**3  # per input channel
    assert rgb.macs == 111_153_143_808
    assert flow.macs == rgb.macs - first
    assert both.macs == rgb.macs + flow.macs
    # The SlowFast paper prints 108 and 216: 3.2 G less, unexplained, and a flow stream as expensive as the other.
    assert (rgb.params, flow.params) == (12_689_984, 12_689_984 - 64 * 7**3)
    assert both.params == rgb.params + flow.params == 25_358_016
    assert both.input.shapes == ((1, 3, 64, 224, 224), (1, 2, 64, 224, 224))
    assert rgb.module("Logits.Conv3d_0c_1x1").output_shapes == ((1, 400, 7, 1, 1),)
    assert rgb.departures == flow.departures == both.departures == ()
    with pytest.raises(UnknownNameError, match="no stream of i3d named 'flo'\n  near    flow"):
        create_model("i3d", stream="flo")


@pytest.mark.parametrize("frames", [7, 8, 9, 79])
def test_inflated_inception_pads_as_tensorflow_does(frames):
    model = weightless(create_model, "i3d", clip=(frames, 33, 47)).eval()
    report = count_flops(model, (1, 3, frames, 33, 47))
    left = tuple(-(-size // 8) if axis == 0 else -(-size // 32) for axis, size in enumerate((frames, 33, 47)))
    assert report.module("Mixed_5c").output_shapes == ((1, 1024, *left),)
