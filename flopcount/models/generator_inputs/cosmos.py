"""Cosmos Predict 2: latents with masks of the frames that are given and of the padding, a step per frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.ops import TensorSpec
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["DENOISER"]


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents (B, C, T, H, W), masks of the frames that are given and of the padding, a step per frame, text."""
    latents, spatial = a_pass.latents, a_pass.factors[1]
    return {
        "hidden_states": a_pass.floats(a_pass.config["in_channels"] - 1, *latents.sizes),
        "condition_mask": a_pass.floats(1, *latents.sizes),
        "padding_mask": TensorSpec((1, 1, latents.height * spatial, latents.width * spatial), a_pass.dtype),
        "timestep": a_pass.floats(1, latents.frames, 1, 1),
        "encoder_hidden_states": a_pass.text("text_embed_dim"),
    }


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    frames, high, wide = config["patch_size"]
    return frames, high, wide


DENOISER = Denoiser("CosmosTransformer3DModel", _inputs, _patch, "AutoencoderKLWan", text_tokens=512, text_mask=True)
