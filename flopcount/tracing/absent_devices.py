"""Modules that ask for an accelerator, counted on a machine without it: the work is the same wherever it is done.

While a count runs in `without_absent_devices`, a move to a device that is not here moves nothing, a tensor that is made
there is made on the CPU, and torch's functions that wait for the device or measure its time do nothing. What a device
is (its name, its memory) stays unknown, and a module that asks is told that there is none.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import get_ident
from types import CodeType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .torch_private import DYNAMO, NO_CLASS
from .uncountable import AbsentDevice

__all__ = ["absent_device_of", "autocast_here", "redirected", "without_absent_devices"]

_ACCELERATORS = ("cuda", "xpu", "mps")
_CPU = torch.device("cpu")
_META = "meta"
_PLACES = [getattr(torch.Tensor, name).__get__ for name in ("device", "is_cuda", "is_xpu", "is_mps")]


def _absent() -> frozenset[str]:
    """The accelerators that are not here, by name."""
    return frozenset(name for name in _ACCELERATORS if not getattr(torch, name).is_available())


def absent_device_of(file: str, function: str) -> str:
    """The accelerator that is not here and that torch was asked for, by the place where it raised; "" if none."""
    place, torchs = Path(file), Path(torch.__file__).parent
    if not place.is_relative_to(torchs):
        return ""
    absent, within = _absent(), place.relative_to(torchs).parts
    if within == NO_CLASS[0] and function == NO_CLASS[1]:
        return next(iter(sorted(absent)), "")
    return within[0] if within[0] in absent else ""


def redirected() -> AbstractContextManager[Any]:
    """Make tensors of devices that are not here on the CPU."""
    absent = _absent()
    return _redirected(absent) if absent else nullcontext()


@contextmanager
def _redirected(absent: frozenset[str]) -> Iterator[None]:
    redirects = _Redirected(absent)
    try:
        with redirects:
            yield
    except Exception as error:
        if redirects.is_refused(error):
            raise AbsentDevice(redirects.moved, "") from error
        raise


@contextmanager
def without_absent_devices() -> Iterator[None]:
    """Count a module that asks for an accelerator which is not here."""
    importlib.import_module(DYNAMO)  # it would keep what it finds in torch.cuda while it is loaded
    with redirected(), _replaced(_absent()):
        yield


@contextmanager
def autocast_here(assume: Callable[[str], object]) -> Iterator[None]:
    """Apply autocast for a device that is not here, in this thread; torch would disable it, or cast nothing.

    It casts what it casts on a CPU, where the tensors are; `assume` gets that in words. A region that turns it off does
    so here too, once there was one that turned it on.

    A module that asks for autocast on the device of its tensors, which have no data here, gets what it gets on a CPU:
    none in a dtype that a CPU does not lower to.
    """
    absent, thread, kind = _absent(), get_ident(), torch.autocast
    torchs: Any = kind.__init__
    applied: set[str] = set()

    def begin(
        self: Any, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if device_type == _META and get_ident() == thread:
            enabled = enabled and dtype in (None, torch.bfloat16, torch.float16)
            return torchs(self, _CPU.type, dtype if enabled else None, enabled, cache_enabled)  # type: ignore[no-any-return]
        simulated = device_type in absent and get_ident() == thread and (enabled or device_type in applied)
        if not simulated:
            return torchs(self, device_type, dtype, enabled, cache_enabled)  # type: ignore[no-any-return]
        if enabled:
            applied.add(device_type)
            assume(f"autocast for {device_type}, which is not here, casts what it casts on a CPU")
        return torchs(self, "cpu", dtype or torch.get_autocast_dtype(device_type), enabled, cache_enabled)  # type: ignore[no-any-return]

    kind.__init__ = begin  # type: ignore[method-assign]
    try:
        yield
    finally:
        kind.__init__ = torchs  # type: ignore[method-assign]


class _Redirected(TorchFunctionMode):
    """Torch functions with the CPU instead of a device that is not here."""

    def __init__(self, absent: frozenset[str]) -> None:
        super().__init__()
        self.absent = absent
        moves = (*absent, "pin_memory")  # the last one prepares a move
        self.moved = ""  # the device that a tensor was moved to last
        self.asked: set[CodeType] = set()  # code that asks where a tensor is, after a move
        self.moves = [getattr(torch.Tensor, name) for name in moves if hasattr(torch.Tensor, name)]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.device:  # a name alone, which other functions get
            return func(*args, **kwargs)
        if func in self.moves:
            self.moved = func.__name__ if func.__name__ in self.absent else self.moved
            return args[0]
        if func in _PLACES and self.moved:
            self.asked.add(sys._getframe(1).f_code)
        if func is torch.Tensor.type and len(args) > 1 and isinstance(args[1], str):
            return func(args[0], args[1].replace("torch.cuda.", "torch."), *args[2:], **kwargs)
        if func is torch.Tensor.to and len(args) > 1 and type(args[1]) is int:  # `.to(0)` is `.to("cuda:0")`
            args = (args[0], self._here("cuda") if "cuda" in self.absent else args[1], *args[2:])
        args = tuple([self._here(value) for value in args])
        if "device" in kwargs:
            kwargs = {**kwargs, "device": self._here(kwargs["device"])}
        return func(*args, **kwargs)

    def is_refused(self, error: BaseException) -> bool:
        """Whether a function raised that had asked where a tensor is: nothing is where a move should have put it."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        return trace is not None and trace.tb_frame.f_code in self.asked

    def _here(self, value: Any) -> Any:
        if isinstance(value, torch.device):
            return self._instead(value.type, value)
        if type(value) is str:
            return self._instead(value.partition(":")[0], value)
        return value

    def _instead(self, device: str, value: Any) -> Any:
        if device not in self.absent:
            return value
        self.moved = device
        return _CPU


class _Event:
    """An event of a device that is not here: it is always over, and no time passes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what torch's event takes."""

    def record(self, stream: object = None) -> None:
        """Nothing is waited for."""

    wait = record

    def synchronize(self) -> None:
        """Nothing is waited for."""

    def query(self) -> bool:
        """Whether it is over."""
        return True

    def elapsed_time(self, end: object) -> float:
        """Milliseconds."""
        return 0.0


class _Stream(nullcontext[None]):
    """A stream of a device that is not here, which is always done."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def record_event(self, event: Any = None) -> Any:
        """An event that is over."""
        return event or _Event()

    def wait_event(self, event: object) -> None:
        """Nothing is waited for."""

    wait_stream = wait_event

    def synchronize(self) -> None:
        """Nothing is waited for."""

    def query(self) -> bool:
        """Whether it is done."""
        return True


def _nothing(*args: object, **kwargs: object) -> None:
    """What waits for a device, or marks its time line."""


def _first(*args: object, **kwargs: object) -> int:
    return 0


def _is_false(*args: object, **kwargs: object) -> bool:
    return False


def _context(*args: object, **kwargs: object) -> Any:
    return nullcontext()


_FUNCTIONS: dict[str, Any] = {
    **dict.fromkeys(("synchronize", "set_device", "empty_cache", "reset_peak_memory_stats", "set_stream"), _nothing),
    **dict.fromkeys(("manual_seed", "manual_seed_all"), _nothing),
    **dict.fromkeys(("current_stream", "default_stream", "Stream"), _Stream),
    **dict.fromkeys(("device", "device_of", "stream"), _context),
    "Event": _Event,
    "current_device": _first,
    "is_current_stream_capturing": _is_false,
}
"""What replaces the functions of `torch.cuda` and its like."""
_MARKS = ("range_push", "range_pop", "range_start", "range_end", "mark")


@contextmanager
def _replaced(absent: frozenset[str]) -> Iterator[None]:
    """Replace the functions of the absent accelerators, which could only raise."""
    before: list[tuple[Any, str, Any]] = []
    replacements: list[tuple[Any, str, Callable[..., Any]]] = [
        (getattr(torch, accelerator), name, function) for accelerator in absent for name, function in _FUNCTIONS.items()
    ]
    if "cuda" in absent:
        replacements += [(torch.cuda.nvtx, name, _nothing) for name in _MARKS]
        replacements += [(torch.Tensor, "record_stream", _nothing)]
    try:
        for module, name, function in replacements:
            if hasattr(module, name):
                before.append((module, name, vars(module).get(name)))
                setattr(module, name, function)
        yield
    finally:
        for module, name, torchs in before:
            if torchs is None:  # it is inherited
                delattr(module, name)
            else:
                setattr(module, name, torchs)
