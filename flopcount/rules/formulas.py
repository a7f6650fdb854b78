"""What is said of an operator beside its cost: functions of its arguments, by name, found as its rule is found."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..core.errors import InputError
from ..core.ops import Signature

__all__ = ["Formulas"]

FormulaT = TypeVar("FormulaT", bound=Callable[..., int])


class Formulas:
    """One quantity (`what`) by operator. A formula asks for the arguments it needs, named as in the schema, and `out`.

    @depths("mylib.my_op")
    def my_op(x, *, out):
        return 2
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._formulas: dict[str, tuple[Callable[..., int], dict[str, Any]]] = {}

    def __call__(self, *ops: object) -> Callable[[FormulaT], FormulaT]:
        """Register a formula for one or more operators; the last one registered holds."""

        def register(function: FormulaT) -> FormulaT:
            parameters = inspect.signature(function).parameters
            defaults = {name: parameter.default for name, parameter in parameters.items() if name != "out"}
            for op in ops:
                self._formulas[str(op).replace("::", ".")] = function, defaults
            return function

        return register

    def of(self, signature: Signature) -> int | None:
        """What the formula says of one call; None where the operator has none."""
        op = signature.op
        names = (f"{op}.{signature.overload}", op, op[:-1] if op.endswith("_") else op)
        entry = next((self._formulas[name] for name in names if name in self._formulas), None)
        if entry is None:
            return None
        function, defaults = entry
        arguments = {name: signature.arguments.get(name, default) for name, default in defaults.items()}
        missing = [name for name, value in arguments.items() if value is inspect.Parameter.empty]
        if missing:
            raise InputError(
                f"the {self.what} of {op} asks for {', '.join(missing)}, which it does not have",
                [("seen", ", ".join(signature.arguments)), ("fix", "name arguments as in the operator's schema")],
            )
        outputs = signature.outputs
        return function(**arguments, out=outputs[0] if len(outputs) == 1 else outputs)
