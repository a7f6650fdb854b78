"""The dispatch modes: every ATen-level operation passes through one of them, whole, and is written down.

`MetaMode` (in meta.py) computes shapes and no values. `NativeMode` lets the operators run (on fake or on real tensors)
and writes down the same. Both see composite operators before torch takes them apart, because the trace runs in
inference mode: there the autograd keys are skipped, and `linear`, `conv3d`, `lstm` or `scaled_dot_product_attention`
arrive as written, on every device, with and without grad.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..ops import Op, Signature, TensorSpec
from ..rules import find_rule
from .attribution import ModulePath
from .following import Follower
from .layout import Layout
from .uncountable import refuse_operator, refuse_tensor

__all__ = ["SILENT", "NativeMode", "RecordingMode", "Unknown", "call_key", "is_view_of", "make_signature"]


SILENT = ("prim", "profiler")  # namespaces that ask for metadata or mark time; nothing of them is a network's work


class Unknown(Exception):
    """The module asked for a value, or for an operator, that this engine does not have; the next one may."""


class RecordingMode(TorchDispatchMode):
    """Writes every operation down as an Op in `ops`; subclasses say how it is run."""

    supports_higher_order_operators = True

    def __init__(self, path: ModulePath) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path
        self.ops: list[Op] = []
        self.signatures: dict[Any, Signature] = {}
        self.follower: Follower | None = None  # only where somebody asks for the data of every op
        self._composite: dict[int, bool] = {}  # by identity of the operator

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise the first dispatch imports torch._dynamo, over a second. Nothing here is meant to be compiled.
        return False

    def decomposes(self, func: Any) -> bool:
        """Whether this is a composite without a rule: its parts are counted instead. Asked once per overload."""
        known = self._composite.get(id(func))
        if known is None:
            refuse_operator(func)
            known = self._composite[id(func)] = is_composite(func) and not _has_rule(func)
        return known

    def record(self, signature: Signature) -> None:
        """One more operation in the module that is running."""
        self.ops.append(Op(signature, self.path.path))

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a tensor may be looked at."""
        return not tensor.is_meta and type(tensor) in (torch.Tensor, torch.nn.Parameter)

    def restore(self) -> None:
        """Undo what the mode itself wrote to tensors that it did not make."""

    def branch_of(self, predicate: Any, if_true: Any, if_false: Any, operands: Any) -> Any:
        """`torch.cond` on a known value runs its branch."""
        if isinstance(predicate, torch.Tensor):
            if not self.knows(predicate):
                raise Unknown("torch.cond on a value that no input fixes")
            predicate = bool(predicate.item())
        with self:
            return (if_true if predicate else if_false)(*operands)


# What torch says of an operator never changes. Plain dicts, since Dynamo, which may be tracing a compiled module right
# through these lines, warns of functools.cache.
_composites: dict[Any, bool] = {}
_schemas: dict[Any, tuple[str, str, dict[str, Any]]] = {}


def is_composite(func: Any) -> bool:
    """Whether torch makes this operator of others."""
    known = _composites.get(func)
    if known is None:
        has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
        counts = isinstance(func, torch._ops.OpOverload) and func.namespace not in SILENT
        known = _composites[func] = counts and bool(has_kernel(func.name(), "CompositeImplicitAutograd"))
    return known


def _has_rule(func: Any) -> bool:
    return find_rule(Signature(str(func.overloadpacket), func._overloadname, {}, ())) is not None


def make_signature(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, *, is_view: bool
) -> Signature:
    """Name, arguments by schema name (defaults filled in) and outputs of one call."""
    if not isinstance(func, torch._ops.OpOverload):  # a higher-order operator has no schema
        return Signature(f"higher_order.{func.name()}", "", _positional(func, args, kwargs), _outputs(result))
    name, overload, defaults = _schema(func)
    arguments = defaults.copy()
    for key, value in chain(zip(defaults, args, strict=False), kwargs.items()):
        arguments[key] = _frozen(value)
    return Signature(name, overload, arguments, _outputs(result), is_view)


def _schema(func: Any) -> tuple[str, str, dict[str, Any]]:
    """Name, overload, and every argument in order with its default (None where it has none)."""
    known = _schemas.get(func)
    if known is None:
        defaults = {a.name: _frozen(a.default_value) if a.has_default_value() else None for a in func._schema.arguments}
        known = _schemas[func] = str(func.overloadpacket), func._overloadname, defaults
    return known


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
        refuse_tensor(value, "what an operator takes or gives")
        return TensorSpec(tuple(value.shape), str(value.dtype))
    if isinstance(value, Layout):
        return TensorSpec(value.shape, str(value.dtype))
    if isinstance(value, (list, tuple)):
        return tuple([_frozen(item) for item in value])
    return value


def fingerprint(value: Any) -> Any:
    """A hashable key of one argument; of numbers the type is part of it, since 1 == 1.0 == True."""
    kind = type(value)
    if kind is int or value is None:
        return value
    if kind is torch.Tensor or kind is nn.Parameter or isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype
    if kind is list or kind is tuple or isinstance(value, (list, tuple)):
        return tuple(value) if {*map(type, value)} == _INTEGERS else tuple(map(fingerprint, value))
    return kind, (value if value.__hash__ is not None else repr(value))


_INTEGERS = {int}


def call_key(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What makes two calls the same for counting.

    Torch hashes its operators in Python, slowly; they live as long as the process, so their identity will do. Most
    arguments are tensors and None, which are told here and not in a function of their own: every operation comes by.
    """
    key: list[Any] = [id(func)]
    try:
        for value in args:
            kind = type(value)
            if kind is torch.Tensor or kind is nn.Parameter:
                key.append((value.shape, value.stride(), value.dtype))
            else:
                key.append(value if value is None else fingerprint(value))
    except RuntimeError:  # a tensor without shape or strides
        _frozen(args)
        raise
    if kwargs:
        key.append(tuple((name, fingerprint(value)) for name, value in kwargs.items()))
    return tuple(key)


def is_view_of(func: Any, result: Any, args: tuple[Any, ...]) -> bool:
    """Whether no data moved; composites that torch calls views (`reshape`, `to`) may copy, the others cannot."""
    if not getattr(func, "is_view", False):
        return False
    return not is_composite(func) or _shares_storage(result, args)


def _shares_storage(result: Any, args: tuple[Any, ...]) -> bool:
    """Whether the (first) result looks at the memory of the first argument."""
    first = result[0] if isinstance(result, (tuple, list)) and result else result
    source = args[0] if args else None
    if not isinstance(first, torch.Tensor) or not isinstance(source, torch.Tensor):
        return False
    return bool(first.untyped_storage()._cdata == source.untyped_storage()._cdata)


class NativeMode(RecordingMode):
    """Runs every operator as torch would, below this mode: on fake tensors under FakeTensorMode, or on real ones.

    `prepare` turns each tensor argument into one that the engine below can take.
    """

    def __init__(self, path: ModulePath, prepare: Callable[[Any], Any]) -> None:
        super().__init__(path)
        self.prepare = prepare

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.follower is not None:
            return self.follower.follow(self._run, func, args, kwargs or {})
        return self._run(func, args, kwargs or {})

    def _run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if not isinstance(func, torch._ops.OpOverload) and func.name() == "cond":
            return self.branch_of(*args, **kwargs)
        if getattr(func, "namespace", "") in SILENT:
            return func(*args, **kwargs)
        if self.decomposes(func):
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        if func is not torch.ops.aten.lift_fresh.default:  # a literal, which a fake tensor remembers
            args, kwargs = self.prepare((args, kwargs))
        result = func(*args, **kwargs)
        view = is_view_of(func, result, args)
        key = call_key(func, (*args, result), kwargs)  # real values may decide the size of a result
        signature = self.signatures.get(key)
        if signature is None:
            signature = self.signatures[key] = make_signature(func, args, kwargs, result, is_view=view)
        self.record(signature)
        return result
