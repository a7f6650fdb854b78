"""Families by the class of the whole model. A new family is a file here, and its name in the list."""

from __future__ import annotations

from typing import Any

from ...core.errors import InputError, UnknownNameError
from ...core.protocol import Clip
from ...facts.model_sizes import ModelPart, ModelSizes
from ..part import part_class
from . import internvl, llava_next_video, llava_onevision, qwen, smolvlm, videollama3
from .family import Family, VisualTokens

__all__ = ["config_of", "family_of", "has_family", "visual_tokens", "whole_of"]

_FILES = (qwen, internvl, llava_onevision, llava_next_video, videollama3, smolvlm)
_BY_CLASS: dict[str, Family] = {name: family for file in _FILES for family in file.FAMILIES for name in family.classes}


def family_of(class_name: str) -> Family:
    """The family of a class.

    Raises:
        UnknownNameError: none has it.
    """
    if class_name not in _BY_CLASS:
        fix = f"the families are {', '.join(family.name for file in _FILES for family in file.FAMILIES)}"
        raise UnknownNameError("family of video-language models", class_name, _BY_CLASS, fix)
    return _BY_CLASS[class_name]


def has_family(class_name: str) -> bool:
    """Whether the family of a class is known."""
    return class_name in _BY_CLASS


def whole_of(sizes: ModelSizes) -> ModelPart:
    """The part that is a whole video-language model.

    Raises:
        InputError: it has none.
    """
    if "whole" not in sizes.parts:
        fix = "choose one of `flopcount list --task language`, or the folder of one"
        seen = ", ".join(part.class_name for part in sizes.parts.values())
        raise InputError(f"{sizes.name} is no video-language model", [("seen", seen), ("fix", fix)])
    return sizes.parts["whole"]


def config_of(part: ModelPart) -> Any:
    """The configuration of a part as its class reads it, with the class's own defaults."""
    return part_class(part).config_class.from_dict(dict(part.config))


def visual_tokens(sizes: ModelSizes, clip: Clip) -> VisualTokens:
    """The visual tokens of a video, by the rule of the model's own family.

    Raises:
        InputError: it is no video-language model, or refuses such frames.
        UnknownNameError: its family is unknown here.
    """
    part = whole_of(sizes)
    return family_of(part.class_name).rule(config_of(part), clip)
