"""Libraries by prefix.

What enters is a name such as "timm:resnet50"; what leaves is the library's model without weights, with its expected
input. Each prefix has a file or sub-package of its name in `libraries`, which has a `Library` and is imported on use. A
new library is such a file, and its requirement in pyproject.toml.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from torch import nn

from ..core.errors import FlopcountError, InputError
from ..core.protocol import Clip
from .library import Library, error_text, options_text
from .recipe import Recipe

__all__ = ["find_library", "library_model"]


def find_library(prefix: str) -> Library:
    """The library of a prefix, installed or not."""
    library: Library = importlib.import_module(f".libraries.{prefix}", __package__).LIBRARY
    return library


def library_model(
    prefix: str, name: str, clip: Clip | None, num_classes: int | None, options: dict[str, Any]
) -> Callable[[], nn.Module]:
    """A callable that builds the model; missing libraries and unknown names are errors already here.

    Arguments:
        prefix: one of PREFIXES.
        name: the library's name of the model.
        clip: T×H×W of the input if the model takes a clip; an image network takes its H×W.
        num_classes: of the last layer.
        options: further arguments of the library's own builder or configuration.

    Raises:
        InputError: the library is not installed, or broken, or cannot build the model with these options.
        UnknownNameError: there is no such model; the message offers near names.
    """
    model = find_library(prefix).model(name, clip, num_classes, options)

    def build() -> nn.Module:
        try:
            module = model.build()
        except FlopcountError:
            raise
        except Exception as error:  # a library may raise anything for a wrong option
            text = f"{prefix}:{name} raised {error_text(error)}"
            raise InputError(text, [("given", options_text(options))]) from error
        module.recipe = Recipe(f"{prefix}:{name}", model.clip, 1, (), model.inputs)  # type: ignore[assignment]
        return module

    return build
