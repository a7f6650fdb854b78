"""Mochi 1: joint attention over video and the text's own tokens; a causal VAE."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from .autoencoder import Autoencoder
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["AUTOENCODER", "DENOISER"]


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents (B, C, T, H, W), text, and its mask: the text fills all its tokens, so that none is left out."""
    config = a_pass.config
    return {
        "hidden_states": a_pass.floats(config["in_channels"], *a_pass.latents.sizes),
        "encoder_hidden_states": a_pass.text("text_embed_dim"),
        "timestep": a_pass.step(a_pass.dtype),
        "encoder_attention_mask": a_pass.mask("bool"),
    }


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    return 1, config["patch_size"], config["patch_size"]


def _factors(config: Mapping[str, Any]) -> tuple[int, int]:
    return prod(config["temporal_expansions"]), prod(config["spatial_expansions"])


DENOISER = Denoiser(
    "MochiTransformer3DModel",
    _inputs,
    _patch,
    "AutoencoderKLMochi",
    text_tokens=256,
    text_mask=True,
    joins_guidance=True,
    pipelines=("MochiPipeline",),
    note="attends to the text's own tokens alone: counted is a text that fills all of them",
)
AUTOENCODER = Autoencoder("AutoencoderKLMochi", _factors)
