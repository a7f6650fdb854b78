"""Operators on lists of tensors count as the operator on each tensor; fused optimizers as their loop."""

import pytest
import torch
from torch import nn

from flopcount import TensorSpec, count_flops
from flopcount.rules import RULES
from flopcount.tracing import trace

aten = torch.ops.aten
ENGINES = ["meta", "fake", "real"]
SIZES = [(4,), (2, 3)]


class Lists(nn.Module):
    """`function` on two lists of buffers, which it may change."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        for index, size in enumerate(SIZES):
            self.register_buffer(f"a{index}", torch.rand(size) + 0.5)
            self.register_buffer(f"b{index}", torch.rand(size) + 0.5)

    def forward(self, x):
        self.function([self.a0 * x, self.a1 * x], [self.b0 * x, self.b1 * x])
        return x


def extra(function, engine="meta"):
    """FLOPs of a function on the lists, without the four products that make them: 2·(4 + 6)."""
    report = count_flops(Lists(function), (1,), engine=engine)
    assert report.uncosted == ()
    return report.other_flops - 2 * (4 + 6)


UNARY = [
    "abs",
    "acos",
    "asin",
    "atan",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "floor",
    "frac",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "neg",
    "reciprocal",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "zero",
]
BINARY = ["add", "sub", "mul", "div", "pow", "maximum", "minimum", "clamp_min", "clamp_max"]


@pytest.mark.parametrize("op", UNARY)
def test_a_function_of_each_tensor_is_that_of_one_tensor(op):
    single = getattr(torch, op, None) or torch.Tensor.zero_
    alone = extra(lambda a, b: [single(tensor) for tensor in a])
    if op != "zero":
        assert extra(lambda a, b: getattr(torch, f"_foreach_{op}")(a)) == alone
    for engine in ENGINES:
        assert extra(lambda a, b: getattr(torch, f"_foreach_{op}_")(a), engine) == alone


@pytest.mark.parametrize("op", BINARY)
def test_a_function_of_pairs_is_that_of_one_pair(op):
    single = {"clamp_min": torch.clamp_min, "clamp_max": torch.clamp_max}.get(op) or getattr(torch, op)
    alone = extra(lambda a, b: [single(*pair) for pair in zip(a, b, strict=True)])
    assert alone > 0
    listed, in_place = getattr(torch, f"_foreach_{op}"), getattr(torch, f"_foreach_{op}_")
    assert extra(lambda a, b: listed(a, b)) == alone
    for engine in ENGINES:
        assert [extra(lambda a, b, o=other: in_place(a, o(b)), engine) for other in OTHERS] == [alone] * 3


OTHERS = (lambda b: b, lambda b: 2.0, lambda b: [2.0, 3.0])  # a list of tensors, a number, a list of numbers


@pytest.mark.parametrize("engine", ENGINES)
def test_counts_by_hand(engine):
    n = 4 + 6
    assert extra(lambda a, b: torch._foreach_add_(a, b, alpha=0.5), engine) == 2 * n  # scale, add
    assert extra(lambda a, b: torch._foreach_lerp_(a, b, 0.5), engine) == 3 * n
    assert extra(lambda a, b: torch._foreach_addcmul_(a, b, b, 0.5), engine) == 3 * n
    assert extra(lambda a, b: torch._foreach_addcdiv_(a, b, b, [1.0, 2.0]), engine) == 3 * n
    assert extra(lambda a, b: torch._foreach_copy_(a, b), engine) == 0
    assert extra(lambda a, b: torch._foreach_norm(a), engine) == 2 * n  # square, accumulate
    assert extra(lambda a, b: torch._foreach_max(a), engine) == n - 2  # n numbers need n - 1 comparisons
    unscale = aten._amp_foreach_non_finite_check_and_unscale_
    found = torch.zeros(1)
    assert extra(lambda a, b: unscale(a, found, torch.ones(1)), engine) == 2 * n


def test_rules_that_this_torch_may_not_have():
    listed = (TensorSpec((4,)), TensorSpec((2, 3)))
    work = RULES["aten._foreach_powsum"].formula.function
    assert work(listed, out=(TensorSpec(()),) * 2).other_flops == 2 * (4 + 6)
    square = (TensorSpec((2, 3)), TensorSpec((4, 5)))
    products = RULES["aten._foreach_mm"].formula.function
    right = (TensorSpec((3, 7)), TensorSpec((5, 1)))
    assert products(square, mat2=right, out=(TensorSpec((2, 7)), TensorSpec((4, 1)))).macs == 2 * 3 * 7 + 4 * 5
    cloned = RULES["aten._foreach_clone"].formula.function(listed, out=listed)
    assert (cloned.macs, cloned.other_flops) == (0, 0)


def test_a_list_reads_and_writes_all_its_tensors():
    (op,) = [
        op
        for op in trace(Lists(lambda a, b: torch._foreach_add_(a, b)), (TensorSpec((1,)),)).ops
        if "foreach" in op.signature.op
    ]
    assert op.signature.outputs == (TensorSpec((4,)), TensorSpec((2, 3)))
    report = count_flops(Lists(lambda a, b: torch._foreach_add_(a, b)), (1,))
    row = next(row for row in report.operators if row.op == "aten._foreach_add")
    assert (row.bytes_read, row.bytes_written) == (2 * 10 * 4, 10 * 4)


class Step(nn.Module):
    """A step of an optimizer on a copy of a weight, by torch's loop or fused."""

    def __init__(self, kind, **options):
        super().__init__()
        self.kind, self.options = kind, options

    def forward(self, x):
        with torch.inference_mode(False), torch.enable_grad():
            weights = [torch.zeros(4, requires_grad=True), torch.zeros(2, 3, requires_grad=True)]
            optimizer = self.kind(weights, **self.options)
            for weight in weights:
                weight.grad = torch.ones_like(weight)
            optimizer.step()
            optimizer.step()
        return x


def of_elements(kind, **options):
    """FLOPs per element of the second step; the rest are numbers of the step, which are single elements."""
    report = count_flops(Step(kind, **options), (1,), engine="real")
    names = [f"aten.{name}" for name in ("lerp", "mul", "addcmul", "sqrt", "div", "add", "addcdiv")]
    ops = [op for op in report.ops if op.name in names and op.elements_written > 1]
    return sum(op.work.other_flops for op in ops) / (2 * 10)


@pytest.mark.parametrize(
    ("kind", "fused", "options", "per_element"),
    [
        (torch.optim.Adam, "_fused_adam_", {}, 13),
        (torch.optim.Adam, "_fused_adam_", {"weight_decay": 0.1}, 15),
        (torch.optim.SGD, "_fused_sgd_", {"momentum": 0.9, "dampening": 0.5}, 5),
        (torch.optim.Adagrad, "_fused_adagrad_", {}, 8),
    ],
)
def test_a_fused_optimizer_counts_as_its_loop(kind, fused, options, per_element):
    weights = [torch.zeros(4), torch.zeros(2, 3)]
    like = lambda: [torch.ones_like(weight) for weight in weights]  # noqa: E731
    steps = [torch.ones(()) for _ in weights]
    given = {"weight_decay": 0.0, "lr": 0.1, "maximize": False, **options}
    if kind is torch.optim.Adam:
        given |= {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "amsgrad": False}
        call = lambda: torch._fused_adam_(like(), like(), like(), like(), [], steps, **given)  # noqa: E731
    elif kind is torch.optim.SGD:
        given |= {"nesterov": False, "is_first_step": False}
        call = lambda: torch._fused_sgd_(like(), like(), like(), **given)  # noqa: E731
    else:
        given |= {"eps": 1e-8, "lr_decay": 0.0}
        call = lambda: torch._fused_adagrad_(like(), like(), like(), steps, **given)  # noqa: E731
    counts = {engine: count_flops(Lists(lambda a, b: call()), (1,), engine=engine).other_flops for engine in ENGINES}
    assert counts == dict.fromkeys(ENGINES, 20 + per_element * 10)


def test_adam_is_as_many_operations_as_torchs_loop():
    assert of_elements(torch.optim.Adam, foreach=False) == 13
