"""The cost of a result on a device: by hand, by laws, and by its parts, which sum to the whole exactly."""

import math
import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from modules import Apply
from torch import nn

from flopcount import InputError, count_flops
from flopcount.core.ops import Kind
from flopcount.core.quantity import PICO
from flopcount.facts import find_device, price_of
from flopcount.facts.prices import CALLER
from flopcount.hardware.conditions import Conditions
from flopcount.hardware.constants import Basis, Choice
from flopcount.hardware.cost import cost_on
from flopcount.hardware.prediction import LIMITS
from flopcount.hardware.setting import Setting
from flopcount.hardware.time_model import CONSTANTS, Constants

RTX_4090 = find_device("rtx-4090")
PEAK_FP16, BANDWIDTH, TDP = 165.2e12, 1008e9, 450
CONVOLUTION, TRAFFIC, LAUNCH = 2.0, 1.5, 5e-6
MISSING = "the time of what they compute is missing from every number here"


def made_up(**named):
    """Constants of which nothing but these differs from 1, and a range of 1/2 to 3 times the estimate."""
    values = {"compute: convolution": CONVOLUTION, "bytes: convolution": TRAFFIC, "launch": LAUNCH} | named
    constants = Constants(tuple(values.get(name, 1.0) for name in CONSTANTS))
    return Choice(constants, Basis.FITTED, "fitted: made up", -math.log(2), math.log(3), {})


def on_4090(module, shape, **how):
    report = count_flops(module, shape, dataflow=True)
    return cost_on(report, Conditions.of("rtx-4090", "fp16"), choice=made_up(), **how)


pytestmark = pytest.mark.filterwarnings("ignore:dataflow= is deprecated")


def test_one_convolution_by_hand():
    """t = sqrt((F * c / P)^2 + (B * m / BW)^2) + l, of a matrix product of 8·32·32 × 64·3·3 by 64·3·3 × 128.

    All three sizes are multiples of their tiles (16, 32 and 16), so nothing is padded.
    """
    cost = on_4090(nn.Conv2d(64, 128, 3, padding=1, bias=False), (8, 64, 32, 32))
    flops = 2 * (8 * 32 * 32) * (64 * 3 * 3) * 128
    nbytes = 2 * (8 * 64 * 32 * 32 + 128 * 64 * 3 * 3 + 8 * 128 * 32 * 32)
    compute, traffic = flops * CONVOLUTION / PEAK_FP16, nbytes * TRAFFIC / BANDWIDTH
    seconds = math.sqrt(compute**2 + traffic**2) + LAUNCH
    assert cost.estimate == pytest.approx(seconds, rel=1e-6)
    assert cost.bound == pytest.approx(max(flops / PEAK_FP16, nbytes / BANDWIDTH), rel=1e-12)
    assert (cost.low, cost.high) == pytest.approx((cost.estimate / 2, cost.estimate * 3), rel=1e-12)
    assert cost.utilisation == pytest.approx(flops / seconds / PEAK_FP16, rel=1e-6)
    assert cost.peak == pytest.approx(PEAK_FP16)
    energy = seconds * 0.15 * TDP + (0.85 - 0.15) * TDP * (seconds - LAUNCH)
    assert cost.energy.mid == pytest.approx(energy, rel=1e-6)
    (kind,) = cost.by_kind
    assert (kind.kind, kind.macs, kind.nbytes, kind.kernels) == ("convolution", flops // 2, nbytes, 1)
    assert kind.limit == max(zip((compute, traffic, LAUNCH), LIMITS, strict=True))[1]


def test_odd_sizes_are_padded_to_tiles_and_the_bound_is_not():
    """A matrix product of 100 × 27 by 27 × 10: 112 × 32 by 32 × 32 on tiles."""
    cost = on_4090(nn.Conv2d(3, 10, 3, padding=1, bias=False), (1, 3, 10, 10))
    padded, flops = 2 * 112 * 32 * 32, 2 * 100 * 27 * 10
    nbytes = 2 * (3 * 100 + 10 * 27 + 10 * 100)
    seconds = math.hypot(padded * CONVOLUTION / PEAK_FP16, nbytes * TRAFFIC / BANDWIDTH) + LAUNCH
    assert cost.estimate == pytest.approx(seconds, rel=1e-6)
    assert cost.bound == pytest.approx(max(flops / PEAK_FP16, nbytes / BANDWIDTH), rel=1e-12)
    assert cost.by_kind[0].limit == "launch"


def test_an_estimate_is_never_below_the_bound():
    fast = dict.fromkeys(CONSTANTS, 0.01) | {"launch": 1e-12}
    report = count_flops(nn.Conv2d(64, 128, 3), (8, 64, 32, 32), dataflow=True)
    cost = cost_on(report, Conditions.of("rtx-4090", "fp16"), choice=made_up(**fast))
    assert cost.bound <= cost.low <= cost.estimate == pytest.approx(cost.bound, rel=1e-6)
    assert cost.result.total["time"] == pytest.approx(cost.bound * PICO, abs=len(report.ops))


def test_a_kind_that_the_fit_knows_little_of_widens_the_range_by_its_share_and_is_named():
    choice = replace(made_up(), widened={"convolution": (0.2, 0.4), "linear": (9.0, 9.0)})
    report = count_flops(nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8).eval()), (8, 8, 32, 32), dataflow=True)
    cost = cost_on(report, Conditions.of("rtx-4090", "fp16"), choice=choice)
    share = next(kind.seconds for kind in cost.by_kind if kind.kind == "convolution") / cost.estimate
    assert 0.05 < share < 1
    assert cost.high == pytest.approx(cost.estimate * 3 * math.exp(0.4 * share))
    assert cost.low == pytest.approx(max(cost.estimate / 2 * math.exp(-0.2 * share), cost.bound))
    assert cost.widened == ("convolution",)
    note = f"less sure: convolution takes {100 * share:.0f}% of the time, and few were measured"
    assert note in cost.table().notes


class Small(nn.Module):
    """A bit of everything, of any width: 3D, grouped, depthwise and 1×1 convolution, attention, a branch, a pool."""

    def __init__(self, width):
        super().__init__()
        self.stem = nn.Conv3d(3, width, 3, padding=1)
        self.depthwise = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.point = nn.Conv3d(width, width, 1)
        self.norm = nn.BatchNorm3d(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.fc = nn.Linear(width, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = self.point(self.depthwise(x)) + x
        tokens = x.flatten(2).transpose(1, 2)
        return self.fc(self.attention(tokens, tokens, tokens)[0].mean(1)).softmax(-1)


def small(width=4, batch=2, size=6, views=None):
    return count_flops(Small(width).eval(), (batch, 3, 4, size, size), views=views)


SETTINGS = [
    ("rtx-4090", {"dtype": "amp"}),
    ("rtx-4090", {"dtype": "amp", "compile": True, "price": 2}),
    ("rtx-3090", {"dtype": "fp32", "layout": "nhwc", "price": "1.5EUR"}),
    ("a100-80gb-sxm", {"dtype": "bf16", "compile": True}),
    ("core-i7-12700h", {"dtype": "fp32"}),
    ("mi250x", {"dtype": "fp16"}),
    ("l4", {"dtype": "int8"}),
]


@pytest.mark.parametrize(("device", "how"), SETTINGS)
def test_layers_operators_and_kinds_sum_to_the_whole_exactly(device, how):
    cost = small().cost(device, **how)
    result = cost.result
    assert result.total["time"] == pytest.approx(cost.estimate * PICO, abs=len(result.ops))
    for name in ("time", "energy", "money"):
        if name not in result.total.counts:
            assert name == ("money" if cost.money is None else "energy")
            continue
        assert sum(row.own[name] for row in result.modules) == result.total[name]
        assert sum(row.cost[name] for row in result.operators) == result.total[name]
        assert result.module("").cost[name] == result.total[name]
    for by in ("module", "operator", "kind"):
        table = cost.table(by, -1)
        for at, column in enumerate(table.columns):
            if column.kind == "count":
                assert sum(row[at] for row in table.rows) == table.total[at], (by, column.name)
    macs = [column.name for column in cost.table("kind").columns].index("MACs")
    assert cost.table("kind").total[macs] == result.macs


@pytest.mark.parametrize("depth", [0, 1, -1])
def test_every_depth_sums_to_the_whole(depth):
    table = small().cost("rtx-4090", dtype="amp").table("module", depth)
    time = [column.name for column in table.columns].index("time")
    assert sum(row[time] for row in table.rows) == table.total[time] > 0


def numbers(cost):
    return cost.bound, cost.low, cost.estimate, cost.high


@pytest.mark.parametrize(("device", "how"), SETTINGS)
@given(width=st.sampled_from([2, 4, 6, 16]), batch=st.integers(1, 3), size=st.integers(1, 9))
def test_laws(device, how, width, batch, size):
    one, more = (small(width, count, size, views="4x3").cost(device, **how) for count in (batch, batch + 1))
    assert 0 < one.bound <= one.low <= one.estimate <= one.high
    assert all(a <= b for a, b in zip(numbers(one), numbers(more), strict=True))  # a larger batch is never cheaper
    assert 0 < one.utilisation <= 1
    assert one.per_video(7).estimate == pytest.approx(7 * one.per_video(1).estimate)
    assert one.per_video().estimate == pytest.approx(12 * one.estimate / batch) == 12 * one.per_sample.estimate


@given(width=st.sampled_from([2, 6]), factor=st.floats(0.1, 10))
def test_twice_the_datasheet_halves_the_bound(width, factor):
    report = count_flops(Small(width).eval(), (1, 3, 4, 6, 6), dataflow=True)
    peaks = {name: peak * factor for name, peak in RTX_4090.peaks.items()}
    faster = replace(RTX_4090, peaks=peaks, bandwidth=RTX_4090.bandwidth * factor)
    plain, scaled = (Setting.of(device, "fp16").cost(report) for device in (RTX_4090, faster))
    assert scaled.bound == pytest.approx(plain.bound / factor)


def test_units():
    """An hour at 25 fps has 90,000 frames, or 5,625 clips of 4 frames with a stride of 4."""
    report = count_flops(Small(4).eval(), (2, 3, 4, 6, 6), views="10x3", fps=25, stride=4)
    cost = report.cost("l4", dtype="fp16")
    assert cost.per_sample.estimate == cost.estimate / 2
    assert cost.per_hour_of_video.estimate == pytest.approx(5625 * cost.per_sample.estimate)
    assert cost.run(3, 101).estimate == pytest.approx(3 * 51 * cost.estimate)
    names = [unit.unit for unit in cost.units]
    assert names == ["sample", "video", "hour of video", "million videos"]
    video, million = cost.units[1], cost.units[3]
    assert video.estimate == pytest.approx(30 * cost.per_sample.estimate)
    for of_unit, of_million in zip(amounts(video), amounts(million), strict=True):
        assert of_million == pytest.approx(1e6 * of_unit)
    assert cost.money.amount == pytest.approx(cost.estimate / 3600 * price_of("l4").amount_per_hour)


def amounts(unit):
    return unit.bound, unit.estimate, unit.low, unit.high, unit.energy.low, unit.energy.high, unit.money.amount


def test_what_is_unknown_is_none():
    report = count_flops(Apply(lambda a, b, fc: (fc(a), fc(b)), nn.Linear(3, 3)), ((2, 3), (4, 3)))
    cost = report.cost("t4", dtype="fp16")
    assert (cost.batch, cost.per_sample, cost.per_hour_of_video, cost.run(1, 10), cost.money) == (None,) * 5
    assert "money" not in cost.result.total.counts
    assert not cost.units
    cpu = report.cost("rtx-4090").conditions.device
    unknown = Setting.of(replace(cpu, tdp=None)).cost(count_flops(nn.Linear(3, 3), (1, 3), dataflow=True))
    assert (unknown.energy, "energy" in unknown.result.total.counts) == (None, False)
    assert "energy: unknown, since the power limit of rtx-4090 is" in unknown.table().notes


def test_the_price_is_the_packages_own_unless_the_caller_has_another():
    report = small()
    assert report.cost("l4").money.source == price_of("l4").source
    assert report.cost("rtx-4090").money is None
    assert report.cost("l4", price="2EUR").money.source == CALLER
    half = report.cost("l4", price=1, utilisation=0.5)
    assert half.money.amount == pytest.approx(2 * report.cost("l4", price=1).money.amount)


def test_half_of_a_device_is_half_of_its_price(monkeypatch):
    price = replace(price_of("l4"), device="mi250x", amount_per_hour=3.0)
    monkeypatch.setattr("flopcount.hardware.device_price.price_of", lambda name: price)
    cost = small().cost("mi250x", dtype="fp16")
    assert cost.money.per_hour == 1.5
    assert "1/2 of the price of the whole, 3" in cost.money.note
    assert "device: torch shows mi250x as 2 devices, and this is one: 1/2 of its numbers" in cost.table().notes


def test_a_training_step():
    module = nn.Sequential(nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 2 * 6 * 6, 4))
    report = count_flops(module, (4, 3, 4, 8, 8), mode="train", optimizer="adamw")
    step, forward = (
        report.cost("rtx-3090", dtype="amp"),
        count_flops(module, (4, 3, 4, 8, 8)).cost("rtx-3090", dtype="amp"),
    )
    assert step.pass_word == "training step"
    assert step.estimate > 2 * forward.estimate
    assert sum(row.own["time"] for row in step.result.modules) == step.result.total["time"]
    by_operator = step.table("operator")
    names, time = ([row[at] for row in by_operator.rows] for at in (0, -2))
    assert sum(time) == by_operator.total[-2] == step.result.total["time"]
    assert dict(zip(names, time, strict=True))["aten.convolution_backward"] > 0
    assert step.per_video() is None is step.per_hour_of_video
    whole = replace(report, training=report.training.over(3, 10)).cost("rtx-3090", dtype="amp")
    epoch, run = whole.units[-2:]
    assert (epoch.unit, epoch.passes, run.unit, run.passes) == ("epoch", 3, "run", 9)
    assert run.estimate == pytest.approx(9 * step.estimate)


def test_the_time_of_an_operator_without_a_rule_is_said_to_be_missing():
    lost = Apply(lambda x, conv: torch.linalg.inv(conv(x)), nn.Conv2d(3, 3, 1))
    for by in ("module", "operator", "kind"):
        table = count_flops(lost, (1, 3, 8, 8)).cost("rtx-4090").table(by)
        assert "UNCOSTED aten.linalg_inv" in table.notes[0]
        assert "the time of what they compute is missing" in table.notes[0]
        if by != "kind":
            limits = [row[[column.name for column in table.columns].index("limit")] for row in table.rows]
            assert "uncosted" in limits


def test_a_cost_needs_a_count_whose_data_were_followed_and_survives_a_pickle():
    report = small()
    with pytest.raises(InputError, match="the data of Small were not followed"):
        cost_on(report, Conditions.of("rtx-4090"))
    cost = report.cost("l4")
    again = pickle.loads(pickle.dumps(cost))
    assert str(again) == str(cost)
    assert numbers(again) == numbers(cost)


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("module", [nn.Identity(), Apply(lambda x: None)])
def test_what_does_nothing_takes_no_time(module, mode):
    report = count_flops(module, (2, 3), **({"mode": "train"} if mode == "train" else {}))
    cost = report.cost("rtx-4090", price=2)
    assert (cost.bound, cost.low, cost.estimate, cost.high, cost.energy.mid, cost.money.amount) == (0, 0, 0, 0, 0, 0)
    for by in ("module", "kind", "operator"):
        table = cost.table(by)
        assert not table.rows
        assert "estimate: 0.00 s per" in str(table)
        assert "time (s)" in table.to_csv()
    assert '"time_s": 0' in cost.result.to_json()
    assert report.total.counts.keys() == count_flops(nn.Linear(3, 3), (2, 3)).total.counts.keys()  # it has no time


def test_an_operator_of_the_backward_pass_without_a_rule_is_said_to_be_missing():
    """A step is counted by phases, and its kernels are those that autograd runs: one of these may lack a rule."""
    cost = count_flops(nn.LSTM(16, 32), (4, 2, 16), mode="train").cost("rtx-4090")
    ran = [op.name for op in cost.ran if op.kind is Kind.UNCOSTED]
    said = [note for note in cost.table().notes if note.startswith("UNCOSTED")]
    assert not cost.result.uncosted
    assert said == ([f"UNCOSTED {', '.join(dict.fromkeys(ran))}: {MISSING}"] if ran else [])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"on": None}, "the device is None"),
        ({"on": ["t4"]}, r"the device is \['t4'\]"),
        ({"on": "t4", "dtype": 3}, "no dtype named '3'"),
        ({"on": "t4", "layout": None}, "no layout named None"),
        ({"on": "t4", "compile": "no"}, "compile is 'no'"),
        ({"on": "t4", "compile": None}, "compile is None"),
        ({"on": "t4", "compile": 1}, "compile is 1"),
        ({"on": "t4", "utilisation": 2}, "utilisation is 2"),  # though there is no price that it would be a share of
        ({"on": "t4", "utilisation": "half"}, "utilisation is 'half'"),
    ],
)
def test_values_that_mean_nothing_are_refused(how, words):
    report = count_flops(nn.Linear(3, 3), (2, 3))
    with pytest.raises(InputError, match=words):
        report.cost(**how)


def test_devices_and_dtypes_may_be_objects():
    report = count_flops(nn.Linear(3, 3), (2, 3))
    assert report.cost(RTX_4090, dtype=torch.bfloat16) == report.cost("rtx-4090", dtype="bf16")


@pytest.mark.parametrize(("epochs", "samples"), [(0, 10), (-1, 10), (1, 0), (1, -5), (1.5, 10), ("1", 10), (True, 10)])
def test_a_run_is_of_whole_numbers_above_0(epochs, samples):
    with pytest.raises(InputError, match=r"(epochs|samples) is"):
        count_flops(nn.Linear(3, 3), (2, 3)).cost("t4").run(epochs, samples)
