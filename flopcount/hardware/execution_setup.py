"""A module and its arguments -> a call that really runs it on a device, in a precision, layout and mode.

What runs is a copy of the module, so that its weights, buffers, hooks, mode and gradients stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..core.errors import FlopcountError, ForwardError, InputError, UnknownNameError
from ..tracing.arguments import Arguments
from ..tracing.engines import real_input
from ..tracing.guard.preserve import random_states_kept
from ..tracing.holders import substituted
from .conditions import LAYOUTS, require_switch
from .precision import precision_of

__all__ = ["RUNNABLE", "Execution", "copied", "executable"]

RUNNABLE = ("fp32", "tf32", "amp", "amp_bf16", "bf16", "fp16")
"""The precisions that torch runs any module in."""

_CASTS = {"bf16": torch.bfloat16, "fp16": torch.float16}
_AUTOCASTS = {"amp": torch.float16, "amp_bf16": torch.bfloat16}
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True, slots=True)
class Execution:
    """How a module runs: where, in which precision (None: its own), compiled or not, and in which layout."""

    device: torch.device
    dtype: str | None = None
    compiled: bool = False
    layout: str = "nchw"

    def __post_init__(self) -> None:
        require_switch(self.compiled)
        if self.layout not in LAYOUTS:
            raise UnknownNameError("layout", self.layout, LAYOUTS, f"choose {' or '.join(LAYOUTS)}")
        name = self.precision
        if name is not None and (name not in RUNNABLE or (name == "tf32" and self.device.type == "cpu")):
            known = [each for each in RUNNABLE if each != "tf32" or self.device.type != "cpu"]
            raise InputError(
                f"torch does not run any module in {name} on {self.device.type}",
                [
                    ("known", ", ".join(known)),
                    ("fix", "choose one of these, or give a time from elsewhere: --measured"),
                ],
            )

    @property
    def precision(self) -> str | None:
        """The name of the precision that is asked for, as in `PRECISIONS`."""
        return None if self.dtype is None else precision_of(self.dtype).name


def copied(module: nn.Module) -> nn.Module:
    """A copy of a module with its weights, in eval mode.

    Raises:
        InputError: it has no weights, or cannot be copied.
    """
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        why = f"{type(module).__name__} has no weights (it is on the meta device), so it cannot run"
        raise InputError(why, [("fix", "build it with its weights")])
    try:
        return copy.deepcopy(module).eval()
    except Exception as error:
        raise InputError(
            f"{type(module).__name__} cannot be copied, and a measurement leaves your module alone",
            [
                ("seen", f"{type(error).__name__}: {error}"),
                ("fix", "measure it by name: flopcount measure file.py:build"),
            ],
        ) from error


@contextmanager
def executable(module: nn.Module, arguments: Arguments, execution: Execution) -> Iterator[Callable[[], Any]]:
    """A call that runs the module once, in inference mode; the module is changed, so give one that is yours.

    Random states and torch's settings are as before afterwards.
    """
    with random_states_kept(), _float32_products(execution), torch.inference_mode():
        module = _placed(module, execution)
        args, kwargs = substituted(lambda value: _input(value, execution), (arguments.args, arguments.kwargs))
        forward: Callable[..., Any] = torch.compile(module) if execution.compiled else module
        lowered = _AUTOCASTS.get(execution.precision or "")
        autocast: Callable[[], AbstractContextManager[Any]] = (
            nullcontext if lowered is None else lambda: torch.autocast(execution.device.type, dtype=lowered)
        )

        def run() -> Any:
            try:
                with autocast():
                    return forward(*args, **kwargs)
            except (FlopcountError, KeyboardInterrupt):
                raise
            except Exception as error:
                raise ForwardError(_raised(module, execution, error), _advice(execution, error)) from error

        yield run


def _raised(module: nn.Module, execution: Execution, error: Exception) -> str:
    text = next(iter(str(error).splitlines()), "no message")
    where = f"on {execution.device}" + (f" in {execution.precision}" if execution.precision else "")
    return f"{type(module).__name__} raised {type(error).__name__} when it ran {where}: {text}"


def _advice(execution: Execution, error: Exception) -> list[tuple[str, str]]:
    if isinstance(error, torch.OutOfMemoryError):
        return [("fix", "give a smaller --batch or --clip")]
    return [("fix", "see whether it runs without --compile")] if execution.compiled else []


def _placed(module: nn.Module, execution: Execution) -> nn.Module:
    """The module on its device, in its dtype and layout; autocast keeps its own weights."""
    module = module.to(execution.device)
    if execution.precision in _CASTS:
        module = module.to(_CASTS[execution.precision])
    if execution.layout == "nhwc":
        for parameter in module.parameters():
            if parameter.dim() in _FORMATS:
                parameter.data = parameter.data.contiguous(memory_format=_FORMATS[parameter.dim()])
    return module


def _input(value: Any, execution: Execution) -> torch.Tensor:
    tensor = real_input(value, execution.device)
    if tensor.is_floating_point() and execution.precision in _CASTS:
        tensor = tensor.to(_CASTS[execution.precision])
    if execution.layout == "nhwc" and tensor.dim() in _FORMATS:
        tensor = tensor.contiguous(memory_format=_FORMATS[tensor.dim()])
    return tensor


@contextmanager
def _float32_products(execution: Execution) -> Iterator[None]:
    """Matrix products of float32 in TF32 where that is asked for."""
    if execution.precision != "tf32":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
