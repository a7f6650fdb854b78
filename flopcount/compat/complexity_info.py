"""`get_model_complexity_info`, which ptflops and mmengine both have, distinguished by their keywords."""

from __future__ import annotations

from typing import Any

from torch import nn

from . import mmengine, ptflops

__all__ = ["get_model_complexity_info"]

_OF_MMENGINE = ("input_shape", "inputs", "show_table", "show_arch")


def get_model_complexity_info(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """As ptflops' function; called with a keyword that only mmengine's has, as that one, which returns a dict."""
    if any(keyword in kwargs for keyword in _OF_MMENGINE):
        return mmengine.get_model_complexity_info(model, *args, **kwargs)
    return ptflops.get_model_complexity_info(model, *args, **kwargs)
