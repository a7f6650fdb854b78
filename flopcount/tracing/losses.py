"""What a training step differentiates: the loss that the module returns, else the sum of its outputs, or what is asked.

What enters is the result of a forward pass, of any type; what leaves is a scalar and what it is, in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from ..core.errors import InputError, UnknownNameError
from .results import contents_of
from .slots import slots_of
from .torch_private import memory_id

__all__ = ["Asked", "Loss", "loss_of"]

Asked: TypeAlias = Callable[[Any], Any] | str | None
"""What the caller asks for: a function of the output, the path of a part of it such as "heads.verb", or nothing."""


class Loss(NamedTuple):
    """A scalar to differentiate, if there is one, and what it is, in words."""

    value: torch.Tensor | None
    words: str


class _Leaf(NamedTuple):
    """A tensor of the output: the names that lead to it, and the containers on the way, outermost first."""

    names: tuple[str, ...]
    within: tuple[Any, ...]
    tensor: torch.Tensor

    @property
    def path(self) -> str:
        return ".".join(self.names)

    @property
    def is_scalar(self) -> bool:
        return self.tensor.ndim == 0

    @property
    def size(self) -> str:
        return str(tuple(self.tensor.shape))


_Root: TypeAlias = tuple[tuple[str, ...], Any]
"""The names of a part of the output, and the part."""

_WHOLE = ("loss", "total_loss", "loss_total")
"""The names that say that a number is the loss, and no part of it."""
_SHOWN = 4
_DEPTH = 100
_NOTHING = "no gradient: the module returns no floating-point tensor"
_INDEPENDENT = "no gradient: {} on nothing that is trained"


def loss_of(output: Any, asked: Asked = None, drained: Sequence[Any] = ()) -> Loss:
    """The loss of an output.

    A scalar with a gradient is the loss: the one named "loss", or else the first one, and in a dictionary or list
    of scalars alone their sum. Otherwise it is the sum of all floating-point outputs with a gradient (of complex ones
    the absolute values), wherever they are in the output.

    Arguments:
        output: what the module returns.
        asked: another loss, as a function of the output, or as a path whose outputs are summed.
        drained: what the lazy parts of the output yielded; they are exhausted.

    Raises:
        UnknownNameError: the output has no such path; the message offers near ones.
        InputError: the function returns no scalar.
    """
    if callable(asked):
        return _computed(asked, iter(drained) if _is_iterator(output) else output)
    roots = _roots(output, drained)
    if asked is not None:
        return _summed(_at(roots, asked), f"{asked!r} depends")
    leaves = _leaves(roots)
    if not leaves:
        return Loss(None, _NOTHING)
    return _summed(_returned(leaves) or leaves, "the module's output depends")


def _computed(function: Callable[[Any], Any], output: Any) -> Loss:
    name = getattr(function, "__name__", type(function).__name__)
    what = "the given function" if name == "<lambda>" else f"the given function {name}"
    value = function(output)
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not _is_floating(value):
        kind = f"a tensor {tuple(value.shape)} of {value.dtype}" if isinstance(value, torch.Tensor) else repr(value)
        raise InputError(f"the loss function returns {kind}, not a scalar", [("fix", "return its mean or its sum")])
    if not value.requires_grad:
        return Loss(None, _INDEPENDENT.format(f"what {what} returns depends"))
    return Loss(value, what)


def _returned(leaves: list[_Leaf]) -> list[_Leaf]:
    """The outputs that are the loss: what is called "loss", or else the first scalar with its like."""
    named = [leaf.names[: at + 1] for leaf in leaves for at, name in enumerate(leaf.names) if name.lower() in _WHOLE]
    for path in sorted(named, key=len):
        below = [leaf for leaf in leaves if leaf.names[: len(path)] == path and leaf.tensor.requires_grad]
        if below:
            return below
    scalars = [leaf for leaf in leaves if leaf.is_scalar and leaf.tensor.requires_grad]
    if not scalars:
        return []
    for container in scalars[0].within:
        inside = [leaf for leaf in leaves if any(outer is container for outer in leaf.within)]
        if _is_collection(container) and all(leaf.is_scalar for leaf in inside):
            return [leaf for leaf in inside if leaf.tensor.requires_grad]
    return scalars[:1]


def _is_collection(container: Any) -> bool:
    """Whether its items are of one rank; a tuple or a record may begin with the total of what follows."""
    return isinstance(container, (Mapping, list)) or is_dataclass(container)


def _summed(leaves: list[_Leaf], what: str) -> Loss:
    """The sum of all elements that depend on something trained; nothing is added twice."""
    distinct: dict[Any, _Leaf] = {}
    for leaf in leaves:
        if leaf.tensor.requires_grad:
            distinct.setdefault(_identity(leaf.tensor), leaf)
    chosen = [*distinct.values()]
    if not chosen:
        return Loss(None, _INDEPENDENT.format(what))
    total: torch.Tensor | None = None
    for leaf in chosen:
        size = leaf.tensor.abs() if leaf.tensor.is_complex() else leaf.tensor
        term = size if leaf.is_scalar else size.sum()
        total = term if total is None else total + (term if term.device == total.device else term.to(total.device))
    return Loss(total, _words(chosen))


def _words(chosen: list[_Leaf]) -> str:
    scalars = all(leaf.is_scalar for leaf in chosen)
    if len(chosen) == 1:
        what = "returned scalar" if scalars else "sum of the output"
        return " ".join((what, *([chosen[0].path] if chosen[0].names else []), *([] if scalars else [chosen[0].size])))
    shown = ", ".join(leaf.path if scalars else f"{leaf.path} {leaf.size}" for leaf in chosen[:_SHOWN])
    more = f" and {len(chosen) - _SHOWN} more" if len(chosen) > _SHOWN else ""
    return f"sum of {len(chosen)} {'returned scalars' if scalars else 'outputs'}: {shown}{more}"


def _at(roots: list[_Root], path: str) -> list[_Leaf]:
    """The outputs at a path or below it, whatever other paths lead to them.

    Raises:
        UnknownNameError: there is none.
    """
    seen: dict[int, Any] = {}
    below = [leaf for root in roots for names, part in _parts(*root, path) for leaf in _walk(part, names, (), seen)]
    if not below:
        prefixes = [leaf.names[:end] for leaf in _leaves(roots) for end in range(1, len(leaf.names) + 1)]
        known = list(dict.fromkeys(map(".".join, prefixes)))
        shown = ", ".join(known[: 2 * _SHOWN]) + (", ..." if len(known) > 2 * _SHOWN else "")
        outputs = f"its outputs are {shown}" if known else "the module returns one tensor, so leave the loss out"
        raise UnknownNameError("floating-point output", path, known, outputs)
    return below


def _parts(names: tuple[str, ...], value: Any, path: str) -> Iterator[_Root]:
    """What is at a path below a value with these names; a name may have dots itself."""
    if names and ".".join(names) == path:
        yield names, value
        return
    if names and not path.startswith(".".join(names) + "."):
        return
    for name, item in _items(value):
        yield from _parts((*names, name), item, path)


def _leaves(roots: list[_Root]) -> list[_Leaf]:
    """Every floating-point tensor of an output, under each of its names; other objects are entered once."""
    seen: dict[int, Any] = {}  # by id, which lives as long as the object
    return [leaf for names, value in roots for leaf in _walk(value, names, (), seen)]


def _roots(output: Any, drained: Sequence[Any]) -> list[_Root]:
    """The output, and behind it what its lazy parts yielded."""
    within = () if _is_iterator(output) else ("yielded",)
    return [((), output), *(((*within, str(number)), item) for number, item in enumerate(drained))]


def _is_iterator(output: Any) -> bool:
    return hasattr(type(output), "__next__")


def _walk(value: Any, names: tuple[str, ...], within: tuple[Any, ...], seen: dict[int, Any]) -> Iterator[_Leaf]:
    if isinstance(value, torch.Tensor):
        if _is_floating(value):
            yield _Leaf(names, within, value)
        return
    if id(value) in seen or len(names) > _DEPTH:
        return
    items = [*_items(value)]
    if items:
        seen[id(value)] = value
    for name, item in items:
        yield from _walk(item, (*names, name), (*within, value), seen)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """The named contents of a container, and the attributes of an object."""
    if isinstance(value, (str, bytes, type, ModuleType, nn.Module)) or callable(value):
        return
    if isinstance(value, Mapping):
        own = dict.items(value) if isinstance(value, dict) else value.items()
        yield from ((str(key), item) for key, item in own)
    else:
        fields = getattr(type(value), "_fields", None)
        contents = [*contents_of(value)]
        named = isinstance(value, tuple) and isinstance(fields, tuple) and len(fields) == len(contents)
        yield from zip(fields if named else map(str, range(len(contents))), contents, strict=True)  # type: ignore[arg-type]
    table = getattr(value, "__dict__", None)
    yield from dict(table).items() if isinstance(table, dict) else ()
    yield from ((name, getattr(value, name, None)) for name in slots_of(type(value)))


def _is_floating(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _identity(tensor: torch.Tensor) -> Any:
    """Equal for two tensors with the same elements in the same memory."""
    if tensor.layout != torch.strided:
        return id(tensor)
    return memory_id(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype
