"""A function of one call of an operator, which asks for the arguments it needs and for no others."""

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
    """What `function` says of a call, whose arguments (tensors as TensorSpec) it names as the schema does.

    The output is `out`; `what` is for errors. `defaults` are the arguments it asks for, with the value that stands in
    where an operator's schema does not have one.
    """

    what: str
    function: Callable[..., AnswerT]
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, what: str, function: Callable[..., AnswerT]) -> OperatorFormula[AnswerT]:
        """The formula that a function with named arguments is."""
        parameters = inspect.signature(function).parameters
        return cls(what, function, {name: p.default for name, p in parameters.items() if name != "out"})

    def __call__(self, signature: Signature) -> AnswerT:
        """The answer for one call.

        Raises:
            InputError: the operator does not have an argument that the function asks for.
        """
        of_call = signature.arguments
        arguments = {name: of_call.get(name, default) for name, default in self.defaults.items()}
        missing = [name for name, value in arguments.items() if value is _EMPTY]
        if missing:
            raise InputError(
                f"the {self.what} asks for {', '.join(missing)}, which {signature.op} does not have",
                [("seen", ", ".join(of_call)), ("fix", "name a rule's arguments as in the operator's schema")],
            )
        outputs = signature.outputs
        return self.function(**arguments, out=outputs[0] if len(outputs) == 1 else outputs)
