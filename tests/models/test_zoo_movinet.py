"""MoViNets by hand, against printed figures, and as streams: step by step the same as at once."""

from dataclasses import replace

import pytest
import torch

from flopcount import count_model, create_model, streaming, weightless
from flopcount.facts import Printed
from flopcount.models.networks.movinet import MoViNet, Skip, StreamMoViNet
from flopcount.models.networks.movinet_sizes import Size, Stage

# Parameters of the PyTorch port that loads the released weights (Atze00/MoViNet-pytorch at c2d1edf, `MoViNet(...,
# tf_like=True)`, all built and compared), which has no positional encodings: one number less per block of A3 to A5.
BASE = (3_111_799, 4_690_296, 5_249_562, 7_397_545, 11_349_463, 18_650_523)
STREAM = (3_748_031, 6_447_352, 7_326_962, 10_986_585, 18_136_135, 31_495_875)
BLOCKS = {3: 33, 4: 47, 5: 59}


@pytest.mark.parametrize("index", range(6))
def test_parameters_are_those_of_the_released_weights(index):
    assert count_model(f"movinet_a{index}").params == BASE[index]
    assert count_model(f"movinet_a{index}_stream").params == STREAM[index] + BLOCKS.get(index, 0)


def test_macs_are_those_of_the_port():
    """Counted on Atze00/MoViNet-pytorch at c2d1edf, base networks at 50×172×172 and 50×224×224."""
    assert [count_model(f"movinet_a{index}").macs for index in range(3)] == [2630733808, 5865612704, 11558071168]


def test_a_block_by_hand():
    report = count_model("movinet_a0", strict=True)
    first = 50 * 43 * 43  # positions behind the first block, which halves 86×86
    macs = {name: report.module(f"blocks.0.{name}").cost.macs for name in ("expansion", "feature", "attention")}
    assert macs == {"expansion": 50 * 86 * 86 * 8 * 24, "feature": first * 24 * 25, "attention": 2 * 24 * 8}
    assert report.module("blocks.0.projection").cost.macs == first * 24 * 8
    assert report.module("blocks.0.skip").cost.macs == first * 8 * 8
    assert report.module("blocks.1.feature").cost.macs == 50 * 22 * 22 * 80 * 27


def test_a_stream_has_its_kernels_split():
    report = count_model("movinet_a0_stream", strict=True)
    assert report.module("blocks.1.feature").cost.macs == 50 * 22 * 22 * 80 * 9
    assert report.module("blocks.1.temporal").cost.macs == 50 * 22 * 22 * 80 * 3
    assert report.module("blocks.1.attention").cost.macs == 50 * (160 * 40 + 40 * 80)


def test_printed_costs_have_one_per_normalised_element():
    """README of the released code, which rounds to two digits; A2 is printed as 10 G, and counted as 11.6 G."""
    for index, printed in ((0, "2.7"), (1, "6.0"), (3, "57"), (5, "280")):
        report = count_model(f"movinet_a{index}")
        normalised = sum(c.op.signature.inputs[0].numel for c in report.ops if c.name == "aten.batch_norm")
        assert float(f"{report.macs + normalised:.2g}") == float(printed) * 1e9


TINY = Size(
    4,
    (Stage(4, "8", "15"), Stage(6, "8 8", "33 13"), Stage(8, "8", "53"), Stage(8, "8 8", "33 33"), Stage(8, "8", "15")),
    16,
    positions=True,
)


@pytest.mark.parametrize("positions", [False, True])
def test_a_stream_is_the_same_step_by_step(positions):
    model = StreamMoViNet(5, replace(TINY, positions=positions)).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    clip = torch.randn(2, 3, 7, 17, 20, dtype=torch.double)
    state = None
    with torch.no_grad():
        for first, last in ((0, 1), (1, 4), (4, 5), (5, 7)):
            scores, state = model.step(clip[:, :, first:last], state)
            torch.testing.assert_close(scores, model(clip[:, :, :last]))


def test_a_frame_of_a_stream_costs_a_fiftieth_and_the_head():
    model = weightless(create_model, "movinet_a0_stream").eval()
    found = streaming(model, (1, 3, 50, 172, 172), stride=1)
    head = 480 * 2048 + 2048 * 600
    assert found.step.macs == (found.window.macs - head) // 50 + head


@pytest.mark.parametrize("size", [1, 2, 3, 6, 31])
def test_any_frame_is_taken(size):
    model = MoViNet(5, TINY).eval()
    assert model(torch.randn(1, 3, 2, size, size + 1)).shape == (1, 5)


def test_means_of_a_skip_leave_out_what_is_outside():
    """As TensorFlow's average pooling with padding "same"."""
    skip = Skip(8, 8, 2)
    skip.skip_project = torch.nn.Identity()
    for size in (1, 2, 5, 6):
        half = -(-size // 2)
        assert torch.equal(skip(torch.ones(1, 8, 1, size, size)), torch.ones(1, 8, 1, half, half))


def test_printed_parameters_of_a0():
    """3.1 M in the paper."""
    assert Printed("3.1", "M").matches(count_model("movinet_a0").params)
