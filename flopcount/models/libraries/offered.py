"""What each library offers by name, for counting all of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from .adapters import HUB_MODELS, ready_library, transformers_library
from .transformers_configurations import completed, configuration_of, few_experts, shallow, shallowest

__all__ = ["LISTED", "names_offered", "options_to_try"]

LAYERS = 8  # enough to have one of each where kinds of layers take turns

_TASKS = (
    *("IMAGE_CLASSIFICATION", "VIDEO_CLASSIFICATION", "SEMANTIC_SEGMENTATION", "DEPTH_ESTIMATION", "BACKBONE"),
    *("CAUSAL_LM", "MASKED_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SEQUENCE_CLASSIFICATION"),
    *("CTC", "AUDIO_CLASSIFICATION", "SPEECH_SEQ_2_SEQ"),
)


def names_offered(library: str) -> list[str]:
    """Names that follow the library's prefix.

    Raises:
        InputError: the library is not installed, or does not fit the installed torch.
    """
    return sorted(LISTED[library]())


def options_to_try(library: str, name: str) -> tuple[dict[str, Any], ...]:
    """Options to count a model with, the next where the one before does not serve.

    A transformer is made shallow: its layers repeat, and some have hundreds of billions of weights. Where its default
    configuration cannot be built, what it lacks is completed; where a reduced one cannot, it is as deep as it says; and
    what cannot run without weights has few experts or one layer, last.
    """
    if library != "transformers":
        return ({},)
    model_class = getattr(transformers_library(), name)
    config_class = getattr(model_class, "config_class", None)
    try:
        config = config_class() if config_class is not None else None
    except Exception:  # what its configuration does not like is found out when it is counted
        return ({},)
    # a network of pictures has stages of different width, which no number of layers describes
    deep = getattr(model_class, "main_input_name", "").startswith("pixel_values")
    less, least = ({}, {}) if deep else (shallow(config, LAYERS), shallowest(config))
    few = few_experts(config)
    made: tuple[dict[str, Any], ...] = (less, {}, less | few, least | few)
    tries = [options for each in made for options in (each, _completed(model_class, each))]
    return tuple(options for place, options in enumerate(tries) if options not in tries[:place])


def _completed(model_class: Any, options: dict[str, Any]) -> dict[str, Any]:
    try:
        return options | completed(model_class, configuration_of(model_class, options))
    except Exception:  # as above
        return options


def _torchvision() -> Iterable[str]:
    """Detectors decide by what they see; their backbones do not."""
    models = ready_library("torchvision", "torchvision.models")
    for name in models.list_models():
        kind = models.get_model_builder(name).__module__.split(".")[2]
        yield f"{name}.backbone" if kind == "detection" else name


def _pytorchvideo() -> Iterable[str]:
    hub = ready_library("pytorchvideo", "pytorchvideo.models.hub")
    return [name for name in HUB_MODELS if hasattr(hub, name)]


def _timm() -> Iterable[str]:
    names: Iterable[str] = ready_library("timm", "timm").list_models()
    return names


def _transformers() -> Iterable[str]:
    transformers = transformers_library()
    mappings = importlib.import_module("transformers.models.auto.modeling_auto")
    found: dict[str, None] = {}
    for task in _TASKS:
        for names in getattr(mappings, f"MODEL_FOR_{task}_MAPPING_NAMES").values():
            found |= dict.fromkeys([names] if isinstance(names, str) else names)
    return [name for name in found if hasattr(transformers, name)]


LISTED: dict[str, Callable[[], Iterable[str]]] = {
    "torchvision": _torchvision,
    "pytorchvideo": _pytorchvideo,
    "timm": _timm,
    "transformers": _transformers,
}
"""Library -> the names it has."""
