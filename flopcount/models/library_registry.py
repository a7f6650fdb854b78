"""Libraries by prefix.

What enters is a name such as "timm:resnet50"; what leaves is the library's model without weights, with its expected
input. Each prefix has a file or sub-package of its name in `libraries`, which has a `Library` and is imported on use. A
new library is such a file, and its requirement in pyproject.toml.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from ..core.errors import FlopcountError, InputError
from ..core.model_spec import ModelSpec
from .library import Library, LibraryModel, error_text, options_text
from .recipe import Recipe
from .sized_names import sized_part

__all__ = ["find_library", "library_model", "sized_model"]


def find_library(prefix: str) -> Library:
    """The library of a prefix, installed or not."""
    library: Library = importlib.import_module(f".libraries.{prefix}", __package__).LIBRARY
    return library


def library_model(prefix: str, spec: ModelSpec) -> Callable[[], nn.Module]:
    """A callable that builds the model; missing libraries and unknown names are errors already here.

    Arguments:
        prefix: one of PREFIXES.
        spec: with the library's name of the model; an image network takes H×W of its clip, and its options are further
            arguments of the library's own builder or configuration.

    Raises:
        InputError: the library is not installed, or broken, or cannot build the model with these options.
        UnknownNameError: there is no such model; the message offers near names.
    """
    library = find_library(prefix)
    if spec.video is not None and not library.takes_video:
        fix = f"give --clip {spec.video.code}"
        raise InputError(f"{prefix}:{spec.name} takes a clip, not a video of which it makes latents", [("fix", fix)])
    return _titled(f"{prefix}:{spec.name}", library.model(spec), spec.options)


def sized_model(name: str, spec: ModelSpec) -> Callable[[], nn.Module]:
    """The same of a part of a model of known sizes, such as "wan2.1-t2v-1.3b/vae.decode".

    Raises:
        InputError: as `library_model`; or the model has several parts, and none is named.
        UnknownNameError: it has no such part.
    """
    sizes, part, half = sized_part(name)
    library = find_library(part.library)
    assert library.part is not None
    return _titled(name, library.part(part, sizes, replace(spec, name=half)), spec.options)


def _titled(title: str, model: LibraryModel, options: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """A callable that builds a model with its recipe."""

    def build() -> nn.Module:
        try:
            module = model.build()
        except FlopcountError:
            raise
        except Exception as error:  # a library may raise anything for a wrong option
            raise InputError(f"{title} raised {error_text(error)}", [("given", options_text(options))]) from error
        recipe = Recipe(
            title,
            model.clip,
            1,
            model.departures,
            model.inputs,
            assumed=model.assumed,
            in_pixels=model.in_pixels,
            layouts=model.layouts,
        )
        module.recipe = recipe  # type: ignore[assignment]
        return module

    return build
