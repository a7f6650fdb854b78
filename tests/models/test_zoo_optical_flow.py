"""RAFT and PWC-Net: hand counts, torchvision's RAFT layer by layer and value by value, printed costs."""

import importlib.util
from collections import Counter

import pytest
import torch
from zoo import undrawn

from flopcount import InputError, count_flops, count_model, create_model
from flopcount.facts import Printed, optical_flow_facts
from flopcount.models.networks.pwc_net import Correlation
from flopcount.models.torchvision_operators import ready_torchvision

needs_torchvision = pytest.mark.skipif(not importlib.util.find_spec("torchvision"), reason="compares with torchvision")


@needs_torchvision
@pytest.mark.parametrize(("ours", "theirs"), [("raft", "raft_large"), ("raft_small", "raft_small")])
def test_raft_is_torchvisions(ours, theirs):
    ready_torchvision()
    from torchvision.models import optical_flow

    reference = getattr(optical_flow, theirs)().eval()
    clip = torch.randn(1, 3, 2, 128, 136)
    with undrawn():
        model = create_model(ours, clip="2x128x136", updates=2).eval()
    model.load_state_dict(reference.state_dict())
    frames = (clip[:, :, 0], clip[:, :, 1])
    with torch.no_grad():
        flow = model(clip)
        torch.testing.assert_close(flow[:, :, 0], reference(*frames, num_flow_updates=2)[-1], rtol=1e-4, atol=1e-4)
    mine = count_flops(model, (1, 3, 2, 128, 136))
    other = count_flops(reference, (*frames, 2))
    assert layers(mine) == layers(other)
    assert (mine.macs, mine.params) == (other.macs, other.params)


def layers(report):
    return Counter(costed.work.macs for costed in report.ops if costed.work.macs)


def test_torchvisions_printed_costs_are_at_512x512():
    for row in optical_flow_facts():
        if row.unit == "_ops":
            counted = count_model(row.network, clip=f"2x{row.height}x{row.width}", options=dict(row.cost_options))
            assert row.cost.matches(counted.macs)
            assert row.params.matches(counted.params)


def test_raft_by_hand():
    places = 55 * 128  # of 440×1024
    report = count_model("raft", strict=True)
    of_correlation = report.module("corr_block").cost.macs
    assert of_correlation == places**2 * 256
    gates = 3 * (128 + 128 + 128) * 128 * 5  # state, context and motion; z, r and q; kernels of 5
    assert report.module("update_block.recurrent_block").cost.macs == 12 * places * 2 * gates
    masks = 128 * 256 * 9 + 256 * 9 * 64
    assert report.module("mask_predictor").cost.macs == 12 * places * masks


@pytest.mark.parametrize("name", ["raft", "raft_small"])
def test_updates_and_pairs_add_up(name):
    one, two, three = (count_model(name, clip="2x128x128", options={"updates": n}).macs for n in (1, 2, 3))
    assert three - two == two - one > 0
    pairs = count_model(name, clip="5x128x128", options={"updates": 1})
    assert pairs.macs == 4 * one


def test_pwc_net_by_hand():
    report = count_model("pwc_net", strict=True)
    sizes = {level: (448 >> level) * (1024 >> level) for level in range(1, 7)}
    channels = {2: 32, 3: 64, 4: 96, 5: 128, 6: 196}
    assert report.module("corr").cost.macs == sum(81 * channels[level] * sizes[level] for level in channels)
    dense = [81 + 32 + 4 + done for done in (0, 128, 256, 352, 416)]
    for index, (inputs, outputs) in enumerate(zip(dense, (128, 128, 96, 64, 32), strict=True)):
        assert report.module(f"conv2_{index}").cost.macs == sizes[2] * inputs * outputs * 9
    assert report.module("conv1a").cost.macs == 2 * sizes[1] * 3 * 16 * 9  # both frames


def test_pwc_nets_parameters():
    """The paper prints 8.75 M; PTLFlow counts 9,374,274 on the released network, without the layer nothing calls."""
    assert Printed("8.75", "M").matches(count_model("pwc_net").params)
    assert count_model("pwc_net", options={"convolutions": 3}).params == 9_374_274


def test_a_cost_volume_is_mean_products_at_81_displacements():
    first, second = torch.randn(2, 3, 6, 7), torch.randn(2, 3, 6, 7)
    volume = Correlation()(first, second)
    assert volume.shape == (2, 81, 6, 7)
    padded = torch.nn.functional.pad(second, (4, 4, 4, 4))
    for index in (0, 5, 40, 80):
        down, right = divmod(index, 9)
        moved = padded[:, :, down : down + 6, right : right + 7]
        torch.testing.assert_close(volume[:, index], (first * moved).mean(1))


def test_printed_costs_of_ptlflow_are_twice_ours_and_a_little():
    """torch.profiler counts 2 per multiply-accumulate of layers, and elementwise products and sums."""
    rows = [row for row in optical_flow_facts() if row.convention == "2mac" and row.height]
    assert {row.network for row in rows} == {"raft", "raft_small", "pwc_net"}
    for row in rows:
        counted = count_model(row.network, clip=f"2x{row.height}x{row.width}", options=dict(row.cost_options))
        assert float(row.cost.value) == pytest.approx(counted.flops, rel=0.003)
        assert round(counted.params / 1e6, 3) == float(row.params.text)


@pytest.mark.parametrize(("name", "side", "options"), [("raft_small", 128, {"updates": 1}), ("pwc_net", 64, {})])
def test_flow_of_every_pair(name, side, options):
    model = create_model(name, clip=(3, side, side), **options).eval()
    clip = torch.rand(1, 3, 3, side, side)
    with torch.no_grad():
        both = model(clip)
        assert both.shape == (1, 2, 2, side, side)
        torch.testing.assert_close(both[:, :, 1:], model(clip[:, :, 1:]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("raft", {"clip": "1x128x128"}, "optical flow needs two frames"),
        ("raft", {"clip": "2x100x128"}, "RAFT takes no clip of 2×100×128"),
        ("raft", {"clip": "2x64x64"}, "sides of 128 or more"),
        ("raft_small", {"clip": "2x128x128", "updates": 0}, "updates is 0"),
        ("pwc_net", {"clip": "1x64x64"}, "optical flow needs two frames"),
        ("pwc_net", {"clip": "2x100x64"}, "sides in steps of 64"),
        ("pwc_net", {"convolutions": 4}, "convolutions is 4"),
    ],
)
def test_bad_input(name, options, message):
    with pytest.raises(InputError) as raised:
        create_model(name, **options)
    assert message in str(raised.value)
