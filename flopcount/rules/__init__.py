"""Every cost rule, one file per family; importing this package registers them all.

Conventions: https://arxiv.org/abs/1412.0767 and the lecture count `2·Cin·Hout·Wout·KH·KW·Cout` for a convolution and
`2·Nin·Nout` for a fully connected layer; here the factor 2 is applied once, in `costing`, so rules speak of MACs.
"""

from . import (  # noqa: F401  (imported to register their rules)
    attention,
    backward,
    conv,
    elementwise,
    fft,
    interpolate,
    matmul,
    movement,
    norm,
    pooling,
    recurrent,
    reduce,
)
from .registry import RULES, Rule, find_rule, rule

__all__ = ["RULES", "Rule", "find_rule", "rule"]
