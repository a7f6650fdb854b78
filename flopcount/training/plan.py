"""How a module is to be trained: which parameters are frozen, with which optimizer; and the module set up so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.parameter import is_lazy

from ..core.errors import InputError, UnknownNameError
from ..tracing.guard.preserve import preserved
from ..tracing.walk import named_modules
from .optimizers import Optimizer, find_optimizer

__all__ = ["MODES", "Plan"]

MODES = ("forward", "train")


@dataclass(frozen=True, slots=True)
class Plan:
    """Parameters frozen by globs of their names or of their layers', and the optimizer (None: its step is left out)."""

    freeze: tuple[str, ...] = ()
    optimizer: Optimizer | None = None

    @classmethod
    def of(cls, mode: str, optimizer: str | None, freeze: str | Sequence[str]) -> Plan | None:
        """What the caller asks for; None where only the forward pass is.

        Raises:
            UnknownNameError: no such mode or optimizer, with near names.
            InputError: training is described, but not asked for.
        """
        if not isinstance(mode, str) or mode not in MODES:
            raise UnknownNameError("mode", str(mode), MODES, f"choose {' or '.join(MODES)}")
        globs = (freeze,) if isinstance(freeze, str) else tuple(freeze) if isinstance(freeze, Iterable) else (freeze,)
        if not all(isinstance(glob, str) for glob in globs):
            raise InputError(f"freeze is {freeze!r}", [("fix", "give globs of layers or parameters, such as 'cnn.*'")])
        if mode == "train":
            return cls(globs, find_optimizer(optimizer))
        for name, value in (("optimizer", optimizer), ("freeze", globs)):
            if value:
                raise InputError(
                    f"{name} is {value!r}, but only the forward is counted", [("fix", 'give mode="train"')]
                )
        return None

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Frozen as planned, and in training mode; a module that is in it already keeps what it set for its parts.

        Afterwards it is as before, also after an exception.

        Raises:
            UnknownNameError: a glob that matches nothing, with near names.
            InputError: it matches a lazy parameter.
        """
        by_glob = [_matching(module, glob) for glob in self.freeze]
        flags = [(part, part.training) for _, part in named_modules(module)]
        with preserved(module, real=False):
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
    """Of "a.b.weight": "a", "a.b" and itself."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
