"""Names that other counters have, with their units and result shapes, counted by flopcount.

    from fvcore.nn import FlopCountAnalysis            ->  from flopcount.compat import FlopCountAnalysis
    from thop import profile                           ->  from flopcount.compat import profile
    from ptflops import get_model_complexity_info      ->  from flopcount.compat import get_model_complexity_info
    from torchinfo import summary                      ->  from flopcount.compat import summary
    from mmengine.analysis import get_model_...        ->  from flopcount.compat.mmengine import get_model_...

What changes is the number: the multiply-accumulates of every contraction, whichever way it was called, and nothing
else (no bias, no normalisation, no activation). Nothing is run, and the module is the same afterwards. What these
packages export beside is here as well (`flop_count_table`, `clever_format`, `flops_to_string` ...); each has a module
of its own too, and what only mmengine exports is in `flopcount.compat.mmengine`.
"""

from .complexity_info import get_model_complexity_info
from .fvcore import (
    ActivationCountAnalysis,
    FlopCountAnalysis,
    Handle,
    activation_count,
    flop_count,
    flop_count_str,
    flop_count_table,
    parameter_count,
    parameter_count_table,
)
from .ptflops import FLOPS_BACKEND, flops_to_string, params_to_string
from .thop import clever_format, profile
from .torchinfo import ModelStatistics, summary

__all__ = [
    "FLOPS_BACKEND",
    "ActivationCountAnalysis",
    "FlopCountAnalysis",
    "Handle",
    "ModelStatistics",
    "activation_count",
    "clever_format",
    "flop_count",
    "flop_count_str",
    "flop_count_table",
    "flops_to_string",
    "get_model_complexity_info",
    "parameter_count",
    "parameter_count_table",
    "params_to_string",
    "profile",
    "summary",
]
