"""Networks of mmaction2 against the costs that its metafiles once printed with all digits.

They are of commit e74ffeef of https://github.com/open-mmlab/mmaction2 (configs/recognition/*/metafile.yml, keys FLOPs
and Parameters), made by mmcv's counter: a hook per module counts MACs of convolutions (one more per output where there
is a bias) and linear layers, 2 per element that a norm gets, 1 per element that a ReLU gives and 1 per element that a
pool gets. What no module computes, it does not see.
"""

from functools import cache

import pytest

from flopcount import Kind, count_flops, create_model, weightless
from flopcount.models.cards import CARDS

POOLS = ("aten.max_pool2d", "aten.max_pool3d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d")
MMCV = {"lateral_norm": False}
NL = {"pool_after": True, "out_bias": False}


@cache
def count(name, clip, num_classes, options):
    model = weightless(create_model, name, clip=clip, num_classes=num_classes, **dict(options)).eval()
    return count_flops(model, tuple((1, *shape) for shape in model.recipe.inputs), strict=True)


def hooked(report):
    """What mmcv's hooks count of these operators."""
    total = 0
    for costed in report.ops:
        first = costed.op.signature.inputs[0].numel if costed.op.signature.inputs else 0
        if costed.kind in (Kind.CONV, Kind.LINEAR):
            total += costed.work.macs
        elif costed.kind is Kind.NORM:
            total += 2 * first
        elif costed.name in ("aten.relu", "aten.hardtanh", *POOLS):
            total += first
    return total


def three_dimensional(positions, channels, num_classes):
    """mmaction2's head of 3D networks: pools all, classifies once; ours classifies every position, then averages."""
    return -(positions - 1) * channels * num_classes - positions * num_classes


# name, clip, classes, options, printed FLOPs, printed parameters, what mmaction2's network has besides ours
PRINTED = [
    ("slowfast_r50_4x16", "32x256x256", 400, MMCV, 36_441_296_896, 34_479_288, "head"),
    ("slowfast_r50_8x8", "32x256x256", 400, MMCV, 66_222_034_944, 34_565_560, "head"),
    ("slowfast_r101_r50_4x16", "32x256x256", 400, {}, 65_042_780_160, 62_384_312, "head"),
    ("slowfast_r101_8x8", "32x256x256", 400, {**MMCV, "fusion_kernel": 7}, 127_070_375_936, 62_912_312, "head"),
    ("slow_r50_8x8", "4x256x256", 400, {}, 27_430_649_856, 32_454_096, "head"),
    ("slow_r50_8x8", "8x256x256", 400, {}, 54_860_480_512, 32_454_096, "head"),
    ("slow_r50_8x8", "8x256x256", 600, {}, 54_860_890_112, 32_863_896, "head"),
    ("slow_r101_8x8", "8x256x256", 400, {}, 112_063_447_040, 60_359_120, "head"),
    ("i3d_r50_32x2", "32x256x256", 400, {}, 43_564_040_192, 28_043_472, "head"),
    ("tsn_r50", "25x224x224", 400, {}, 102_997_721_600, 24_327_632, 0),
    ("tsn_r101", "5x256x256", 313, {}, 51_249_301_504, 43_141_497, 0),
    ("tsm_r50", "8x224x224", 400, {}, 32_965_562_368, 24_327_632, 0),
    ("tsm_r101", "8x224x224", 174, {}, 62_782_459_904, 42_856_686, 0),
    ("tsm_mobilenetv2", "8x256x256", 400, {}, 3_337_519_104, 2_736_272, 0),
    # an Upsample of 1×1×1 is a module of its own there; TSM's last pool is built while it runs, so it has no hook
    ("tpn_slow_r50_8x8", "8x256x256", 400, {}, 66_014_576_640, 91_498_336, 1024 * 8 * 8),
    ("tpn_tsm_r50", "8x256x256", 174, {}, 54_202_822_656, 82_445_724, 1024 * 8 * 8 - 2048 * 8 * 8),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "clip", "classes", "options", "flops", "params", "besides"), PRINTED)
def test_every_printed_digit(name, clip, classes, options, flops, params, besides):
    report = counted(name, clip, classes, options)
    if besides == "head":
        channels = 2304 if "slowfast" in name else 2048
        besides = three_dimensional(4, channels, classes)  # (8 - 7 + 1)² positions at 256×256
        besides += window_of_the_head(report)
    assert hooked(report) + besides == flops
    # Left out of TPN: the auxiliary head of res4, a 3×3 convolution with its norm and a linear layer.
    auxiliary = 9 * 1024 * 2048 + 2 * 2048 + (2048 + 1) * classes if name.startswith("tpn") else 0
    assert report.params + auxiliary == params


def window_of_the_head(report):
    """The pool over a window, instead of which mmaction2 pools all at once: the same elements."""
    return sum(op.op.signature.inputs[0].numel for op in report.ops if op.name == "aten.avg_pool3d")


def counted(name, clip=None, num_classes=None, options=()):
    card = CARDS[name]
    return count(name, clip or str(card.clip), num_classes or card.num_classes, tuple(dict(options).items()))


def test_a_metafile_in_full():
    """The one of fewest layers; 928 parameters less than the paper's network are the norms of lateral convolutions."""
    report = counted("slowfast_r50_4x16", options=MMCV)
    besides = three_dimensional(4, 2304, 400) + window_of_the_head(report)
    assert hooked(report) + besides == 36_441_296_896
    lateral = 16 + 64 + 128 + 256
    assert report.params + 2 * lateral == counted("slowfast_r50_4x16").params == 34_480_216
    assert report.departures == ("lateral convolutions without norm and activation, as in mmaction2",)


@pytest.mark.slow
@pytest.mark.parametrize(("pairwise", "flops", "params"), [
    ("dot_product", 49_457_811_456, 31_682_000),
    ("embedded_gaussian", 49_457_811_456, 31_682_000),
    ("gaussian", 41_231_355_904, 28_007_888),
])  # fmt: skip
def test_tsm_with_nonlocal_blocks(pairwise, flops, params):
    """Biases of θ, φ and g are counted there: one per output; products of the attention are not."""
    report = counted("tsm_nl_r50", options={"pairwise": pairwise})
    positions = {512: 8 * 28 * 28, 1024: 8 * 14 * 14}  # TSM is 8×224×224
    convolutions = 1 if pairwise == "gaussian" else 3
    biases = sum(
        blocks * convolutions * positions[channels] * channels // 2 for channels, blocks in ((512, 2), (1024, 3))
    )
    assert hooked(report) + biases == flops
    assert report.params == params


@pytest.mark.slow
@pytest.mark.parametrize(("clip", "classes", "flops", "params"), [
    ("8x256x256", 400, 43_065_983_104, 25_590_320),
    ("8x224x224", 174, 32_972_787_840, 25_127_246),
    ("16x224x224", 174, 65_946_542_336, 25_134_670),
])  # fmt: skip
def test_tanet(clip, classes, flops, params):
    """Its filter over time is a call and no module, as is the average that it is made from."""
    report = counted("tanet_r50", clip, classes)
    frames, side, _ = map(int, clip.split("x"))
    unseen = 0
    for blocks, width, stride in ((3, 64, 4), (4, 128, 8), (6, 256, 16), (3, 512, 32)):
        for block in range(blocks):  # the first block's module comes before its stride
            here = side // (stride // 2 if block == 0 and stride > 4 else stride)
            unseen += (3 + 1) * frames * width * here**2
    assert hooked(report) - unseen == flops
    assert report.params == params


@pytest.mark.slow
@pytest.mark.parametrize(("name", "clip", "options", "params"), [
    ("i3d_nl_r50_32x2", None, NL, 35_397_840),
    ("i3d_nl_r50_32x2", None, {**NL, "pairwise": "gaussian"}, 31_723_728),
    ("slow_nl_r50_8x8", None, NL, 39_808_464),
    ("trn_r50", None, {}, 26_641_154),
    ("i3d_r50_32x2", None, {"heavy": True}, 33_024_208),
])  # fmt: skip
def test_parameters_of_networks_whose_cost_was_counted_at_no_known_size(name, clip, options, params):
    assert counted(name, clip, options=options).params == params


# name, clip, options, printed GFLOPs: README of version 1.2, where mmengine counts the backbone and 2 per norm element
README = [
    ("i3d_r50_32x2", "32x256x256", {}, 43.5),
    ("i3d_r50_32x2", "32x256x256", {"heavy": True}, 166.3),
    ("i3d_nl_r50_32x2", "32x256x256", {**NL, "pairwise": "dot_product"}, 59.3),
    ("i3d_nl_r50_32x2", "32x256x256", {**NL, "pairwise": "gaussian"}, 56.5),
    ("slow_nl_r50_8x8", "4x256x256", {**NL, "pairwise": "embedded_gaussian"}, 43.23),
    ("slow_nl_r50_8x8", "8x256x256", {**NL, "pairwise": "embedded_gaussian"}, 96.66),
    ("slowfast_r101_r50_4x16", "32x256x256", {}, 64.9),
    ("tsm_nl_r50", "8x224x224", {}, 61.3),
    ("tsm_nl_r50", "8x224x224", {"pairwise": "gaussian"}, 59.06),
    ("tsm_mobilenetv2", "8x256x256", {}, 3.269),
    ("tanet_r50", "8x256x256", {}, 43.0),
    ("trn_r50", "8x256x256", {}, 42.94),
    ("tsn_r101", "25x224x224", {}, 195.8),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "clip", "options", "printed"), README)
def test_costs_of_the_readme(name, clip, options, printed):
    report = counted(name, clip, options=options)
    heads = {"i3d": "blocks.6", "slo": "blocks.5", "tsm": "fc", "trn": "fc", "tsn": "fc_cls", "tan": "fc"}
    backbone = 0
    for costed in report.ops:
        head = costed.kind is Kind.LINEAR and ".tam." not in costed.op.module and heads[name[:3]]
        backbone += 0 if head else costed.work.macs
        backbone += 2 * costed.op.signature.inputs[0].numel if costed.kind is Kind.NORM else 0
    digits = len(str(printed).partition(".")[2])
    assert round(backbone / 1e9, digits) == printed
