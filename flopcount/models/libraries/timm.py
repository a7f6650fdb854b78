"""Models of timm, at the image size that their pretrained weights expect."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from ...core.installation import Installation
from ...core.model_spec import ModelSpec
from ..library import Library, LibraryModel, ready_library, require_model_name

__all__ = ["LIBRARY"]


def _model(spec: ModelSpec) -> LibraryModel:
    name, clip, num_classes, options = spec.name, spec.clip, spec.num_classes, dict(spec.options)
    timm = ready_library(LIBRARY, "timm")
    require_model_name("timm", name, timm.list_models(), "name a model as in timm.list_models()")
    settings = {"pretrained": False, **options}
    if num_classes is not None:
        settings["num_classes"] = num_classes
    shape = tuple(timm.models.get_pretrained_cfg(name).input_size)
    if clip is not None and (clip.height, clip.width) != shape[1:]:
        shape = (shape[0], clip.height, clip.width)
        settings.setdefault("img_size", shape[1:])  # transformers are built for a size, convolutional networks take any

    def build() -> nn.Module:
        module: nn.Module
        try:
            module = timm.create_model(name, **settings)
        except TypeError:
            if "img_size" not in settings or "img_size" in options:
                raise
            module = timm.create_model(name, **{key: value for key, value in settings.items() if key != "img_size"})
        return module

    return LibraryModel(build, (shape,))


def _model_names() -> Iterable[str]:
    names: Iterable[str] = ready_library(LIBRARY, "timm").list_models()
    return names


LIBRARY = Library("timm", Installation("libraries", ("timm>=1.0.15",)), _model, _model_names)
