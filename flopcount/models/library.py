"""What is asked of a library of models, and how one that may be missing is imported.

Each library is described in a file of `libraries` that is named as its prefix. The libraries are optional, and that
file imports its own only when something is asked of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..core.errors import InputError, UnknownNameError
from ..core.installation import Installation
from ..core.protocol import Clip
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
class LibraryModel:
    """A library's model: how to build it, and what it takes without the batch."""

    build: Callable[[], nn.Module]
    inputs: Any
    clip: Clip | None = None


def _no_options(name: str) -> tuple[dict[str, Any], ...]:
    return ({},)


@dataclass(frozen=True, slots=True)
class Library:
    """What a library is called in Python, how it is installed, and what it answers.

    `model` looks a model up by its name, for a clip, a number of classes and options of the library's own; it raises
    what is wrong with them. `model_names` are those that follow the prefix. `options_to_try` are the options to count
    a model of that name with, the next where the one before does not serve.
    """

    name: str
    installation: Installation
    model: Callable[[str, Clip | None, int | None, dict[str, Any]], LibraryModel]
    model_names: Callable[[], Iterable[str]]
    options_to_try: Callable[[str], tuple[dict[str, Any], ...]] = _no_options


def ready_library(library: Library, module: str) -> ModuleType:
    """A module of an installed library, whether or not the installed torchvision fits the installed torch.

    Raises:
        InputError: it is not installed, or raised when it was imported.
    """
    ready_torchvision()  # which several import
    with import_errors(library):
        return importlib.import_module(module)


@contextmanager
def import_errors(library: Library) -> Iterator[None]:
    """Whatever an import raises becomes an InputError that says why the library cannot be had."""
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
    """An exception's kind and what it says: the first line, and the second where the first only leads up to it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return f"{type(error).__name__}: {' '.join(lines[: 1 + lines[0].endswith(':')])}"


def options_text(options: dict[str, Any]) -> str:
    """Options as a caller writes them."""
    return ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no options"


def require_model_name(library: str, name: str, names: Iterable[str], fix: str) -> None:
    """Refuse a name that the library does not have, with near names.

    Raises:
        UnknownNameError: no such model.
    """
    names = list(names)
    if name not in names:
        raise UnknownNameError(f"{library} model", name, names, fix)
