"""Work that no operator of torch does: listed with its size, an error if strict; threads are refused."""

import _thread
import asyncio
import ctypes
import json
import multiprocessing
import queue
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from operator import mul

import numpy as np
import pytest
import torch
from modules import Apply
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

from flopcount import InputError, TensorSpec, UncostedError, Work, check, count_flops, rule
from flopcount.cli import app

ENTER, LEAVE = 10 * 16 * 32, 10 * 8 * 4  # ten rows through a layer before and one after
UNSEEN = (10 * 32 + 8 * 32) * (10 * 8)  # what left, 10×32 rows and 8×32 weights, by what came back


def array_at(tensor):
    """The work of a compiled kernel on an address."""
    pointer = ctypes.cast(tensor.data_ptr(), ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(pointer, tuple(tensor.shape))


def by_numpy(x, w):
    return torch.from_numpy(x.detach().numpy() @ w.detach().numpy().T)


def by_asarray(x, w):
    return torch.as_tensor(np.asarray(x.detach()) @ np.asarray(w.detach()).T)


def by_dlpack(x, w):
    return torch.from_dlpack(np.from_dlpack(x.detach()) @ np.from_dlpack(w.detach()).T)


def by_copy(x, w):
    return torch.tensor(x.detach().numpy() @ w.detach().numpy().T)


def by_lists(x, w):
    columns = w.tolist()
    return torch.tensor([[sum(map(mul, row, column)) for column in columns] for row in x.tolist()])


def into_zeros(x, w):
    out = torch.zeros(x.shape[0], w.shape[0])
    np.matmul(x.detach().numpy(), w.detach().numpy().T, out=out.numpy())
    return out


def by_pointer(x, w):
    out = torch.empty(x.shape[0], w.shape[0])
    np.matmul(array_at(x), array_at(w).T, out=array_at(out))
    return out


def through_storage(x, w):
    """Zeros that compiled code fills by the address of their storage."""
    out = torch.zeros(x.shape[0], w.shape[0])
    product = np.ascontiguousarray(x.detach().numpy() @ w.detach().numpy().T)
    ctypes.memmove(out.untyped_storage().data_ptr(), product.ctypes.data, product.nbytes)
    return out


def one_by_one(x, w):
    """A Python function, number by number."""
    return x.detach()[:, :8].clone().apply_(lambda number: number * number)


def two_by_two(x, w):
    return w.detach()[:, :10].t().clone().map_(x.detach()[:, :8], mul)


WAYS = [through_storage, by_numpy, by_asarray, by_dlpack, by_copy, by_lists, into_zeros, by_pointer]


class Block(nn.Module):
    """A layer, an unseen product, a layer."""

    def __init__(self, product):
        super().__init__()
        self.product = product
        self.enter, self.leave = nn.Linear(16, 32), nn.Linear(8, 4)
        self.weight = nn.Parameter(torch.randn(8, 32))

    def forward(self, x):
        return self.leave(self.product(self.enter(x), self.weight))


@pytest.mark.parametrize("way", WAYS)
def test_a_product_out_of_sight_is_listed(way):
    report = count_flops(Block(way), (10, 16))
    assert (report.macs, report.engine) == (ENTER + LEAVE, "real")
    (row,) = report.uncosted
    assert (row.op, row.calls, row.modules) == ("unknown.Block", 1, ("",))
    assert report.unknown.upper_macs >= UNSEEN
    with pytest.raises(UncostedError, match=r"no cost rule for unknown\.Block"):
        count_flops(Block(way), (10, 16), strict=True)


def scan(forward):
    """An `autograd.Function` of that name around another library."""

    class SelectiveScan(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            return forward(x, w)

        @staticmethod
        def backward(ctx, gradient):
            return None, None

    return SelectiveScan.apply


@pytest.mark.parametrize("way", WAYS)
def test_a_function_is_listed_by_its_name(way):
    report = count_flops(Block(scan(way)), (10, 16))
    assert report.macs == ENTER + LEAVE
    assert [row.op for row in report.uncosted] == ["unknown.SelectiveScan"]


def test_a_function_that_knows_tensors_without_data():
    """It returns memory that nothing has written to, on every engine."""
    for engine in ("meta", "fake", "real"):
        report = count_flops(Block(scan(lambda x, w: x.new_empty(10, 8))), (10, 16), engine=engine)
        assert report.macs == ENTER + LEAVE
        assert [(row.op, row.elements) for row in report.uncosted] == [("unknown.SelectiveScan", 10 * 32 + 8 * 32 + 80)]


def test_memory_that_operators_fill_is_no_work_out_of_sight():
    def forward(x):
        out, noise = torch.empty(4, 3), x.new_empty(4, 3).normal_()
        torch.mul(x, 2, out=out)
        filled = torch.empty_like(x)
        filled[:2] = x[:2]
        nothing = torch.empty(0, 3)
        return torch.cat([out + noise, filled, nothing]) + torch.zeros_like(torch.empty(3))

    for engine in ("meta", "fake", "real"):
        assert count_flops(Apply(forward), (4, 3), engine=engine).uncosted == ()


def test_what_is_returned_is_seen_too():
    weight = torch.ones(8, 16)
    for returned in (by_pointer, lambda x, w: [{"scores": by_numpy(x, w).numpy()}]):
        report = count_flops(Apply(lambda x, f=returned: f(x * 1, weight)), (10, 16))
        assert [row.calls for row in report.uncosted] == [1]
    assert count_flops(Apply(lambda x: (x * 2).numpy()), (10, 16)).uncosted == ()  # no work was done on it


def test_a_search_by_another_library_is_listed():
    def nearest(x, w):
        scores = x.detach().numpy() @ w.detach().numpy().T
        return w[torch.from_numpy(scores.argmax(1))][:, :8]

    (row,) = count_flops(Block(nearest), (10, 16)).uncosted
    assert (row.op, row.calls) == ("unknown.Block", 1)


def test_layers_are_listed_apart():
    layers = nn.Sequential(Block(by_numpy), nn.Linear(4, 16), Block(by_numpy))
    (row,) = count_flops(layers, (10, 16)).uncosted
    assert (row.calls, row.modules, row.upper_macs) == (2, ("0", "2"), 2 * UNSEEN)


@pytest.mark.parametrize("way", [one_by_one, two_by_two])
def test_a_function_of_every_number_is_listed(way):
    report = count_flops(Block(way), (10, 16))
    assert (report.macs, report.engine) == (ENTER + LEAVE, "real")
    (row,) = report.uncosted
    assert (row.op, row.calls) == ("unknown.Block", 1)


CONSTANTS = {
    "a table of numpy's": lambda x: x + torch.from_numpy(np.sin(np.arange(16)).astype("float32")),
    "a literal": lambda x: x * torch.tensor([0.5] * 16),
    "a table beside a logged number": lambda x: (float(x.mean()), x + torch.from_numpy(np.ones(16, "float32")))[1],
    "a scale": lambda x: x * torch.tensor(x.abs().max().item()),
    "indices": lambda x: x[torch.tensor(x.argmax(0).tolist())],
    "a check by numpy": lambda x: (np.isfinite(x.numpy()).all(), x * 2)[1],
    "an address that is compared": lambda x: x * 2 if x.data_ptr() else x,
    "what is added none of": lambda x: torch.baddbmm(x.new_empty(1, 10, 10), x[None], x[None].mT, beta=0),
    "filled by out": lambda x: torch.add(x, 1, out=torch.empty(10, 16)),
    "lengths": lambda x: x[torch.from_numpy(np.arange(4))],
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_and_numbers_are_no_work_out_of_sight(name):
    assert count_flops(Apply(CONSTANTS[name]), (10, 16)).uncosted == ()


def test_in_training_too():
    report = count_flops(Block(scan(by_numpy)), (10, 16), mode="train")
    assert "unknown.SelectiveScan" in [row.op for row in report.training.step.uncosted]


def test_check_and_budget_do_not_call_it_equal(tmp_path, monkeypatch):
    checked = check(Block(scan(by_numpy)), (10, 16), against="torch")
    notes = "\n".join(checked.table().notes)
    assert "UNCOSTED unknown.SelectiveScan" in notes
    assert "all are equal" not in notes
    assert not checked.agrees
    (tmp_path / "scan.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["budget", "scan.py:build", "--input", ":10x16:float32", "--max-gmacs", "1"])
    assert (result.exit_code, "unknown: uncosted operators" in result.stdout) == (1, True)
    strict = CliRunner().invoke(app, ["model", "scan.py:build", "--input", ":10x16:float32", "--strict"])
    assert (strict.exit_code, "unknown.Sampling" in strict.stderr) == (3, True)
    listed = CliRunner().invoke(app, ["model", "scan.py:build", "--input", ":10x16:float32", "--format", "json"])
    assert [row["op"] for row in json.loads(listed.stdout)["uncosted"]] == ["unknown.Sampling"]


SCRIPT = """
import numpy, torch
from torch import nn

class Sampling(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.detach().numpy() @ numpy.ones((16, 8), "float32"))

def build():
    return nn.Sequential(nn.Linear(16, 16), Sampling())
"""


# Threads

VIEWS = (1, 3, 4, 8, 8)


def in_threads(run):
    """A module that convolves its frames elsewhere."""
    return Apply(lambda clip, conv: run(torch.no_grad()(conv), list(clip.unbind(2))), nn.Conv2d(3, 8, 3))


def in_a_pool(conv, frames):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(conv, frames))


def in_another_pool(conv, frames):
    with ThreadPool(2) as pool:
        return pool.map(conv, frames)


def in_a_thread(conv, frames):
    results = []
    thread = threading.Thread(target=lambda: results.extend(map(conv, frames)))
    thread.start()
    thread.join()
    return results


def in_a_thread_that_answers(conv, frames):
    """In a count it cannot answer, and the wait for it must end."""
    answers = queue.Queue()
    threading.Thread(target=lambda: answers.put(conv(frames[0])), daemon=True).start()
    return answers.get()


def in_a_thread_that_answers_simply(conv, frames):
    """This queue waits in C, where Python cannot watch it."""
    answers = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(conv(frames[0])), daemon=True).start()
    return answers.get()


def in_a_thread_that_opens_a_lock(conv, frames):
    lock, results = threading.Lock(), []
    lock.acquire()
    threading.Thread(target=lambda: (results.append(conv(frames[0])), lock.release()), daemon=True).start()
    lock.acquire()
    return results


def in_a_bare_thread(conv, frames):
    answers = queue.SimpleQueue()
    _thread.start_new_thread(lambda frame: answers.put(conv(frame)), (frames[0],))
    return answers.get()


def writing(conv, frames):
    answers = queue.SimpleQueue()

    def work():
        conv.parts[0].weight.data.mul_(0)
        conv.parts[0].bias.data = torch.zeros(8)
        answers.put(conv(frames[0]))

    threading.Thread(target=work, daemon=True).start()
    return answers.get()


def asynchronously(conv, frames):
    async def work():
        return await asyncio.to_thread(conv, frames[0])

    return asyncio.run(work())


def handed_over(conv, frames):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(conv, frames[0])


def functionally(conv, frames):
    with ThreadPoolExecutor(1) as pool:
        return list(pool.map(lambda frame: F.conv2d(frame, torch.ones(8, 3, 3, 3)), frames))


def in_a_count(conv, frames):
    results = []
    thread = threading.Thread(target=lambda: results.append(count_flops(nn.Linear(3, 4), (2, 3))))
    thread.start()
    thread.join()
    return results


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_other_processes_are_refused():
    def forward(conv, frames):
        process = multiprocessing.get_context("fork").Process(target=conv, args=(frames[0],))
        process.start()
        return conv(frames[0])

    with pytest.raises(InputError, match="waits for another thread or process"):
        count_flops(in_threads(forward), VIEWS)


@pytest.fixture(scope="module")
def there_before():
    """Threads that exist before the count: a pool, and one that serves a queue."""
    pool = ThreadPoolExecutor(2)
    list(pool.map(abs, range(4)))
    asked, answered = queue.Queue(), queue.Queue()

    def serve():
        for function, frame in iter(asked.get, None):
            answered.put(function(frame))

    server = threading.Thread(target=serve)
    server.start()
    yield pool, asked, answered
    asked.put(None)
    server.join()
    pool.shutdown()


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize(
    "run",
    [
        *(in_a_pool, in_another_pool, in_a_thread, in_a_thread_that_answers, in_a_thread_that_answers_simply),
        *(in_a_thread_that_opens_a_lock, in_a_bare_thread),
        *(asynchronously, handed_over, functionally, in_a_count),
    ],
)
def test_work_in_other_threads_is_refused_with_its_reason(run, mode):
    with pytest.raises(InputError, match=r"Apply (works in|waits for) another thread") as caught:
        count_flops(in_threads(run), VIEWS, mode=mode)
    assert "\n  fix     let it do the same work in one thread" in str(caught.value)
    assert count_flops(nn.Linear(3, 4), (2, 3)).macs == 24


def test_what_a_thread_that_goes_on_writes_is_put_back():
    """On every engine, and with the count itself in a thread, which no signal reaches."""

    def forward(clip, conv):
        return writing(Apply(lambda frame, layer: layer(frame), conv), list(clip.unbind(2)))

    module = Apply(torch.no_grad()(forward), nn.Conv2d(3, 8, 3))
    before = [parameter.clone() for parameter in module.parameters()]
    with ThreadPoolExecutor(1) as pool:
        for engine in ("meta", "fake", "real"):
            for run in (lambda *given, **options: pool.submit(count_flops, *given, **options).result(), count_flops):
                with pytest.raises(InputError, match="Apply works in another thread"):
                    run(module, VIEWS, engine=engine)
    assert all(map(torch.equal, before, module.parameters()))


def test_a_thread_that_cannot_go_on_ends_the_wait_too():
    def forward(conv, frames):
        answers = queue.SimpleQueue()
        threading.Thread(target=lambda: answers.put(float(conv(frames[0]).sum())), daemon=True).start()
        return answers.get()

    def catches(conv, frames):
        try:
            return forward(conv, frames)
        except Exception:
            return conv(frames[0])

    before = signal.getsignal(signal.SIGURG)
    for run in (forward, catches):
        with pytest.raises(InputError, match="Apply works in another thread"):
            count_flops(in_threads(run), VIEWS)
    assert signal.getsignal(signal.SIGURG) == before


def test_work_in_threads_that_were_there_before_is_refused(there_before):
    pool, asked, answered = there_before

    def ask(conv, frames):
        asked.put((conv, frames[0]))
        return answered.get()

    for run in (lambda conv, frames: list(pool.map(conv, frames)), ask):
        with pytest.raises(InputError, match="another thread"):
            count_flops(in_threads(run), VIEWS)
    assert list(pool.map(lambda x: x + 1, [torch.ones(1)])) == [2]  # and they live on


def test_threads_that_compute_nothing_run_as_they_would(there_before):
    pool, _, _ = there_before

    def forward(conv, frames):
        said = []
        thread = threading.Thread(target=lambda: said.append("read"))
        thread.start()
        thread.join()
        said += pool.map(str, range(2))
        event = threading.Event()
        threading.Timer(0, event.set).start()
        assert event.wait()
        assert said == ["read", "0", "1"]
        return conv(frames[0])

    start, submit, wait = threading.Thread.start, ThreadPoolExecutor.submit, threading.Condition.wait
    assert count_flops(in_threads(forward), VIEWS).macs == 8 * 36 * 27
    assert (threading.Thread.start, ThreadPoolExecutor.submit, threading.Condition.wait) == (start, submit, wait)


def test_a_thread_left_running_is_as_it_was_afterwards():
    go, results = threading.Event(), []

    def forward(conv, frames):
        threading.Thread(target=lambda: (go.wait(), results.append(conv(torch.ones(1, 3, 8, 8)))), daemon=True).start()
        return conv(frames[0])

    assert count_flops(in_threads(forward), VIEWS).macs == 8 * 36 * 27
    waiting = [thread for thread in threading.enumerate() if thread.daemon and "lambda" in thread.name]
    go.set()
    for thread in waiting:
        thread.join()
    assert [tuple(result.shape) for result in results] == [(1, 8, 6, 6)]


def test_a_rule_counts_what_torch_never_sees(own_rules):

    @rule("unknown.SelectiveScan")
    def _(left0: TensorSpec, left1: TensorSpec, *, out: TensorSpec) -> Work:
        """A product of rows and columns.

        Counts: one MAC per column of what left and element of what came back.
        Source: this test
        """
        return Work(macs=out.numel * left0.shape[1])

    report = count_flops(Block(scan(by_numpy)), (10, 16), strict=True)
    assert report.macs == ENTER + 10 * 8 * 32 + LEAVE


def test_whoever_watches_threads_beside_us_stays(monkeypatch):
    """Like tracing libraries: they replace Python's functions, and are called while a count runs."""
    start, started = threading.Thread.start, []

    def watched(self):
        started.append(self.name)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", watched)

    def forward(conv, frames):
        thread = threading.Thread(target=str, name="reader")
        thread.start()
        thread.join()
        return conv(frames[0])

    assert count_flops(in_threads(forward), VIEWS).macs == 8 * 36 * 27
    assert started == ["reader"]
    assert threading.Thread.start is watched
