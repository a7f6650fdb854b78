"""Operators on lists of tensors, and the fused steps of optimizers, which return nothing or many tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.ops import Kind, Signature, TensorSpec, Work, tensors_in
from .registry import find_rule, rule

__all__: list[str] = []

_SINGLE = {
    Kind.ELEMENTWISE: """abs acos add addcdiv addcmul asin atan ceil clamp_max clamp_min cos cosh div erf erfc exp expm1
        floor frac lerp lgamma log log10 log1p log2 maximum minimum mul neg pow reciprocal round rsqrt sign sin sinh
        sqrt sub tan trunc""",
    Kind.ACTIVATION: "sigmoid tanh",
    Kind.REDUCE: "max norm",
    Kind.MATMUL: "mm",
    Kind.MOVEMENT: "clone copy zero",
}
_NAMED = {"scalar": "other", "scalars": "other", "tensors1": "end"}
"""Arguments that the operator on one tensor names otherwise."""


def _on_each(name: str) -> Callable[..., Work]:
    def count(
        self: Any, other: Any = None, scalar: Any = None, scalars: Any = None, src: Any = None, mat2: Any = None,
        alpha: float = 1, *, out: Any,
    ) -> Work:  # fmt: skip
        given = {"other": other, "scalar": scalar, "scalars": scalars, "src": src, "mat2": mat2}
        calls = _calls({"self": self, **{name: value for name, value in given.items() if value is not None}}, out)
        single = find_rule(f"aten.{name}", "")
        assert single is not None
        works = [
            single.work(Signature(f"aten.{name}", "", {"alpha": alpha, **call}, (result,))) for call, result in calls
        ]
        return Work(
            sum(work.macs for work in works),
            sum(work.other_flops for work in works),
            None if all(work.bytes_read is None for work in works) else sum(work.bytes_read or 0 for work in works),
        )

    return count


def _calls(arguments: Mapping[str, Any], out: Any) -> list[tuple[dict[str, Any], TensorSpec]]:
    """The arguments and the result of each single operator; a list gives each its own element, a number is shared."""
    results = tensors_in(out)
    return [
        (
            {
                _NAMED.get(name, name): value[index] if isinstance(value, tuple) else value
                for name, value in arguments.items()
            },
            result,
        )
        for index, result in enumerate(results)
    ]


def _register() -> None:
    for kind, names in _SINGLE.items():
        for name in names.split():
            count = _on_each(name)
            count.__doc__ = f"{name} of each tensor of a list.\n\nCounts: as {name} of each tensor."
            count.__qualname__ = f"foreach.{name}"
            rule(f"aten._foreach_{name}", kind=kind, source=f"PyTorch ATen native_functions.yaml, `{name}`")(count)


_register()


@rule("aten._foreach_powsum", kind=Kind.REDUCE)
def powsum(self: tuple[TensorSpec, ...], *, out: object) -> Work:
    """The sum of powers of each tensor of a list.

    Counts: 2 per element (power, accumulate), as for a norm.
    Source: PyTorch ATen native_functions.yaml, `_foreach_powsum`
    """
    return Work(other_flops=_elements(self) * 2)


@rule("aten._amp_foreach_non_finite_check_and_unscale", kind=Kind.ELEMENTWISE)
def unscale(self: tuple[TensorSpec, ...], *, out: object) -> Work:
    """Gradients divided by the scale of a loss, and checked.

    Counts: 2 per element (one comparison, one multiply).
    Source: PyTorch documentation of torch.amp.GradScaler
    """
    return Work(other_flops=_elements(self) * 2)


@rule("aten._fused_adam", "aten._fused_adamw", kind=Kind.ELEMENTWISE)
def fused_adam(
    self: tuple[TensorSpec, ...], weight_decay: float = 0, amsgrad: bool = False, maximize: bool = False,
    grad_scale: TensorSpec | None = None, *, out: object,
) -> Work:  # fmt: skip
    """One step of Adam on all parameters.

    Counts: 13 per element (first moment 3, second moment 4, root, correction, epsilon, and the update of 3); 2 more
        with weight decay, and 1 more each for amsgrad, for maximising and for scaled gradients.
    Source: https://arxiv.org/abs/1412.6980, algorithm 1; https://arxiv.org/abs/1711.05101 for the decay
    """
    more = 2 * bool(weight_decay) + bool(amsgrad) + bool(maximize) + (grad_scale is not None)
    return Work(other_flops=_elements(self) * (13 + more))


@rule("aten._fused_sgd", kind=Kind.ELEMENTWISE)
def fused_sgd(
    self: tuple[TensorSpec, ...], weight_decay: float = 0, momentum: float = 0, dampening: float = 0,
    nesterov: bool = False, maximize: bool = False, is_first_step: bool = False,
    grad_scale: TensorSpec | None = None, *, out: object,
) -> Work:  # fmt: skip
    """One step of stochastic gradient descent on all parameters.

    Counts: 2 per element (scale, subtract); 2 more with momentum (decay, add; none in the first step) and 1 more where
        it is dampened, 2 more with Nesterov's, 2 more with weight decay, and 1 more each for maximising and for scaled
        gradients.
    Source: PyTorch documentation of torch.optim.SGD
    """
    moving = 2 + bool(dampening) if momentum and not is_first_step else 0
    more = 2 * bool(nesterov) + 2 * bool(weight_decay) + bool(maximize) + (grad_scale is not None)
    return Work(other_flops=_elements(self) * (2 + moving + more))


@rule("aten._fused_adagrad", kind=Kind.ELEMENTWISE)
def fused_adagrad(
    self: tuple[TensorSpec, ...], weight_decay: float = 0, maximize: bool = False,
    grad_scale: TensorSpec | None = None, *, out: object,
) -> Work:  # fmt: skip
    """One step of Adagrad on all parameters.

    Counts: 8 per element (sum of squares 3, root, epsilon, and the update of 3); 2 more with weight decay, and 1 more
        each for maximising and for scaled gradients.
    Source: PyTorch documentation of torch.optim.Adagrad
    """
    more = 2 * bool(weight_decay) + bool(maximize) + (grad_scale is not None)
    return Work(other_flops=_elements(self) * (8 + more))


def _elements(specs: tuple[TensorSpec, ...]) -> int:
    return sum(spec.numel for spec in specs if spec.is_floating)
