"""A part of a model -> a callable that builds it, from its class and its configuration alone.

What enters is a class of `diffusers` or `transformers` and plain data; no code of a model's folder is run, and nothing
is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..facts.model_sizes import ModelPart
from .library import error_text, import_errors, ready_library
from .library_registry import find_library

__all__ = ["Part", "few_modules", "part_builder", "part_class"]

_MOST_MODULES = 250_000
"""Twice as many as the largest mixtures of experts have, each expert apart."""


class Part(Protocol):
    """What names a class of a library and configures it: a ModelPart, or a part that was measured."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def library(self) -> str:
        """Of the class."""

    @property
    def class_name(self) -> str:
        """The class."""

    @property
    def config(self) -> Mapping[str, Any]:
        """What differs from the defaults of the class, and perhaps more."""


def part_class(part: Part) -> Any:
    """The class of a part.

    Raises:
        InputError: its library is not installed.
        UnknownNameError: the installed library has no such class.
    """
    library = find_library(part.library)
    module = ready_library(library, library.name)
    with import_errors(library):  # it imports its modules on first use
        found = getattr(module, part.class_name, None)
    if found is None:
        names = [name for name in dir(module) if name.endswith(("Model", "Generation")) or name.startswith("Auto")]
        version = getattr(module, "__version__", "")
        fix = f"install a {part.library} that has it; {version} is installed"
        raise UnknownNameError(f"class of {part.library}", part.class_name, names, fix)
    return found


def part_builder(part: ModelPart, dtype: str | None = None) -> Callable[[], nn.Module]:
    """A callable that builds the part in eval mode; with `dtype` in it, but for what its class keeps in float32.

    Raises:
        InputError, UnknownNameError: as `part_class`; the callable raises InputError where the class refuses its
            configuration.
    """
    kind = part_class(part)

    def build() -> nn.Module:
        try:
            with few_modules():
                module = _built(kind, part)
        except FlopcountError:
            raise
        except Exception as error:  # a library may raise anything for a wrong configuration
            text = f"{part.library}:{part.class_name} cannot be built: {error_text(error)}"
            raise InputError(text, [("in", part.name)]) from error
        if dtype is not None:
            _cast(module, getattr(torch, dtype))
        return module.eval()

    return build


@contextmanager
def few_modules() -> Iterator[None]:
    """Build no more modules than a network has: a configuration with a billion layers would fill the memory.

    Raises:
        InputError: in the block, at the first module beyond.
    """
    made = 0

    def count(parent: nn.Module, name: str, module: nn.Module | None) -> None:
        nonlocal made
        made += 1
        if made > _MOST_MODULES:
            seen, fix = f"more than {_MOST_MODULES:,} modules", "give its configuration fewer layers"
            raise InputError("the configuration is of no network that can be built", [("seen", seen), ("fix", fix)])

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _built(kind: Any, part: ModelPart) -> nn.Module:
    config = dict(part.config)
    if part.library == "transformers":
        made: nn.Module = kind(kind.config_class.from_dict(config))
        return made
    made = kind.from_config(config)
    return made


def _cast(module: nn.Module, dtype: torch.dtype) -> None:
    """Weights in a dtype, but for those that the class loads in float32 whatever is asked for."""
    kept = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    for name, parameter in module.named_parameters():
        if parameter.is_floating_point() and not kept & {*name.split(".")}:
            parameter.data = parameter.data.to(dtype)
