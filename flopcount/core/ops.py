"""The nouns of the pipeline; every later stage reads these and nothing of torch.

Objects that a trace has by the thousand are named tuples, which are several times faster to create than frozen
dataclasses.

Dimension letters, here and in every rule:

    B batch   T frames   H W space   C channels   N tokens   D width   K kernel   S* any sizes   m k n of a matmul
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from math import prod
from typing import Any, NamedTuple, TypeAlias

from .dataflow import Dataflow
from .one_line import OneLine, one_line
from .spec_values import Values, checked_values
from .units import times

__all__ = [
    "CostedOp",
    "Dim",
    "Kind",
    "ModuleCall",
    "ModuleInfo",
    "Op",
    "Phase",
    "Signature",
    "Spending",
    "TensorSpec",
    "Trace",
    "Work",
    "Workload",
    "tensors_in",
]

Dim: TypeAlias = int
"""A size or a count: an int, or a subclass that also knows its arithmetic. Rules use only + - * // and prod on it."""

_SHORT = {"float": "f", "bfloat": "bf", "complex": "c", "uint": "u", "int": "i"}
_FLOATING = ("float", "bfloat", "complex")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor without its data. `TensorSpec((1, 16), torch.int64)` and `TensorSpec((1, 16), "int64")` are equal.

    Of an input `values` may say what a count cannot invent: one number for every element, `range(32000)` for whole
    numbers below that, a number for each element, or the share of True along the last axis of a mask.
    """

    shape: tuple[Dim, ...]
    dtype: str = "float32"
    values: Values | None = None

    def __post_init__(self) -> None:
        if type(self.shape) is not tuple:
            object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "dtype", str(self.dtype).removeprefix("torch."))
        if self.values is not None:
            object.__setattr__(self, "values", checked_values(self.values, self.shape, self.dtype))

    @property
    def numel(self) -> Dim:
        """Elements."""
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    @property
    def is_floating(self) -> bool:
        """Whether arithmetic on it is floating-point arithmetic (complex included)."""
        return self.dtype.startswith(_FLOATING)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return _itemsize(self.dtype)

    @property
    def nbytes(self) -> Dim:
        """Bytes of all elements."""
        return self.numel * self.itemsize

    def __str__(self) -> str:
        letters = self.dtype.split("_")[0].rstrip("0123456789")
        short = self.dtype.replace(letters, _SHORT[letters], 1) if letters in _SHORT else self.dtype
        return f"{short}[{','.join(map(str, self.shape))}]"


@cache
def _itemsize(dtype: str) -> int:
    bits = "".join(c for c in dtype.split("_")[0] if c.isdigit())
    return max(int(bits) // 8, 1) if bits else 1


def tensors_in(value: Any) -> list[TensorSpec]:
    """Every TensorSpec inside nested tuples and mappings, in order."""
    if isinstance(value, TensorSpec):
        return [value]
    specs: list[TensorSpec] = []
    if isinstance(value, (tuple, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            if type(item) is TensorSpec:
                specs.append(item)
            elif type(item) is not int and item is not None:  # most are int or None, and isinstance of Mapping is slow
                specs += tensors_in(item)
    return specs


class Kind(Enum):
    """The family of an operator's work; tables use this order."""

    CONV = "conv"
    LINEAR = "linear"
    MATMUL = "matmul"
    ATTENTION = "attention"
    RECURRENT = "recurrent"
    NORM = "norm"
    POOL = "pool"
    ACTIVATION = "activation"
    SOFTMAX = "softmax"
    ELEMENTWISE = "elementwise"
    REDUCE = "reduce"
    INTERPOLATE = "interpolate"
    EMBEDDING = "embedding"
    CUMULATIVE = "cumulative"
    SORT = "sort"
    FFT = "fft"
    RANDOM = "random"
    MOVEMENT = "movement"
    VIEW = "view"
    CUSTOM = "custom"
    UNCOSTED = "uncosted"

    @property
    def contracts(self) -> bool:
        """Whether its operators may have MACs; a rule of any other kind that returns MACs is wrong."""
        return self in _CONTRACTING


_CONTRACTING = frozenset((Kind.CONV, Kind.LINEAR, Kind.MATMUL, Kind.ATTENTION, Kind.RECURRENT, Kind.CUSTOM))


class Phase(Enum):
    """What a training step does with an operation; tables use this order."""

    FORWARD = "forward"
    LOSS = "loss"
    BACKWARD_INPUT = "backward by input"
    BACKWARD_WEIGHT = "backward by weight"
    RECOMPUTATION = "recomputation"
    OPTIMIZER = "optimizer"


@dataclass(frozen=True, slots=True, eq=False)
class Signature(OneLine):
    """One operator called with certain shapes; identical calls of a trace share one object.

    `op` is torch's name without overload ("aten.conv3d"). The keys of `arguments` are the names of the operator's
    schema; tensors are TensorSpecs, lists are tuples, and defaults are filled in. `is_view` means that no data moves.
    """

    op: str
    overload: str
    arguments: Mapping[str, Any]
    outputs: tuple[Any, ...]
    is_view: bool = False

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Tensors among the arguments, in schema order."""
        return tuple(tensors_in(self.arguments))

    def __str__(self) -> str:
        tensors = ", ".join(f"{name} {_text(value)}" for name, value in self.arguments.items() if tensors_in(value))
        return f"{self.op}({tensors}) -> {_text(self.outputs[0] if len(self.outputs) == 1 else self.outputs)}"

    def _headline(self) -> str:
        return str(self)


def _text(value: Any) -> str:
    return "(" + ", ".join(map(_text, value)) + ")" if isinstance(value, tuple) else str(value)


class Op(NamedTuple):
    """One operation of a forward pass: its signature, and the module that called it ("" is the root)."""

    signature: Signature
    module: str

    def __repr__(self) -> str:
        return one_line(self, f"in {self.module or 'the model itself'}: {self.signature}")


class ModuleCall(NamedTuple):
    """One call of one module: the shapes that went in and came out, and how often, in a pipeline, it is called so."""

    module: str
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    times: int = 1

    def __repr__(self) -> str:
        given, made = (", ".join(map(times, shapes)) for shapes in (self.inputs, self.outputs))
        return one_line(
            self, f"{self.module or 'the model itself'}: {given} -> {made}" + f", {self.times} times" * (self.times > 1)
        )


class ModuleInfo(NamedTuple):
    """One module of the tree: dotted path, class name, and its own parameters (the first owner has a shared one)."""

    path: str
    type: str
    params: int
    trainable_params: int

    @property
    def depth(self) -> int:
        """0 for the root."""
        return self.path.count(".") + 1 if self.path else 0


@dataclass(frozen=True, slots=True)
class Trace(OneLine):
    """All operations of one forward pass, in order, and the engine that ran it ("meta", "fake" or "real").

    `settled` has the number of elements of each lazy parameter, by name, that this input leads to. `dataflow` says
    which op uses the data of which, if the caller asks for it. `assumed` names each value that the trace had to invent,
    in plain words; `by_chance` says that some of these are random and determine sizes. `made` has the modules that the
    forward pass made, and those that got new parameters, with these alone; `used` are modules that were never called,
    although an operator took their parameters. `loss` says what is differentiated, if anything is.
    """

    ops: tuple[Op, ...]
    calls: tuple[ModuleCall, ...]
    inputs: tuple[TensorSpec, ...]
    engine: str
    settled: Mapping[str, int] = field(default_factory=dict)
    dataflow: Dataflow | None = None
    assumed: tuple[str, ...] = ()
    by_chance: bool = False
    made: tuple[ModuleInfo, ...] = ()
    used: tuple[str, ...] = ()
    loss: str = ""

    def _headline(self) -> str:
        return f"{len(self.ops):,} operations on {', '.join(map(str, self.inputs))}, engine {self.engine}"


@dataclass(frozen=True, slots=True)
class Work:
    """What a rule returns. Bytes left at None are the default: every input read once, every output written once."""

    macs: Dim = 0
    other_flops: Dim = 0
    bytes_read: Dim | None = None
    bytes_written: Dim | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """What costing returns: the work of one call, with the bytes that its rule leaves to the default."""

    macs: Dim = 0
    other_flops: Dim = 0
    bytes_read: Dim = 0
    bytes_written: Dim = 0


class Spending(NamedTuple):
    """What an op spends on a device: picoseconds, picojoules and 10^-12 of a currency; None of what is unknown.

    Whole numbers, so that layers sum to their total exactly. `limit` is what takes most of the time: "compute", "bytes"
    or "launch".
    """

    time: int
    energy: int | None = None
    money: int | None = None
    limit: str = ""


class CostedOp(NamedTuple):
    """An op with its cost. Without a rule its `kind` is UNCOSTED and its work is zero: it is listed, never summed.

    `spending` is there once the result is priced on a device. In a pipeline it may run several `times`: its work and
    spending are those of all of them. Where these differ, `elements` are those that all read and write.
    """

    op: Op
    name: str
    kind: Kind
    work: Workload = Workload()
    spending: Spending | None = None
    times: int = 1
    elements: tuple[int, int] | None = None

    def __repr__(self) -> str:
        work = f"{self.work.macs:,} MACs, {self.work.other_flops:,} other FLOPs"
        return one_line(self, f"{self.name} in {self.op.module or 'the model itself'}, {self.kind.value}: {work}")

    @property
    def elements_read(self) -> Dim:
        """Elements of all inputs."""
        if self.elements is not None:
            return self.elements[0]
        return self.times * sum(spec.numel for spec in self.op.signature.inputs)

    @property
    def elements_written(self) -> Dim:
        """Elements of all outputs; a view writes nothing."""
        if self.elements is not None:
            return self.elements[1]
        if self.kind is Kind.VIEW:
            return 0
        return self.times * sum(spec.numel for spec in tensors_in(self.op.signature.outputs))
