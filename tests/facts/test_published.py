"""Rows of published.csv say what their pages print: every digit, and no value that the page leaves out unsaid."""

from collections import Counter
from fractions import Fraction

import pytest

from flopcount.core.errors import InputError
from flopcount.facts import Printed, dataset_classes, published, published_row
from flopcount.facts.published import ASSUMABLE
from flopcount.facts.rows import read

PLACE = "published.csv, line 2"
ROW = dict(read("published.csv"))[PLACE]

# (part of the url, model, data set) of a row, and the line of its page, without links and what no column holds.
# What the row has is looked for in the line as text, so a digit more or less fails.
LINES = [
    (
        ("pytorchvideo", "slowfast_r101_8x8", "kinetics400"),
        "SlowFast | R101 | - | 8x8 | 77.90 | 93.27 | 127.20 x 3 x 10 | 62.83",
    ),
    (
        ("pytorchvideo", "csn_r101_32x2", "kinetics400"),
        "CSN | R101 | 32x2 | 77.00 | 92.90 | 75.62 x 3 x 10 | 22.21",
    ),
    (("pytorchvideo", "mvit_b_16x4", "kinetics400"), "MViT | B | 16x4 | 78.85 | 93.85 | 70.80 x 1 x 5 | 36.61"),
    (("pytorchvideo", "mvit_b_32x3", "kinetics400"), "MViT | B | 32x3 | 80.30 | 94.69 | 170.37 x 1 x 5 | 36.61"),
    (
        ("pytorchvideo", "slow_r50_8x8", "ssv2"),
        "Slow | R50 | 8x8 | 60.04 | 85.19 | 55.10 x 3 x 1 | 31.96",
    ),
    (("pytorchvideo", "slow_r50_8x8", "charades"), "Slow | R50 | 8x8 | 34.72 | 55.10 x 3 x 10 | 31.96"),
    (
        ("pytorchvideo", "slowfast_r50_8x8", "ssv2"),
        "SlowFast | R50 | Kinetics 400 | 8x8 | 61.68 | 86.92 | 66.60 x 3 x 1 | 34.04",
    ),
    (
        ("pytorchvideo", "slowfast_r50_8x8", "charades"),
        "SlowFast | R50 | Kinetics 400 | 8x8 | 37.24 | 66.60 x 3 x 10 | 34.00",
    ),
    (
        ("SlowFast/blob/main/MODEL_ZOO", "x3d_xs_4x12", "kinetics400"),
        "X3D | XS | 4 x 12 | 68.7 | 69.5 | 3.8 | 0.60",
    ),
    (("SlowFast/blob/main/MODEL_ZOO", "x3d_l_16x5", "kinetics400"), "X3D | L | 16 x 5 | 76.9 | 77.5 | 6.2 | 18.37"),
    (
        ("mmaction2/blob/main/configs/recognition/csn", "ir_csn_50_32x2", "kinetics400"),
        "32x2x1 | 224x224 | 8 | ResNet50 (IR+BNFrozen) | IG65M | 79.44 | 94.26 | 10 clips x 3 crop | 55.90G | 13.13M",
    ),
    (
        ("recognition/r2plus1d/README", "r2plus1d_34_32x2", "kinetics400"),
        "32x2x1 | 224x224 | 8 | ResNet34 | None | 75.46 | 92.28 | 10 clips x 3 crop | 213G | 63.8M",
    ),
    (
        ("recognition/slowonly/README", "slow_r101_8x8", "kinetics400"),
        "8x8x1 | Linear+Cosine | 224x224 | 8 | ResNet101 | None | 76.59 | 92.80 | 10 clips x 3 crop | 112G | 60.36M",
    ),
    (
        ("recognition/omnisource/README", "slow_r50_8x8_omnisource", "kinetics400"),
        "8x8x1 | Linear+Cosine | 224x224 | ResNet50 | 77.30 | 93.23 | 10 clips x 3 crop | 54.75G | 32.45M",
    ),
    (
        ("recognition/swin/README", "swin3d_l_32x2", "kinetics700"),
        "32x2x1 | 224x224 | 16 | Swin-L | ImageNet-22k | 75.92 | 92.72 | 4 clips x 3 crop | 604G | 197M",
    ),
    (
        ("recognition/tsm/README", "tsm_r50_nl_dotproduct_8f", "kinetics400"),
        "1x1x8 | 224x224 | 8 | ResNet50 (NonLocalDotProduct) | 74.49 | 91.15 | 8 clips x 10 crop | 61.30G | 31.68M",
    ),
    (
        ("recognition/tsm/README", "tsm_r50_nl_gauss_8f", "kinetics400"),
        "1x1x8 | 224x224 | 8 | ResNet50 (NonLocalGauss) | 73.66 | 90.99 | 8 clips x 10 crop | 59.06G | 28.00M",
    ),
    (
        ("recognition/tsm/README", "tsm_r50_nl_embedgauss_8f", "kinetics400"),
        "1x1x8 | 224x224 | 8 | ResNet50 (NonLocalEmbedGauss) | 74.34 | 91.23 | 8 clips x 10 crop | 61.30G | 31.68M",
    ),
    (
        ("recognition/tsm/README", "tsm_mobilenetv2_8f", "kinetics400"),
        "1x1x8 | 224x224 | 8 | MobileNetV2 | ImageNet | 68.71 | 88.32 | 8 clips x 3 crop | 3.269G | 2.736M",
    ),
    (
        ("recognition/tsm/README", "tsm_mobileone_s4_16f", "kinetics400"),
        "1x1x16 | 224x224 | 8 | MobileOne-S4 | ImageNet | 74.38 | 91.71 | 16 clips x 10 crop | 48.65G | 13.72M",
    ),
    (
        ("recognition/tsn/README", "tsn_mobileone_s4", "kinetics400"),
        "1x1x8 | MultiStep | 224x224 | 8 | MobileOne-S4 | 73.65 | 91.32 | 25 clips x 10 crop | 76G | 13.72M",
    ),
    (
        ("mmaction2/blob/main/configs/recognition/x3d/metafile", "x3d_s_13x6", "kinetics400"),
        "x3d_s_13x6x1 | X3D_S | FLOPs: 2967543760 | Parameters: 3794322 | Resolution: 160x160 | Top 1 Accuracy: 73.3",
    ),
    (
        ("mmaction2/blob/main/configs/recognition/x3d/metafile", "x3d_m_16x5", "kinetics400"),
        "x3d_m_16x5x1 | X3D_M | FLOPs: 6490866832 | Parameters: 3794322 | Resolution: 224x224 | Top 1 Accuracy: 76.4",
    ),
    (
        ("71a938ab54c0ce54c43b6c21b9658408a2bb3c0f", "slowfast_r50_4x16", "kinetics400"),
        "slowfast_r50_4x16x1_256e_kinetics400_rgb | FLOPs: 36441296896 | Parameters: 34479288 | 74.75 | 91.73",
    ),
    (
        ("71a938ab54c0ce54c43b6c21b9658408a2bb3c0f", "c3d_16x1", "ucf101"),
        "c3d_sports1m_16x1x1_45e_ucf101_rgb | FLOPs: 38615475200 | Parameters: 78409573 | 83.27 | 95.9",
    ),
    (
        ("71a938ab54c0ce54c43b6c21b9658408a2bb3c0f", "ir_csn_152_32x2", "kinetics400"),
        "ircsn_ig65m_pretrained_r152_32x2x1 | FLOPs: 98096676864 | Parameters: 29703568 | 80.14 | 94.93",
    ),
    (
        ("models/video/resnet", "mc3_18", "kinetics400"),
        "num_params: 11695440, acc 63.960 84.130, _ops 43.343",
    ),
    (("video/swin_transformer", "swin3d_t", "kinetics400"), "num_params: 28158070, acc: 77.715 93.519, _ops: 43.882"),
    (("hailo", "r3d_18", "kinetics400"), "r3d_18 | float mAP 49.22 | 112x112x48 | Params (M) 33.4 | OPS (G) 81.4"),
    (
        ("model_zoo/blob/master/models/intel", "action_recognition_0001_encoder_r34", "kinetics400"),
        "GFlops 7.340, MParams 21.276",
    ),
    (
        ("i3d-rgb-tf", "i3d_inception_rgb_79f", "kinetics400"),
        "GFLOPs 278.981 | MParams 12.69 | 65.96% | 86.01%",
    ),
    (("2104.11227", "mvit_s", "kinetics400"), "MViT-S | - | 76.0 | 92.1 | 32.9 x 1 x 5 | 26.1"),
    (("2112.01526", "swin3d_l_384", "kinetics400"), "Swin-L 384 | 84.9 | 96.7 | 2107 x 5 x 10 | 200.0"),
    (("2306.00989", "hiera_h_16x4", "kinetics700"), "Hiera-H | MAE | 81.1 | 1159 x 3 x 5 | 672M"),
    (("2403.06977", "videomamba_s_64f", "kinetics400"), "VideoMamba-S | 64 x 384 | 26 | 395 x 3 x 4 | 82.7 95.6"),
    (("2212.03229", "vatt_l", "kinetics400"), "VATT-L | HowTo100M | 82.1 95.5 | 4 x 3 | 29.80"),
    (("2208.02816", "x_florence_384_8f", "kinetics400"), "X-Florence (384) | 8 | 86.2 | 96.6 | 4 x 3 | 2114"),
    (
        ("BL8h1Axr0i", "vita_clip_b16_8f", "kinetics400"),
        "Vita-CLIP | 81.8 | 96.0 | 4 x 3 | 97 x 12 | 187.9",
    ),
]


@pytest.mark.parametrize(("row", "line"), LINES, ids=lambda value: value[1] if isinstance(value, tuple) else "")
def test_a_row_has_the_digits_of_its_page(row, line):
    part, model, dataset = row
    cells = "".join(c if c.isdigit() or c == "." else " " for c in line).split()
    cells = {cell.strip(".") for cell in cells}
    found = [
        fact
        for _, fact in read("published.csv")
        if part in fact["url"] and (fact["model"], fact["dataset"]) == (model, dataset) and fact["cost"] in cells
    ]
    assert found, f"no row of {model} on {dataset} with a cost of {line!r}"
    for fact in found:
        assert not fact["params"] or fact["params"] in cells
        accuracies = [fact[column] for column in ("top1", "top5", "map") if fact[column]]
        assert {Fraction(accuracy) for accuracy in accuracies} <= {Fraction(cell) for cell in cells}


def test_no_two_rows_are_the_same_fact():
    rows = Counter(tuple(row.items()) for _, row in read("published.csv"))
    assert [row for row, times in rows.items() if times > 1] == []


def test_every_data_set_is_known():
    assert {row.dataset for row in published()} <= set(dataset_classes())


def test_what_is_assumed_has_a_value():
    rows = published()
    assert all(getattr(row, column) is not None for row in rows for column in row.assumed)
    assert all(("height" in row.assumed) == ("width" in row.assumed) for row in rows)
    assumed = [row for row in rows if "height" in row.assumed and row.cost]
    assert {"facebookresearch/pytorchvideo", "facebookresearch/SlowFast"} <= {row.source for row in assumed}
    assert not any("slowonly/README" in row.url for row in assumed)  # mmaction2 prints the resolution beside the cost


def test_mean_average_precision_is_no_accuracy():
    rows = [row for row in published() if row.mean_ap is not None]
    assert {"ava2.1", "ava2.2", "charades"} <= {row.dataset for row in rows}
    assert all(row.top1 is None and 1 < row.mean_ap < 100 for row in rows)
    assert not any(row.dataset.startswith("ava") and row.top1 for row in published())


def test_no_locator_or_note_points_where_no_reader_can_look():
    for row in published():
        assert "stored" not in row.locator + row.notes


@pytest.mark.parametrize(
    ("text", "printed"),
    [("34.5", Printed("34.5", "M")), ("34479288", Printed("34479288")), ("1B", Printed("1", "G")), ("", None)],
)
def test_parameters_as_printed(text, printed):
    assert published_row(PLACE, {**ROW, "params": text}).params == printed


def test_assumed_columns_of_a_row():
    assert published_row(PLACE, {**ROW, "assumed": "frames height width"}).assumed == ("frames", "height", "width")
    assert published_row(PLACE, {**ROW, "assumed": ""}).assumed == ()
    assert set(ASSUMABLE) <= set(ROW)


@pytest.mark.parametrize(
    ("assumed", "change", "message"),
    [
        ("cost", {}, "an assumed column is 'cost'\n  in      published.csv, line 2\n  fix     choose frames, stride"),
        ("height", {"height": ""}, "height is assumed but has no value\n"),
        ("frames frames", {}, "a column is assumed twice in 'frames frames'\n"),
    ],
)
def test_assumed_columns_that_make_no_sense(assumed, change, message):
    with pytest.raises(InputError) as error:
        published_row(PLACE, {**ROW, **change, "assumed": assumed})
    assert str(error.value).startswith(message)
