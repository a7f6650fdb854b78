"""A frame rate, a batch and a clip are said only where the caller, the model's card or all inputs say them."""

import itertools
import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flopcount import InputError, count_flops, count_model, read_report, streaming
from flopcount.core.ops import TensorSpec

ENGINES = ("meta", "fake", "real")

PATCHES = {"pixel_values": (64, 48), "grid": TensorSpec((1, 3), "int64")}
OF_PATCHES = 64 * 48 * 32 + 2 * 64 * 64 * 32


class Patches(nn.Module):
    """Attention over all patches of one picture, which come without a batch."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(48, 32)

    def forward(self, pixel_values, grid):
        x = self.enter(pixel_values)[None, None]
        return F.scaled_dot_product_attention(x, x, x)[0, 0]


class Sum(nn.Module):
    """The sum of its inputs' means, and a convolution of the last."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, *inputs, **keywords):
        given = [*inputs, *keywords.values()]
        return self.conv(given[-1] if inputs else keywords["image"]).mean() + sum(x.float().mean() for x in given)


@pytest.fixture
def patches():
    """A report without a batch."""
    return count_flops(Patches(), PATCHES)


@pytest.mark.parametrize("engine", ENGINES)
def test_patches_are_no_batch(engine):
    report = count_flops(Patches(), PATCHES, engine=engine, views="4x1")
    assert (report.macs, report.input.batch, report.per_sample) == (OF_PATCHES, None, None)
    assert report.per_video.macs == 4 * OF_PATCHES
    assert report.sentence().startswith("360.4 kMACs (720.9 kFLOPs) per input of 64×48 and 1×3, 4 views: 1.4 MMACs per")
    assert "per sample" not in str(report)
    assert [row[2] for row in report.by_module().rows] == ["64×32", "64×32"]  # and no axis is left out as the batch


@pytest.mark.parametrize("batch", [1, 4])
def test_the_callers_batch_wins(batch):
    report = count_flops(Patches(), PATCHES, batch=batch)
    assert (report.input.batch, report.per_sample.macs) == (batch, OF_PATCHES // batch)
    assert count_flops(nn.Linear(48, 2), (64, 48), batch=batch).per_sample.macs == 64 * 48 * 2 // batch


@pytest.mark.parametrize("engine", ENGINES)
def test_an_empty_input_says_nothing_of_the_batch(engine):
    report = count_flops(Sum(), (torch.zeros(0, 4), torch.zeros(1, 3, 8, 8)), engine=engine)
    assert (report.macs, report.input.batch) == (8 * 36 * 27, 1)


KEYWORDS = {
    "image": (2, 3, 8, 8),
    "mask": TensorSpec((2, 7), "int64"),
    "time": TensorSpec((2,)),
    "scale": TensorSpec(()),
}


@pytest.mark.parametrize("names", list(itertools.permutations(KEYWORDS)))
def test_the_order_of_keywords_never_changes_the_batch(names):
    report = count_flops(Sum(), {name: KEYWORDS[name] for name in names})
    assert (report.input.batch, report.per_sample.macs) == (2, 8 * 36 * 27)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_a_scalar_or_an_empty_input_never_changes_the_batch(shape):
    plain = count_flops(Sum(), {"image": (2, 3, 8, 8)})
    assert (
        count_flops(Sum(), {"scale": TensorSpec(shape), "image": (2, 3, 8, 8)}).per_sample.macs == plain.per_sample.macs
    )
    unknown = count_flops(Sum(), {"image": (2, 3, 8, 8), "positions": (5, 6)})
    assert (unknown.input.batch, unknown.per_sample) == (None, None)


@pytest.mark.parametrize("engine", ENGINES)
def test_pathways_share_their_batch(engine):
    class Pathways(nn.Module):
        def __init__(self):
            super().__init__()
            self.slow, self.fast = nn.Conv3d(3, 8, 1), nn.Conv3d(3, 2, 1)

        def forward(self, pathways):
            return self.slow(pathways[0]).mean() + self.fast(pathways[1]).mean()

    report = count_flops(Pathways(), [(2, 3, 4, 8, 8), (2, 3, 16, 8, 8)], engine=engine)
    assert (report.input.batch, str(report.input.clip)) == (2, "16×8×8")
    assert report.per_sample.macs == 3 * 8 * 4 * 64 + 3 * 2 * 16 * 64


def test_a_module_without_inputs_has_no_batch():
    class Still(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, 4))

        def forward(self):
            return self.weight @ self.weight.T

    report = count_flops(Still(), ())
    assert (report.macs, report.input.batch) == (36, None)
    assert report.sentence() == "36 MACs (72 FLOPs), 12 parameters"


@pytest.mark.parametrize("engine", ENGINES)
def test_latents_are_no_clip(engine):
    report = count_flops(nn.Conv3d(16, 8, 1), (1, 16, 21, 60, 104), engine=engine)
    assert report.input.clip is None
    assert report.sentence() == "16.8 MMACs (33.5 MFLOPs) per 16×21×60×104 input, 136 parameters"
    assert "clip" not in str(report)
    assert report.formula("THW").macs(T=2, H=3, W=4) == 16 * 8 * 2 * 3 * 4  # its axes have names all the same
    assert report.receptive_field()[""][0].clip == (21, 60, 104)
    assert "positions of the input" in str(report.with_receptive_field())


def test_an_integer_input_is_no_clip():
    class Cast(nn.Module):
        def forward(self, x):
            return x.float() * 2

    assert count_flops(Cast(), torch.zeros(1, 3, 4, 8, 8, dtype=torch.uint8)).input.clip is None


def test_time_needs_a_frame_rate():
    model, x = nn.Conv3d(3, 8, 3), (1, 3, 16, 112, 112)
    for text in (str(count_flops(model, x)), str(count_flops(model, x, stride=2)), str(count_model("c3d"))):
        assert "fps" not in text
        assert " s " not in text
        assert "raw video" not in text
        assert "second" not in text
    assert "clip: 16×112×112, every 2nd frame\n" in str(count_flops(model, x, stride=2))
    assert "clip: 16×112×112, every 2nd frame; 1.07 s at 30 fps\n" in str(count_flops(model, x, stride=2, fps=30))


def test_a_second_of_video_needs_the_batch():
    class Placed(nn.Module):
        def forward(self, x, positions):
            return x * 2, positions * 2

    inputs = (1, 3, 16, 8, 8), (5, 7)
    assert "per second" not in str(count_flops(Placed(), inputs, fps=30))
    assert "per second" in str(count_flops(Placed(), inputs, fps=30, batch=1))


def test_the_json_says_null_and_is_read_back(patches, tmp_path):
    data = json.loads(patches.to_json())
    assert (data["input"]["batch"], data["input"]["clip"], data["per_sample"]) == (None, None, None)
    assert data["per_video"]["macs"] == data["total"]["macs"] == OF_PATCHES
    path = tmp_path / "report.json"
    path.write_text(patches.to_json(), encoding="utf-8")
    assert read_report(path).input == patches.input


def test_a_run_asks_for_the_batch():
    report = count_flops(Patches(), PATCHES, mode="train", optimizer="sgd")
    assert report.training.losses == ("sum of the output (64, 32)",)
    assert "per sample" not in str(report)
    with pytest.raises(InputError, match="a run over samples needs the batch") as raised:
        report.training.over(2, 10)
    assert "batch=" in str(raised.value)
    assert "seen    64×48, 1×3" in str(raised.value)
    run = count_flops(Patches(), PATCHES, mode="train", batch=1).training.over(2, 10).run
    assert (run.steps, run.cost.macs) == (20, 20 * report.training.total.macs)


def test_readers_follow_the_data_with_the_same_batch(patches):
    assert patches.with_dataflow().input == patches.input
    assert patches.memory.inference > 0
    assert patches.span.clip == ""


def test_a_stream_of_what_is_no_clip():
    """The window is all of the input; no clip is made up for it."""
    report = count_flops(Sum(), {"image": (2, 3, 8, 8), "positions": (5, 6)})
    result = streaming(Sum(), {"image": (2, 3, 8, 8), "positions": (5, 6)})
    assert (result.clip, result.window.macs, result.data()["clip"]) == (None, report.macs, None)
    latents = streaming(nn.Conv3d(16, 8, (3, 1, 1)), (2, 16, 5, 8, 8))
    assert (latents.clip, latents.window.macs) == (None, 16 * 8 * 3 * 3 * 64)
    halved = streaming(nn.Conv3d(3, 8, 1), (4, 3, 5, 8, 8), batch=2)
    assert (str(halved.clip), halved.window.macs) == ("5×8×8", 2 * 3 * 8 * 5 * 64)
