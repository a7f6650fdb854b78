"""Models of diffusers: denoisers, UNets and the halves of VAEs, by class name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.errors import InputError
from ...core.installation import Installation
from ...core.protocol import Clip
from ..library import Library, LibraryModel, ready_library, require_model_name

__all__ = ["LIBRARY"]

_ENDINGS = ("Model", "ModelLTX", "3DModel")


def _model(name: str, clip: Clip | None, num_classes: int | None, options: dict[str, Any]) -> LibraryModel:
    diffusers = ready_library(LIBRARY, "diffusers")
    require_model_name("diffusers", name, _model_names(), "name a model class such as WanTransformer3DModel")
    if num_classes is not None:
        raise InputError(f"diffusers:{name} has no classes", [("fix", "leave out --num-classes")])
    return LibraryModel(lambda: getattr(diffusers, name).from_config(options), None, clip)


def _model_names() -> Iterable[str]:
    diffusers = ready_library(LIBRARY, "diffusers")
    return [name for name in dir(diffusers) if name.endswith(_ENDINGS)]


LIBRARY = Library("diffusers", Installation("test", ("diffusers>=0.36",)), _model, _model_names)
