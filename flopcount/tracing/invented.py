"""Values that a count invents, and which of them decide what is counted.

Invented are the values of inputs given by their shapes, the weights of a model that is built for the count, numbers
that the forward pass draws at random, and numbers of tensors without data that are taken to be finite. What is computed
from them derives from them too, followed by memory. Only where such a number determines a size, or leaves torch, may
the count depend on it: then it is noted, with the layer. Nothing is followed until there is something to follow.
"""

from __future__ import annotations

import random
import sys
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from ..core.ops import TensorSpec
from .inputs import tensors_of
from .spec_values import SEED, has_values, places_of
from .torch_private import OpOverload, memory_id

__all__ = [
    "ELSEWHERE",
    "FINITE",
    "Invented",
    "built_for_the_count",
    "draws",
    "fix_random_numbers",
    "is_random",
    "is_random_elsewhere",
]

FINITE = "numbers without values are taken to be finite"
_RANDOM = "random numbers"
_DRAWN = f"the {_RANDOM} that the forward pass draws are those of a fixed seed"
ELSEWHERE = (
    "the random numbers that the forward pass draws outside of torch are those of a fixed seed; what is counted may "
    "depend on them"
)
_WEIGHTS = "the weights are those that the model's builder makes with a fixed seed"
_PLACES = 3

_built: weakref.WeakSet[nn.Module] = weakref.WeakSet()


def built_for_the_count(module: nn.Module) -> None:
    """Note that the weights of a module are nobody's: its builder has made them for a count."""
    _built.add(module)


class Invented:
    """Which memory has values that derive from invented ones, from which, and what these decide."""

    def __init__(self) -> None:
        self._causes: dict[int, tuple[Any, frozenset[str]]] = {}  # by storage, with a reference that ends with it
        self._decides: dict[str, dict[str, bool]] = {}  # cause -> layer -> whether it determines a size

    def __bool__(self) -> bool:
        """Whether there is anything to follow."""
        return bool(self._causes)

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any], made: Sequence[Any]) -> None:
        """Note the inputs whose values are invented; `made` are the engine's tensors for them."""
        for (place, value), tensor in zip(places_of(args, kwargs), made, strict=False):
            if not has_values(value) and not tensor.is_meta:
                self.mark((tensor,), frozenset((_cause_of_input(place, value),)))

    def weights(self, module: nn.Module) -> None:
        """Note the weights of a module that was built for the count."""
        if module in _built:
            self.mark((p for p in module.parameters() if p.layout == torch.strided), frozenset((_WEIGHTS,)))

    def mark(self, tensors: Iterable[torch.Tensor], causes: frozenset[str]) -> None:
        """Note that these tensors derive from causes."""
        for tensor in tensors:
            if tensor.is_meta or tensor.layout != torch.strided:
                continue
            storage = tensor.untyped_storage()
            address = memory_id(tensor)
            before = self._causes.get(address)
            if before is None:
                self._causes[address] = weakref.ref(storage, partial(self._forget, address)), causes
            elif not causes <= before[1]:
                self._causes[address] = before[0], before[1] | causes

    def _forget(self, address: int, _: object) -> None:
        self._causes.pop(address, None)

    def causes_of(self, *values: Any) -> frozenset[str]:
        """What the tensors among these values derive from."""
        if not self._causes:
            return _NONE
        found = [self._causes[memory_id(t)][1] for t in tensors_of(*values) if _is_followed(t, self._causes)]
        return _NONE.union(*found)

    def ran(
        self, func: Any, args: Any, kwargs: dict[str, Any], result: Any, written: Sequence[Any], layer: str
    ) -> None:
        """Follow an operator that ran on values: to its result and what it has written to, or to a size by values."""
        causes = self.causes_of(args, kwargs)
        if draws(func, args, kwargs):
            causes |= {_DRAWN}
        if not causes:
            return
        of = deciding(func, args, kwargs)
        if of is not None:
            self.decide(self.causes_of(of), layer, certain=not _is_read(func))
        if not _reads_shapes_alone(func):
            self.mark((*tensors_of(result), *written), causes)

    def decide(self, causes: Iterable[str], layer: str, *, certain: bool = False) -> None:
        """Note that causes may decide what is counted in a layer; `certain` if they determine a size there."""
        for cause in causes:
            layers = self._decides.setdefault(cause, {})
            layers[layer] = layers.get(layer, False) or certain

    @property
    def notes(self) -> int:
        """How many places are noted: more after an operator on whose values a count depends."""
        return sum(map(len, self._decides.values()))

    @property
    def leave_it_to_chance(self) -> bool:
        """Whether random numbers, which another input size draws anew, determine a size."""
        return any(any(layers.values()) and _RANDOM in cause for cause, layers in self._decides.items())

    def said(self) -> tuple[str, ...]:
        """Every cause that decides anything, once, in words."""
        return tuple(
            f"{cause}; what is counted in {_listed(layers)} {'depends' if any(layers.values()) else 'may depend'} on "
            f"{'that' if cause is FINITE else 'them'}"
            for cause, layers in self._decides.items()
        )


_NONE: frozenset[str] = frozenset()


def _is_followed(tensor: torch.Tensor, causes: dict[int, Any]) -> bool:
    return not tensor.is_meta and tensor.layout == torch.strided and memory_id(tensor) in causes


def _cause_of_input(place: str, value: torch.Tensor | TensorSpec) -> str:
    dtype = str(value.dtype).removeprefix("torch.")
    what = "all False" if dtype == "bool" else "zeros"
    if TensorSpec((), dtype).is_floating:
        what = f"{_RANDOM} of a fixed seed"
    return f"the values of {place} are {what}, since only its shape is given"


def _listed(layers: Iterable[str]) -> str:
    names = [layer or "the model itself" for layer in layers]
    more = f" and {len(names) - _PLACES} more" if len(names) > _PLACES else ""
    return ", ".join(names[:_PLACES]) + more


_MASKS = (torch.bool, torch.uint8)
_BY_ARGUMENT = {
    "aten._pack_padded_sequence": "lengths",
    "aten._pad_packed_sequence": "batch_sizes",
    "aten.tensor_split": "tensor_indices_or_sections",
    "aten.repeat_interleave": "repeats",
    "aten.masked_select": "mask",
    "aten.where": "condition",  # alone it is the places of what is not zero
}
"""Operators of whose arguments one alone determines sizes."""
_COMPOSITES = ("aten.argwhere", "aten.nonzero_numpy", "aten.one_hot", "torchvision.nms")
"""Operators without torch's tags that have sizes by values."""


def deciding(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The arguments whose values determine the size of the result, or are read as a number; None if there are none."""
    if not isinstance(func, OpOverload):
        return None
    name = str(func.overloadpacket)
    if name in _BY_ARGUMENT:
        named = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        if named.get("output_size") is not None or (name == "aten.where" and len(named) > 1):
            return None
        return named.get(_BY_ARGUMENT[name])
    if not _is_by_values(func):
        return None
    if name == "aten.index":
        return [index for index in args[1] if index is not None and index.dtype in _MASKS]
    return args


@cache
def _is_by_values(func: Any) -> bool:
    return torch.Tag.dynamic_output_shape in func.tags or _is_read(func) or str(func.overloadpacket) in _COMPOSITES


def _is_read(func: Any) -> bool:
    return torch.Tag.data_dependent_output in func.tags or str(func.overloadpacket) == "aten.is_nonzero"


@cache
def _reads_shapes_alone(func: Any) -> bool:
    """Whether the values of the result have nothing to do with those of the arguments."""
    name = str(getattr(func, "overloadpacket", "")).removeprefix("aten.")
    return (name.startswith("new_") or name.endswith("_like")) and not is_random(func)


@cache
def is_random(func: Any) -> bool:
    """Whether an operator may draw random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(func, "tags", ())


def draws(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether an operator draws random numbers from torch's own generator; dropout in eval mode does not."""
    if not is_random(func) or kwargs.get("generator") is not None:
        return False
    for position, argument in enumerate(func._schema.arguments):
        if argument.name in ("train", "training", "dropout_p"):
            default = argument.default_value if argument.has_default_value() else None
            return bool(kwargs.get(argument.name, args[position] if position < len(args) else default))
    return True


def fix_random_numbers() -> None:
    """Give the process's random generators a fixed state, so that every count draws the same; the caller restores."""
    torch.default_generator.manual_seed(SEED)
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(SEED)
    random.setstate(_FIXED)
    if _NUMPY in sys.modules:
        with suppress(TypeError):  # the caller's own generator takes no such seed
            sys.modules[_NUMPY].seed(SEED)


def is_random_elsewhere() -> bool:
    """Whether random numbers were drawn outside of torch since then: whether the next one is no longer the first."""
    if random.getrandbits(_BITS) != _FIRST:
        return True
    return _NUMPY in sys.modules and sys.modules[_NUMPY].random_sample() != _numpys_first()


_NUMPY = "numpy.random"  # numpy loads it at first use
_BITS = 32
_FIXED = random.Random(SEED).getstate()
_FIRST = random.Random(SEED).getrandbits(_BITS)


@cache
def _numpys_first() -> Any:
    return sys.modules[_NUMPY].RandomState(SEED).random_sample()
