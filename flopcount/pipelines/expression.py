"""Arithmetic of named parameters, such as "2 * steps" or "tokens - 1": how often a stage runs, and per what.

What enters is text or a number; what leaves is its exact value for the parameters' values, and the same expression for
sympy and for the script of a page. Only arithmetic is understood, so that a file can hold it as data.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import Any, TypeAlias

from ..core.errors import InputError, UnknownNameError

__all__ = ["Expression", "Value", "parse_value", "plain", "require_runs"]

Value: TypeAlias = int | Fraction
"""A value of a parameter: exact, since 0.3 of 50 steps are 15 and not 14.999."""

_FUNCTIONS = ("floor", "ceil", "min", "max")
_FIX = "write whole numbers, names of parameters, + - * / // % ( ), floor, ceil, min and max"
_LONGEST = 1000
_BITS = 256  # of a value: nothing runs more often
_SHOWN = 80  # characters of a value in a message


def parse_value(name: str, value: object) -> Value:
    """The value of a parameter: a whole number or an exact fraction, from a number or its text.

    Raises:
        InputError: it is no finite number.
    """
    try:
        text = str(value).strip()  # a whole number of more digits than Python writes is a ValueError too
        if isinstance(value, bool) or len(text) > _LONGEST or abs(_exponent(text)) > _BITS:
            raise ValueError
        exact = Fraction(text)
        if max(abs(exact.numerator), exact.denominator) >= 2**_BITS:
            raise ValueError
    except (ValueError, ZeroDivisionError):
        fix = "give a number, such as 50 or 0.3"
        raise InputError(f"parameter {name} is {_short(value)}, not a number", [("fix", fix)]) from None
    return plain(exact)


def require_runs(times: Value, what: str) -> None:
    """Refuse more runs than any number of a report is written for; `what` runs, for the message.

    Raises:
        InputError: there are 2²⁵⁶ or more.
    """
    if times >= 2**_BITS:
        raise InputError(f"{what} is a number of more than 77 digits", [("fix", "give smaller values")])


def _exponent(text: str) -> int:
    """Of "1e9": a fraction of it is made digit by digit, and of 1e999999999 never done."""
    _, e, exponent = text.lower().partition("e")
    return int(exponent) if e else 0


def _short(value: object) -> str:
    """The value in a message; one that is a number, but beyond all that runs, is said to be too large or fine."""
    try:
        shown = repr(value)
    except ValueError:
        return "too long a number"
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def plain(value: Value) -> Value:
    """A whole number where it is one."""
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


@dataclass(frozen=True)
class Expression:
    """An expression as it was written; equal texts are equal expressions."""

    text: str

    @classmethod
    def of(cls, value: int | float | str | Fraction | Expression) -> Expression:
        """From a number or a text.

        Raises:
            InputError: it is no arithmetic, or has something else than names of parameters in it.
        """
        if isinstance(value, Expression):
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float, str, Fraction)):
            raise InputError(f"{value!r} is no arithmetic of parameters", [("fix", _FIX)])
        expression = cls(str(value).strip())
        expression._check(expression._tree)
        return expression

    @cached_property
    def _tree(self) -> ast.expr:
        try:
            if len(self.text) > _LONGEST:
                raise ValueError
            return ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise InputError(f"{self.text[:80]!r} is no arithmetic", [("fix", _FIX)]) from None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters in it, in order of appearance."""
        nodes = [node for node in ast.walk(self._tree) if isinstance(node, ast.Name)]
        nodes.sort(key=lambda node: (node.lineno, node.col_offset))
        return tuple(dict.fromkeys(node.id for node in nodes if node.id not in _FUNCTIONS))

    def value(self, parameters: Mapping[str, Value]) -> Value:
        """Its exact value.

        Raises:
            UnknownNameError: a parameter in it has no value.
            InputError: it divides by zero.
        """
        for name in self.names:
            if name not in parameters:
                fix = f"the parameters are {', '.join(parameters) or 'none'}"
                raise UnknownNameError("parameter", name, parameters, fix)
        try:
            return plain(self._value(self._tree, parameters))
        except ZeroDivisionError:
            raise InputError(f"{self.text!r} divides by zero", [("given", _given(self.names, parameters))]) from None

    def whole(self, parameters: Mapping[str, Value], what: str) -> int:
        """Its value, which must be a whole number of 0 or more; `what` it counts, for the message.

        Raises:
            InputError, UnknownNameError: as `value`, or it is no such number.
        """
        value = self.value(parameters)
        require_runs(max(value, -value), what)
        if isinstance(value, Fraction) or value < 0:
            seen = f"{self.text} = {value}" + (f" for {_given(self.names, parameters)}" if self.names else "")
            fix = "it must be a whole number of 0 or more; floor(...) and ceil(...) make one"
            raise InputError(f"{what} is {value}", [("seen", seen), ("fix", fix)])
        return value

    def sympy(self, symbols: Mapping[str, Any]) -> Any:
        """The expression of sympy, with a symbol for each parameter."""
        import sympy

        functions = {"floor": sympy.floor, "ceil": sympy.ceiling, "min": sympy.Min, "max": sympy.Max}

        def build(node: ast.expr) -> Any:
            match node:
                case ast.Constant():
                    return sympy.Rational(str(node.value))
                case ast.Name():
                    return symbols[node.id]
                case ast.UnaryOp():
                    return -build(node.operand) if isinstance(node.op, ast.USub) else build(node.operand)
                case ast.Call():
                    return functions[_name(node)](*map(build, node.args))
                case ast.BinOp():
                    left, right = build(node.left), build(node.right)
                    if isinstance(node.op, ast.FloorDiv):
                        return sympy.floor(left / right)
                    return _OPERATORS[type(node.op)](left, right)
            raise AssertionError(ast.dump(node))

        return build(self._tree)

    def data(self) -> Any:
        """The same for a page's script: ["+", left, right], ["p", name], ["q", numerator, denominator] ..."""

        def write(node: ast.expr) -> list[Any]:
            match node:
                case ast.Constant():
                    exact = Fraction(str(node.value))
                    return ["q", str(exact.numerator), str(exact.denominator)]
                case ast.Name():
                    return ["p", node.id]
                case ast.UnaryOp():
                    value = write(node.operand)
                    return ["-", ["q", "0", "1"], value] if isinstance(node.op, ast.USub) else value
                case ast.Call():
                    return [_name(node), *map(write, node.args)]
                case ast.BinOp():
                    return [_SIGNS[type(node.op)], write(node.left), write(node.right)]
            raise AssertionError(ast.dump(node))

        return write(self._tree)

    def _value(self, node: ast.expr, parameters: Mapping[str, Value]) -> Value:
        match node:
            case ast.Constant():
                return Fraction(str(node.value))
            case ast.Name():
                return Fraction(parameters[node.id])
            case ast.UnaryOp():
                value = self._value(node.operand, parameters)
                return -value if isinstance(node.op, ast.USub) else value
            case ast.Call():
                arguments = [self._value(argument, parameters) for argument in node.args]
                return Fraction(_applied(_name(node), arguments))
            case ast.BinOp():
                result = _OPERATORS[type(node.op)](
                    self._value(node.left, parameters), self._value(node.right, parameters)
                )
                return Fraction(result)
        raise AssertionError(ast.dump(node))

    def _check(self, node: ast.AST) -> None:
        """Refuse everything that is no arithmetic."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and abs(value) < 2**_BITS:
                return
            case ast.Name():
                if node.id in _FUNCTIONS:
                    raise InputError(f"{self.text!r} uses {node.id} without its arguments", [("fix", _FIX)])
                return
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return self._check(node.operand)
            case ast.BinOp() if type(node.op) in _OPERATORS:
                self._check(node.left)
                return self._check(node.right)
            case ast.Call() if not node.keywords and node.args:
                if _name(node) not in _FUNCTIONS:
                    raise UnknownNameError("function", _name(node), _FUNCTIONS, _FIX)
                if _name(node) in ("floor", "ceil") and len(node.args) > 1:
                    raise InputError(f"{_name(node)} takes one number", [("seen", self.text)])
                for argument in node.args:
                    self._check(argument)
                return
        raise InputError(f"{self.text[:80]!r} is no arithmetic of parameters", [("fix", _FIX)])

    def __str__(self) -> str:
        return self.text


def _applied(name: str, arguments: list[Value]) -> Value:
    """The function of these numbers; the least and the largest of one number are that number."""
    match name:
        case "min":
            return min(arguments)
        case "max":
            return max(arguments)
    (value,) = arguments
    return floor(value) if name == "floor" else ceil(value)


_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}
_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}


def _name(call: ast.Call) -> str:
    """The name of the function that is called; "" where it has none."""
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _given(names: tuple[str, ...], parameters: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} = {parameters[name]}" for name in names) or "no parameters"
