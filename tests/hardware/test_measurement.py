"""A real forward pass: what is timed, what is said of it, and that the module is as before."""

import copy
import json
import random
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import flopcount
from flopcount import ForwardError, InputError, UnknownNameError, measure
from flopcount.cli import app
from flopcount.core.duration import parse_duration
from flopcount.facts.devices import find_device
from flopcount.hardware.achieved import Achieved
from flopcount.hardware.execution_setup import Execution
from flopcount.hardware.layer_times import timed_layers
from flopcount.hardware.measurement_tables import achieved_rows
from flopcount.hardware.this_machine import device_here, threads_set
from flopcount.hardware.timing import Timing, timed

CPU = torch.device("cpu")
ONE = {"threads": 1, "warmup": 1, "repeats": 3}


class Net(nn.Module):
    """A convolution in a block, called twice, with arithmetic of its own around it."""

    def __init__(self, width=8):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        x = self.block(self.block(x)) * 2
        return self.head(x.mean((2, 3)))


# --- the clock


def test_median_and_quartiles_by_hand():
    timing = Timing((0.5, 0.1, 0.4, 0.2, 0.3), warmup=2)
    assert (timing.low, timing.median, timing.high, timing.best) == (0.2, 0.3, 0.4, 0.1)
    assert timing.repeats == 5
    alone = Timing((0.7,), warmup=0)
    assert (alone.low, alone.median, alone.high) == (0.7, 0.7, 0.7)


def test_warm_up_does_not_count():
    calls = []
    timing = timed(lambda: calls.append(len(calls)), CPU, warmup=2, repeats=3)
    assert (len(calls), timing.repeats, timing.warmup) == (5, 3, 2)
    assert all(second > 0 for second in timing.wall)


def test_what_takes_too_long_is_timed_once():
    calls = []
    timing = timed(lambda: (calls.append(0), time.sleep(0.02)), CPU, warmup=5, repeats=50, most_seconds=0.03)
    assert timing.repeats == 1
    assert len(calls) == timing.warmup + 1 <= 6


def test_the_clock_of_one_thread_stands_still_while_it_waits():
    with threads_set(1):
        own = timed(lambda: time.sleep(0.05), CPU, warmup=0, repeats=1)
    with threads_set(2):
        wall = timed(lambda: time.sleep(0.05), CPU, warmup=0, repeats=1)
    assert own.own
    assert own.median < 0.02 < 0.05 <= own.wall[0]
    assert own.share < 0.5
    assert not wall.own
    assert wall.median >= 0.05
    assert wall.share == 1


@pytest.mark.parametrize("how", [{"repeats": 0}, {"warmup": -1}, {"repeats": 1.5}, {"warmup": "3"}])
def test_too_few_calls_and_no_numbers_are_refused(how):
    ((name, value),) = how.items()
    with pytest.raises(InputError, match=f"{name} is {value!r}"):
        timed(lambda: None, CPU, **how)
    with pytest.raises(InputError, match=f"{name} is {value!r}"):
        measure(Net(), (1, 8, 8, 8), **how)


def test_threads_are_as_before_also_after_an_error():
    before = torch.get_num_threads()

    def fails():
        with threads_set(before + 1):
            assert torch.get_num_threads() == before + 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert torch.get_num_threads() == before
    with pytest.raises(InputError, match="threads is 0"), threads_set(0):
        pass


# --- a measurement


def test_what_was_measured_is_said():
    measurement = measure(Net(), (2, 8, 16, 16), threads=1, warmup=2, repeats=5)
    assert measurement.macs == flopcount.count_flops(Net(), (2, 8, 16, 16)).macs
    assert (measurement.repeats, measurement.warmup, measurement.batch) == (5, 2, 2)
    assert (measurement.device, measurement.dtype, measurement.compiled) == ("cpu", "fp32", False)
    assert (measurement.threads, measurement.machine.torch) == (1, torch.__version__)
    assert measurement.machine.name
    assert 0 < measurement.low <= measurement.median <= measurement.high
    assert measurement.median == statistics.median(measurement.timing.seconds)
    assert measurement.flops_per_second == 2 * measurement.macs / measurement.median
    assert measurement.utilisation is None
    assert measurement.predicted is None
    text = str(measurement)
    assert "unknown: no device is named" in text
    assert "1 thread" in text


def test_more_work_takes_longer():
    """Ratios within one run, by the clock of one thread: 64 times the arithmetic, and 8 times the batch."""
    small, wide = (measure(Net(width), (1, width, 32, 32), **ONE).median for width in (8, 64))
    assert small < wide
    batch = measure(Net(64), (8, 64, 32, 32), **ONE).median
    assert 2 * wide < batch < 40 * wide


def test_the_prediction_stands_beside_it():
    measurement = measure(Net(), (1, 8, 16, 16), on="core-i9-10940x", **ONE)
    cost = flopcount.count_flops(Net().eval(), (1, 8, 16, 16)).cost("core-i9-10940x")
    assert measurement.predicted.estimate == cost.estimate
    peak = find_device("core-i9-10940x").peak("fp32")
    assert measurement.utilisation == pytest.approx(2 * measurement.macs / measurement.median / peak)
    assert measurement.achieved.ratio == pytest.approx(measurement.median / cost.estimate)


def test_a_device_may_be_that_of_torch():
    assert measure(Net(), (1, 8, 8, 8), device=torch.device("cpu"), **ONE).device == "cpu"


@pytest.mark.parametrize("threads", [1, 2])
def test_what_does_nothing_has_no_ratio(threads):
    measurement = measure(nn.Identity(), (2, 3), on="core-i7-12700h", threads=threads, repeats=2)
    assert (measurement.flops_per_second, measurement.achieved.ratio) == (0, None)
    assert "estimate" in str(measurement)
    assert "of the estimate" not in str(measurement)


def test_a_gpus_datasheet_is_not_compared_with_a_cpu():
    with pytest.raises(InputError, match="runs on a CPU, and rtx-4090 is a GPU"):
        measure(Net(), (1, 8, 16, 16), on="rtx-4090")


def test_the_module_is_as_before():
    net = Net().train()
    net.head.weight.grad = torch.ones_like(net.head.weight)
    net.head.bias.requires_grad_(False)
    calls = []
    net.block.register_forward_hook(lambda *_: calls.append(0))
    given = torch.randn(2, 8, 16, 16)
    before, versions = copy.deepcopy(net.state_dict()), [p._version for p in net.parameters()]
    objects = {name: id(value) for name, value in net.named_parameters()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    threads, same = torch.get_num_threads(), given.clone()

    measure(net, given, layers=True, **ONE)

    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert versions == [p._version for p in net.parameters()]
    assert objects == {name: id(value) for name, value in net.named_parameters()}
    assert all(part.training for part in net.modules())
    assert torch.equal(net.head.weight.grad, torch.ones_like(net.head.weight))
    assert [p.requires_grad for p in net.head.parameters()] == [True, False]
    assert [len(part._forward_hooks) for part in (net, net.block, net.head)] == [0, 1, 0]
    assert not any(part._forward_pre_hooks for part in net.modules())
    assert torch.equal(given, same)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert states[2] == np.random.get_state()[1].tolist()
    assert torch.get_num_threads() == threads
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(("dtype", "shown"), [("bf16", "bf16"), ("amp_bf16", "amp_bf16"), ("bfloat16", "bf16")])
def test_precisions_that_a_cpu_runs(dtype, shown):
    seen = []

    class Seeing(Net):
        def forward(self, x):
            if not x.is_meta:
                seen.append((x.dtype, self.head.weight.dtype, torch.is_autocast_enabled("cpu")))
            return super().forward(x)

    measurement = measure(Seeing(), (1, 8, 8, 8), dtype=dtype, **ONE)
    assert measurement.dtype == shown
    lowered = torch.float32 if dtype.startswith("amp") else torch.bfloat16
    assert set(seen) == {(lowered, lowered, dtype.startswith("amp"))}
    assert not torch.is_autocast_enabled("cpu")


def test_channels_last_reaches_weights_and_input():
    seen = []

    class Seeing(Net):
        def forward(self, x):
            if not x.is_meta:
                last = torch.channels_last
                weight = self.block[0].weight
                seen.append((x.is_contiguous(memory_format=last), weight.is_contiguous(memory_format=last)))
            return super().forward(x)

    assert measure(Seeing(), (2, 8, 8, 8), layout="nhwc", **ONE).layout == "nhwc"
    assert set(seen) == {(True, True)}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"dtype": "int8"}, "does not run any module in int8"),
        ({"dtype": "tf32"}, "does not run any module in tf32 on cpu"),
        ({"device": "cuda:99"}, "nothing can run on cuda:99 here"),
        ({"device": torch.device("cuda", 99)}, "nothing can run on cuda:99 here"),
        ({"threads": "2"}, "threads is '2'"),
        ({"compile": "no"}, "compile is 'no'"),
        ({"on": None, "device": None}, "no device to run on named 'None'"),
        ({"compile": True, "layers": True}, "has no layers to time"),
    ],
)
def test_what_cannot_run_is_refused(how, words):
    with pytest.raises(InputError, match=words):
        measure(Net(), (1, 8, 8, 8), **how)


@pytest.mark.parametrize("how", [{"device": "tpu"}, {"dtype": "fp33"}, {"layout": "nchv"}, {"on": "rtx-490"}])
def test_unknown_names_offer_others(how):
    with pytest.raises(UnknownNameError):
        measure(Net(), (1, 8, 8, 8), **how)


def test_a_module_without_weights_or_copies_is_refused():
    with pytest.raises(InputError, match="has no weights"):
        measure(Net().to("meta"), (1, 8, 8, 8))

    class Alone(Net):
        def __deepcopy__(self, memo):
            raise TypeError("one of a kind")

    with pytest.raises(InputError, match="cannot be copied") as caught:
        measure(Alone(), (1, 8, 8, 8))
    assert "one of a kind" in str(caught.value)


def test_what_the_module_raises_is_shown():
    class Fails(Net):
        def forward(self, x):
            if not x.is_meta:
                raise ValueError("no such frame")
            return super().forward(x)

    with pytest.raises(ForwardError, match="Fails raised ValueError when it ran on cpu: no such frame"):
        measure(Fails(), (1, 8, 8, 8))


def test_an_interrupt_leaves_nothing_behind():
    class Stopped(Net):
        def forward(self, x):
            if not x.is_meta:
                raise KeyboardInterrupt
            return super().forward(x)

    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        measure(Stopped(), (1, 8, 8, 8), threads=before + 1)
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()


# --- layers


def test_layers_and_the_rest_sum_to_the_whole():
    measurement = measure(Net(32), (2, 32, 32, 32), layers=True, **ONE)
    times = measurement.layers
    assert times.whole == pytest.approx(sum(layer.seconds for layer in times.layers) + times.rest, rel=1e-12)
    assert times.rest >= -1e-9
    calls = {layer.path: layer.calls for layer in times.layers}
    assert calls == {"": 1, "block": 2, "block.0": 2, "block.1": 2, "block.2": 2, "head": 1}
    assert max(times.layers, key=lambda layer: layer.seconds).path == "block.0"

    table = measurement.layers_table()
    assert [row[0] for row in table.rows] == [
        *("the model itself", "block.0", "block.1", "block.2", "head", "(no layer)")
    ]
    for at in (2, 3, 5):
        assert sum(row[at] for row in table.rows) == table.total[at]
    assert table.total[5] == measurement.macs
    assert table.total[3] == round(times.whole * 10**12)


def test_a_prediction_by_layer_sums_too():
    measurement = measure(Net(32), (2, 32, 32, 32), layers=True, on="core-i9-10940x", **ONE)
    table = measurement.layers_table()
    assert table.columns[-1].name == "predicted"
    assert sum(row[-1] for row in table.rows) == table.total[-1] == measurement.predicted.result.total.time


def test_layers_that_were_not_timed_are_not_shown():
    with pytest.raises(InputError, match="layers of Net were not timed"):
        measure(Net(), (1, 8, 8, 8), **ONE).layers_table()


def test_hooks_go_also_after_an_error():
    net = Net()

    def fails():
        net(torch.randn(1, 8, 8, 8))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        timed_layers(net, fails, CPU)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


# --- FLOP/s and utilisation, by hand


def test_a_generation_by_hand():
    """Wan 2.1 14B: 168.1 PFLOPs (2 per MAC) in 924 s on an A800 are 181.9 TFLOP/s, 58.3 % of 312, an A100's peak."""
    cost = flopcount.count_flops(nn.Linear(4, 4), (1, 4)).cost("a100-80gb-sxm", dtype="bf16")
    whole = Achieved(84_050 * 10**12, 924.0, cost)
    assert whole.flops_per_second == pytest.approx(181.93e12, rel=1e-4)
    assert whole.utilisation == pytest.approx(0.5831, abs=1e-4)
    by_pass = Achieved(84_050 * 10**10, 924.0, cost, passes=100)
    assert by_pass.per_pass == 9.24
    assert by_pass.flops_per_second == pytest.approx(whole.flops_per_second)
    assert Achieved(10**9, 1.0).utilisation is None


def test_the_peak_is_that_of_the_prediction():
    """Torch runs convolutions of float32 in TF32 on an A100, at 156 TFLOP/s beside 19.5 of float32.

    156e12 FLOPs in 2 s are 50 % of the one, and would be 400 % of the other.
    """
    cost = flopcount.count_flops(nn.Conv2d(64, 64, 3), (8, 64, 32, 32)).cost("a100-80gb-sxm")
    achieved = Achieved(78 * 10**12, 2.0, cost)
    assert achieved.utilisation == pytest.approx(0.5)
    assert dict(achieved_rows(achieved))["utilisation"] == "50.0% of the peak of 156 TFLOP/s (MFU)"
    as_estimated = Achieved(sum(kind.macs for kind in cost.by_kind), cost.estimate, cost)
    assert as_estimated.utilisation == pytest.approx(cost.utilisation, rel=1e-12)


def test_a_convolution_in_tf32_is_held_against_the_peak_of_tf32():
    """In fp32 torch runs convolutions in TF32 where there is one, on an A100 with 156 instead of 19.5 TFLOP/s."""
    cost = flopcount.count_flops(nn.Conv2d(64, 64, 3), (8, 64, 58, 58)).cost("a100-80gb-sxm")
    macs = 64 * 64 * 3 * 3 * 8 * 56 * 56
    assert Achieved(macs, 1e-3, cost).utilisation == pytest.approx(2 * macs / 1e-3 / 156e12)
    assert Achieved(macs, cost.estimate, cost).utilisation == pytest.approx(cost.utilisation)  # one MFU everywhere


def test_where_a_time_lies():
    cost = flopcount.count_flops(nn.Linear(4096, 4096), (4096, 4096)).cost("rtx-4090", dtype="amp")
    assert cost.bound < cost.low < cost.high
    between = (cost.bound + cost.low) / 2
    verdicts = [Achieved(1, s, cost).verdict for s in (cost.bound / 2, between, cost.estimate, 2 * cost.high)]
    assert verdicts == [
        *("faster than the datasheet allows", "faster than the range", "within the range", "slower than the range")
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1883s", 1883), ("12ms", 0.012), ("2.5min", 150), (" 3 µs", 3e-6), ("1e3 us", 1e-3), ("2H", 7200), (".5 s", 0.5)],
)
def test_times_as_people_write_them(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["12", "s", "-3s", "0ms", "1 day", "", "1e400s", "nan s"])
def test_no_times(text):
    with pytest.raises(InputError, match="is not a time"):
        parse_duration(text)


# --- the command

NETS = """
from torch import nn

def build(width=1000):
    return nn.Linear(width, width, bias=False)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "linears.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, ("measure", *words), catch_exceptions=False)


LINEAR = ("linears.py:build", "--input", "1000x1000")


def test_the_command_says_what_it_measured(run):
    result = run(*LINEAR, "--threads", "1", "--repeats", "3", "--layers")
    assert result.exit_code == 0
    assert "1.00 G" in result.stdout
    assert "the median of 3 repeats after 3 calls" in result.stdout
    assert "unknown: no device is named" in " ".join(result.stdout.split())
    assert "(no layer)" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_has_every_repeat(run):
    result = run(*LINEAR, "--threads", "1", "--repeats", "4", "--warmup", "0", "--layers", "--format", "json")
    data = json.loads(result.stdout)
    assert data["schema"] == "flopcount-measurement/1"
    assert (data["macs"], data["predicted"], data["utilisation"], data["verdict"]) == (10**9, None, None, None)
    timing = data["timing"]
    assert timing["repeats"] == len(timing["seconds"]) == len(timing["wall_s"]) == 4
    assert timing["median_s"] == data["measured_s"] == statistics.median(timing["seconds"])
    assert timing["clock"] == "thread"
    assert data["conditions"] == {"device": "cpu", "dtype": "fp32", "compiled": False, "layout": "nchw"}
    rows = data["layers"]["rows"]
    assert sum(row["seconds"] for row in rows) + data["layers"]["rest_s"] == pytest.approx(data["layers"]["whole_s"])


def test_a_time_from_elsewhere_by_hand(run):
    """10^9 MACs in 1883 s / 100 = 18.83 s: 2·10^9 / 18.83 = 106.2 MFLOP/s."""
    words = (*LINEAR, "--measured", "1883s", "--passes", "100")
    text = " ".join(run(*words, "--on", "a100-80gb-sxm").stdout.split())
    assert "18.8 s, measured elsewhere: 1.88 ks for 100 passes" in text
    assert "106 MFLOP/s, 2 per MAC" in text
    assert "slower than the range" in text
    data = json.loads(run(*words, "--on", "a100-80gb-sxm", "--format", "json").stdout)
    peak = find_device("a100-80gb-sxm").peak("fp32")
    assert data["flops_per_second"] == pytest.approx(2e9 / 18.83)
    assert data["utilisation"] == pytest.approx(2e9 / 18.83 / peak)
    assert (data["timing"], data["machine"]) == (None, None)
    without = json.loads(run(*words, "--format", "json").stdout)
    assert (without["predicted"], without["utilisation"]) == (None, None)
    assert without["flops_per_second"] == data["flops_per_second"]


def test_csv_is_one_exact_row(run):
    head, row = run(*LINEAR, "--measured", "20ms", "--format", "csv").stdout.splitlines()
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert (cells["measured (s)"], cells["MACs"], cells["FLOP/s"]) == ("0.02", "1000000000", "100000000000")
    assert cells["estimate (s)"] == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--measured", "12"), "is not a time"),
        (("--measured", "12ms", "--repeats", "3"), "--repeats is for a run"),
        (("--measured", "12ms", "--device", "cpu"), "--device is for a run"),
        (("--measured", "12ms", "--layers"), "--layers is for a run"),
        (("--measured", "12ms", "--passes", "0"), "--passes is 0"),
        (("--passes", "3"), "--passes needs --measured"),
        (("--layers", "--compile"), "no layers to time"),
        (("--repeats", "0"), "--repeats is 0"),
        (("--threads", "0"), "--threads is 0"),
        (("--warmup", "-1"), "--warmup is -1"),
        (("--on", "rtx-490"), "no device named"),
        (("--on", "here"), "is not calibrated"),
        (("--on", "rtx-4090"), "runs on a CPU"),
        (("--device", "cuda:99"), "nothing can run on cuda:99"),
        (("--dtype", "int8"), "does not run any module in int8"),
        (("--layout", "nhcw"), "no layout named"),
    ],
)
def test_wrong_options_are_refused(run, words, said):
    result = run(*LINEAR, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_what_can_be_refused_is_before_torch_is_loaded(tmp_path):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom flopcount.cli import app\n"
        "for words in (['--on', 'rtx-490'], ['--measured', '12'], ['--on', 'here'], ['--repeats', '0']):\n"
        "    assert CliRunner().invoke(app, ['measure', 'c3d', *words]).exit_code == 2, words\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_what_does_not_fit_into_memory_is_not_run(run, monkeypatch):
    monkeypatch.setattr("flopcount.hardware.room.free_memory", lambda: 1000)
    result = run(*LINEAR)
    assert result.exit_code == 2
    assert "needs 12.0 MB of memory" in result.stderr  # 4·10^6 bytes each of weights, input and output
    monkeypatch.setattr("flopcount.tracing.building.free_memory", lambda: 1000)
    monkeypatch.setattr("flopcount.hardware.room.free_memory", lambda: 10**12)
    result = run(*LINEAR)
    assert result.exit_code == 2
    assert "its weights of 4.00 MB do not fit into memory" in result.stderr


def test_execution_names():
    assert Execution(CPU).precision is None
    assert Execution(CPU, "bfloat16").precision == "bf16"
    assert device_here("cpu") == CPU


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu():
    measurement = measure(Net(64), (8, 64, 64, 64), device="cuda", dtype="amp", layers=True)
    assert measurement.machine.kind == "gpu"
    assert measurement.machine.name == torch.cuda.get_device_name()
    assert not measurement.timing.own
    assert 0 < measurement.low <= measurement.median <= measurement.high
