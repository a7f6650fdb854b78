"""fvcore's `FlopCountAnalysis` and what goes with it: multiply-accumulates, which fvcore calls flops.

The numbers differ from fvcore's: attention, LSTM and functional calls that it has no handle for count too, and
normalisation, upsampling, adaptive pooling and grid sampling, which are not multiply-accumulates, do not count.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, cast

from torch import nn

from ..core.errors import InputError
from ..core.ops import CostedOp, Kind
from ..report import Report, count_flops
from ..tracing.arguments import Input
from ..tracing.callables import as_module
from .jit_values import handle_names, values_of

__all__ = [
    "ActivationCountAnalysis",
    "FlopCountAnalysis",
    "Handle",
    "activation_count",
    "flop_count",
    "flop_count_str",
    "flop_count_table",
    "parameter_count",
    "parameter_count_table",
]

Handle: TypeAlias = Callable[[list[Any], list[Any]], Any]
_WARNING_MODES = ("all", "no_tracer_warning", "none")


@dataclass(frozen=True, slots=True)
class _Statistics:
    """By module with its children: the count by operator, calls of what has no rule; and modules never called."""

    counts: dict[str, Counter[str]]
    unsupported: dict[str, Counter[str]]
    uncalled: set[str]


class _Analysis:
    """What fvcore's analyses have in common; `_amount` says what is counted of an operator."""

    def __init__(self, model: nn.Module, inputs: Input) -> None:
        self._model = as_module(model)
        self._inputs = inputs
        self._handles: dict[str, Handle] = {}
        self._ignored: set[str] = set()
        self._warns_unsupported = self._warns_uncalled = True
        self._report: Report | None = None
        self._stats: _Statistics | None = None

    def _amount(self, costed: CostedOp) -> int:
        raise NotImplementedError

    @property
    def report(self) -> Report:
        """Everything flopcount knows of this pass."""
        if self._report is None:
            self._report = count_flops(self._model, self._inputs)
        return self._report

    def total(self, module_name: str = "") -> int:
        """The count of a module with all in it; without a name, that of the model."""
        return sum(self.by_operator(module_name).values())

    def by_operator(self, module_name: str = "") -> Counter[str]:
        """The count of a module by operator, named as by fvcore ("conv", "linear", "matmul")."""
        return self._analyze().counts[self.canonical_module_name(module_name)]

    def by_module(self) -> Counter[str]:
        """The count of every module with all in it, "" being the model."""
        return Counter({path: sum(counts.values()) for path, counts in self._analyze().counts.items()})

    def by_module_and_operator(self) -> dict[str, Counter[str]]:
        """The count of every module with all in it, by operator."""
        return self._analyze().counts

    def unsupported_ops(self, module_name: str = "") -> Counter[str]:
        """Calls of operators that have no rule here either ("aten::_linalg_svd"): what the count lacks."""
        return self._analyze().unsupported[self.canonical_module_name(module_name)]

    def uncalled_modules(self) -> set[str]:
        """Modules that were never called and contain nothing that was."""
        return self._analyze().uncalled

    def set_op_handle(self, *args: Any, **kwargs: Handle | None) -> Self:
        """Count an operator by a handle: (name, handle) pairs or keywords; None leaves the operator out.

        A handle is a function of inputs and outputs as for fvcore, and names are torch's: "aten::matmul". It is
        called once per operator call, with the values that `flopcount.compat.jit_values` describes.
        """
        if len(args) % 2:
            raise TypeError("set_op_handle should be called with pairs of names and handles!")
        for name, handle in (*zip(args[::2], args[1::2], strict=True), *kwargs.items()):
            if handle is None:
                self._ignored.add(name)
                self._handles.pop(name, None)
            else:
                self._handles[name] = handle
                self._ignored.discard(name)
        self._stats = None
        return self

    def clear_op_handles(self) -> Self:
        """Back to flopcount's own rules."""
        self._handles, self._ignored, self._stats = {}, set(), None
        return self

    def canonical_module_name(self, name: str) -> str:
        """The first name of a module that has several.

        Raises:
            KeyError: no module has that name.
        """
        first: dict[int, str] = {}
        for path, module in self._model.named_modules(remove_duplicate=False):
            canonical = first.setdefault(id(module), path)
            if path == name:
                return canonical
        raise KeyError(f"Requested module name {name!r} is not among the descendants of the analyzed model.")

    def copy(self, new_model: nn.Module | None = None, new_inputs: Input = None) -> Self:
        """The same settings on another model or other inputs."""
        model = self._model if new_model is None else new_model
        other = type(self)(model, self._inputs if new_inputs is None else new_inputs)
        other._handles, other._ignored = self._handles.copy(), self._ignored.copy()
        other._warns_unsupported, other._warns_uncalled = self._warns_unsupported, self._warns_uncalled
        return other

    def tracer_warnings(self, mode: str) -> Self:
        """Without effect: torch.jit does not trace here."""
        if mode not in _WARNING_MODES:
            raise ValueError(f"Unrecognized tracer warning mode {mode}.")
        return self

    def ancestor_mode(self, mode: str) -> Self:
        """An operator belongs to the module that ran it and to those that own that one: "owner", and nothing else."""
        if mode != "owner":
            raise InputError(f"ancestor mode {mode!r} is not counted", [("fix", 'leave it at "owner"')])
        return self

    def unsupported_ops_warnings(self, enabled: bool) -> Self:
        """Whether the log names operators without a rule."""
        self._warns_unsupported = enabled
        return self

    def uncalled_modules_warnings(self, enabled: bool) -> Self:
        """Whether the log names modules never called."""
        self._warns_uncalled = enabled
        return self

    def _analyze(self) -> _Statistics:
        if self._stats is None:
            self._stats = self._statistics()
            logger = logging.getLogger(__name__)
            for name, calls in self._stats.unsupported[""].items() if self._warns_unsupported else ():
                logger.warning("Unsupported operator %s encountered %d time(s)", name, calls)
            if self._stats.uncalled and self._warns_uncalled:
                logger.warning("Modules never called: %s", ", ".join(sorted(self._stats.uncalled)))
        return self._stats

    def _statistics(self) -> _Statistics:
        rows = self.report.modules
        counts: dict[str, Counter[str]] = {row.path: Counter() for row in rows}
        unsupported: dict[str, Counter[str]] = {row.path: Counter() for row in rows}
        for costed in self.report.ops:
            amounts = self._counted(costed)
            missing = costed.kind is Kind.UNCOSTED and amounts is None
            for path in _owners(costed.op.module):
                counts[path] += amounts or Counter()
                if missing:
                    unsupported[path][handle_names(costed)[0]] += 1
        called = {owner for row in rows if row.calls for owner in _owners(row.path)}
        return _Statistics(counts, unsupported, {row.path for row in rows} - called)

    def _counted(self, costed: CostedOp) -> Counter[str] | None:
        """The count by the caller's handle, else by our rule; None where there is neither."""
        names = handle_names(costed)
        if not self._ignored.isdisjoint(names):
            return Counter()
        name = next((name for name in names if name in self._handles), None)
        if name is not None:
            answer = self._handles[name](*values_of(costed, name))
            return answer if isinstance(answer, Counter) else Counter({name.partition("::")[2]: answer})
        amount = self._amount(costed)
        return Counter({_short(costed): amount}) if amount else None


def _owners(path: str) -> list[str]:
    """A module and all modules that contain it."""
    parts = path.split(".") if path else []
    return [".".join(parts[:depth]) for depth in range(len(parts) + 1)]


def _short(costed: CostedOp) -> str:
    """An operator's name as fvcore has it."""
    return "conv" if costed.kind is Kind.CONV else costed.name.partition(".")[2]


class FlopCountAnalysis(_Analysis):
    """The multiply-accumulates of one forward pass, which fvcore calls flops.

    Arguments:
        model: any nn.Module; it is not run, and is the same afterwards.
        inputs: a tensor or a tuple of arguments; shapes may stand for tensors.
    """

    def _amount(self, costed: CostedOp) -> int:
        return costed.work.macs


class ActivationCountAnalysis(_Analysis):
    """Elements that contractions wrote: the outputs of convolution, linear, matmul, attention and recurrent layers."""

    def _amount(self, costed: CostedOp) -> int:
        return costed.elements_written if costed.work.macs else 0


def activation_count(
    model: nn.Module, inputs: Input, supported_ops: Mapping[str, Handle] | None = None
) -> tuple[defaultdict[str, float], Counter[str]]:
    """Millions of activations by operator, and calls of operators without a rule."""
    analysis = ActivationCountAnalysis(model, inputs).set_op_handle(**(supported_ops or {}))
    mega = defaultdict(float, {name: amount / 1e6 for name, amount in analysis.by_operator().items()})
    return mega, analysis.unsupported_ops()


def flop_count(
    model: nn.Module, inputs: Input, supported_ops: Mapping[str, Handle] | None = None
) -> tuple[defaultdict[str, float], Counter[str]]:
    """GMACs by operator, and calls of operators without a rule."""
    analysis = FlopCountAnalysis(model, inputs).set_op_handle(**(supported_ops or {}))
    giga = defaultdict(float, {name: amount / 1e9 for name, amount in analysis.by_operator().items()})
    return giga, analysis.unsupported_ops()


def flop_count_table(
    flops: FlopCountAnalysis,
    max_depth: int = 3,
    activations: ActivationCountAnalysis | None = None,
    show_param_shapes: bool = True,
) -> str:
    """The table of the count that fvcore prints."""
    return cast("str", _fvcore("flop_count_table")(flops, max_depth, activations, show_param_shapes))


def flop_count_str(flops: FlopCountAnalysis, activations: ActivationCountAnalysis | None = None) -> str:
    """The model with the count of each module, as fvcore prints it."""
    return cast("str", _fvcore("flop_count_str")(flops, activations))


def parameter_count(model: nn.Module) -> defaultdict[str, int]:
    """Elements of every parameter and of the modules that hold it: fvcore's own function."""
    return cast("defaultdict[str, int]", _fvcore("parameter_count")(model))


def parameter_count_table(model: nn.Module, max_depth: int = 3) -> str:
    """The table of parameters that fvcore prints."""
    return cast("str", _fvcore("parameter_count_table")(model, max_depth))


def _fvcore(name: str) -> Callable[..., Any]:
    """A function of fvcore's, whose import warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import fvcore.nn
    return cast("Callable[..., Any]", getattr(fvcore.nn, name))
