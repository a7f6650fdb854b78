"""The first engine: shapes without values, on meta tensors; each distinct call is computed once.

Small tensors that are not parameters stay real and have known values, so that `.item()`, `arange` and masks work; all
other tensors have a shape and no data. Devices are ignored: parameters stay where they are and are never touched, and
`.to("cuda")` moves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from types import MethodType
from typing import Any, TypeAlias

import torch

from ..rules.matmul_packed import DYNAMIC_LINEAR
from .answers import KNOWN_LIMIT, AnswersMode
from .autocast import Cast, autocast_arguments, cast_of, under_autocast
from .canonical import canonical_call
from .communication import is_communication
from .dataless import Handler
from .guard.writes import changes_layout, written
from .inputs import map_tensors, tensors_of
from .invented import FINITE
from .kernels import factory_size, meta_like, on_cpu, rebuild, run_kernel, with_device
from .layout import layout_of
from .packed_sequences import is_on_packed_sequences, pairs_of
from .packed_weights import result_of, unpacked
from .recurrent import results_of_fused_lstm
from .remembered import Argument, Calls, Known, Parts
from .shapes import shape_of
from .signatures import SILENT, call_key, is_empty, is_view_of, make_signature
from .torch_private import OpOverload, memory_id, refuse_data_pointer
from .uncountable import Unknown

__all__ = ["KNOWN_LIMIT", "LARGE_KNOWN_LIMIT", "Calls", "MetaMode"]

LARGE_KNOWN_LIMIT = 1 << 22  # for a second attempt: masks as large as the image

_LIKE = re.compile(r"aten\.(new_\w+|\w+_like)$")
_ASSUMED = {"aten._is_all_true": True, "aten.isfinite": True, "aten.isnan": False, "aten.isinf": False}
_MASKS = (torch.bool, torch.uint8)


def _is_new(result: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a result has no data, and none of its tensors is (a view of) an argument."""
    storages = {memory_id(tensor) for tensor in tensors_of(args, kwargs)}
    return all(tensor.is_meta and memory_id(tensor) not in storages for tensor in tensors_of(result))


class MetaMode(AnswersMode):
    """Runs a module on shapes alone.

    `calls` has the earlier calls, and flopcount's own shape functions compute new ones. Without `calls`, torch's meta
    kernels compute every single call.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        handler = self._handlers.get(id(func))
        if handler is None:
            handler = self._handler_of(func)
            cast = cast_of(func)
            self._handlers[id(func)] = handler = handler if cast is None else partial(self._autocast, cast, handler)
        return handler(func, args, kwargs or {})

    def _handler_of(self, func: Any) -> Handler:
        """The handler of an overload; a composite without a rule is decomposed."""
        method = _method_of(func)
        if method not in _NOT_TAKEN_APART and self.decomposes(func):
            method = MetaMode._decompose
        handler: Handler = MethodType(method, self)
        handler = handler if self.follower is None else partial(self.follower.follow, handler)
        return partial(self._watched, handler) if self._watches else handler

    # How each class of operators is run

    def _autocast(self, cast: Cast, handler: Handler, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operator whose arguments autocast may cast."""
        if under_autocast():
            with self:
                args, kwargs = autocast_arguments(cast, args, kwargs)
        return handler(func, args, kwargs)

    def _native(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Changes of metadata act on the tensor object itself and cost nothing."""
        if changes_layout(func) and self.is_theirs(args[0]):
            if not args[0].is_meta and func.overloadpacket in (torch.ops.aten.resize_, torch.ops.aten.resize_as_):
                raise Unknown("the module resizes the memory of one of its tensors")
            self.keeper.layout(args[0])
        return func(*args, **kwargs)

    def _decompose(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Count a composite without a rule by its parts; if no value is known, they depend on shapes alone."""
        if not self._shapes_decide(func, args, kwargs):
            return self._take_apart(func, args, kwargs)
        key = Parts, call_key(func, args, kwargs, self.used)
        answer = self.kept_calls.get(key)
        if answer is not None:
            for signature in answer.signatures:
                self.record(signature)
            return rebuild(answer.result)
        begun, assumptions = len(self.ops), self.assumptions
        result = self._take_apart(func, args, kwargs)
        if _is_new(result, args, kwargs) and self.assumptions == assumptions:  # which the memo would not note again
            signatures = tuple(op.signature for op in self.ops[begun:])
            self.kept_calls[key] = Parts(signatures, map_tensors(layout_of, result))
        return result

    def _take_apart(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        self._ran(func, args, kwargs, None)
        try:
            with self:
                parts = func.decompose(*args, **kwargs)
        except Exception as error:
            self.doubt = error  # torch checks devices and values here, before it calls this mode
            raise
        return self._functional(func, args, kwargs) if parts is NotImplemented else parts

    def _shapes_decide(self, func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
        """Whether a composite does the same for all tensors of these shapes, so that the memo may keep it."""
        if not self.fast or self.follower is not None or func.namespace != "aten" or func._schema.is_mutable:
            return False
        if under_autocast():  # it may change the parts
            return False
        tensors = tensors_of(args, kwargs)
        return not any(map(self.knows, tensors))

    def _assumed(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Assume that unknown numbers are finite, and that assertions about them hold."""
        if self._knows_all(args, kwargs) or args[0].numel() > self.known_limit:
            return self._functional(func, args, kwargs)
        shape = () if str(func.overloadpacket) == "aten._is_all_true" else args[0].shape
        result = torch.full(shape, _ASSUMED[str(func.overloadpacket)])
        self.invented.mark((result,), frozenset((FINITE,)))
        self._record_call(func, args, kwargs, result)
        return result

    def _number(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """A Python number, if the values are known."""
        if not self._knows_all(args, kwargs):
            raise Unknown("the module reads a number from a tensor whose values are not known")
        result = func(*map_tensors(on_cpu, args), **kwargs)
        self._ran(func, args, kwargs, result)
        self._record_call(func, args, kwargs, result)
        return result

    def _item(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """The same as `_number`; torch itself raises for several numbers."""
        if self._knows_all(args, kwargs):
            return self._functional(func, args, kwargs)
        if args[0].is_meta and args[0].numel() == 1:
            raise Unknown("the module reads a number from a tensor whose values are not known")
        return self._take_apart(func, args, kwargs)

    def _pick(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """`x[mask]`: a known mask determines the number of elements, whether or not `x` is known."""
        if self._knows_all(args, kwargs):
            return self._compute(func, args, kwargs)
        source, indices = args
        if not any(index is not None and index.dtype in _MASKS and self.knows(index) for index in indices):
            return self._functional(func, args, kwargs)
        places: list[Any] = []
        for index in indices:
            is_mask = index is not None and index.dtype in _MASKS and self.knows(index)
            places.extend(on_cpu(index).nonzero().unbind(1) if is_mask else (index,))
        self._ran(func, args, kwargs, None)
        result = run_kernel(func, map_tensors(self._without_data, (source, places)), {})
        self._record_call(func, args, kwargs, result)
        return result

    def _packed(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Packed sequences: the lengths are known numbers that determine shapes; the data has no values."""

        def prepared(tensor: torch.Tensor) -> Any:
            return tensor if tensor.dtype == torch.int64 and self.knows(tensor) else self._without_data(tensor)

        self._ran(func, args, kwargs, None)
        result = run_kernel(func, map_tensors(prepared, args), map_tensors(prepared, kwargs))
        self._ran(func, args, kwargs, result)
        self._record_call(func, args, kwargs, result)
        return result

    def _sequences(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Attention, maybe over packed sequences, whose lengths are known numbers."""

        def readable(tensor: torch.Tensor) -> bool:  # also in a backward pass, which has no known values
            return not tensor.is_meta and memory_id(tensor) not in self._unknown

        pairs = pairs_of(self, func, args, kwargs, readable)
        if pairs is None:
            return self._functional(func, args, kwargs)
        result = run_kernel(func, map_tensors(self._without_data, args), map_tensors(self._without_data, kwargs))
        self._record_call(func, args, kwargs, result, pairs=pairs)
        return result

    def _packed_linear(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """A linear layer whose weight is packed."""
        (x, weight), biased = unpacked(func, args, kwargs)
        result = result_of(func, self._without_data(x), weight)
        self._record_call(func, (x, weight), biased, result)
        return result

    def _fused_lstm(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """A layer of an LSTM by oneDNN, or its gradients, for which torch's meta kernels have no workspace."""
        result = tuple(layout.empty() for layout in results_of_fused_lstm(func, map_tensors(layout_of, args)))
        self._record_call(func, args, kwargs, result)
        return result

    def _grouped(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Products of groups of rows, as in mixtures of experts.

        Torch's meta kernel requires what one CUDA kernel needs (bfloat16, rows of 16 bytes); the CPU has no such limit.
        """
        x, y = args[:2]
        offsets: Any = args[2] if len(args) > 2 else kwargs.get("offs")
        if x.dtype != y.dtype or x.shape[-1] != y.shape[-2]:
            raise RuntimeError(f"_grouped_mm of {tuple(x.shape)} and {tuple(y.shape)}, {x.dtype} and {y.dtype}")
        groups = (offsets.shape[0],) if x.ndim == y.ndim == 2 else x.shape[:-2] if x.ndim == 3 == y.ndim else ()
        result = x.new_empty((*groups, x.shape[-2], y.shape[-1]), device="meta")
        self._record_call(func, args, kwargs, result)
        return result

    def _view(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Views share memory as in torch; a reshape that must copy moves data."""
        source = args[0]
        if not source.is_meta and not self.knows(source):
            if type(source) is torch.nn.Parameter:
                self.used.add(id(source))
            with torch.inference_mode(source.is_inference()):  # torch requires the inference mode of the source
                args = (meta_like(source), *args[1:])
        result = func(*args, **kwargs)
        calls, key = self._place(func, args, kwargs)
        answer = calls.get(key)
        if answer is None:
            is_view = is_view_of(func, result, args)
            answer = calls[key] = Known(make_signature(func, args, kwargs, result, is_view=is_view))
        self.record(answer.signature)
        return result

    def _parted(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Views of parts, whose sizes a known tensor may determine."""
        self._ran(func, args, kwargs, None)
        return self._view(func, args, kwargs)

    def _dual(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """A tensor with a tangent."""
        self.require_autograd()
        return self._view(func, args, kwargs)

    def _cast(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """A cast to another dtype or layout; a change of device alone moves nothing here."""
        source = args[0]
        named = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        other = named.get("other")
        dtype = named.get("dtype") or (other.dtype if other is not None else source.dtype)
        layout = named.get("memory_format")
        keeps_layout = layout in (None, torch.preserve_format)
        if str(func.overloadpacket) == "aten.contiguous":
            layout, keeps_layout = layout or torch.contiguous_format, False
        same = dtype == source.dtype and not named.get("copy") and str(func.overloadpacket) != "aten._to_copy"
        if same and (keeps_layout or source.is_contiguous(memory_format=layout)):
            self._record_call(func, args, kwargs, source, is_view=True)
            return source
        copy = {} if keeps_layout else {"memory_format": layout}
        return self._functional(torch.ops.aten._to_copy.default, (source,), {"dtype": dtype, **copy})

    def _factory(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """New tensors; small ones are real, so that indices and masks have values."""
        size = factory_size(func, args)
        device = "meta" if size is not None and size > self.known_limit else "cpu"
        self._keep_generator(kwargs)
        result = func(*args, **with_device(func, kwargs, device))
        if device == "meta":
            map_tensors(refuse_data_pointer, result)
        if is_empty(func):
            if device == "cpu":
                result.zero_()  # the same values on every run
            if result.numel():
                self._has_no_values(result)
        self._ran(func, args, kwargs, result)
        self._record_call(func, args, kwargs, result)
        return map_tensors(self._unless_small, result)

    def _in_place(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Record an in-place operator; run it only on known tensors, else check it once with torch's kernel."""
        target = args[0]
        tensors = target if isinstance(target, (list, tuple)) else (target,)
        if self._knows_all(args, kwargs):
            for tensor in tensors:
                self._keep(tensor)
            self._keep_generator(kwargs)
            func(*args, **kwargs)
            self._ran(func, args, kwargs, None, tensors)
        else:
            for tensor in tensors:
                self._keep_version(tensor)
                if not tensor.is_meta and self.knows(tensor):
                    self._unknown[memory_id(tensor)] = tensor
        is_set = type(target) is torch.nn.Parameter and id(target) not in self.used
        self._record_in_place(func, args, kwargs)
        if is_set:  # which is no use of its layer
            self.used.discard(id(target))
        return target

    def _record_in_place(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        calls, key = self._place(func, args, kwargs)
        answer = calls.get(key)
        if answer is None:
            answer = calls[key] = self._first_write(func, args, kwargs)
        self.record(answer.signature)

    def _first_write(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Known:
        target = args[0]
        shape = shape_of(func) if self.fast else None
        layouts = map_tensors(layout_of, args)
        if shape is None or shape(*layouts, **map_tensors(layout_of, kwargs)) != layouts[0]:
            run_kernel(func, map_tensors(self._without_data, args), map_tensors(self._without_data, kwargs))
        return Known(make_signature(func, args, kwargs, target, is_view=False), Argument(0))

    def _updating(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Operators with a new result that also write to statistics."""
        all_known = self._knows_all(args, kwargs)
        for tensor in written(func, args, kwargs):
            if not tensor.is_meta and self.knows(tensor):
                if all_known:
                    self._keep(tensor)
                else:
                    self._unknown[memory_id(tensor)] = tensor
        return self._functional(func, args, kwargs)

    def _void(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Operators that return nothing; one that is not torch's own needs no kernel, since nothing depends on it."""
        targets = written(func, args, kwargs)
        is_set = set(map(id, targets)) - self.used  # a write is no use of a layer
        if self._knows_all(args, kwargs):
            for tensor in targets:
                self._keep(tensor)
            func(*args, **kwargs)
        else:
            for tensor in targets:
                self._keep_version(tensor)
                if not tensor.is_meta and self.knows(tensor):
                    self._unknown[memory_id(tensor)] = tensor
        calls, key = self._place(func, args, kwargs)
        self.used -= is_set
        answer = calls.get(key)
        if answer is None:
            if func.namespace == "aten":
                with suppress(NotImplementedError):  # some of torch's fused steps have no meta kernel
                    func(*map_tensors(meta_like, args), **map_tensors(meta_like, kwargs))
            answer = calls[key] = Known(make_signature(func, args, kwargs, tuple(targets), is_view=False))
        self.record(answer.signature)

    def _out(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """`out=` overloads: the caller's tensor becomes the result, without values."""
        targets = written(func, args, kwargs)
        for tensor in targets:
            self._keep_version(tensor)
            if not tensor.is_meta:
                self._unknown[memory_id(tensor)] = tensor
        result = run_kernel(
            func, map_tensors(meta_like, args), with_device(func, map_tensors(meta_like, kwargs), "meta")
        )
        if [tensor.shape for tensor in tensors_of(result)] != [tensor.shape for tensor in targets]:
            raise Unknown("out= changes the size of a tensor")
        self._record_call(func, args, kwargs, targets)
        return targets[0] if len(targets) == 1 else tuple(targets)

    def _higher_order(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Operators with functions as arguments that `control_flow` does not run: flex attention is one op."""
        if func.name() == "flex_attention":
            query, value = args[0], args[2]
            result = (
                query.new_empty((*query.shape[:-1], value.shape[-1]), device="meta"),
                *(query.new_empty(query.shape[:-1], dtype=torch.float32, device="meta") for _ in range(2)),
            )
            self._record_call(func, args[:3], {}, result[0])
            return result
        raise Unknown(f"higher-order operator {func.name()} has no meta form here")


Method: TypeAlias = Callable[[MetaMode, Any, Any, dict[str, Any]], Any]

_BY_NAME: dict[str, Method] = {
    **dict.fromkeys(("aten.to", "aten._to_copy", "aten.type_as", "aten.contiguous"), MetaMode._cast),
    **dict.fromkeys(_ASSUMED, MetaMode._assumed),
    **dict.fromkeys(("aten._local_scalar_dense", "aten.allclose"), MetaMode._number),  # `float(x)` calls the first
    "aten.item": MetaMode._item,  # it calls the first too, but not on a meta tensor, where torch raises
    "aten.index": MetaMode._pick,
    **dict.fromkeys(("aten._pack_padded_sequence", "aten._pad_packed_sequence"), MetaMode._packed),
    **dict.fromkeys(("aten.lstm.data", "aten.gru.data", "aten.rnn_tanh.data"), MetaMode._packed),
    "aten._grouped_mm": MetaMode._grouped,
    "aten.tensor_split": MetaMode._parted,
    "aten._make_dual": MetaMode._dual,
    **dict.fromkeys(DYNAMIC_LINEAR, MetaMode._packed_linear),
    **dict.fromkeys(("aten.mkldnn_rnn_layer", "aten.mkldnn_rnn_layer_backward"), MetaMode._fused_lstm),
}
"""Canonical operators with a handler of their own."""

_OF_METADATA = ("aten.set_", "aten.resize_", "aten.detach_")
_NOT_TAKEN_APART = (
    *(MetaMode._higher_order, MetaMode._native, MetaMode._cast, MetaMode._view, MetaMode._item, MetaMode._dual),
    MetaMode._parted,
)


@cache  # this also keeps each operator alive, so that its id stays unique
def _method_of(func: Any) -> Method:
    """The handler of an overload; the order matters, since torch marks casts and reshapes as views too."""
    if not isinstance(func, OpOverload):
        return MetaMode._higher_order
    name, schema = str(func.overloadpacket), func._schema
    if func.namespace in SILENT or torch.Tag.inplace_view in func.tags or name in _OF_METADATA:
        return MetaMode._native
    if is_communication(func):
        return MetaMode._communicate
    if not schema.returns and func.namespace != "aten":
        return MetaMode._void
    targets = [a for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    if targets:
        if not schema.returns:
            return MetaMode._void
        if not any(r.alias_info is not None for r in schema.returns):
            return MetaMode._updating
        return MetaMode._out if any(a.kwarg_only for a in targets) else MetaMode._in_place
    if is_on_packed_sequences(func):
        return MetaMode._sequences
    by_name = _BY_NAME.get(canonical_call(func))
    if by_name is not None or func.is_view:
        return by_name or MetaMode._view
    takes_tensors = any("Tensor" in str(a.type) for a in schema.arguments)
    return MetaMode._functional if takes_tensors and not _LIKE.match(name) else MetaMode._factory
