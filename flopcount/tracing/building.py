"""Building a module without its weights: what enters is a builder, what leaves is a module on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from .attribution import ModulePath
from .kernels import meta_like
from .meta import MetaMode
from .mode import Unknown
from .preserve import TURN, preserved, uncollected

__all__ = ["weightless"]

ModuleT = TypeVar("ModuleT")


def weightless(build: Callable[..., ModuleT], *args: Any, **kwargs: Any) -> ModuleT:
    """Build a module without allocating its weights: `weightless(create_model, "c3d")`.

    Parameters and large buffers end up on the meta device, small buffers keep their values. Unlike a plain
    `torch.device("meta")`, code that reads values while building (`torch.linspace(...).item()`) works, and no
    initialisation of large tensors runs. Random states are as before. A builder that reads the values of a large
    tensor is run for real, and its weights are let go afterwards.
    """
    built: Any
    with TURN, uncollected(), preserved(nn.Module(), buffers=False), torch.no_grad():
        try:
            with _BuildMode(ModulePath(nn.Module())):
                built = build(*args, **kwargs)
        except Unknown:
            built = build(*args, **kwargs)
    if isinstance(built, nn.Module):
        _parameters_to_meta(built)
    return built  # type: ignore[no-any-return]


class _BuildMode(MetaMode):
    """Builds without recording: initialisation writes to nothing, small tensors have their values."""

    def record(self, signature: object) -> None:
        """Building is not counted."""

    def knows(self, tensor: torch.Tensor) -> bool:
        """A small parameter too: an initialisation may look at what it drew (`nn.init.trunc_normal_` does)."""
        return not tensor.is_meta and tensor.numel() <= self.known_limit

    def _keep(self, tensor: torch.Tensor) -> None:
        """What is being built may be written."""

    def _record_in_place(self, func: Any, args: Any, kwargs: Any) -> None:
        """Nothing to check: an initialisation fills what it is given."""


def _parameters_to_meta(module: nn.Module) -> None:
    """Small parameters were made for real; like the rest they have no values. Sharing is kept."""
    moved: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None and not parameter.is_meta:
                if id(parameter) not in moved:
                    moved[id(parameter)] = nn.Parameter(meta_like(parameter), parameter.requires_grad)
                part._parameters[name] = moved[id(parameter)]
