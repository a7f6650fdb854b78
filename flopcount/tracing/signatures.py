"""The signature of a call: name, arguments and outputs without data, and what kind of operator it is.

What enters is an operator with its arguments and result; what leaves is a Signature, or a key that is equal for calls
that count the same.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import nn

from ..core.ops import Signature, TensorSpec
from ..rules import find_rule
from .layout import Layout
from .torch_private import OpOverload, has_kernel, memory_id
from .uncountable import refuse_tensor

__all__ = [
    "SILENT",
    "call_key",
    "has_rule",
    "is_composite",
    "is_constant",
    "is_empty",
    "is_view_of",
    "make_signature",
]

SILENT = ("prim", "profiler")  # namespaces that read metadata or mark time, which is no work of a network

# Schemas of operators never change. These caches are plain dicts, since Dynamo, which may trace a compiled module
# through these lines, warns about functools.cache.
_composites: dict[Any, bool] = {}
_schemas: dict[Any, tuple[str, str, dict[str, Any]]] = {}


def is_composite(func: Any) -> bool:
    """Whether torch composes this operator from others."""
    composite = _composites.get(func)
    if composite is None:
        counts = isinstance(func, OpOverload) and func.namespace not in SILENT
        composite = _composites[func] = counts and has_kernel(func, "CompositeImplicitAutograd")
    return composite


def has_rule(func: Any) -> bool:
    """Whether an operator has a rule."""
    name, overload, _ = _schema(func)
    return find_rule(name, overload) is not None


def make_signature(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, *, is_view: bool, pairs: int | None = None
) -> Signature:
    """Name, arguments by schema name (defaults filled in) and outputs of one call; `pairs` of packed sequences."""
    if not isinstance(func, OpOverload):  # a higher-order operator has no schema
        return Signature(f"higher_order.{func.name()}", "", _positional(func, args, kwargs), _outputs(result))
    name, overload, defaults = _schema(func)
    arguments = defaults.copy()
    for key, value in chain(zip(defaults, args, strict=False), kwargs.items()):
        arguments[key] = _frozen(value)
    if pairs is not None:
        arguments["pairs"] = pairs
    return Signature(name, overload, arguments, _outputs(result), is_view)


def _schema(func: Any) -> tuple[str, str, dict[str, Any]]:
    """Name, overload, and every argument in order with its default (None if it has none)."""
    schema = _schemas.get(func)
    if schema is None:
        defaults = {argument.name: _frozen(argument.default_value) for argument in func._schema.arguments}
        schema = _schemas[func] = str(func.overloadpacket), func._overloadname, defaults
    return schema


_FLEX_ATTENTION = ("query", "key", "value")


def _positional(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names = _FLEX_ATTENTION if func.name() == "flex_attention" else ()
    named = {names[i] if i < len(names) else f"arg{i}": _frozen(value) for i, value in enumerate(args)}
    return named | {name: _frozen(value) for name, value in kwargs.items()}


def _outputs(result: Any) -> tuple[Any, ...]:
    return _frozen(tuple(result)) if isinstance(result, (tuple, list)) else (_frozen(result),)


def _frozen(value: Any) -> Any:
    """Tensors to specs, lists to tuples; scalars and None as they are."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, torch.Tensor):
        refuse_tensor(value, "an operator's input or output")
        return TensorSpec(tuple(value.shape), str(value.dtype))
    if isinstance(value, Layout):
        return TensorSpec(value.shape, str(value.dtype))
    if isinstance(value, (list, tuple)):
        return tuple([_frozen(item) for item in value])
    return value


def fingerprint(value: Any, used: set[int]) -> Any:
    """A hashable key of one argument; the type of a number is part of it, since 1 == 1.0 == True."""
    kind = type(value)
    if kind is int or value is None:
        return value
    if kind is torch.Tensor or kind is nn.Parameter or isinstance(value, torch.Tensor):
        if kind is nn.Parameter:
            used.add(id(value))
        return value.shape, value.stride(), value.dtype
    if kind is list or kind is tuple or isinstance(value, (list, tuple)):
        return tuple(value) if {*map(type, value)} == _INTEGERS else tuple([fingerprint(item, used) for item in value])
    return kind, (value if value.__hash__ is not None else repr(value))


_INTEGERS = {int}


def call_key(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], used: set[int]) -> Any:
    """A key that is equal for calls that count the same; `used` gets the identities of the parameters among them.

    Torch hashes its operators in Python, slowly; they live as long as the process, so their identity is enough. Most
    arguments are tensors and None, which are handled here without a function call, since every operation comes by.
    """
    key: list[Any] = [id(func)]
    try:
        for value in args:
            kind = type(value)
            if kind is torch.Tensor:
                key.append((value.shape, value.stride(), value.dtype))
            elif kind is nn.Parameter:
                key.append((value.shape, value.stride(), value.dtype))
                used.add(id(value))
            else:
                key.append(value if value is None else fingerprint(value, used))
    except RuntimeError:  # a tensor without shape or strides
        _frozen(args)
        raise
    if kwargs:
        key.append(tuple([(name, fingerprint(value, used)) for name, value in kwargs.items()]))
    return tuple(key)


def is_view_of(func: Any, result: Any, args: tuple[Any, ...]) -> bool:
    """Whether no data moved; composites that torch calls views (`reshape`, `to`) may copy, the others cannot."""
    if not getattr(func, "is_view", False):
        return False
    return not is_composite(func) or _shares_storage(result, args)


def _shares_storage(result: Any, args: tuple[Any, ...]) -> bool:
    """Whether the (first) result shares the memory of the first argument."""
    first = result[0] if isinstance(result, (tuple, list)) and result else result
    source = args[0] if args else None
    if not isinstance(first, torch.Tensor) or not isinstance(source, torch.Tensor):
        return False
    return memory_id(first) == memory_id(source)


_EMPTY = {
    *("aten.empty", "aten.empty_like", "aten.empty_permuted", "aten.empty_strided"),
    *("aten.new_empty", "aten.new_empty_strided"),
}


_CONSTANT = {f"aten.{name}" for kind in ("zeros", "ones", "full") for name in (kind, f"{kind}_like", f"new_{kind}")}


def is_constant(func: Any) -> bool:
    """Whether an operator returns memory with one number everywhere."""
    return str(getattr(func, "overloadpacket", "")) in _CONSTANT


def is_empty(func: Any) -> bool:
    """Whether an operator returns memory without values."""
    return str(getattr(func, "overloadpacket", "")) in _EMPTY
