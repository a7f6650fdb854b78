"""Models of transformers by class name, built from their configuration."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType, ModuleType
from typing import Any

from torch import nn

from ....core.errors import FlopcountError, InputError
from ....core.installation import Installation
from ....core.model_spec import ModelSpec
from ....facts.model_sizes import ModelPart, ModelSizes
from ...configuration_file import is_path
from ...folder import part_of_folder
from ...generator_inputs import image_encoder_inputs, text_encoder_inputs
from ...library import (
    Library,
    LibraryModel,
    error_text,
    import_errors,
    options_text,
    ready_library,
    require_model_name,
)
from ...part import few_modules, part_class
from ...visual_tokens import has_family
from .agreement import agreeing
from .configurations import completed, configuration_of, few_experts, require_option, shallow, shallowest
from .inputs import TOKENS, inputs_of
from .questions import asked

__all__ = ["LIBRARY", "transformers_library"]

LAYERS = 8  # enough to have each kind, if kinds of layers alternate

_MODEL_ENDINGS = ("Model", "Backbone", "Decoder", "LMHead")
_TASKS = (
    *("IMAGE_CLASSIFICATION", "VIDEO_CLASSIFICATION", "SEMANTIC_SEGMENTATION", "DEPTH_ESTIMATION", "BACKBONE"),
    *("CAUSAL_LM", "MASKED_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SEQUENCE_CLASSIFICATION"),
    *("CTC", "AUDIO_CLASSIFICATION", "SPEECH_SEQ_2_SEQ", "IMAGE_TEXT_TO_TEXT"),
)


def transformers_library() -> ModuleType:
    """The library `transformers`, ready for its vision models.

    Raises:
        InputError: it is not installed, or does not fit the installed torch.
    """
    return ready_library(LIBRARY, "transformers")


def _model(spec: ModelSpec) -> LibraryModel:
    name = spec.name
    if is_path(name):
        part = part_of_folder(name, "transformers")
        return _of_part(part, ModelSizes(name, "", "language", {part.name: part}), replace(spec, name=""))
    transformers = transformers_library()
    classes = [each for each in dir(transformers) if "For" in each or each.endswith(_MODEL_ENDINGS)]
    classes += [each for each in _image_text_names() if each not in classes]
    require_model_name("transformers", name, classes, "name a model class such as VivitForVideoClassification")
    with import_errors(LIBRARY):  # it imports its modules on first use
        model_class = getattr(transformers, name)
    if getattr(model_class, "config_class", None) is None:
        raise InputError(f"transformers:{name} is not a model with a configuration", [("seen", str(model_class))])
    try:
        model_class.config_class()
    except Exception as error:
        raise InputError(f"transformers:{name} has no default configuration: {error_text(error)}") from error
    _configured(model_class, {}, spec)  # refuses what the caller has wrong
    try:
        changed = agreeing(model_class, partial(configuration_of, model_class, {}), spec.options)
    except FlopcountError:
        raise
    except Exception as error:  # a class may refuse what we change beside what the caller says
        text = f"the default parts of transformers:{name} do not fit together: {error_text(error)}"
        fix = "give its configuration with --set, or the folder of a released model: transformers:FOLDER"
        raise InputError(text, [("given", options_text(spec.options)), ("fix", fix)]) from error
    config = _configured(model_class, {}, spec, changed)
    departures = tuple(f"{path}={value!r}, for its parts to fit together" for path, value in changed.items())
    return replace(_counted(model_class, config, spec), departures=departures)


def _of_part(part: ModelPart, sizes: ModelSizes, spec: ModelSpec) -> LibraryModel:
    """The model of a part beside the others of its model, with the input that its pipeline or configuration says."""
    if spec.name:
        raise InputError(f"{part.class_name} has no half {spec.name!r}", [("fix", f"leave out .{spec.name}")])
    model_class = part_class(part)
    if getattr(model_class, "config_class", None) is None:
        seen = [("seen", str(model_class))]
        raise InputError(f"transformers:{part.class_name} is not a model with a configuration", seen)
    config = _configured(model_class, part.config, spec)
    if part.name.startswith("text_encoder"):
        return _text_encoder(part, sizes, model_class, config)
    if part.name == "image_encoder":
        inputs = partial(_batched, lambda batch: image_encoder_inputs(part, batch=batch))
        return LibraryModel(partial(_built, model_class, config), inputs)
    model = _counted(model_class, config, spec)
    if spec.inputs or model.assumed or part.name not in _STATED:
        return model
    return replace(model, assumed=(f"{_STATED[part.name]}; flopcount generate takes a video and a question",))


_STATED = {"text": f"{TOKENS} tokens of text", "whole": f"{TOKENS} tokens of text, and its images or sounds beside it"}
"""The input of a part of a video-language model that nobody said."""


def _text_encoder(part: ModelPart, sizes: ModelSizes, model_class: Any, config: Any) -> LibraryModel:
    """An encoder of text with the tokens that its pipeline gives it."""
    tokens = part.tokens or sizes.defaults.text_tokens
    if tokens is None:
        return _counted(model_class, config, ModelSpec(sizes.name))
    assumed = f"{tokens} tokens of text, the default of {sizes.name}"
    inputs = partial(_batched, lambda batch: text_encoder_inputs(part, tokens, batch=batch))
    return LibraryModel(partial(_built, model_class, config), inputs, assumed=(assumed,))


def _batched(inputs: Callable[[int], Any], module: nn.Module, batch: int) -> Any:
    return inputs(batch)


def _configured(
    model_class: Any, base: Mapping[str, Any], spec: ModelSpec, changed: Mapping[str, Any] = MappingProxyType({})
) -> Any:
    """The configuration of a class from data and options; `changed` are ours beside those of the caller.

    Raises:
        UnknownNameError: there is no such option.
        InputError: the class refuses the values.
    """
    options, name = dict(spec.options), model_class.__name__
    try:
        config = configuration_of(model_class, base, {})
        for key in options:
            require_option(config, key, f"transformers:{name}")
        config = configuration_of(model_class, base, {**changed, **options})
    except FlopcountError:
        raise
    except Exception as error:  # it validates its fields, and may raise anything
        text = f"transformers:{name} cannot be configured: {error_text(error)}"
        raise InputError(text, [("given", options_text(options))]) from error
    if spec.num_classes is not None:
        config.num_labels = spec.num_classes
    return config


def _counted(model_class: Any, config: Any, spec: ModelSpec) -> LibraryModel:
    """The model with an input by general rules."""
    clip = spec.clip
    if spec.video is not None:
        if has_family(model_class.__name__):
            return asked(model_class, config, spec.video)
        if model_class.main_input_name == "input_ids":
            fix = "leave out --video for one image, or give each input of its forward with --input NAME:SHAPE:DTYPE"
            why = f"how many tokens a video is to {model_class.__name__} is not known here"
            raise InputError(why, [("given", f"--video {spec.video.code}"), ("fix", fix)])
        clip = spec.video
    inputs, model_clip = inputs_of(model_class, config, clip)
    if spec.video is not None and model_clip is None:
        fix = "leave out --video for one image, or give each input of its forward with --input NAME:SHAPE:DTYPE"
        why = f"{model_class.__name__} takes images, not a video"
        raise InputError(why, [("given", f"--video {spec.video.code}"), ("fix", fix)])
    return LibraryModel(partial(_built, model_class, config), inputs, model_clip)


def _built(model_class: Any, config: Any) -> nn.Module:
    with few_modules():
        made: nn.Module = model_class(config)
    return made


def _image_text_names() -> list[str]:
    """Models of images and text, whatever their authors call them."""
    mappings = importlib.import_module("transformers.models.auto.modeling_auto")
    names: Mapping[str, str] = mappings.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    available = set(dir(transformers_library()))  # hasattr would import every model
    return [name for name in names.values() if name in available]


def _model_names() -> Iterable[str]:
    transformers = transformers_library()
    mappings = importlib.import_module("transformers.models.auto.modeling_auto")
    class_names: dict[str, None] = {}
    for task in _TASKS:
        for names in getattr(mappings, f"MODEL_FOR_{task}_MAPPING_NAMES").values():
            class_names |= dict.fromkeys([names] if isinstance(names, str) else names)
    available = set(dir(transformers))  # hasattr would import every model
    return [name for name in class_names if name in available]


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
        return options | completed(model_class, configuration_of(model_class, {}, options))
    except Exception:  # the count reports it, too
        return options


LIBRARY = Library(
    "transformers",
    Installation("models", ("transformers>=4.57",)),
    _model,
    _model_names,
    _options_to_try,
    _of_part,
    takes_video=True,
)
