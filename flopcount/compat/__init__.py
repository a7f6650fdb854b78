"""Names that other counters have, with their units and result shapes, counted by flopcount.

    from fvcore.nn import FlopCountAnalysis            ->  from flopcount.compat import FlopCountAnalysis
    from thop import profile                           ->  from flopcount.compat import profile
    from ptflops import get_model_complexity_info      ->  from flopcount.compat import get_model_complexity_info
    from mmengine.analysis import get_model_...        ->  from flopcount.compat.mmengine import get_model_...

What changes is the number: the multiply-accumulates of every contraction, whichever way it was called, and nothing
else (no bias, no normalisation, no activation). Nothing is run, and the module is the same afterwards. What else these
packages export is in `flopcount.compat.fvcore`, `.thop`, `.ptflops` and `.mmengine`.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from . import mmengine, ptflops
from .fvcore import FlopCountAnalysis
from .thop import profile

__all__ = ["FlopCountAnalysis", "get_model_complexity_info", "profile"]

_OF_MMENGINE = ("input_shape", "inputs", "show_table", "show_arch")


def get_model_complexity_info(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """As ptflops' function; called with a keyword that only mmengine's has, as that one, which returns a dict."""
    if any(keyword in kwargs for keyword in _OF_MMENGINE):
        return mmengine.get_model_complexity_info(model, *args, **kwargs)
    return ptflops.get_model_complexity_info(model, *args, **kwargs)
