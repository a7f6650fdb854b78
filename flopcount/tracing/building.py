"""Building a module without its weights: a builder -> a module on the meta device."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..core.errors import TraceError
from ..core.units import si
from .attribution import ModulePath
from .guard.preserve import preserved, random_states_kept, uncollected
from .guard.threads import TURN
from .invented import built_for_the_count, fix_random_numbers
from .kernels import meta_like
from .meta import MetaMode
from .torch_private import current_dispatch_modes, disable_current_modes
from .uncountable import Unknown

__all__ = ["free_memory", "lightest", "require_room", "weighted", "weightless"]

ModuleT = TypeVar("ModuleT")
T = TypeVar("T")


def weightless(build: Callable[..., ModuleT], *args: Any, **kwargs: Any) -> ModuleT:
    """Build a module without allocating its weights: `weightless(create_model, "c3d")`.

    Parameters and large buffers end up on the meta device, small buffers keep their values. Unlike a plain
    `torch.device("meta")`, code that reads values while building (`torch.linspace(...).item()`) works, and no
    initialisation of large tensors runs. Random numbers are those of a fixed seed, and random states are restored. If
    the builder reads the values of a large tensor, it runs for real, and its weights are freed afterwards.
    """
    built: Any
    with TURN, uncollected(), preserved(nn.Module(), real=False), torch.no_grad():
        fix_random_numbers()
        try:
            with _BuildMode(ModulePath(nn.Module())):
                built = build(*args, **kwargs)
        except Unknown:
            fix_random_numbers()
            built = build(*args, **kwargs)
    for module in _modules_in(built):
        _parameters_to_meta(module)
    return built  # type: ignore[no-any-return]


def lightest(build: Callable[[], nn.Module], use: Callable[[nn.Module], T], *, max_params: int | None = None) -> T:
    """The result of `use` on a model without weights, or with real weights if `use` needs them (TraceError).

    Raises:
        TraceError: `use` needs weights, and there are more than `max_params`, or more than fit into free memory.
    """
    with _outside_of_building():
        bare = weightless(build)
        try:
            return use(bare)
        except TraceError as error:
            require_room(bare, error, max_params)
        return use(weighted(build))


def _outside_of_building() -> AbstractContextManager[object]:
    """Within a builder that counts a model by name, leave the mode that builds: it would leave the weights out."""
    building = any(isinstance(mode, _BuildMode) for mode in current_dispatch_modes())
    return disable_current_modes() if building else nullcontext()


def weighted(build: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Build a module, or a tuple with one, with its weights, for a count that needs them.

    Weights may decide what is computed, so they are those of a fixed seed, and the same for every count.
    """
    with random_states_kept():
        fix_random_numbers()
        built = build(*args, **kwargs)
    for module in _modules_in(built):
        built_for_the_count(module)
    return built


def _modules_in(built: Any) -> list[nn.Module]:
    """What a builder made: a module, or a tuple of one and its input."""
    return [part for part in (built if isinstance(built, tuple) else (built,)) if isinstance(part, nn.Module)]


_BUILDING = 1.5  # factor for the copies that initialisation makes


def require_room(bare: nn.Module, reason: TraceError, max_params: int | None = None) -> None:
    """Check that a model without weights can be built with them; a failing allocation would end the process.

    Raises:
        TraceError: the `reason`, if the weights are more than `max_params`, or do not fit into free memory.
    """
    parameters = [parameter for parameter in bare.parameters() if not is_lazy(parameter)]
    count = sum(parameter.numel() for parameter in parameters)
    needed = sum(parameter.numel() * parameter.itemsize for parameter in parameters)
    free = free_memory()
    if max_params is not None and count > max_params:
        seen = f"{si(count)} parameters, more than the limit of {si(max_params)}"
        raise TraceError(reason.message, [*reason.details, ("seen", seen)]) from reason
    if needed * _BUILDING > free:
        raise TraceError(
            f"{reason.message}, and its weights of {si(needed, 'B')} do not fit into memory",
            [*reason.details[:-1], ("seen", f"{si(int(free), 'B')} are free"), ("fix", "build it smaller: --set")],
        ) from None


def free_memory() -> float:
    """Free memory in bytes; on Linux the file cache counts as free."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else inf


class _BuildMode(MetaMode):
    """Builds without recording: large tensors are not initialised, and small ones have their values."""

    def record(self, signature: object) -> None:
        """Building is not counted."""

    def knows(self, tensor: torch.Tensor) -> bool:
        """Small parameters are known too, since an initialisation may read its own values (`nn.init.trunc_normal_`)."""
        return not tensor.is_meta and tensor.numel() <= self.known_limit

    def _keep(self, tensor: torch.Tensor) -> None:
        """Keep nothing: a builder may write to its own tensors."""

    def _ran(self, func: Any, args: Any, kwargs: dict[str, Any], result: Any, written: Any = ()) -> None:
        """Follow nothing: what a builder decides is the model itself."""

    def _has_no_values(self, tensor: torch.Tensor) -> None:
        """Ignore it: a builder may fill memory in any way."""

    def _record_in_place(self, func: Any, args: Any, kwargs: Any) -> None:
        """Check nothing: an initialisation fills its argument."""

    def _record_call(self, func: Any, args: Any, kwargs: Any, result: Any, **_: Any) -> None:
        """Record nothing: to tell calls apart takes as long as to make the tensors."""


def _parameters_to_meta(module: nn.Module) -> None:
    """Move the small real parameters to meta, so that no parameter has values; shared ones stay shared."""
    moved: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None and not parameter.is_meta:
                if id(parameter) not in moved:
                    moved[id(parameter)] = nn.Parameter(meta_like(parameter), parameter.requires_grad)
                part._parameters[name] = moved[id(parameter)]
