"""How a module is trained: its frozen parameters and its optimizer; and the context that sets the module up so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..tracing.guard.preserve import preserved
from ..tracing.losses import Asked
from ..tracing.walk import named_modules
from .optimizers import Optimizer, find_optimizer

__all__ = ["MODES", "Plan"]

MODES = ("forward", "train")


@dataclass(frozen=True, slots=True)
class Plan(OneLine):
    """What is trained, by what.

    Parameters frozen by globs of their names or of their layers', the optimizer (None: its step is left out), and the
    loss (None: what the module returns decides).
    """

    freeze: tuple[str, ...] = ()
    optimizer: Optimizer | None = None
    loss: Asked = None

    @classmethod
    def of(cls, mode: str, optimizer: str | None, freeze: str | Sequence[str], loss: Any = None) -> Plan | None:
        """The plan of the caller's arguments; None if only the forward pass is counted.

        Raises:
            UnknownNameError: there is no such mode or optimizer; the message offers near names.
            InputError: an argument describes training, but the mode is not "train".
        """
        if not isinstance(mode, str) or mode not in MODES:
            raise UnknownNameError("mode", str(mode), MODES, f"choose {' or '.join(MODES)}")
        globs = (freeze,) if isinstance(freeze, str) else tuple(freeze) if isinstance(freeze, Iterable) else (freeze,)
        if not all(isinstance(glob, str) for glob in globs):
            raise InputError(f"freeze is {freeze!r}", [("fix", "give globs of layers or parameters, such as 'cnn.*'")])
        if loss is not None and not (isinstance(loss, str) and loss) and not callable(loss):
            fix = "give a function of the output that returns a scalar, or the path of an output such as 'heads.verb'"
            raise InputError(f"loss is {loss!r}", [("fix", fix)])
        if mode == "train":
            return cls(globs, find_optimizer(optimizer), loss)
        for name, value in (("optimizer", optimizer), ("freeze", globs), ("loss", loss)):
            if value:
                raise InputError(f"{name} is {value!r}, but the mode is not train", [("fix", 'give mode="train"')])
        return None

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """The module frozen as planned, and in training mode; one in training mode keeps the modes of its parts.

        The module is restored at the end, also after an exception.

        Raises:
            UnknownNameError: a glob matches nothing; the message offers near names.
            InputError: a glob matches a lazy parameter.
        """
        by_glob = [_matching(module, glob) for glob in self.freeze]
        flags = [(part, part.training) for _, part in named_modules(module)]
        with preserved(module, real=True, watches=False):  # lazy parameters stay where they are
            try:
                for parameter in (parameter for parameters in by_glob for parameter in parameters):
                    parameter.requires_grad_(False)
                if not module.training:
                    with suppress(NotImplementedError):  # an exported program has one mode
                        module.train()
                yield
            finally:
                for part, training in flags:
                    if part.training is not training:
                        part.training = training


def _matching(module: nn.Module, glob: str) -> list[nn.Parameter]:
    parameters = list(module.named_parameters(remove_duplicate=False))
    matches = [parameter for name, parameter in parameters if any(fnmatchcase(part, glob) for part in _prefixes(name))]
    if not matches:
        layers = list(dict.fromkeys(prefix for name, _ in parameters for prefix in _prefixes(name)[:-1]))
        candidates = [*layers, *(f"{layer}.*" for layer in layers), *(name for name, _ in parameters)]
        raise UnknownNameError(
            "parameter or layer to freeze", glob, candidates, "name layers as in `named_modules()`, such as 'layer1.*'"
        )
    if any(map(is_lazy, matches)):
        why = f"freeze={glob!r} names a lazy parameter, which torch cannot freeze before it has a size"
        raise InputError(why, [("fix", "run the module once on an input first")])
    return matches


def _prefixes(name: str) -> list[str]:
    """The prefixes of a dotted name: "a", "a.b" and "a.b.weight" of "a.b.weight"."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
