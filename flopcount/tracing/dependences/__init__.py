"""What each operator's result can see of what its arguments can see: one function per family of operators.

A function here takes a Call (arguments by schema name, what each tensor sees along one axis of the clip) and returns
what the result sees. An operator that is not in the table, and is not elementwise by its cost rule,
loses the dependence and is named as the one that did. What an attention mask hides is not known here: masked attention
counts as seeing everything it could attend to, except where the operator itself says that it is causal.
"""

from .call import Call, Rule
from .lookup import rule_of

__all__ = ["Call", "Rule", "rule_of"]
