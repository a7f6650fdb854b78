"""Modules that ask for CUDA on a machine without it: the same work as without a move, on every engine."""

import warnings

import pytest
import torch
from modules import Apply
from torch import nn

from flopcount import ForwardError, TraceError, count_flops
from flopcount.tracing.absent_devices import absent_device_of, redirected, without_absent_devices

ENGINES = ("auto", "meta", "fake", "real")
MACS = 4 * 8 * 8

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def waits(x):
    torch.cuda.synchronize()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    end.record()
    end.synchronize()
    assert end.query()
    return x + start.elapsed_time(end)


def overlaps(x):
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), torch.cuda.device(0):
        x.record_stream(stream)
    stream.wait_event(stream.record_event())
    return x


def marks(x):
    torch.cuda.nvtx.range_push("a part")
    torch.cuda.nvtx.range_pop()
    torch.cuda.set_device(0)
    torch.cuda.empty_cache()
    return x


def casts(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autocast("cuda"), torch.cuda.amp.autocast():
            return x * 1


ASKS = {
    "cuda": lambda x: x.cuda(),
    "cuda by number": lambda x: x.cuda(0, non_blocking=True),
    "to": lambda x: x.to("cuda"),
    "to with dtype": lambda x: x.to("cuda:0", torch.float32),
    "to a device": lambda x: x.to(torch.device("cuda", 0)),
    "to by keyword": lambda x: x.to(device="cuda"),
    "to by number": lambda x: x.to(0),
    "type": lambda x: x.type("torch.cuda.FloatTensor"),
    "pin_memory": lambda x: x.pin_memory().cuda(non_blocking=True),
    "xpu": lambda x: x.to("xpu"),
    "mps": lambda x: x.to("mps"),
    "zeros": lambda x: x + torch.zeros(8, device="cuda"),
    "rand": lambda x: x + torch.rand(8, device="cuda"),
    "tensor": lambda x: x * torch.tensor([2.0], device="cuda"),
    "arange": lambda x: x + torch.arange(8, device="cuda"),
    "like": lambda x: x + torch.full_like(x, 1.0, device="cuda") + x.new_zeros(8, device="cuda"),
    "number of the device": lambda x: x.to(f"cuda:{torch.cuda.current_device()}"),
    "memory": lambda x: x + torch.cuda.memory_allocated(),
    "waits": waits,
    "overlaps": overlaps,
    "marks": marks,
    "casts": casts,
}


def on_engines(names):
    """Each with every engine; without data no tensor can be pinned, so that the next engine has to serve."""
    return [(name, engine) for name in names for engine in ENGINES if (name, engine) != ("pin_memory", "meta")]


@pytest.mark.parametrize(("name", "engine"), on_engines(ASKS))
def test_a_move_to_what_is_not_here_moves_nothing(name, engine):
    module = Apply(lambda x, layer: layer(ASKS[name](x)), nn.Linear(8, 8))
    assert count_flops(module, (4, 8), engine=engine).macs == MACS


@pytest.mark.parametrize("name", ["cuda", "zeros", "waits", "number of the device"])
def test_all_that_counts_again_does_so_there_too(name):
    module = Apply(lambda x, layer: layer(ASKS[name](x)), nn.Linear(8, 8))
    report = count_flops(module, (4, 8), mode="train")
    assert report.training.total.macs == 2 * MACS
    assert report.memory.inference > 0
    assert report.formula("B", layout="BC").at("macs", B=5) == 5 * 64


def test_a_value_that_is_read_there_is_read_here():
    def forward(x, layer):
        return layer(x.cuda()[: int((x.cuda().sum() > -1e9).item()) * 2])

    report = count_flops(Apply(forward, nn.Linear(8, 8)), (4, 8))
    assert (report.macs, report.engine) == (2 * 64, "real")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ask", [torch.cuda.get_device_properties, torch.cuda.get_device_name])
def test_what_a_device_is_stays_unknown(ask, engine):
    module = nn.Sequential(nn.Linear(8, 8), Apply(lambda x: (x, ask(0))))
    told = r"Sequential asks for cuda, which is not here\n  in      1 \(Apply\)"
    with pytest.raises(TraceError, match=told) as caught:
        count_flops(module, (4, 8), engine=engine)
    assert "x.device" in str(caught.value)
    assert "real weights" not in str(caught.value)


def test_torchs_functions_are_as_before():
    names = ("synchronize", "Event", "Stream", "device", "current_device", "stream", "manual_seed")
    before = [getattr(torch.cuda, name) for name in names]
    with without_absent_devices():
        assert torch.cuda.synchronize is not before[0]
    assert [getattr(torch.cuda, name) for name in names] == before
    with pytest.raises(ZeroDivisionError), without_absent_devices():
        1 // 0  # noqa: B018
    assert [getattr(torch.cuda, name) for name in names] == before
    count_flops(Apply(lambda x, layer: layer(waits(x)), nn.Linear(8, 8)), (4, 8))
    assert [getattr(torch.cuda, name) for name in names] == before
    with pytest.raises((AssertionError, RuntimeError)):
        torch.zeros(1).cuda()


def test_what_is_loaded_meanwhile_keeps_torchs_own():
    with without_absent_devices():
        from torch._dynamo import device_interface
    assert device_interface.CudaInterface.Event is torch.cuda.Event


def test_a_module_that_looks_first_takes_its_own_path():
    module = Apply(lambda x, layer: layer(x.cuda() if torch.cuda.is_available() else x), nn.Linear(8, 8))
    report = count_flops(module, (4, 8))
    assert (report.macs, report.engine) == (MACS, "meta")


def test_a_module_that_catches_the_error_takes_its_own_path():
    def forward(x, layer):
        try:
            x = x.cuda()
        except (AssertionError, RuntimeError):  # of a torch that is built without CUDA, and of one that finds no device
            return layer(x[:2])
        return layer(x)

    assert count_flops(Apply(forward, nn.Linear(8, 8)), (4, 8)).macs == 2 * 64


def test_the_place_of_an_error_names_the_device():
    assert absent_device_of(torch.cuda.__file__, "_lazy_init") == "cuda"
    assert absent_device_of(torch.xpu.__file__, "anything") == "xpu"
    assert not absent_device_of(torch.nn.__file__, "_lazy_init")
    assert not absent_device_of(__file__, "cuda")
    with redirected():
        assert torch.zeros(2, device="cuda").device.type == "cpu"
        assert torch.zeros(2, device="meta").is_meta


def test_a_users_own_error_of_those_words_is_the_users():
    def forward(x):
        raise AssertionError("Torch not compiled with CUDA enabled")

    with pytest.raises(Exception, match="raised AssertionError: Torch not compiled"):
        count_flops(Apply(forward), (4, 8))


AUTOCASTS = {
    "in bfloat16": (lambda: torch.autocast("cuda", dtype=torch.bfloat16), torch.bfloat16),
    "by default": (lambda: torch.autocast("cuda"), torch.float16),
    "by its older name": (lambda: torch.cuda.amp.autocast(), torch.float16),
}


class AutocastWhereItIs(nn.Module):
    """As Mochi does: the device is that of the tensor, which has no data in a count."""

    def __init__(self, dtype):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.dtype = dtype

    def forward(self, x):
        with torch.autocast(x.device.type, self.dtype):
            return self.fc(x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.filterwarnings("ignore:In CPU autocast")
def test_autocast_on_the_device_of_a_tensor(dtype):
    reports = [count_flops(AutocastWhereItIs(dtype), (2, 4), engine=engine) for engine in ("meta", "fake", "real")]
    assert {report.macs for report in reports} == {2 * 4 * 3}
    assert len({(report.other_flops, report.bytes_written) for report in reports}) == 1


SAID = "autocast for cuda, which is not here, casts what it casts on a CPU"


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch's own, of the older name
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("name", AUTOCASTS)
def test_autocast_for_what_is_not_here_is_applied(name, moves, engine):
    region, dtype = AUTOCASTS[name]
    before = torch.autocast.__init__

    def under(region):
        def forward(x, layer):
            with region():
                return layer(x.cuda() if moves else x)

        return count_flops(Apply(forward, nn.Linear(8, 8)), (4, 8), engine=engine)

    here, there = under(lambda: torch.autocast("cpu", dtype=dtype)), under(region)
    assert (there.total, there.memory.inference) == (here.total, here.memory.inference)
    assert (here.assumed, there.assumed) == ((), (SAID,))
    # the casts of input, weight and bias read 4 bytes and write 2; the layer reads and writes 2
    numbers = 4 * 8 + 8 * 8 + 8
    assert there.total.counts["bytes_read"] == numbers * (4 + 2)
    assert there.total.counts["bytes_written"] == numbers * 2 + 4 * 8 * 2
    assert torch.autocast.__init__ is before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_region_that_turns_autocast_off_there_does_so_here(engine):
    def forward(x, layer):
        with torch.autocast("cuda", dtype=torch.bfloat16), torch.autocast("cuda", enabled=False):
            return layer(x)

    plain = count_flops(nn.Linear(8, 8), (4, 8), engine=engine)
    assert count_flops(Apply(forward, nn.Linear(8, 8)), (4, 8), engine=engine).total == plain.total


@pytest.mark.parametrize("engine", ENGINES)
def test_one_that_only_turns_it_off_there_leaves_that_of_the_cpu(engine):
    def forward(x, layer):
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.autocast("cuda", enabled=False):
            return layer(x)

    report = count_flops(Apply(forward, nn.Linear(8, 8)), (4, 8), engine=engine)
    assert report.total.counts["bytes_written"] == (4 * 8 + 8 * 8 + 8) * 2 + 4 * 8 * 2
    assert report.assumed == ()


def by_assertion(x):
    assert x.is_cuda


def by_type(x):
    if x.device.type != "cuda":
        raise RuntimeError("wants a GPU")


INSISTS = [(by_assertion, engine) for engine in ENGINES] + [(by_type, engine) for engine in ENGINES if engine != "fake"]


@pytest.mark.parametrize(("insists", "engine"), INSISTS)  # a fake tensor answers with its device unseen
def test_a_module_that_insists_on_a_device_asks_for_it(insists, engine):
    def forward(x, layer):
        x = x.cuda()
        insists(x)
        return layer(x)

    module = nn.Sequential(nn.Linear(8, 8), Apply(forward, nn.Linear(8, 8)))
    with pytest.raises(TraceError, match=r"asks for cuda, which is not here\n  in      1 \(Apply\)"):
        count_flops(module, (4, 8), engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_another_error_after_a_question_is_the_users(engine):
    def fails():
        raise ValueError("mine")

    def forward(x):
        if not x.cuda().is_cuda:
            fails()

    with pytest.raises(ForwardError, match="raised ValueError: mine"):
        count_flops(Apply(forward), (4, 8), engine=engine)
