"""Follows what every tensor of a forward pass can see of the clip, in a mode above the recording mode.

What enters is the inputs of a trace (`trace(..., watch=DependenceMode)`); what leaves is the part of the clip that
every operator's result and every module's output depends on. It is a separate mode, so that plain counting does no
extra work.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from ..core.protocol import layout_of
from .attribution import ModulePath
from .dependences import Call, Rule, rule_of
from .inputs import tensors_of
from .intervals import Intervals, laid_out, placed
from .signatures import SILENT, is_composite
from .torch_private import OpOverload, TorchDispatchMode, disable_current_modes

__all__ = ["AXES", "DependenceMode", "InputDependence", "Lost", "Seen"]

AXES = ("T", "H", "W")
_NEW = re.compile(r"aten\.(new_\w+|\w+_like|empty\w*|zero_|fill_|normal_|uniform_|bernoulli_|random_|exponential_)$")
_COPY = torch.ops.aten.copy_.default


@dataclass(frozen=True, slots=True, eq=False)
class InputDependence:
    """What each element of a tensor sees of the clip: intervals for each axis, in the order of the mode's `axes`."""

    reaches: tuple[Intervals, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """The dependence is unknown from this operator, in this module, onwards."""

    op: str
    module: str


State: TypeAlias = InputDependence | Lost | None
"""None is a constant, which sees nothing of the clip."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One result: of an operator in a module, or the outputs of a module's call (then `op` is empty)."""

    module: str
    op: str
    states: tuple[State, ...]


@dataclass(slots=True, eq=False)
class _ViewOf:
    """A view's source, with the call that made the view and the number of writes to the source until then."""

    source: Tensor
    func: Any
    args: Sequence[Any]
    kwargs: dict[str, Any]
    index: int
    writes: int


class DependenceMode(TorchDispatchMode):
    """A mode above a RecordingMode: it lets that run each operator, then works out what the result sees.

    `lengths` are the lengths of the clip along each of `axes`: T, H, W, or H and W if no input has frames.
    """

    supports_higher_order_operators = True

    def __init__(self, path: ModulePath, inputs: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path
        self.seen: list[Seen] = []
        self.outputs: list[Seen] = []
        self._rules: dict[int, Rule | None] = {}
        self._depth = 0
        self._written: list[weakref.ref[Tensor]] = []
        self.axes, self.lengths = _seed(tensors_of(inputs))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as RecordingMode: otherwise the first dispatch imports torch._dynamo

    def __enter__(self) -> DependenceMode:
        if not self._depth:  # decomposing an operator enters it again
            self._hook = register_module_forward_hook(self._leave_module)
        self._depth += 1
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._depth -= 1
        if not self._depth:
            self._hook.remove()
            self._forget()

    def _forget(self) -> None:
        """Remove the attributes from tensors that may outlive this mode, such as a module's own buffers."""
        for tensor in (reference() for reference in self._written):
            for name in ("_flopcount_sees", "_flopcount_writes", "_flopcount_view"):
                if tensor is not None and hasattr(tensor, name):
                    delattr(tensor, name)

    def _leave_module(self, module: nn.Module, args: Any, result: Any) -> None:
        if id(module) in self.path.names:
            with disable_current_modes():
                states = tuple(self.state(tensor) for tensor in tensors_of(_plain(result)))
            self.outputs.append(Seen(self.path.names[id(module)], "", states))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "namespace", "") in SILENT:
            return func(*args, **kwargs)
        rule = self._rule(func)
        if rule is None and is_composite(func):
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        with disable_current_modes():
            self._follow(func, args, kwargs, result)
        return result

    def _rule(self, func: Any) -> Rule | None:
        if id(func) not in self._rules:
            self._rules[id(func)] = rule_of(func) if isinstance(func, OpOverload) else None
        return self._rules[id(func)]

    # The dependence of a tensor is an attribute of the tensor

    def state(self, tensor: Tensor) -> State:
        """The dependence of a tensor; it is computed again for a view whose source was written to since."""
        link: _ViewOf | None = getattr(tensor, "_flopcount_view", None)
        if link is not None and link.writes != _writes(link.source):
            states = self._states(link.func, (link.source, *link.args), link.kwargs, (tensor,) * (link.index + 1))
            tensor._flopcount_sees = states[link.index]  # type: ignore[attr-defined]
            link.writes = _writes(link.source)
        state: State = getattr(tensor, "_flopcount_sees", None)
        return state

    def _follow(self, func: Any, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """Note what the results of a call see; in-place operators also change their target and its source."""
        results = tuple(
            r for r in (result if isinstance(result, (list, tuple)) else (result,)) if isinstance(r, Tensor)
        )
        if not results:
            return
        states = self._states(func, args, kwargs, results)
        written = isinstance(func, OpOverload) and func._schema.is_mutable
        for index, (tensor, state) in enumerate(zip(results, states, strict=True)):
            if written:
                self._write(tensor, state)
            elif not any(tensor is arg for arg in args):
                if state is not None:
                    tensor._flopcount_sees = state  # type: ignore[attr-defined]
                if getattr(func, "is_view", False) and isinstance(args[0], Tensor):
                    link = _ViewOf(args[0], func, args[1:], kwargs, index, _writes(args[0]))
                    tensor._flopcount_view = link  # type: ignore[attr-defined]
        if any(state is not None for state in states):
            self.seen.append(Seen(self.path.path, str(getattr(func, "overloadpacket", func)), tuple(states)))

    def _states(self, func: Any, args: Any, kwargs: dict[str, Any], results: tuple[Tensor, ...]) -> Sequence[State]:
        """What each result sees."""
        none: tuple[State, ...] = (None,) * len(results)
        name = str(getattr(func, "overloadpacket", func))
        if _NEW.match(name) or all(0 in result.shape for result in results):
            return none
        states = [state for tensor in tensors_of(args, kwargs) if (state := self.state(tensor)) is not None]
        if not states:
            return none
        lost = next((state for state in states if isinstance(state, Lost)), None) or Lost(name, self.path.path)
        rule = self._rule(func)
        if rule is None or any(isinstance(state, Lost) for state in states) or _beyond(func):
            return (lost,) * len(results)
        columns = [self._along(axis, rule, func, args, kwargs, results) for axis in range(len(self.axes))]
        if any(column is None for column in columns):
            return (lost,) * len(results)
        rows = zip(*(column for column in columns if column is not None), strict=True)
        seen = [InputDependence(tuple(r for r in row if r is not None)) if any(row) else None for row in rows]
        return [None if 0 in result.shape else state for result, state in zip(results, seen, strict=True)]

    def _along(
        self, axis: int, rule: Rule, func: Any, args: Any, kwargs: dict[str, Any], results: tuple[Tensor, ...]
    ) -> Sequence[Intervals | None] | None:
        """What each result sees along one axis of the clip; None if the rule cannot tell."""
        asked: set[int] = set()

        def see(tensor: Tensor) -> Intervals | None:
            asked.add(id(tensor))
            state = self.state(tensor)
            return state.reaches[axis] if isinstance(state, InputDependence) else None

        defaults = {argument.name: argument.default_value for argument in func._schema.arguments}
        arguments = defaults | dict(zip(defaults, args, strict=False)) | kwargs
        unread = [arguments.pop("self")] if func is _COPY else []  # copy_ overwrites it
        answer = rule(Call(func, arguments, args, kwargs, see, results))
        rest = (t for t in tensors_of(args, kwargs) if id(t) not in asked and not any(t is one for one in unread))
        if answer is None or any(self.state(tensor) is not None for tensor in rest):
            return None  # the rule cannot tell, or an argument that it ignores depends on the clip too
        return [answer] * len(results) if isinstance(answer, Intervals) else list(answer)

    def _write(self, tensor: Tensor, state: State) -> None:
        """Note a write to a tensor, and to the sources of which it is a view."""
        tensor._flopcount_sees = state  # type: ignore[attr-defined]
        tensor._flopcount_writes = _writes(tensor) + 1  # type: ignore[attr-defined]
        self._written.append(weakref.ref(tensor))
        link: _ViewOf | None = getattr(tensor, "_flopcount_view", None)
        if link is None:
            return
        before = self.state(link.source)
        if before is not None or state is not None:
            self._write(link.source, self._placed(link, before, state, tensor.ndim))
            link.writes = _writes(link.source)

    def _placed(self, link: _ViewOf, before: State, state: State, ndim: int) -> State:
        """The dependence of a view's source after a write to the view."""
        for one in (before, state):
            if isinstance(one, Lost):
                return one
        source = link.source
        some = before or state
        assert isinstance(some, InputDependence)

        def view(array: Tensor) -> Tensor:
            seen = link.func(array, *link.args, **link.kwargs)
            part: Tensor = seen[link.index] if isinstance(seen, (list, tuple)) else seen
            return part

        olds = before.reaches if isinstance(before, InputDependence) else [r.nothing(source.ndim) for r in some.reaches]
        news = state.reaches if isinstance(state, InputDependence) else [r.nothing(ndim) for r in some.reaches]
        pairs = zip(olds, news, strict=True)
        return InputDependence(tuple(placed(old, new, source.shape, view) for old, new in pairs))


def _writes(tensor: Tensor) -> int:
    return getattr(tensor, "_flopcount_writes", 0)


def _plain(result: Any) -> Any:
    """Dataclass-like outputs of transformers as the dictionaries they are."""
    return dict(result) if isinstance(result, dict) else result


def _beyond(func: Any) -> bool:
    """Whether no dependence handles a call: it has `out=`, or changes a shape in place."""
    if not isinstance(func, OpOverload):
        return True
    in_place_view = torch.Tag.inplace_view in func.tags and str(func.overloadpacket) != "aten.detach_"
    out = any(a.kwarg_only and a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments)
    return in_place_view or out


def _seed(tensors: Sequence[Tensor]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Let every floating-point input of four or five axes see its own positions; return the axes and their lengths.

    Of several inputs the one with the most positions is the clip, and the others sample it evenly.
    """
    places: list[tuple[Tensor, tuple[int, ...]]] = []
    for tensor in tensors:
        if tensor.is_floating_point() and tensor.ndim in (4, 5):
            frames_first = layout_of(tensor.shape) == "BTCHW"
            places.append((tensor, (1, 3, 4) if frames_first else tuple(range(2, tensor.ndim))))
    count = max((len(dims) for _, dims in places), default=0)
    if not count:
        return (), ()
    lengths = [max((t.shape[dims[a - count]] for t, dims in places if a >= count - len(dims))) for a in range(count)]
    with disable_current_modes():
        for tensor, dims in places:
            reaches = []
            for axis, length in enumerate(lengths):
                own = axis - (count - len(dims))
                size = tensor.shape[dims[own]] if own >= 0 else 0
                positions = [i * length // size for i in range(size)] if own >= 0 else None
                dim = dims[own] if own >= 0 else 0
                reaches.append(laid_out(positions, dim, tensor.ndim, length, max(length // max(size, 1), 1)))
            tensor._flopcount_sees = InputDependence(tuple(reaches))  # type: ignore[attr-defined]
    return AXES[-count:], tuple(lengths)
