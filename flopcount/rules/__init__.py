"""Every cost rule, one file per family; importing this package registers all rules of its files.

Conventions: https://arxiv.org/abs/1412.0767 and the lecture count `2·Cin·Hout·Wout·KH·KW·Cout` for a convolution and
`2·Nin·Nout` for a fully connected layer. Rules return MACs; the factor 2 is applied once, in the table of quantities.
"""

from importlib import import_module
from pkgutil import iter_modules

from .registry import RULES, Rule, canonical_name, find_rule, known_as, rule

__all__ = ["RULES", "Rule", "canonical_name", "find_rule", "known_as", "rule"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
