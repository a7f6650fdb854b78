"""Wan 2.1 and 2.2: text and image by cross-attention, a causal VAE; one step per sample, or one per token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.ops import TensorSpec
from .autoencoder import Autoencoder
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["AUTOENCODER", "DENOISER"]


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents (B, C, T, H, W), text (B, L, C), and the image's tokens where it has one.

    An image-to-video network has its condition and mask among its input channels. Wan 2.2 TI2V has a step for each
    token (B, N), all of them equal but for a given frame (pipeline_wan.py of diffusers 0.42.1, lines 606-610).
    """
    config = a_pass.config
    inputs: Inputs = {
        "hidden_states": a_pass.floats(config["in_channels"], *a_pass.latents.sizes),
        "timestep": TensorSpec((a_pass.batch, _tokens(a_pass)), "float32")
        if a_pass.step_per_token
        else a_pass.step("int64"),
        "encoder_hidden_states": a_pass.text("text_dim"),
    }
    if a_pass.image_tokens is not None:
        inputs["encoder_hidden_states_image"] = a_pass.floats(a_pass.image_tokens, config["image_dim"])
    return inputs


def _tokens(a_pass: Denoising) -> int:
    frames, high, wide = a_pass.config["patch_size"]
    latents = a_pass.latents
    return int(latents.frames // frames * (latents.height // high) * (latents.width // wide))


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    frames, high, wide = config["patch_size"]
    return frames, high, wide


def _factors(config: Mapping[str, Any]) -> tuple[int, int]:
    return config["scale_factor_temporal"], config["scale_factor_spatial"]


DENOISER = Denoiser(
    "WanTransformer3DModel",
    _inputs,
    _patch,
    "AutoencoderKLWan",
    text_tokens=512,
    text_mask=True,
    pipelines=("WanPipeline", "WanImageToVideoPipeline"),
)
AUTOENCODER = Autoencoder("AutoencoderKLWan", _factors, channels="z_dim")
