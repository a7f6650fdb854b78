"""TAda2D, TAdaConvNeXtV2 and TAdaFormer: convolutions by force, hand counts, and what their model zoo prints.

At commit 75b7839 of alibaba-mmai-research/TAdaConv, its TAda2D, TAdaConvNeXtV2-T and both forms of TAdaFormer-B/16 were
built beside these from its configurations: the same contractions, MACs and parameters, and with the same weights scores
equal to 1e-9.
"""

import pytest
import torch
import torch.nn.functional as F

from flopcount import InputError, ModelSpec, count_model, create_model
from flopcount.facts.printed import Printed
from flopcount.models.networks.temporally_adaptive import AttentiveRoute, DepthwiseTAdaConv, convolved_by_frame
from flopcount.verification import readings
from flopcount.verification.readings import EVAL_NORM

SOMETHING = {"double_tada": True, "temp_enhance": True}


def count(name, clip, **options):
    return readings.count(ModelSpec.of(name, clip=clip, options=options))


def test_each_frame_is_convolved_by_its_own_kernel():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 4, 3, 6, 5), torch.randn(2, 3, 8, 2, 3, 3)
    bias = torch.randn(2, 3, 8)
    maps = convolved_by_frame(x, weight, bias, stride=2, groups=2)
    for sample in range(2):
        for frame in range(3):
            alone = F.conv2d(x[sample, :, frame], weight[sample, frame], bias[sample, frame], 2, 1, groups=2)
            torch.testing.assert_close(maps[sample, :, frame], alone, atol=1e-5, rtol=1e-5)


def test_scales_of_one_are_a_plain_convolution():
    torch.manual_seed(0)
    layer, x = DepthwiseTAdaConv(4, 3), torch.randn(2, 4, 3, 6, 5)
    ones = torch.ones(2, 3, 4)
    plain = F.conv3d(x, layer.weight.unsqueeze(2), layer.bias, padding=(0, 1, 1), groups=4)
    torch.testing.assert_close(layer(x, (ones, ones)), plain, atol=1e-5, rtol=1e-5)


def test_scales_begin_at_their_offset_and_depend_on_all_frames():
    torch.manual_seed(0)
    route, x = AttentiveRoute(8, 4, offset=1), torch.randn(1, 8, 5, 2, 2, requires_grad=True)
    route(x)[0][0, 0].sum().backward()
    assert (x.grad.abs().sum((0, 1, 3, 4)) > 0).all()
    torch.nn.init.zeros_(route.b.weight)
    torch.nn.init.zeros_(route.b_bias.weight)
    assert [scales.unique().tolist() for scales in route(x)] == [[1.0], [1.0]]


def routed(channels, frames):
    """MACs of the scales of weights and biases: convolutions over three frames, and attention over all of them."""
    inner = channels // 2
    ends, attention = 3 * channels * inner, 4 * inner * inner + 2 * inner * frames
    return frames * (3 * ends + attention)


def test_tadaconvnext_by_hand():
    macs, side, dim_in = 0, 64, 3
    for dim, depth in zip((96, 192, 384, 768), (3, 3, 9, 3), strict=True):
        positions, kernel = 8 * side * side, 3 * 4 * 4 if dim_in == 3 else 2 * 2
        block = positions * (49 * dim + 8 * dim * dim) + routed(dim, 8)
        macs += positions * dim_in * dim * kernel + depth * block
        side, dim_in = side // 2, dim
    assert count("tadaconvnextv2_t", (16, 256, 256)).macs == macs + 768 * 400


@pytest.mark.parametrize("adapted", [1, 2])
def test_tadaformer_by_hand(adapted):
    patches, tokens, dim = 8 * 196, 8 * 197, 768
    vit = tokens * (12 * dim * dim + 2 * 197 * dim)
    pre = 3 if adapted == 2 else 1
    tada = patches * ((pre + 1) * dim * dim // 2 + 9 * dim // 2) + routed(dim // 2, 8)
    macs = patches * dim * 3 * 3 * 256 + 12 * (vit + adapted * tada) + dim * 400
    options = SOMETHING if adapted == 2 else {}
    assert count("tadaformer_b16", (16, 224, 224), **options).macs == macs


def test_a_block_of_tada2d_by_hand():
    report = count_model("tada2d_r50")
    macs = {row.path: row.cost.macs for row in report.modules}
    route = 64 * 64 + 8 * 2 * 3 * 64 * 16  # the clip's mean once, two convolutions over three frames for each frame
    branch = 8 * (112 * 112 * 64 * 64 + 56 * 56 * (9 * 64 * 64 + 64 * 256)) + route
    assert macs["stages.0.0"] == branch + 8 * 56 * 56 * 64 * 256


@pytest.mark.parametrize(
    ("name", "clip", "options", "printed"),
    [
        ("tadaconvnextv2_t", (16, 256, 256), {}, "47"),
        ("tadaconvnextv2_t", (32, 256, 256), {}, "94"),
        ("tadaconvnextv2_s", (16, 256, 256), {}, "91"),
        ("tadaconvnextv2_s", (32, 256, 256), {}, "183"),
        ("tadaformer_l14", (16, 224, 224), {}, "703"),
        ("tadaformer_b16", (16, 224, 224), SOMETHING, "187"),
        ("tadaformer_b16", (32, 224, 224), SOMETHING, "374"),
        ("tadaformer_l14", (16, 224, 224), SOMETHING, "858"),
    ],
)
def test_printed_costs(name, clip, options, printed):
    """MODEL_ZOO.md; the size is the crop of tests in the configurations."""
    assert Printed.parse(printed, "G").matches(count(name, clip, **options).macs)


def test_printed_costs_that_have_layer_norms():
    """fvcore adds 5 per element of a layer norm; the code switches batch norm off in it (utils/misc.py)."""
    for name, clip, printed in [
        ("tadaconvnextv2_b", (16, 256, 256), "162"),
        ("tadaformer_l14", (32, 224, 224), "1406"),
    ]:
        counted = count(name, clip)
        assert Printed.parse(printed, "G").matches(counted.macs + counted.added[EVAL_NORM])


@pytest.mark.parametrize(
    ("name", "clip"), [("tada2d_r50", "2x64x64"), ("tadaconvnextv2_t", "4x64x64"), ("tadaformer_b16", "4x64x64")]
)
def test_three_frames_have_to_be_left(name, clip):
    with pytest.raises(InputError, match=f"clip {clip.replace('x', '×')} has too few frames"):
        create_model(name, clip=clip)


def test_positions_of_tadaformer_have_no_time():
    assert count_model("tadaformer_b16", clip="32x224x224").departures == ()
    (departure,) = count_model("tadaformer_b16", clip="16x64x96").departures
    assert departure == "position embeddings sized for 16×64×96, the paper's for 16×224×224"
