"""Private names of torch, in one place; each has a test of what it promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import unwrap
from types import CodeType
from typing import Any

import torch

__all__ = [
    "applied_code",
    "blind_transforms",
    "function_with_forward",
    "out_of_sight",
    "refuse_data_pointer",
    "refuse_data_pointers",
    "scripted_attributes",
    "set_version",
]


def set_version(tensor: torch.Tensor, version: int) -> None:
    """Set the version counter of a tensor, which its views share. Until torch 2.6 it took one tensor at a time."""
    try:
        torch._C._autograd._unsafe_set_version_counter((tensor,), (version,))
    except TypeError:
        torch._C._autograd._unsafe_set_version_counter(tensor, version)  # type: ignore[arg-type]


@contextmanager
def out_of_sight() -> Iterator[None]:
    """No mode sees what torch is asked for here, neither those of functions nor those of operators."""
    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
        yield


refuse_data_pointer = torch._C._set_throw_on_mutable_data_ptr
"""From now on who asks for the address of this tensor's data gets an error, compiled code included."""


def refuse_data_pointers(fake_mode: Any) -> None:
    """The same for every fake tensor of a mode, which otherwise gives compiled code the address of nothing."""
    fake_mode._allow_unsafe_data_ptr_access = False


def scripted_attributes(scripted: Any) -> list[str]:
    """What a compiled module (`_c` of TorchScript's) has in C++: numbers, tensors and containers, by name."""
    kind: Any = torch._C.ConcreteModuleType
    return [*kind.from_jit_type(scripted._type()).get_attributes()]


def applied_code() -> CodeType | None:
    """What `autograd.Function.apply` runs, on `cls`, `args`, `kwargs`; since torch 2.14 it is in C and has no frame."""
    apply = getattr(torch.autograd.Function.apply, "__func__", None)
    return None if apply is None else apply.__code__


def function_with_forward(code: CodeType) -> type[torch.autograd.Function] | None:
    """The function that runs where its `apply` has no frame: the one that this code is the `forward` of."""
    if code.co_name != "forward":
        return None
    known: list[type[torch.autograd.Function]] = [torch.autograd.Function]
    for function in known:
        if getattr(unwrap(function.forward), "__code__", None) is code:
            return function
        known += function.__subclasses__()
    return None


_DIFFERENTIATES = torch.__version__ >= "2.12"  # asked once, since torch reads both versions anew each time


def blind_transforms() -> list[tuple[Any, str, Any, Any]]:
    """Where `torch.func` begins to differentiate: in inference mode it gave zeros in silence until torch 2.12.

    Each place as its owner, name, what is there, and what raises there instead; outside inference mode torch's own.
    """
    if _DIFFERENTIATES:
        return []
    owner = torch._functorch.eager_transforms
    found = [(name, getattr(owner, name)) for name in ("grad_increment_nesting", "jvp_increment_nesting")]
    return [(owner, name, begin, _seeing(begin)) for name, begin in found]


def _seeing(begin: Any) -> Any:
    def begun() -> Any:
        if torch.is_inference_mode_enabled():
            raise RuntimeError("this torch does not differentiate in inference mode")
        return begin()

    return begun
