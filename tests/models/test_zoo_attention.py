"""Networks of attention: exact costs against arithmetic and the code they follow, and what printed costs add.

Integers marked "torchvision" are counts of torchvision 0.28's own modules with the same input: equal in total and layer
by layer, and so are their parameters; with the same weights they give the same scores.
"""

import itertools
from functools import cache
from math import prod

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flopcount import Clip, InputError, Kind, count_flops, create_model, weightless
from flopcount.core.model_spec import ModelSpec
from flopcount.models.library_registry import library_model
from flopcount.models.networks.cnn_attention import ResNet34, SelfAttention
from flopcount.models.networks.mvit import Design, MultiscaleAttention, distances
from flopcount.models.networks.swin3d import ShiftedWindowAttention3d
from flopcount.models.torchvision_operators import ready_torchvision


@cache  # several printed numbers are of one network
def count(name, **kwargs):
    model = weightless(create_model, name, **kwargs).eval()
    return count_flops(model, tuple((1, *shape) for shape in model.recipe.inputs), strict=True)


def norm_elements(report):
    """Elements that go through a normalisation: fvcore adds 5 FLOPs for each to its MACs, mmengine 2."""
    return sum(op.op.signature.inputs[0].numel for op in report.ops if op.kind is Kind.NORM)


# name, clip, MACs, parameters, elements normalised
EXACT = [
    ("mvit_b_16x4", None, 70_599_407_808, 36_610_672, 40_895_424),  # torchvision, pytorchvideo
    ("mvit_b_16x4", "32x224x224", 169_958_123_712, 36_611_440, 81_763_776),  # pytorchvideo
    ("mvitv2_s_16x4", None, 64_223_815_872, 34_537_744, 46_619_712),  # torchvision
    ("swin3d_t", None, 87_764_152_320, 28_158_070, 59_609_088),  # torchvision, here and below
    ("swin3d_s", None, 165_682_262_016, 49_816_678, 88_510_464),
    ("swin3d_b", None, 281_332_826_112, 88_048_984, 118_013_952),
    ("swin3d_t", "16x224x224", 43_882_229_760, 28_158_070, 29_804_544),
    ("swin3d_t", "5x37x130", 2_176_785_408, 28_158_070, None),  # smaller windows, and zeros at the ends
]


@pytest.mark.parametrize(("name", "clip", "macs", "params", "normalised"), EXACT)
def test_transformers_cost_what_the_code_they_follow_costs(name, clip, macs, params, normalised):
    report = count(name, clip=clip)
    assert (report.macs, report.params) == (macs, params)
    assert normalised in (None, norm_elements(report))


# name, clip, options, printed GFLOPs, FLOPs added per normalised element, source
PRINTED = [
    ("mvit_b_16x4", None, {}, 70.599, 0, "torchvision"),
    ("mvit_b_16x4", None, {}, 70.80, 5, "pytorchvideo's model zoo"),
    ("mvit_b_16x4", "32x224x224", {}, 170, 0, "MViT paper, table 4, 32x3"),
    ("mvit_b_16x4", "32x224x224", {}, 170.37, 5, "pytorchvideo's model zoo, 32x3"),
    ("mvit_b_16x4", "64x224x224", {}, 455, 0, "MViT paper, table 4, 64x3"),
    ("mvitv2_s_16x4", None, {}, 64.224, 0, "torchvision"),
    ("mvitv2_s_16x4", None, {}, 64, 0, "MViTv2 paper, table 14"),
    ("mvit_b_24_32x3", None, {}, 236, 0, "MViT paper, table 5"),
    ("mvitv2_b_32x3", None, {}, 225, 5, "MViTv2 paper, table 14"),
    ("mvitv2_l_40x3", "32x312x312", {}, 2063, 5, "MViTv2 paper, table 11"),
    ("mvitv2_l_40x3", None, {}, 2828, 5, "MViTv2 paper, table 11"),
    ("mvitv2_l_40x3", "40x352x352", {}, 3790, 5, "MViTv2 paper, table 11"),
    ("maskfeat_mvit_s_16x4", None, {}, 71, 0, "MaskFeat's model zoo"),
    ("maskfeat_mvit_l_16x4", None, {}, 377, 0, "MaskFeat's model zoo"),
    ("swin3d_t", "16x224x224", {}, 43.882, 0, "torchvision: at 16 frames, its accuracy at 32"),
    ("swin3d_s", "16x224x224", {}, 82.841, 0, "torchvision"),
    ("swin3d_b", "16x224x224", {}, 140.667, 0, "torchvision"),
    ("swin3d_t", None, {}, 87.9, 2, "the authors' model zoo"),
    ("swin3d_s", None, {}, 165.9, 2, "the authors' model zoo"),
    ("swin3d_b", None, {}, 281.6, 2, "the authors' model zoo"),
    ("swin3d_b", None, {"window_frames": 16}, 320.6, 2, "the authors' model zoo, SSv2"),
    ("swin3d_l", None, {}, 604, 2, "VideoMAE paper, table 7"),
    ("swin3d_l_384", None, {}, 2107, 2, "MViTv2 paper, table 10"),
    ("swin3d_t", None, {}, 88, 2, "mmaction2"),
    ("swin3d_s", None, {}, 166, 2, "mmaction2"),
    ("swin3d_b", None, {}, 282, 2, "mmaction2"),
]


@pytest.mark.parametrize(("name", "clip", "options", "printed", "per_norm_element", "source"), PRINTED)
def test_printed_costs_are_macs_and_so_much_per_normalised_element(
    name, clip, options, printed, per_norm_element, source
):
    report = count(name, clip=clip, **options)
    digits = len(str(printed).partition(".")[2])
    assert round((report.macs + per_norm_element * norm_elements(report)) / 1e9, digits) == printed, source


def test_mvit_paper_prints_a_tenth_less_than_its_code_costs():
    assert round(count("mvit_b_16x4").macs / 1e9, 1) == 70.6  # MViT, table 4: 70.5; MViTv2, table 10: 70.3; unexplained


@pytest.mark.parametrize(
    ("name", "classes", "millions"),
    [
        ("mvit_b_24_32x3", 400, 53.2),
        ("mvitv2_s_16x4", 174, 34.4),
        ("mvitv2_b_32x3", 600, 51.4),
        ("mvitv2_l_40x3", 174, 213.1),
        ("maskfeat_mvit_s_16x4", 400, 36.5),
        ("maskfeat_mvit_l_16x4", 400, 217.6),
        ("swin3d_b", 400, 88.0),
        ("swin3d_l_384", 400, 200.0),
    ],
)
def test_printed_parameters(name, classes, millions):
    assert round(count(name, num_classes=classes).params / 1e6, 1) == millions


# Swin


def test_swin_by_hand():
    def block(tokens, width, window=8 * 7 * 7):
        linear = 4 * width * width + 2 * width * 4 * width
        return tokens * (linear + 2 * window * width)

    patches = 16 * 56 * 56
    widths = [(patches // 4**n, 96 * 2**n) for n in range(4)]
    blocks = sum(depth * block(*stage) for depth, stage in zip((2, 2, 6, 2), widths, strict=True))
    merges = sum(tokens * (2 * width) * width for tokens, width in widths[1:])  # 4 · width/2 channels to width
    assert count("swin3d_t").macs == patches * 96 * 3 * 32 + blocks + merges + 768 * 400


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(
    ("sizes", "window"),
    [((4, 6, 9), (2, 3, 3)), ((2, 6, 9), (2, 3, 3)), ((4, 6, 9), (4, 2, 3)), ((1, 3, 6), (2, 3, 3))],
)
def test_windows_are_those_positions_that_the_paper_defines(sizes, window, shifted):
    """Attention among all positions at once; a window of the shifted grid ends at the border of the clip."""
    torch.manual_seed(0)
    layer = ShiftedWindowAttention3d(8, window, 2, shifted=shifted)
    x = torch.randn(2, *sizes, 8)
    places = torch.tensor(list(itertools.product(*map(range, sizes))))
    shift = torch.tensor([n // 2 if shifted and size > n else 0 for size, n in zip(sizes, window, strict=True)])
    windows = torch.div(places - shift, torch.tensor(window), rounding_mode="floor")
    together = (windows[:, None] == windows[None]).all(-1)
    offsets = places[:, None] - places[None] + torch.tensor(window) - 1
    t, h, w = (2 * n - 1 for n in window)
    rows = (offsets * torch.tensor([h * w, w, 1])).sum(-1).clamp(0, t * h * w - 1)  # of those together
    bias = layer.relative_position_bias_table[rows].permute(2, 0, 1)
    q, k, v = layer.qkv(x.flatten(1, 3)).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-2, -1) / 2 + bias
    attended = scores.masked_fill(~together, float("-inf")).softmax(-1) @ v
    expected = layer.proj(attended.transpose(1, 2).flatten(2)).unflatten(1, sizes)
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_swin_takes_any_clip_and_says_when_its_windows_differ():
    model = create_model("swin3d_t", clip="3x30x45", num_classes=4).eval()
    assert model(torch.randn(2, 3, 3, 30, 45)).shape == (2, 4)
    assert model.recipe.departures == ("4 classes, the paper's network has 400",)
    wide = create_model("swin3d_t", clip="2x32x32", window_frames=16)
    assert wide.recipe.departures == ("windows of 16 pairs of frames, the paper's have 8 on Kinetics",)
    with pytest.raises(InputError, match="windows of 0 frames\n  fix     give window_frames 1 or more"):
        create_model("swin3d_t", window_frames=0)


# MViT

STAGES = [(96, 1, 56, 8), (192, 2, 28, 4), (384, 11, 14, 2), (768, 2, 7, 1)]  # channels, blocks, side, stride of keys


@pytest.mark.parametrize(("name", "second"), [("mvit_b_16x4", False), ("mvitv2_s_16x4", True)])
def test_mvit_by_hand(name, second):
    frames, total, channels, side = 8, 8 * 56 * 56 * 96 * 3 * 3 * 49, 96, 56
    for stage, (width, depth, queries, stride) in enumerate(STAGES):
        for index in range(depth):
            last = index == depth - 1 and stage < 3
            out = STAGES[stage + 1][0] if last and not second else width
            between = out if second else channels
            keys = side // stride
            before, tokens, seen = (1 + frames * n * n for n in (side, queries, keys))
            total += before * channels * 3 * between  # qkv
            total += 2 * frames * keys**2 * 27 * between  # pooling of keys and values
            total += frames * queries**2 * 27 * between if second or queries != side else 0
            total += 2 * tokens * seen * between + tokens * between * between
            if second:  # distances in time, height and width; the class token has none
                total += frames * queries**2 * between * (frames + 2 * keys)
            total += tokens * (between * 4 * between + 4 * between * out)
            if channels != out:
                total += (before if second else tokens) * channels * out
            channels, side = out, queries
    assert count(name).macs == total + 768 * 400


def test_distances_are_counted_in_steps_of_the_finer_of_queries_and_keys():
    assert distances(3, 3).tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]
    assert distances(4, 2).tolist() == [[2, 0], [3, 1], [4, 2], [5, 3]]  # a key stands for two queries
    assert distances(2, 4).tolist() == [[3, 2, 1, 0], [5, 4, 3, 2]]


def test_relative_positions_add_what_each_axis_gives():
    torch.manual_seed(0)
    layer = MultiscaleAttention(96, 96, (2, 4, 6), 1, 2, Design(second=True))
    q = torch.randn(1, 1, 1 + 2 * 4 * 6, 96)
    added = layer._by_distance(q)
    assert added.shape == (1, 1, 49, 1 + 2 * 2 * 3)
    assert added[:, :, 0].abs().sum() == added[:, :, :, 0].abs().sum() == 0
    for query, key in [((1, 2, 5), (0, 1, 2)), ((0, 3, 0), (1, 0, 1))]:
        tables = (layer.rel_pos_t, layer.rel_pos_h, layer.rel_pos_w)
        steps = (1, 2, 2)  # keys are pooled 1×2×2
        last = (1, 1, 2)  # the last key of each axis
        rows = [a + step * (end - b) for a, b, step, end in zip(query, key, steps, last, strict=True)]
        row = 1 + (query[0] * 4 + query[1]) * 6 + query[2]
        column = 1 + (key[0] * 2 + key[1]) * 3 + key[2]
        expected = sum(table[n] @ q[0, 0, row] for table, n in zip(tables, rows, strict=True))
        assert torch.allclose(added[0, 0, row, column], expected, atol=1e-5)


@pytest.mark.parametrize(("name", "positions"), [("mvit_b_16x4", "position embeddings"), ("mvitv2_s_16x4", "relative")])
@pytest.mark.parametrize("clip", ["1x16x16", "3x33x50"])
def test_mvit_is_sized_to_the_clip_and_says_so(name, positions, clip):
    model = create_model(name, clip=clip, num_classes=4).eval()
    assert model(torch.randn(1, *model.recipe.inputs[0])).shape == (1, 4)
    assert model.recipe.departures[0].startswith(positions)
    assert model.recipe.departures[0].endswith("released with 8×56×56")


# The networks of torchvision, where it is installed


@pytest.fixture
def video():
    """torchvision.models.video."""
    ready_torchvision()
    return pytest.importorskip("torchvision.models.video", exc_type=ImportError)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "theirs", "clip"),
    [
        ("swin3d_t", "swin3d_t", "18x60x72"),
        ("swin3d_t", "swin3d_t", "5x37x130"),
        ("mvit_b_16x4", "mvit_v1_b", "4x64x64"),
        ("mvitv2_s_16x4", "mvit_v2_s", "6x32x32"),
    ],
)
def test_the_same_weights_give_torchvisions_scores(video, monkeypatch, name, theirs, clip):
    clip = Clip.parse(clip)
    if name.startswith("mvit"):  # positions are sized to the clip, which torchvision's own builders refuse
        build, sized = video.mvit._mvit, {"temporal_size": clip.frames, "spatial_size": (clip.height, clip.width)}
        monkeypatch.setattr(video.mvit, "_mvit", lambda **settings: build(**settings | sized))
    torch.manual_seed(0)
    reference = getattr(video, theirs)(weights=None).eval()
    weights = {
        key: value + 0.05 * torch.randn_like(value) if value.is_floating_point() else value
        for key, value in reference.state_dict().items()
    }
    reference.load_state_dict(weights)
    ours = create_model(name, clip=clip).eval()
    ours.load_state_dict(weights)
    x = torch.randn(2, 3, *clip.sizes)
    with torch.no_grad():
        assert torch.allclose(ours(x), reference(x), atol=1e-4)
    mine, other = (count_flops(model, x, strict=True) for model in (ours, reference))
    assert (mine.macs, mine.params) == (other.macs, other.params)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("mvit_b_16x4", "mvit_v1_b"), ("mvitv2_s_16x4", "mvit_v2_s"), ("swin3d_t", "swin3d_t"), ("swin3d_b", "swin3d_b")],
)
def test_layer_by_layer_as_torchvision(video, name, theirs):
    mine = count(name, clip="16x224x224")
    model = weightless(library_model("torchvision", ModelSpec(theirs))).eval()
    other = count_flops(model, (1, 3, 16, 224, 224))
    called = {row.path for row in other.modules if row.calls}  # its windows use the weights of linear layers uncalled
    both = [row for row in mine.modules if row.path in called]
    assert len(both) > 50
    for row in both:
        theirs = other.module(row.path)
        assert (row.cost.macs, row.params) == (theirs.cost.macs, theirs.params), row.path


# Self-attention over CNN features


def test_cnn_attention_by_hand():
    report = count("cnn_attention")
    frame = 112 * 112 * 64 * 3 * 49
    for channels, side, blocks in ((64, 56, 3), (128, 28, 4), (256, 14, 6), (512, 7, 3)):
        same = channels * channels * 9
        strided = 0 if channels == 64 else channels // 2 * channels * (9 + 1) - same  # and its shortcut
        frame += side * side * (2 * blocks * same + strided)
    assert frame == 3_663_249_408  # torchvision's resnet34 without its classifier
    block = 16 * 512 * (3 * 512 + 2 * 1024) + 2 * 16 * 16 * 512
    assert report.macs == 16 * frame + 4 * block + 16 * 512 * 400 == 58_733_756_416
    decoder = 4 * (3 * 512 * 512 + 2 * 512 * 1024 + 1024 + 512 + 2 * 2 * 512)
    assert report.params == 21_284_672 + 16 * 512 + decoder + 512 * 400 + 400 == 28_852_432
    assert report.departures == ()


def test_cnn_attention_as_open_model_zoo_prints_it():
    """action-recognition-0001: encoder 21.276 M and 7.340 GFLOPs, decoder 4.405 M."""
    report = count("cnn_attention")
    encoder = [part for part in ResNet34().modules() if isinstance(part, nn.Conv2d)]
    folded = sum(conv.weight.numel() + conv.out_channels for conv in encoder)  # a batch norm becomes one bias
    assert folded == 21_276_160
    assert round(2 * report.module("resnet").cost.macs / 16 / 1e9, 3) == 7.326  # other arithmetic is on top of it
    listed = (
        4 * (2 * 512 * 1024 + 1024 + 512) + 512 * 400 + 400
    )  # not the projections, which it multiplies as constants
    assert int(listed / 1e3) == 4405


def test_frames_attend_to_each_other_as_the_released_code_scales_them():
    torch.manual_seed(0)
    layer = SelfAttention().eval()
    x = torch.randn(2, 5, 512)
    q, k, v = (w(x).view(2, 5, 8, 64).transpose(1, 2) for w in (layer.w_qs, layer.w_ks, layer.w_vs))
    attended = F.scaled_dot_product_attention(q, k, v, scale=512**-0.5).transpose(1, 2).reshape(2, 5, 512)
    assert torch.allclose(layer(x), layer.layer_norm(attended + x), atol=1e-5)


def test_positions_of_frames_are_sized_to_the_clip():
    model = create_model("cnn_attention", clip="3x32x32", num_classes=2)
    assert model.recipe.departures[0] == "position encoding sized for 3 frames, released with 16"
    positions = model.self_attention_decoder.position_encoding
    assert prod(positions.shape) == 3 * 512
    angle = 2 * 10_000 ** (-2 / 512)
    expected = torch.tensor([2.0, 2.0, angle, angle])
    assert torch.allclose(positions[2, 0:4:2], expected[::2].sin())
    assert torch.allclose(positions[2, 1:4:2], expected[1::2].cos())
