"""The dispatch modes, which record every ATen-level operation whole.

`MetaMode` (in meta.py) computes shapes and no values. `NativeMode` lets the operators run (on fake or on real tensors)
and records the same. Both see composite operators before torch decomposes them, because the trace runs in inference
mode. It skips the autograd keys, so `linear`, `conv3d`, `lstm` or `scaled_dot_product_attention` arrive as written, on
every device, with and without grad.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import nn

from ..core.ops import Op, Signature, TensorSpec
from ..rules import find_rule
from .attribution import ModulePath
from .dataflow import DataflowRecorder
from .guard.exits import LOOKS, whole_of
from .guard.keeper import Keeper, swap_back
from .guard.writes import changes_layout, may_write, refuse_resizing, values_read, written
from .inputs import tensors_of
from .layout import Layout
from .origin import first_line, says_that_data_is_missing
from .results import leaves_of
from .sources import Sources
from .torch_private import OpOverload, TorchDispatchMode, has_kernel, memory_id, storage_id
from .uncountable import Unknown, refuse_operator, refuse_tensor

__all__ = ["SILENT", "NativeMode", "RecordingMode", "Unknown", "call_key", "is_view_of", "make_signature"]

SILENT = ("prim", "profiler")  # namespaces that read metadata or mark time, which is no work of a network


class RecordingMode(TorchDispatchMode):
    """Records every operation as an Op in `ops`; subclasses define how it runs."""

    supports_higher_order_operators = True

    def __init__(self, path: ModulePath, keeper: Keeper | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path
        self.keeper = keeper or Keeper()
        self.their_tensors: Callable[[], list[torch.Tensor]] = list  # the module's own tensors
        self.has_optimizer = False  # whether the module holds one, which knows its own parameters and no stand-ins
        self.inference = True  # whether inference mode marks the tensors that this trace makes
        self.doubt: Exception | None = None  # an error raised here that another engine might not raise
        self.ops: list[Op] = []
        self.signatures: dict[Any, Signature] = {}
        self.follower: DataflowRecorder | None = None  # only for a trace with `dataflow`
        self._composite: dict[int, bool] = {}  # by identity of the operator

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True would make the first dispatch import torch._dynamo, which takes over a second; nothing here is compiled.
        return False

    def decomposes(self, func: Any) -> bool:
        """Whether this is a composite without a rule, whose parts are counted instead; checked once per overload."""
        composite = self._composite.get(id(func))
        if composite is None:
            if id(func) not in _countable:
                refuse_operator(func)
                _countable[id(func)] = func
            composite = self._composite[id(func)] = is_composite(func) and not _has_rule(func)
        return composite

    def record(self, signature: Signature) -> None:
        """Record an operation of the module that is running."""
        self.ops.append(Op(signature, self.path.path))

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a tensor can be read."""
        return not tensor.is_meta and type(tensor) in (torch.Tensor, torch.nn.Parameter)

    def record_unseen(self, signature: Signature, module: str) -> None:
        """Record work that no operator did, in the module where it happened."""
        self.ops.append(Op(signature, module))

    @cached_property
    def theirs(self) -> frozenset[int]:
        """Addresses of the memory of the module's own tensors."""
        return frozenset(memory_id(t) for t in self.their_tensors() if t.layout == torch.strided)

    def is_theirs(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor existed before the trace, as far as this can be determined."""
        return (self.inference and not tensor.is_inference()) or memory_id(tensor) in self.theirs

    def leaves(self, tensor: torch.Tensor, way: str) -> None:
        """Data of a tensor is about to leave torch without an operator."""

    def leaves_the_module(self, tensor: torch.Tensor, way: str) -> None:
        """Let data of a weight leave, but what happens to it can only be followed on real tensors."""
        if way in LOOKS and self.is_theirs(tensor):
            self.keeper.values(tensor)
            if tensor.is_floating_point() and not way.endswith("data_ptr"):
                raise Unknown(f"{way} takes the values of a tensor out of torch")

    def assigns(self, tensor: torch.Tensor, value: Any) -> bool:
        """Whether torch shall execute `tensor.data = value`; the module's own tensors get their data back later."""
        return True

    def swaps(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Two tensors exchange their identities, and exchange them back at the end."""
        self.keeper.then(lambda: swap_back(one, other))

    def resizes(self, storage: torch.UntypedStorage) -> bool:
        """Whether torch shall free or allocate the memory."""
        return True

    def fills(self, storage: torch.UntypedStorage) -> bool:
        """Whether torch shall write bytes directly to the memory."""
        return True

    def given(self, values: Any) -> None:
        """Note the input."""

    def returned(self, result: Any) -> None:
        """Note the result of the forward pass, which the caller will read."""

    def suspects(self, refuse: Callable[[], object]) -> None:
        """Expect tensors of another thread from now on, and call `refuse` for each of them."""

    def aside(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """The result of an operator in another thread, without recording it."""
        return func(*args, **kwargs)

    def let_go(self) -> None:
        """Drop what refers to the module, which would stay in memory with whatever still refers to this."""
        self.their_tensors, self.doubt = list, None

    def branch_of(self, predicate: Any, if_true: Any, if_false: Any, operands: Any) -> Any:
        """`torch.cond` on a known value runs its branch."""
        if isinstance(predicate, torch.Tensor):
            if not self.knows(predicate):
                raise Unknown("torch.cond depends on a value that is not known")
            predicate = bool(predicate.item())
        with self:
            return (if_true if predicate else if_false)(*operands)


# Schemas of operators never change. These caches are plain dicts, since Dynamo, which may trace a compiled module
# through these lines, warns about functools.cache.
_composites: dict[Any, bool] = {}
_countable: dict[int, Any] = {}  # operators that can be counted, by identity, since torch hashes them in Python
_schemas: dict[Any, tuple[str, str, dict[str, Any]]] = {}


def is_composite(func: Any) -> bool:
    """Whether torch composes this operator from others."""
    composite = _composites.get(func)
    if composite is None:
        counts = isinstance(func, OpOverload) and func.namespace not in SILENT
        composite = _composites[func] = counts and has_kernel(func, "CompositeImplicitAutograd")
    return composite


def _has_rule(func: Any) -> bool:
    name, overload, _ = _schema(func)
    return find_rule(name, overload) is not None


def make_signature(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, *, is_view: bool
) -> Signature:
    """Name, arguments by schema name (defaults filled in) and outputs of one call."""
    if not isinstance(func, OpOverload):  # a higher-order operator has no schema
        return Signature(f"higher_order.{func.name()}", "", _positional(func, args, kwargs), _outputs(result))
    name, overload, defaults = _schema(func)
    arguments = defaults.copy()
    for key, value in chain(zip(defaults, args, strict=False), kwargs.items()):
        arguments[key] = _frozen(value)
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


def fingerprint(value: Any) -> Any:
    """A hashable key of one argument; the type of a number is part of it, since 1 == 1.0 == True."""
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
    """A key that is equal for calls that count the same.

    Torch hashes its operators in Python, slowly; they live as long as the process, so their identity is enough. Most
    arguments are tensors and None, which are handled here without a function call, since every operation comes by.
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
_LITERAL = torch.ops.aten.lift_fresh.default


_CONSTANT = {f"aten.{name}" for kind in ("zeros", "ones", "full") for name in (kind, f"{kind}_like", f"new_{kind}")}


def is_constant(func: Any) -> bool:
    """Whether an operator returns memory with one number everywhere."""
    return str(getattr(func, "overloadpacket", "")) in _CONSTANT


def is_empty(func: Any) -> bool:
    """Whether an operator returns memory without values."""
    return str(getattr(func, "overloadpacket", "")) in _EMPTY


class NativeMode(RecordingMode):
    """Lets torch run every operator, below this mode: on fake tensors under FakeTensorMode, or on real ones.

    `prepare` turns each tensor argument into one of the engine below; without it tensors are real.
    """

    def __init__(
        self, path: ModulePath, prepare: Callable[[Any], Any] | None = None, keeper: Keeper | None = None
    ) -> None:
        super().__init__(path, keeper)
        self.prepare = prepare
        self.sources = Sources(path, self.record_unseen, self._is_ours)

    @property
    def is_real(self) -> bool:
        """Whether tensors have data."""
        return self.prepare is None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.follower is not None:
            return self.follower.follow(self._run, func, args, kwargs or {})
        return self._run(func, args, kwargs or {})

    def _run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if not isinstance(func, OpOverload) and func.name() == "cond":
            return self.branch_of(*args, **kwargs)
        if getattr(func, "namespace", "") in SILENT:
            return func(*args, **kwargs)
        if self.decomposes(func):
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        if func is _LITERAL:  # a fake tensor remembers it
            self.sources.literal(args[0])
        elif self.prepare is not None:
            for tensor in written(func, args, kwargs):  # torch counts a write to a tensor without fake data
                self.keeper.version(tensor)
            args, kwargs = self.prepare((args, kwargs))
        read, targets = values_read(func, args, kwargs)
        self.sources.read(read)
        if self.is_real:
            self._keep(func, args, kwargs)
        result = self._call(func, args, kwargs)
        self.sources.written(targets)
        self.sources.made(tensors_of(result), of=tensors_of(args, kwargs), empty=is_empty(func))
        if self.is_real and is_constant(func):
            self.sources.filled(result)
        view = is_view_of(func, result, args)
        key = call_key(func, (*args, result), kwargs)  # real values may determine the size of a result
        signature = self.signatures.get(key)
        if signature is None:
            signature = self.signatures[key] = make_signature(func, args, kwargs, result, is_view=view)
        self.record(signature)
        return result

    def _call(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if self.is_real:
            return func(*args, **kwargs)
        try:
            return func(*args, **kwargs)
        except Exception as error:
            # the author of an operator that is not torch's own may not have considered tensors without data
            if says_that_data_is_missing(error) or getattr(func, "namespace", "aten") != "aten":
                raise Unknown(f"{type(error).__name__}: {first_line(error)}") from error
            raise

    def _keep(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Keep the module's own tensors that an operator is about to write to."""
        for tensor in may_write(func, args, kwargs):
            if not self.sources.is_made_here(tensor):
                out = any(tensor is value for value in kwargs.values())  # its size may change
                if out or changes_layout(func):
                    self.keeper.layout(tensor)
                self.keeper.values(tensor)
                if out:
                    self.keeper.size(tensor)
        for value in kwargs.values():
            if isinstance(value, torch.Generator):
                self.keeper.generator(value)

    def _is_ours(self, tensor: torch.Tensor) -> bool:
        if not self.is_real:
            return True
        if self.inference:
            return not self.is_theirs(tensor)
        return not tensor.untyped_storage().resizable()  # another library owns the memory

    def leaves(self, tensor: torch.Tensor, way: str) -> None:
        """Follow real data; a fake tensor has no data, although it may remember a number."""
        if self.is_real:
            if way in LOOKS and not self.sources.is_made_here(tensor):
                self.keeper.values(tensor)
            self.sources.left(tensor, way)
        elif way in LOOKS or way in ("__format__", "untyped_storage"):
            if tensor.is_meta or type(tensor) not in (torch.Tensor, nn.Parameter):
                raise Unknown(f"{way} asks for the values of a tensor")
            self.leaves_the_module(tensor, way)

    def assigns(self, tensor: torch.Tensor, value: Any) -> bool:
        """Real data is assigned until the end; a real tensor neither can nor need get fake data."""
        if not isinstance(value, torch.Tensor):
            return True
        if self.is_real or type(tensor) is type(value) not in (torch.Tensor, nn.Parameter):
            if self.is_real and not self.sources.is_made_here(tensor):
                self.keeper.layout(tensor)
            return True
        if not has_layout_of(tensor, value):
            raise Unknown("a tensor gets data of another shape, strides or dtype")
        return False

    def resizes(self, storage: torch.UntypedStorage) -> bool:
        """Resize only memory of this trace, since the module's own could not be restored."""
        if storage_id(storage) in self.sources:
            return True
        if self.is_real:
            refuse_resizing(type(self.path.root).__name__)
        return False

    def fills(self, storage: torch.UntypedStorage) -> bool:
        """Write on real tensors only, and undo it for memory from outside of this trace."""
        if self.is_real:
            if storage_id(storage) not in self.sources:
                self.keeper.values(whole_of(storage))
            self.sources.written([whole_of(storage)])
        return self.is_real

    def given(self, values: Any) -> None:
        """The input counts as made in this trace."""
        self.sources.made(tensors_of(values))

    def returned(self, result: Any) -> None:
        """The caller reads the returned tensors."""
        for leaf in leaves_of(result):
            if not isinstance(leaf, torch.Tensor):
                self.sources.array(leaf)
            elif leaf.layout == torch.strided:
                self.sources.read([leaf])

    def aside(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operator unrecorded, after keeping the tensors that it writes to."""
        if self.prepare is not None:
            args, kwargs = self.prepare((args, kwargs))
        else:
            self._keep(func, args, kwargs)
        return func(*args, **kwargs)

    def suspects(self, refuse: Callable[[], object]) -> None:
        """Watch fake tensors: all are made in this trace, so any other is of another thread."""
        if not self.is_real:
            self.sources.strangers = refuse

    def let_go(self) -> None:
        """Drop what follows the data too, since it calls this."""
        super().let_go()
        del self.sources
        self.prepare = None


def has_layout_of(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether other data has the shape, strides and dtype of a tensor."""
    return (tensor.shape, tensor.stride(), tensor.dtype) == (value.shape, value.stride(), value.dtype)
