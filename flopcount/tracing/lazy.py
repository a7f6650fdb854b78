"""Lazy modules, which get their sizes from their first input."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from .torch_private import out_of_sight

__all__ = ["settle"]


def settle(module: nn.Module, args: Any) -> None:
    """Initialise a lazy module before torch does, hidden from the recording mode."""
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
        with out_of_sight(), torch.inference_mode(False), torch.no_grad():
            module.initialize_parameters(*args)
