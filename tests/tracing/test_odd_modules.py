"""Unusual modules: compiled, scripted, exported, wrapped, lazy, complex; modules that cannot be counted are refused.

Each is compared with the plain module that does the same, whose count other files test.
"""

import importlib
import warnings

import pytest
import torch
from modules import Apply
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointImpl, checkpoint_wrapper
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from flopcount import InputError, TensorSpec, TraceError, Work, count_flops, rule, weightless

ENGINES = ("meta", "fake", "real")
SHAPE = (2, 3, 4, 4, 4)
CONV, HEAD = 2 * 8 * 81 * 8, 2 * 64 * 5  # 8 outputs of 3·27 taps in 8 channels; 8·8 features to 5 classes


def plain():
    layers = nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
    return nn.Sequential(*layers).eval()


def clip():
    return torch.zeros(SHAPE)


def autocast(module):
    def forward(x, inner):
        with torch.autocast("cpu", torch.bfloat16):
            return inner(x)

    return Apply(forward, module)


WRAPPED = {
    "plain": plain,
    "compiled": lambda: torch.compile(plain(), backend="eager"),
    "compiled for inductor": lambda: torch.compile(plain()),
    "scripted": lambda: torch.jit.script(plain()),
    "traced": lambda: torch.jit.trace(plain(), clip()),
    "frozen": lambda: torch.jit.freeze(torch.jit.script(plain())),
    "fx": lambda: torch.fx.symbolic_trace(plain()),
    "exported": lambda: torch.export.export(plain(), (clip(),)).module(),
    "unflattened": lambda: torch.export.unflatten(torch.export.export(plain(), (clip(),))),
    "wrapped, reentrant": lambda: checkpoint_wrapper(plain(), CheckpointImpl.REENTRANT),
    "wrapped, not reentrant": lambda: checkpoint_wrapper(plain(), CheckpointImpl.NO_REENTRANT),
    "checkpoint, reentrant": lambda: Apply(lambda x, m: checkpoint(m, x, use_reentrant=True), plain()),
    "checkpoint, in segments": lambda: Apply(lambda x, m: checkpoint_sequential(m, 2, x, use_reentrant=False), plain()),
    "functional call": lambda: Apply(
        lambda x, m: torch.func.functional_call(m, {k: v * 2 for k, v in m.named_parameters()}, (x,)), plain()
    ),
    "channels last": lambda: plain().to(memory_format=torch.channels_last_3d),
    "autocast": lambda: autocast(plain()),
    "weight norm": lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(plain()[0]), *plain()[1:]),
    "lazy": lambda: nn.Sequential(nn.LazyConv3d(8, 3), nn.LazyBatchNorm3d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)),
    "no weights": lambda: weightless(plain),
    "data parallel": lambda: nn.DataParallel(plain()),
}

BEYOND = {
    ("no weights", "real"): "the module has no weights",
    ("frozen", "fake"): "DataDependentOutput",  # the frozen graph compares constants, whose values fake tensors lack
}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")  # of reentrant checkpoints
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*treespec, LeafSpec:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*CheckpointImpl.REENTRANT:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*global hooks on modules:UserWarning", "ignore:.*jit.*:DeprecationWarning")
@pytest.mark.parametrize("engine", ["auto", *ENGINES])
@pytest.mark.parametrize("wrap", WRAPPED)
def test_a_wrapped_module_counts_like_the_plain_one(wrap, engine):
    if (wrap, engine) in BEYOND:
        with pytest.raises(TraceError, match=BEYOND[wrap, engine]):
            count_flops(WRAPPED[wrap](), SHAPE, engine=engine)
        return
    report = count_flops(WRAPPED[wrap](), SHAPE, engine=engine)
    assert report.macs == CONV + HEAD
    assert report.uncosted == ()
    if engine == "auto":
        assert report.engine == ("fake" if (wrap, "meta") in BEYOND else "meta")


def test_lazy_parameters_have_the_size_this_input_gives_them():
    lazy = WRAPPED["lazy"]()
    assert count_flops(lazy, SHAPE).params == sum(p.numel() for p in plain().parameters())
    assert count_flops(lazy, (1, 5, 4, 4, 4)).module("0").params == 8 * 5 * 27 + 8  # and stays lazy
    unused = Apply(lambda x, first, second: first(x), nn.LazyLinear(3), nn.LazyLinear(3))
    with pytest.raises(InputError, match=r"lazy parameter parts\.1\.weight has no size"):
        count_flops(unused, (2, 4))


def test_autocast_casts_what_the_kernel_sees():
    """The same dtypes, hence bytes, as on real tensors, where torch casts."""
    found = {engine: count_flops(autocast(plain()), SHAPE, engine=engine) for engine in ENGINES}
    (contracted,) = {
        tuple((c.name, str(c.op.signature.outputs[0])) for c in report.ops if c.work.macs) for report in found.values()
    }
    assert [dtype[:4] for _, dtype in contracted] == ["bf16", "bf16"]


def test_a_count_leaves_nothing_in_autocasts_cache():
    layer = nn.Linear(4, 4)
    for engine in ENGINES:
        with torch.autocast("cpu", torch.bfloat16):
            assert count_flops(layer, (2, 4), engine=engine).macs == 32
            layer(torch.randn(2, 4)).float().sum().backward()
        assert layer.weight.grad is not None
        layer.weight.grad = None


class Untold(nn.Module):
    """Tensors that are neither parameters nor buffers, and constants made while running."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(5, 16)
        self.order = torch.tensor([0, 2, 1])
        self.biases = [torch.randn(5)]

    def forward(self, x):
        picked = F.linear(x, self.weight, self.biases[0])[:, self.order.tolist()]
        return picked @ torch.ones(3, 3) + torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize("engine", ["auto", "real"])  # fake tensors have no values to list
def test_plain_tensor_attributes_and_constants(engine):
    assert count_flops(Untold(), (2, 16), engine=engine).macs == 2 * (16 * 5 + 3 * 3)


TRANSFORMS = {
    "vmap twice": (lambda x, w: torch.vmap(torch.vmap(lambda y: w @ y))(x), 6 * 16),
    "vmap of a convolution": (
        lambda x, w: torch.vmap(lambda y: F.conv1d(y[None, None], w[:, None, :3]))(x.flatten(0, 1)),
        6 * 2 * 4 * 3,  # 6 signals of 4, 2 places, 4 filters of 3 taps
    ),
    "gradient": (lambda x, w: torch.func.grad(lambda y: (y @ w).sum())(x), 2 * 6 * 16),  # and once more in the backward
    "forward gradient": (  # torch multiplies by the tangent of the weights as well, which is zero
        lambda x, w: torch.func.jvp(lambda y: y @ w, (x,), (torch.ones_like(x),))[1],
        3 * 6 * 16,
    ),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # of torch's own forward gradients
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # from torch 2.14 on
@pytest.mark.parametrize("engine", ["auto", "real"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_function_transforms(name, engine):
    function, macs = TRANSFORMS[name]

    class Transformed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4))

        def forward(self, x):
            return function(x, self.weight)

    report = count_flops(Transformed(), (2, 3, 4), engine=engine)
    assert report.macs == macs
    assert report.uncosted == ()


# Custom operators


@pytest.fixture
def sliding():
    """An operator of torch.library with a fake kernel; gone afterwards."""
    with torch.library._scoped_library("flopcount_odd", "FRAGMENT") as library:
        library.define("sliding(Tensor x, Tensor w) -> Tensor")
        library.impl("sliding", lambda x, w: x @ w, "CPU")
        library.impl("sliding", lambda x, w: x.new_empty(x.shape[0], w.shape[1]), "Meta")
        yield torch.ops.flopcount_odd.sliding


def test_an_operator_of_the_users_own_is_uncosted_until_it_has_a_rule(sliding, own_rules):
    module = Apply(lambda x, w: sliding(x, w))
    before = count_flops(module, ((2, 3), (3, 4)))
    assert (before.macs, [row.op for row in before.uncosted]) == (0, ["flopcount_odd.sliding"])
    assert before.unknown.upper_macs == (6 + 12) * 8

    @rule("flopcount_odd.sliding")
    def _(x: TensorSpec, w: TensorSpec, *, out: TensorSpec) -> Work:
        """A product.

        Counts: one MAC per row, column and output.
        Source: this test
        """
        return Work(macs=x.numel * w.shape[1])

    after = count_flops(module, ((2, 3), (3, 4)))
    assert (after.macs, after.uncosted) == (2 * 3 * 4, ())


# Complex numbers: one complex multiply-add is four real ones


def complex_spec(*shape):
    return TensorSpec(shape, "complex64")


COMPLEX = {
    "@": (lambda x: x @ x.mT, (2, 3, 5), 2 * 9 * 5),
    "einsum": (lambda x: torch.einsum("bij,bkj->bik", x, x), (2, 3, 5), 2 * 9 * 5),
    "bmm": (lambda x: torch.bmm(x, x.mT), (2, 3, 5), 2 * 9 * 5),
    "dot": (lambda x: torch.vdot(x, x), (5,), 5),
    "attention written out": (lambda x: (x @ x.mT) @ x, (2, 3, 5), 2 * 2 * 9 * 5),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", COMPLEX)
def test_complex_products(name, engine):
    function, shape, products = COMPLEX[name]
    real = count_flops(Apply(function), TensorSpec(shape), engine=engine)
    found = count_flops(Apply(function), complex_spec(*shape), engine=engine)
    assert (real.macs, found.macs) == (products, 4 * products)


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (lambda **dtype: nn.Linear(3, 4, **dtype), ((2, 3),)),
        (lambda **dtype: nn.Conv3d(3, 4, 2, **dtype), ((2, 3, 3, 3, 3),)),
        (lambda **dtype: nn.ConvTranspose2d(3, 4, 3, stride=2, **dtype), ((2, 3, 5, 5),)),
        (lambda **dtype: nn.Bilinear(2, 3, 4, **dtype), ((5, 2), (5, 3))),
    ],
)
def test_complex_layers_take_complex_inputs(build, shapes):
    report = count_flops(build(dtype=torch.complex64), shapes)
    assert report.input.dtype == "complex64"
    assert report.macs == 4 * count_flops(build(), shapes).macs > 0


# What cannot be counted


def quantized():
    return torch.quantize_per_tensor(torch.randn(2, 3), 0.1, 0, torch.quint8)


def nested(layout=torch.strided):
    return torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(4, 3)], layout=layout)


class Holds(nn.Module):
    """Keeps a tensor, as a parameter, a buffer or a plain attribute, and multiplies by it."""

    def __init__(self, how):
        super().__init__()
        weight = torch.eye(3).to_sparse()
        self.weight = {"parameter": nn.Parameter, "buffer": nn.Buffer, "attribute": lambda tensor: tensor}[how](weight)

    def forward(self, x):
        return torch.sparse.mm(self.weight, x)


REFUSED = {
    "sparse input": (lambda: (nn.Linear(3, 4), torch.eye(3).to_sparse()), "input 0 is a sparse tensor"),
    "sparse rows": (lambda: (nn.Linear(3, 4), torch.eye(3).to_sparse_csr()), "input 0 is a sparse tensor"),
    "sparse parameter": (lambda: (Holds("parameter"), (3, 3)), "weight is a sparse tensor"),
    "sparse buffer": (lambda: (Holds("buffer"), (3, 3)), "weight is a sparse tensor"),
    "sparse attribute": (lambda: (Holds("attribute"), (3, 3)), "is a sparse tensor"),
    "made sparse": (lambda: (Apply(lambda x: torch.sparse.mm(x.to_sparse(), x)), (3, 3)), "is a sparse tensor"),
    "nested input": (lambda: (nn.Linear(3, 4), nested()), "input 0 is a nested tensor"),
    "jagged input": (lambda: (nn.Linear(3, 4), nested(torch.jagged)), "input 0 is a nested tensor"),
    "made nested": (lambda: (Apply(lambda x: torch.nested.nested_tensor([x, x])), (2, 3)), "is a nested tensor"),
    "made jagged": (
        lambda: (Apply(lambda x: torch.nested.as_nested_tensor([x, x[:1]], layout=torch.jagged)), (2, 3)),
        "is a nested tensor",
    ),
    "quantized input": (lambda: (nn.ReLU(), quantized()), "input 0 is a quantized tensor"),
    "made quantized": (
        lambda: (Apply(lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8).dequantize()), (2, 3)),
        r"aten\.quantize_per_tensor computes with quantized numbers",
    ),
    "mkldnn input": (lambda: (nn.ReLU(), torch.eye(3).to_mkldnn()), "input 0 is a mkldnn tensor"),
    "made mkldnn": (
        lambda: (Apply(lambda x: (x.to_mkldnn() * 2).to_dense()), (2, 3)),
        r"aten\.to_mkldnn computes in MKL-DNN's own layout",
    ),
    "mkldnn layer": (
        lambda: (
            importlib.import_module("torch.utils.mkldnn").to_mkldnn(nn.Sequential(nn.Conv2d(3, 4, 1)).eval()),
            (1, 3, 8, 8),
        ),
        r"0\.\w+ is a mkldnn tensor",
    ),
    "quantized recurrence": (
        lambda: (torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(3, 4)), {nn.LSTM}), (5, 2, 3)),
        r"aten\.quantized_lstm computes with quantized numbers, which cannot be counted\n  in      0",
    ),
}


@pytest.mark.parametrize("engine", ["auto", "real"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_counted_is_refused_with_a_way_out(name, engine):
    make, message = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls all of these prototypes, or deprecated
        module, given = make()
        with pytest.raises(InputError, match=message) as caught:
            count_flops(module, given, engine=engine)
    assert "cannot be counted" in str(caught.value)
    assert "\n  fix     count " in str(caught.value) or "\n  fix     pad " in str(caught.value)


def test_training_for_quantization():
    """Weights and outputs are quantized and back (7), with observed minimum and maximum (2): 9 per element."""
    layer = nn.Sequential(nn.Linear(6, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it deprecated
        layer.qconfig = torch.ao.quantization.get_default_qat_qconfig()
        module = torch.ao.quantization.prepare_qat(layer.train())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    report = count_flops(module, (2, 6), strict=True)
    assert report.macs == 2 * 5 * 6
    assert report.other_flops == 2 * 5 + 9 * (5 * 6) + 9 * (2 * 5)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_an_exported_program_says_where_its_module_is():
    program = torch.export.export(nn.Linear(3, 4), (torch.zeros(2, 3),))
    with pytest.raises(InputError, match=r"not an exported program\n  fix     count its module: .*program\.module\(\)"):
        count_flops(program, (2, 3))
    assert count_flops(program.module(), (2, 3)).macs == 2 * 3 * 4
