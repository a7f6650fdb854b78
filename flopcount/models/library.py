"""The interface of a library of models, and the import of a library that may be missing.

A file of `libraries`, named like the prefix, describes each library. The libraries are optional, and the file imports
its library only on use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..core.errors import InputError, UnknownNameError
from ..core.installation import Installation
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.protocol import Clip
from ..facts.model_sizes import ModelPart, ModelSizes
from .torchvision_operators import ready_torchvision

__all__ = [
    "Library",
    "LibraryModel",
    "error_text",
    "import_errors",
    "options_text",
    "ready_library",
    "require_model_name",
]


@dataclass(frozen=True, slots=True)
class LibraryModel(OneLine):
    """A library's model: how to build it, its input without the batch, and what neither the caller nor a paper said.

    `departures` are where the model differs from its class by default, `assumed` what the count takes for granted.
    `in_pixels` is False where five axes are latents, which are no clip. `layouts` name the axes of an input, by its
    name, that are not in the usual order.
    """

    build: Callable[[], nn.Module]
    inputs: Any
    clip: Clip | None = None
    departures: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    in_pixels: bool = True
    layouts: Mapping[str, str] = field(default_factory=dict, hash=False)


def _no_options(name: str) -> tuple[dict[str, Any], ...]:
    return ({},)


@dataclass(frozen=True, slots=True)
class Library:
    """A library: its name in Python, how it is installed, and its functions.

    `model` finds the model of a spec whose name has no prefix; it raises if the name or an option is wrong.
    `model_names` returns the names after the prefix. `options_to_try` returns the options for a count of a model, each
    to be tried if the one before fails. `part` makes a model of a part of known sizes, beside the others of its
    pipeline; the spec's name is then the half of it, or "". A library that `takes_video` has models that are asked for
    a video in pixels.
    """

    name: str
    installation: Installation
    model: Callable[[ModelSpec], LibraryModel]
    model_names: Callable[[], Iterable[str]]
    options_to_try: Callable[[str], tuple[dict[str, Any], ...]] = _no_options
    part: Callable[[ModelPart, ModelSizes, ModelSpec], LibraryModel] | None = None
    takes_video: bool = False


def ready_library(library: Library, module: str) -> ModuleType:
    """A module of an installed library, whether or not the installed torchvision fits the installed torch.

    Raises:
        InputError: it is not installed, or its import raises.
    """
    ready_torchvision()  # several libraries import it
    with import_errors(library):
        return importlib.import_module(module)


@contextmanager
def import_errors(library: Library) -> Iterator[None]:
    """Turn what an import raises into an InputError that says why the library is not available."""
    try:
        yield
    except Exception as error:  # a library that does not fit the installed torch may raise anything
        name = library.name
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise InputError(f"{name} is not installed", [("fix", str(library.installation))]) from error
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            fix = f"pip install {error.name}"
            raise InputError(f"{name} needs {error.name}, which is missing", [("fix", fix)]) from error
        raise InputError(
            f"importing {name} raised {error_text(error)}",
            [("fix", f"install a {name} that fits torch {torch.__version__}")],
        ) from error


def error_text(error: Exception) -> str:
    """The type of an exception and its first line, with the second if the first ends with a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return f"{type(error).__name__}: {' '.join(lines[: 1 + lines[0].endswith(':')])}"


def options_text(options: Mapping[str, Any]) -> str:
    """Options as text: "key=value, key=value"."""
    return ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no options"


def require_model_name(library: str, name: str, names: Iterable[str], fix: str) -> None:
    """Refuse a name that the library does not have, with near names.

    Raises:
        UnknownNameError: there is no such model.
    """
    names = list(names)
    if name not in names:
        raise UnknownNameError(f"{library} model", name, names, fix)
