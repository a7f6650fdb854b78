"""Allegro: text by cross-attention with a mask, rotary positions by axis; its VAE works in overlapping tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...core.ops import TensorSpec
from .autoencoder import Autoencoder, even_or_odd, powers_of_two
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["AUTOENCODER", "DENOISER"]


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents (B, C, T, H, W), text (B, 1, L, C) with its mask, cosines and sines by axis and each token's place."""
    config, latents = a_pass.config, a_pass.latents
    in_time, high, wide = _patch(config)
    axes = latents.frames // in_time, latents.height // high, latents.width // wide
    tokens, angles = axes[0] * axes[1] * axes[2], config["attention_head_dim"] // 3
    tables = tuple((TensorSpec((size, angles), "float32"),) * 2 for size in axes)
    places = tuple(TensorSpec((1, tokens), "int64", values=range(size)) for size in axes)
    text = a_pass.text("caption_channels")
    return {
        "hidden_states": a_pass.floats(config["in_channels"], *latents.sizes),
        "encoder_hidden_states": replace(text, shape=(text.shape[0], 1, *text.shape[1:])),
        "encoder_attention_mask": a_pass.mask("int64"),
        "timestep": a_pass.step("int64"),
        "image_rotary_emb": (tables, places),
    }


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    return config["patch_size_t"], config["patch_size"], config["patch_size"]


def _factors(config: Mapping[str, Any]) -> tuple[int, int]:
    return int(config["temporal_compression_ratio"]), powers_of_two(config)


def _ready(vae: Any) -> None:
    """The class of diffusers 0.42.1 does nothing without tiles."""
    vae.enable_tiling()


DENOISER = Denoiser(
    "AllegroTransformer3DModel",
    _inputs,
    _patch,
    "AutoencoderKLAllegro",
    text_tokens=512,
    text_mask=True,
    joins_guidance=True,
    pipelines=("AllegroPipeline",),
)
AUTOENCODER = Autoencoder(
    "AutoencoderKLAllegro",
    _factors,
    latent_frames=even_or_odd,
    ready=_ready,
    note="works in tiles that overlap, and leaves out what no whole tile covers; without tiles it does not run",
)
