"""Models of transformers by class name, built from their configuration."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from operator import attrgetter
from types import ModuleType
from typing import Any

from ....core.errors import InputError, UnknownNameError
from ....core.installation import Installation
from ....core.protocol import Clip
from ...library import (
    Library,
    LibraryModel,
    error_text,
    import_errors,
    options_text,
    ready_library,
    require_model_name,
)
from .configurations import completed, configuration_of, few_experts, shallow, shallowest
from .inputs import inputs_of

__all__ = ["LIBRARY", "transformers_library"]

LAYERS = 8  # enough to have each kind, if kinds of layers alternate

_MODEL_ENDINGS = ("Model", "Backbone", "Decoder", "LMHead")
_TASKS = (
    *("IMAGE_CLASSIFICATION", "VIDEO_CLASSIFICATION", "SEMANTIC_SEGMENTATION", "DEPTH_ESTIMATION", "BACKBONE"),
    *("CAUSAL_LM", "MASKED_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SEQUENCE_CLASSIFICATION"),
    *("CTC", "AUDIO_CLASSIFICATION", "SPEECH_SEQ_2_SEQ"),
)


def transformers_library() -> ModuleType:
    """The library `transformers`, ready for its vision models.

    Raises:
        InputError: it is not installed, or does not fit the installed torch.
    """
    return ready_library(LIBRARY, "transformers")


def _model(name: str, clip: Clip | None, num_classes: int | None, options: dict[str, Any]) -> LibraryModel:
    transformers = transformers_library()
    classes = [each for each in dir(transformers) if "For" in each or each.endswith(_MODEL_ENDINGS)]
    require_model_name("transformers", name, classes, "name a model class such as VivitForVideoClassification")
    with import_errors(LIBRARY):  # it imports its modules on first use
        model_class = getattr(transformers, name)
    if getattr(model_class, "config_class", None) is None:
        raise InputError(f"transformers:{name} is not a model with a configuration", [("seen", str(model_class))])
    try:
        config = model_class.config_class()
    except Exception as error:
        raise InputError(f"transformers:{name} has no default configuration: {error_text(error)}") from error
    for key in options:
        part, _, field = key.rpartition(".")
        owner = attrgetter(part)(config) if part and hasattr(config, part.partition(".")[0]) else config
        if not hasattr(owner, field):
            before = key.removesuffix(field)
            fields = [f"{before}{field}" for field in vars(owner) if not field.startswith("_")]
            raise UnknownNameError(f"option of transformers:{name}", key, fields, "name a field of its configuration")
    try:
        config = configuration_of(model_class, options)
    except Exception as error:  # it validates its fields, and may raise anything
        text = f"transformers:{name} cannot be configured: {error_text(error)}"
        raise InputError(text, [("given", options_text(options))]) from error
    if num_classes is not None:
        config.num_labels = num_classes
    inputs, model_clip = inputs_of(model_class, config, clip)
    return LibraryModel(lambda: model_class(config), inputs, model_clip)


def _model_names() -> Iterable[str]:
    transformers = transformers_library()
    mappings = importlib.import_module("transformers.models.auto.modeling_auto")
    class_names: dict[str, None] = {}
    for task in _TASKS:
        for names in getattr(mappings, f"MODEL_FOR_{task}_MAPPING_NAMES").values():
            class_names |= dict.fromkeys([names] if isinstance(names, str) else names)
    return [name for name in class_names if hasattr(transformers, name)]


def _options_to_try(name: str) -> tuple[dict[str, Any], ...]:
    """Options to try: a transformer is made shallow, since its layers repeat and may have billions of weights.

    If the default configuration cannot be built, its missing fields are completed. If a reduced one cannot be built,
    the full depth is tried. At last, for models that need weights, few experts or a single layer are tried.
    """
    model_class = getattr(transformers_library(), name)
    config_class = getattr(model_class, "config_class", None)
    try:
        config = config_class() if config_class is not None else None
    except Exception:  # the count will report what is wrong with the configuration
        return ({},)
    # an image network has stages of different widths, which a number of layers cannot describe
    deep = getattr(model_class, "main_input_name", "").startswith("pixel_values")
    less, least = ({}, {}) if deep else (shallow(config, LAYERS), shallowest(config))
    few = few_experts(config)
    reductions: tuple[dict[str, Any], ...] = (less, {}, less | few, least | few)
    tries = [options for each in reductions for options in (each, _completed(model_class, each))]
    return tuple(options for place, options in enumerate(tries) if options not in tries[:place])


def _completed(model_class: Any, options: dict[str, Any]) -> dict[str, Any]:
    try:
        return options | completed(model_class, configuration_of(model_class, options))
    except Exception:  # the count reports it, too
        return options


LIBRARY = Library(
    "transformers", Installation("models", ("transformers>=4.57",)), _model, _model_names, _options_to_try
)
