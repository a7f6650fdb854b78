"""Names that other counters have, with their units and result shapes, counted by flopcount.

    from fvcore.nn import FlopCountAnalysis            ->  from flopcount.compat import FlopCountAnalysis
    from thop import profile                           ->  from flopcount.compat import profile
    from ptflops import get_model_complexity_info      ->  from flopcount.compat import get_model_complexity_info
    from mmengine.analysis import get_model_...        ->  from flopcount.compat.mmengine import get_model_...

What changes is the number: the multiply-accumulates of every contraction, whichever way it was called, and nothing
else (no bias, no normalisation, no activation). Nothing is run, and the module is the same afterwards. What else these
packages export is in `flopcount.compat.fvcore`, `.thop`, `.ptflops` and `.mmengine`.
"""

from .complexity_info import get_model_complexity_info
from .fvcore import FlopCountAnalysis
from .thop import profile

__all__ = ["FlopCountAnalysis", "get_model_complexity_info", "profile"]
