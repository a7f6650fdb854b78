"""The phase and the module of each operation while a network trains, noted beside the recording mode.

What enters is every operation of forward, loss and backward; what leaves is a PhaseNote for each. The gradient of a
tensor is by input if the tensor depends on the input, and by weight if it is made of parameters alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import torch
from torch import nn

from ..core.ops import Op, Phase
from .attribution import ModulePath
from .differentiable import without_value
from .inputs import map_tensors
from .meta import MetaMode
from .mode import RecordingMode
from .signatures import SILENT
from .torch_private import (
    TorchDispatchMode,
    current_node,
    memory_id,
    next_node_number,
    number_of_node,
    stops_recomputation,
)

__all__ = ["LOSS", "PhaseNote", "PhaseRecorder", "TrainingPath"]

LOSS = "(loss)"
"""The path of operations that belong to the loss and to no module."""

_NO_VALUES = -1  # a gradient has the device of its tensor, so a backward pass has no known values


class _MadeOf(IntEnum):
    """What a tensor depends on: constants alone, parameters too, or the input too."""

    CONSTANTS = 0
    PARAMETERS = 1
    INPUT = 2


class TrainingPath(ModulePath):
    """Also remembers which module created each node of the autograd graph, whose numbers increase."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__(root)
        self._starts = [0]
        self._paths = [""]

    @property
    def is_running(self) -> bool:
        """Whether any module is running."""
        return bool(self._outer)

    def mark(self, back: int = 0) -> None:
        """From here on (or from `back` nodes earlier) nodes are created in `path`."""
        number = next_node_number() - back
        self._starts.append(max(number, self._starts[-1]))
        self._paths.append(self.path)

    def place_of(self, number: int) -> str:
        """The module that created a node."""
        return self._paths[bisect_right(self._starts, number) - 1]

    def _enter_module(self, module: nn.Module, args: Any) -> None:
        super()._enter_module(module, args)
        self.mark()

    def _leave_module(self, module: nn.Module, args: Any, *rest: Any) -> None:
        super()._leave_module(module, args, *rest)
        if stops_recomputation(self._raised):  # no failure; its frames would keep what was recomputed
            self.let_go()
        self.mark()


@dataclass(slots=True)
class PhaseNote:
    """Phase and place of one operation.

    `splits`: it makes gradients by input and by weight at once, according to its `output_mask`.
    """

    phase: Phase
    module: str
    splits: bool = False


class _Node(NamedTuple):
    """The arguments of a node's forward: whether a factor depends on parameters, and whether any on the input."""

    has_weight: bool
    has_data: bool


class PhaseRecorder(TorchDispatchMode):
    """A mode above the recording mode that notes the phase of each recorded operation.

    With `hides_floats` the floating-point tensors that the module creates have no values either, since a tensor with
    values stays on the CPU, where the gradient of a meta tensor cannot go.
    """

    supports_higher_order_operators = True

    def __init__(self, mode: RecordingMode, path: TrainingPath, *, hides_floats: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.mode = mode
        self.path = path
        self.notes: list[PhaseNote] = []
        self.phase = Phase.FORWARD
        self._hides_floats = hides_floats and isinstance(mode, MetaMode)
        self._known_limit = mode.known_limit if isinstance(mode, MetaMode) else 0
        self._made_of: dict[int, int] = {}  # by storage; a reused address gets a new entry first
        self._nodes: dict[int, _Node] = {}  # by number
        self._owners: dict[int, str] = {}  # by id of the leaf

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as RecordingMode

    @property
    def ops(self) -> tuple[Op, ...]:
        """Operations with the module to whose forward or backward they belong."""
        pairs = zip(self.mode.ops, self.notes, strict=True)
        return tuple(Op(op.signature, note.module) for op, note in pairs)

    def inputs(self, values: Any) -> None:
        """Note that these tensors are the input."""
        map_tensors(lambda tensor: self._made_of.__setitem__(memory_id(tensor), _MadeOf.INPUT), values)

    def parameter(self, leaf: torch.Tensor, owner: str) -> None:
        """Note that this tensor is a parameter of the module `owner`."""
        self._made_of[memory_id(leaf)] = _MadeOf.PARAMETERS
        self._owners[id(leaf)] = owner

    def rest(self) -> None:
        """Note the phase of unseen work, which is detected at the end of the forward."""
        self.notes += [PhaseNote(self.phase, op.module) for op in self.mode.ops[len(self.notes) :]]

    def enter(self, phase: Phase, path: str = "") -> None:
        """Begin another phase, outside of all modules."""
        self.phase, self.path.path = phase, path
        self.path.mark()
        if isinstance(self.mode, MetaMode):
            self.mode.known_limit = self._known_limit if phase is not Phase.BACKWARD_INPUT else _NO_VALUES

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "namespace", "") in SILENT:
            return func(*args, **kwargs)
        if self.phase is Phase.BACKWARD_INPUT:
            return self._backward(func, args, kwargs)
        return self._forward(func, args, kwargs, self.phase)

    def _forward(self, func: Any, args: Any, kwargs: dict[str, Any], phase: Phase) -> Any:
        if self.mode.follower is not None:
            self.mode.follower.differentiates = False
        number = next_node_number() - 1  # the node of this operation, if it has one, is the newest
        operands = self._operands(args, kwargs)
        if number not in self._nodes:
            self._nodes[number] = _Node(
                _MadeOf.PARAMETERS in self._levels(_factors(func, args)), _MadeOf.INPUT in operands.values()
            )
        result = self._run(func, args, kwargs, lambda: PhaseNote(phase, self.path.path))
        if self._hides_floats:
            result = map_tensors(lambda tensor: self._hidden(tensor, operands), result)
        level = max(operands.values(), default=_MadeOf.CONSTANTS)
        map_tensors(lambda tensor: self._made_of.__setitem__(memory_id(tensor), level), result)
        return result

    def _backward(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        node = current_node()
        if node is not None and (torch.is_grad_enabled() or self.path.is_running):
            return self._again(func, args, kwargs, self._place_of(node))
        operands = self._operands(args, kwargs)
        if self.mode.follower is not None:
            self.mode.follower.differentiates = True
        result = self._run(func, args, kwargs, lambda: self._gradient(func, args, node, operands))

        def made(tensor: torch.Tensor) -> None:
            if memory_id(tensor) not in operands:  # a view of a parameter is still one
                self._made_of[memory_id(tensor)] = _MadeOf.INPUT

        map_tensors(made, result)
        return result

    def _again(self, func: Any, args: Any, kwargs: dict[str, Any], place: str) -> Any:
        """Recompute a forward operation within the backward, as checkpoints do; small tensors have values again."""
        if not self.path.is_running:
            self.path.path = place
            self.path.mark(back=1)
        if isinstance(self.mode, MetaMode):
            self.mode.known_limit = self._known_limit
        try:
            return self._forward(func, args, kwargs, Phase.RECOMPUTATION)
        finally:
            if isinstance(self.mode, MetaMode):
                self.mode.known_limit = _NO_VALUES

    def _hidden(self, tensor: torch.Tensor, operands: dict[int, int]) -> torch.Tensor:
        hidden = without_value(tensor, operands)
        if hidden is not tensor and self.mode.follower is not None:
            self.mode.follower.replaces(hidden, tensor)
        return hidden

    def _run(self, func: Any, args: Any, kwargs: dict[str, Any], note: Callable[[], PhaseNote]) -> Any:
        result = func(*args, **kwargs)
        self.notes += [note() for _ in range(len(self.notes), len(self.mode.ops))]
        return result

    def _gradient(self, func: Any, args: Any, node: Any, operands: dict[int, int]) -> PhaseNote:
        """A gradient is by weight if a factor of its forward depends on parameters, and no operand of its own does."""
        place = self._place_of(node)
        if _has_mask(func):
            data, weight = self._levels(args[1]), self._levels(args[2])
            if _MadeOf.INPUT in weight:  # the network itself computes the kernel
                return PhaseNote(Phase.BACKWARD_INPUT, place)
            return PhaseNote(
                Phase.BACKWARD_INPUT if _MadeOf.INPUT in data else Phase.BACKWARD_WEIGHT, place, _MadeOf.INPUT in data
            )
        made = self._nodes.get(number_of_node(node)) if node is not None else None
        by_weight = (
            made is not None and made.has_weight and (_MadeOf.PARAMETERS not in operands.values() or not made.has_data)
        )
        return PhaseNote(Phase.BACKWARD_WEIGHT if by_weight else Phase.BACKWARD_INPUT, place)

    def _place_of(self, node: Any) -> str:
        if node is None:
            return LOSS
        leaf = getattr(node, "variable", None)
        return self._owners.get(id(leaf), "") if leaf is not None else self.path.place_of(number_of_node(node))

    def _operands(self, *values: Any) -> dict[int, int]:
        """Storages among the arguments, and what each depends on."""
        levels: dict[int, int] = {}

        def add(tensor: torch.Tensor) -> None:
            levels[memory_id(tensor)] = self._made_of.get(memory_id(tensor), _MadeOf.CONSTANTS)

        map_tensors(add, values)
        return levels

    def _levels(self, *values: Any) -> set[int]:
        return set(self._operands(*values).values())


_ADDS_FIRST = frozenset(f"aten::{name}" for name in ("addmm", "baddbmm", "addbmm", "addmv"))


def _factors(func: Any, args: Any) -> Any:
    """What an operator multiplies; the bias of `addmm` is only added."""
    return args[1:] if func.name() in _ADDS_FIRST else args


def _has_mask(func: Any) -> bool:
    schema = getattr(func, "_schema", None)
    return schema is not None and any(argument.name == "output_mask" for argument in schema.arguments)
