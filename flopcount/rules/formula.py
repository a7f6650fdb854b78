"""A function of one call of an operator, which names only the arguments that it needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..core.errors import InputError
from ..core.ops import Signature

__all__ = ["OperatorFormula"]

AnswerT = TypeVar("AnswerT")
_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class OperatorFormula(Generic[AnswerT]):
    """A function of a call's arguments (tensors as TensorSpec), with the names of the operator's schema.

    The output is `out`; `what` names the formula in errors. `defaults` has the function's arguments, each with the
    value that it takes if the schema does not have it.
    """

    what: str
    function: Callable[..., AnswerT]
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, what: str, function: Callable[..., AnswerT]) -> OperatorFormula[AnswerT]:
        """The formula of a function with named arguments."""
        parameters = inspect.signature(function).parameters
        return cls(what, function, {name: p.default for name, p in parameters.items() if name != "out"})

    def __call__(self, signature: Signature) -> AnswerT:
        """The value of the formula for one call.

        Raises:
            InputError: the function needs an argument that the operator does not have.
        """
        of_call = signature.arguments
        arguments = {name: of_call.get(name, default) for name, default in self.defaults.items()}
        missing = [name for name, value in arguments.items() if value is _EMPTY]
        if missing:
            raise InputError(
                f"the {self.what} needs {', '.join(missing)}, which {signature.op} does not have",
                [("seen", ", ".join(of_call)), ("fix", "name a rule's arguments as in the operator's schema")],
            )
        outputs = signature.outputs
        return self.function(**arguments, out=outputs[0] if len(outputs) == 1 else outputs)
