"""Inputs of text and image encoders as a generator's pipeline calls them."""

from __future__ import annotations

from typing import Any

from ...core.ops import TensorSpec
from ...tracing.literal import literal
from ..part import Part
from .denoising import Inputs

__all__ = ["image_encoder_inputs", "text_encoder_inputs"]


def text_encoder_inputs(part: Part, tokens: int, *, batch: int = 1, mask: bool = True) -> Inputs:
    """Token numbers (B, L) with a mask of ones where the pipeline gives one; a language model gives all its layers."""
    inputs: Inputs = {"input_ids": TensorSpec((batch, tokens), "int64")}
    if mask:
        inputs["attention_mask"] = TensorSpec((batch, tokens), "int64", values=1)
    if not part.class_name.endswith(("EncoderModel", "TextModel")):
        inputs["output_hidden_states"] = literal(True)
    return inputs


def image_encoder_inputs(part: Part, *, batch: int = 1, dtype: str | None = None) -> Inputs:
    """Images (B, 3, side, side) of the encoder's own size.

    An encoder without a projection gives all its layers: the pipeline of Wan takes the last but one, and runs them all.
    """
    side = part.config.get("image_size", 224)
    channels = part.config.get("num_channels", 3)
    inputs: dict[str, Any] = {"pixel_values": TensorSpec((batch, channels, side, side), dtype or "float32")}
    if not part.class_name.endswith("WithProjection"):
        inputs["output_hidden_states"] = literal(True)
    return inputs
