from dataclasses import replace

import pytest
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

from flopcount import count_flops
from flopcount.cli import app
from flopcount.commands import verify as command
from flopcount.core.errors import InputError
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Clip
from flopcount.core.reason import Reason
from flopcount.facts import Printed, Unmapped, ZooModel, published
from flopcount.verification import (
    Counted,
    Finding,
    Verdict,
    judge,
    lecture_table,
    published_report,
    verdicts_table,
    verify_claim,
    verify_lecture,
    verify_published,
)
from flopcount.verification.other_figures import as_printed_elsewhere
from flopcount.verification.overview import overview_table, reasons_table
from flopcount.verification.readings import EVAL_NORM, LAYERS, MMCV, TRAIN_NORM, XLA, Reading, count

MADE_UP = replace(
    published()[0],
    **{
        "model": "made_up",
        "dataset": "kinetics400",
        "scope": "view",
        "convention": "mac",
        "views": 30,
        "params": None,
        "assumed": (),
    },
)
C3D = ModelSpec("c3d")
MODEL = ZooModel("c3d", Clip(8, 224, 224), 400)


def _count(model):
    """25 000 MACs a pixel, 2 and 5 per normalised element, 10 000 parameters a class."""
    scale = model.clip.height**2 * model.clip.frames
    added = {EVAL_NORM: 40 * scale, TRAIN_NORM: 100 * scale}
    return Counted(25_000 * scale, 20_000_000 + 10_000 * model.num_classes, 150_000, added)


def _verdict(printed, **changes):
    row = replace(MADE_UP, cost=Printed(printed, "G"), **changes)
    return judge(row, MODEL, _count).cost


def told(verdict):
    return verdict.kind, verdict.why, verdict.gap


# 25 000 · 8 · 224² = 10.035 G; with 40 and 100 more per position 10.051 G and 10.075 G; at 256² 13.107 G. The source
# of the row, pytorchvideo, is cited to count by fvcore.
NEAREST = "nearest: 224×224, fvcore 2021-03: +925 M; 224×224, fvcore: +949 M; 224×224, plain: +965 M"
TOO_FEW = (
    "nearest: 224×224, twice, plain: +6.13 G; 256×256, plain: +13.1 G; 224×224, fvcore 2021-03: +16.1 G; "
    "two changes would give it (256×256, twice, plain), which its digits are too few for"
)
VERDICTS = {
    "10.04": (Finding.MATCH, "", 0),
    "10.0352": (Finding.MATCH, "", 0),
    "301.1": (Finding.MATCH, "multiplied by 30 views", 0),
    "10.051": (Finding.CAUSE, EVAL_NORM.text, 0),
    "10.075": (Finding.CAUSE, TRAIN_NORM.text, 0),
    "13.128": (Finding.FITS, f"counted at 256×256, not 224×224; {EVAL_NORM.text}", 0),
    "20.07": (Finding.FITS, "a multiply-add counts twice", 0),
    "13.1": (Finding.FITS, "counted at 256×256, not 224×224", 0),
    "10.03": (Finding.FITS, "digits cut off, not rounded", 0),
    "26.2": (Finding.UNEXPLAINED, TOO_FEW, 16_164_800_000),
    "11.0": (Finding.UNEXPLAINED, NEAREST, 964_800_000),
}


@pytest.mark.parametrize("printed", VERDICTS)
def test_verdicts_on_made_up_rows(printed):
    assert told(_verdict(printed)) == VERDICTS[printed]


def test_what_the_source_says_is_not_a_change():
    assert told(_verdict("301.1", scope="video")) == (Finding.MATCH, "multiplied by 30 views", 0)
    assert told(_verdict("20.07", convention="2mac")) == (Finding.MATCH, "a multiply-add counts twice", 0)
    why = f"multiplied by 30 views; counted at 256×256, not 224×224; {TRAIN_NORM.text}"
    assert told(_verdict("394.79", scope="video")) == (Finding.FITS, why, 0)  # no source says 256×256


def test_unexplained_says_by_how_much():
    assert str(_verdict("11.0")) == "unexplained, +965 M"
    assert str(Verdict(Finding.UNEXPLAINED, gap=-3_150_000_000)) == "unexplained, −3.15 G"
    assert str(Verdict(Finding.NOT_CHECKABLE, (Reason("no size"),))) == "not checkable"


def test_not_checkable():
    row = replace(MADE_UP, cost=Printed("10", "G"), params=Printed("24", "M"))
    for model, why in (
        (Unmapped("no frames"), "no frames"),
        (replace(MODEL, name="perceiver"), "not in the zoo: perceiver"),
        (replace(MODEL, clip=Clip(1, 4, 4)), "clip 1×4×4 is too small for this network"),
        (replace(MODEL, options={"pool6": 1}), "no option of c3d named 'pool6'"),
    ):
        found = judge(row, model)
        assert told(found.cost) == told(found.params) == (Finding.NOT_CHECKABLE, why, 0)
    assert _verdict("10.04", scope="video", views=None).kind is Finding.NOT_CHECKABLE


EITHER_CLASSES = (
    "either counted with the 174 classes of ssv2, not 400, or counted with the 157 classes of charades, not 400"
)


@pytest.mark.parametrize(
    ("printed", "kind", "why"),
    [
        ("24.0", Finding.MATCH, ""),
        ("21.74", Finding.FITS, "counted with the 174 classes of ssv2, not 400"),
        ("21.57", Finding.FITS, "counted with the 157 classes of charades, not 400"),
        ("27", Finding.UNEXPLAINED, ""),  # the 700 classes of Kinetics-700, which the page does not print
        ("20.0", Finding.FITS, "counted without the last layer"),
        ("23.85", Finding.FITS, "counted without the weights of normalisations"),
        ("22", Finding.UNDECIDED, EITHER_CLASSES),
        ("23.4", Finding.UNEXPLAINED, ""),
    ],
)
def test_verdicts_on_parameters(printed, kind, why):
    row = replace(MADE_UP, cost=None, params=Printed(printed, "M"))
    found = judge(row, MODEL, _count)
    assert found.cost is None
    assert (found.params.kind, found.params.why) == (kind, why)


def test_the_cost_is_of_the_network_whose_parameters_are_printed():
    def count(model):
        return Counted(10**9 * model.num_classes, 10**5 * model.num_classes)

    row = replace(MADE_UP, cost=Printed("174", "G"), params=Printed("17.4", "M"))
    assert judge(row, MODEL, count).cost.kind is Finding.MATCH


def test_a_number_may_be_that_of_another_network():
    mine = judge(replace(MADE_UP, cost=Printed("11.0", "G")), MODEL, _count)
    other = replace(mine, row=replace(mine.row, model="other"), cost=Verdict(Finding.MATCH))
    assert as_printed_elsewhere(mine, [mine]) == mine
    found = as_printed_elsewhere(mine, [mine, other]).cost
    assert told(found) == (Finding.FITS, "equals the figure printed of other, which that network gives", 0)


def test_causes_are_grouped_by_what_they_are():
    """Causes of one kind with different numbers count separately, as do several causes together."""
    found = judge(replace(MADE_UP, cost=Printed("301.1", "G")), MODEL, _count)
    views = [Reason("multiplied by {} views", (number,)) for number in (30, 30, 10)]
    verdicts = [replace(found, cost=Verdict(Finding.CAUSE, (view,))) for view in views]
    verdicts.append(replace(found, cost=Verdict(Finding.CAUSE, (views[0], Reason("digits cut off, not rounded")))))
    assert verdicts_table(verdicts).notes[:4] == (
        "cost: 4 rows (1 figures): 0 match, 4 cause (1), 0 fits, 0 unexplained, 0 not checkable",
        "cause of 2 (1): multiplied by 30 views",
        "cause of 1 (1): multiplied by 10 views",
        "cause of 1 (1): multiplied by 30 views; digits cut off, not rounded",
    )
    assert found.cost.reasons == (views[0],)


def test_published_rows_of_c3d_and_alexnet():
    """VMZ and mmaction2 print its 38.5 GMACs; the slide's 39.5 is explained by its own arithmetic."""
    verdicts = verify_published("c3d")
    assert [str(v.cost) for v in verdicts if v.cost] == ["match", "match", "match", "cause", "match", "cause"]
    assert [str(v.params) for v in verdicts if v.row.source == "open-mmlab/mmaction2"] == ["match"] * 2  # 78.4 M
    table = verdicts_table(verdicts)
    assert (
        table.notes[0] == "cost: 6 rows (3 figures): 4 match (1), 2 cause (2), 0 fits, 0 unexplained, 0 not checkable"
    )
    overview = overview_table(verdicts)
    assert [row[:5] for row in (*overview.rows[:2], overview.total)] == [
        ("match", 4, 1, 2, 2),
        ("cause", 2, 2, 0, 0),
        ("all", 6, 3, 6, 4),
    ]
    assert [row[:4] for row in reasons_table(verdicts).rows] == [
        *[("cost", "cause", 1, 1)] * 2,
        ("parameters", "fits", 3, 1),
    ]
    page = published_report(verdicts)
    assert page.startswith("# Published numbers against our counts\n\nMade by `flopcount verify published")
    assert page.endswith("\n")
    images = {v.row.model: str(v.cost) for v in verify_published("image_2d")}
    assert images == {"vgg16": "unexplained, −1.87 G", "alexnet": "match"}


def test_norm_terms_are_fvcores():
    """slow_r50 4×16 at 256: 27.262 GMACs; pytorchvideo prints 27.55 (5 an element), mmaction2 27.38 (2 an element)."""
    counted = count(ModelSpec("slow_r50_8x8", Clip(4, 256, 256), 400))
    assert Printed("27.55", "G").matches(counted.macs + counted.added[TRAIN_NORM])
    assert Printed("27.38", "G").matches(counted.macs + counted.added[EVAL_NORM])
    assert counted.added[TRAIN_NORM] * 2 == counted.added[EVAL_NORM] * 5


class Attended(nn.Module):
    """Tokens (B, N, 8): normalised, attended to by two heads as torch's one operation or in four, and a GELU."""

    def __init__(self, *, fused):
        super().__init__()
        self.norm, self.linear, self.fused = nn.LayerNorm(8), nn.Linear(8, 8), fused

    def forward(self, x):
        heads = self.linear(self.norm(x)).unflatten(2, (2, 4)).transpose(1, 2)
        if self.fused:
            heads = F.scaled_dot_product_attention(heads, heads, heads)
        else:
            heads = ((heads * 0.5) @ heads.transpose(2, 3)).softmax(-1) @ heads
        return F.gelu(heads.transpose(1, 2).flatten(2)) + x


@pytest.mark.parametrize("fused", [False, True])
def test_terms_of_attention_by_hand(fused):
    tokens, scores = 5 * 8, 2 * 5 * 5
    counted = Counted.of(count_flops(Attended(fused=fused), (1, 5, 8), strict=True))
    assert counted.macs == 5 * 8 * 8 + 2 * scores * 4
    assert counted.added[MMCV] == 2 * tokens - 2 * scores * 4
    assert counted.added[LAYERS] == -2 * scores * 4
    assert counted.added[XLA] * 2 == (7 + 1 + 1 + 8 + 1) * tokens + 4 * scores  # norm, bias, scale, GELU, sum; softmax
    twice = Reading(counted, Clip(5, 1, 1), per_mac=2, counter=LAYERS)
    assert twice.value == 2 * 5 * 8 * 8


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("38.5", [(1, "16×112×112", 1)]),
        ("77.1", [(2, "16×112×112", 1), (1, "32×112×112", 1)]),
        ("385", [(1, "16×112×112", 10)]),
        ("12345.6", []),
    ],
)
def test_claims_about_c3d(printed, found):
    verdict = verify_claim(C3D, Printed.parse(printed))
    assert [(r.reading.per_mac, str(r.reading.clip), r.reading.views) for r in verdict.readings] == found
    assert verdict.holds == bool(found)
    assert verdict.table().notes[0].startswith("none: " if not found else f"{len(found)} reading")


def test_a_claim_with_its_clip_known():
    assert not verify_claim(ModelSpec("c3d", Clip(16, 112, 112)), Printed("100.7", "G")).holds
    assert verify_claim(ModelSpec("c3d", Clip(32, 128, 128)), Printed("100.7", "G")).holds


def test_a_claim_about_parameters():
    """78.4 M are the 101 classes of UCF101; the same cost with other parameters is not a reading of the claim."""
    (found,) = verify_claim(C3D, Printed("38.5", "G"), params=Printed("78.4", "M")).readings
    assert found.classes == 101
    (found,) = verify_claim(C3D, Printed("38.5", "G"), params=Printed("79.99", "M")).readings
    assert found.classes == 0
    verdict = verify_claim(C3D, Printed("38.5", "G"), params=Printed("12.3", "M"))
    assert not verdict.holds
    assert verdict.table().notes[0] == "none: no reading with up to 3 changes gives 38.5 G and 12.3 M parameters"


def test_clips_that_the_network_cannot_take_are_only_counted():
    verdict = verify_claim(ModelSpec("alexnet"), Printed("99.9", "G"))
    assert verdict.refused == 63  # AlexNet takes one image: each of the 7 other frame counts falls out
    assert "63 clips left out: the network cannot take them" in verdict.table().notes


def test_a_claim_needs_a_clip():
    with pytest.raises(InputError, match=r"nets\.py:build has no clip of its own"):
        verify_claim(ModelSpec("nets.py:build"), Printed("1", "G"))


def test_lecture_table(golden):
    golden("lecture.markdown", lecture_table(verify_lecture()).to_markdown() + "\n")


def test_which_of_the_lectures_numbers_hold():
    """The fully connected layers are printed 27 times too large, 27 being the kernel: 27 · 4608 · 4096 = 0.51 G."""
    rows = {row.fact.item: row for row in verify_lecture()}
    wrong = [item for item, row in rows.items() if row.holds is False]
    assert wrong == ["FC6", "FC7", "FC8", "total", "VGG-16", "C3D / VGG-16", "heading MFLOPs"]
    for item, inputs, outputs in (("FC6", 4608, 4096), ("FC7", 4096, 4096), ("FC8", 4096, 487)):
        assert rows[item].fact.printed.matches(27 * inputs * outputs)
        assert rows[item].reading == "times 27 = 3·3·3, the kernel of the convolutions"
    assert rows["VGG-16"].reading.startswith("fits without one convolution of 1.850 G, which 6 layers cost; the")
    assert rows["total"].reading == "the sum of its column, which counts the fully connected layers times 27"


def test_the_lecture_without_its_image_networks(monkeypatch):
    monkeypatch.setattr("flopcount.verification.lecture.CARDS", {})
    rows = {row.fact.item: row for row in verify_lecture()}
    assert (rows["AlexNet"].holds, rows["AlexNet"].arithmetic) == (None, "not in the zoo: alexnet")
    assert rows["C3D / VGG-16"].arithmetic == "39.5 / 13.6 = 2.904; not in the zoo: vgg16"


def _run(*words):
    return CliRunner().invoke(app, ["verify", *words], catch_exceptions=False)


def test_the_command():
    result = _run("c3d", "--printed", "385")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "16×112×112  10            385,489,592,320" in result.stdout
    assert _run("c3d", "--printed", "12345.6").exit_code == 1
    assert _run("c3d", "--printed", "38.5", "--params", "65.31M", "--set", "pool5_padding=false").exit_code == 0
    assert "7 of 16 numbers do not hold" in _run("lecture").stdout
    assert _run("published", "--family", "c3d", "--format", "csv").stdout.count("\n") == 8


def test_the_command_knows_every_verdict():
    assert tuple(Finding) == command.VERDICTS


def test_the_page_is_written_whole_or_not_at_all(tmp_path):
    page = tmp_path / "published.md"
    result = _run("published", "--family", "c3d", "--write", str(page))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"wrote {page}\n")
    assert page.read_text() == published_report(verify_published("c3d"))
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("c3d", "error: there is no claim about c3d\n  fix     give --printed, such as verify c3d --printed 27.6\n"),
        ("c3", "error: no model named 'c3'\n  near    c3d\n"),
        ("c3d --printed many", "error: 'many' is not a printed number\n"),
        ("c3d --printed 3 --family c3d", "error: verify c3d takes no --family\n"),
        ("lecture --printed 3", "error: verify lecture takes no --printed\n"),
        ("lecture --family c3d", "error: verify lecture takes no --family\n"),
        ("lecture --placebo", "error: verify lecture takes no --placebo\n"),
        ("c3d --printed 3 --only match", "error: verify c3d takes no --only\n"),
        ("published --only unexplaned", "error: no verdict named 'unexplaned'\n  near    unexplained\n"),
        ("published --draws 3", "error: verify published without --placebo takes no --draws\n"),
        ("published --placebo --only match", "error: verify published --placebo takes no --only\n"),
        ("published --placebo --within far", "error: 'far' is no share of a number\n"),
        ("published --clip 16x112x112", "error: verify published takes no --clip\n"),
        ("published --family c3", "error: no family named 'c3'\n  near    c3d\n"),
        ("published --family c3d --write no/such/page.md", "error: cannot write no/such/page.md: No such file"),
    ],
)
def test_what_the_command_refuses(words, message):
    result = _run(*words.split())
    assert result.exit_code == 2
    assert result.stderr.startswith(message)
