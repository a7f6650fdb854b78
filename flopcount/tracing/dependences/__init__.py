"""What each operator's result sees of the clip, from what its arguments see: one function per family of operators.

A function here takes a Call (arguments by schema name, what each tensor sees along one axis of the clip) and returns
what the result sees. An operator that is not in the table, and is not elementwise by its cost rule, loses the
dependence, and the result names it. The values of an attention mask are unknown here: masked attention sees everything
that it could attend to, unless the operator itself is causal.
"""

from .call import Call, Rule
from .lookup import rule_of

__all__ = ["Call", "Rule", "rule_of"]
