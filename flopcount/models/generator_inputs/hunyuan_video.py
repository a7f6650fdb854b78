"""HunyuanVideo: text and video in one sequence, guidance as an input; its VAE decodes overlapping runs of frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .autoencoder import Autoencoder
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["AUTOENCODER", "DENOISER"]


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents (B, C, T, H, W), text with its mask in the latents' dtype, the pooled text of CLIP, the guidance."""
    config = a_pass.config
    inputs: Inputs = {
        "hidden_states": a_pass.floats(config["in_channels"], *a_pass.latents.sizes),
        "timestep": a_pass.step("float32"),
        "encoder_hidden_states": a_pass.text("text_embed_dim"),
        "encoder_attention_mask": a_pass.mask(a_pass.dtype),
        "pooled_projections": a_pass.floats(config["pooled_projection_dim"]),
    }
    if config["guidance_embeds"]:
        inputs["guidance"] = a_pass.floats()
    return inputs


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    return config["patch_size_t"], config["patch_size"], config["patch_size"]


def _factors(config: Mapping[str, Any]) -> tuple[int, int]:
    return config["temporal_compression_ratio"], config["spatial_compression_ratio"]


DENOISER = Denoiser(
    "HunyuanVideoTransformer3DModel",
    _inputs,
    _patch,
    "AutoencoderKLHunyuanVideo",
    text_tokens=256,
    text_mask=True,
    one_frame=True,
    pipelines=("HunyuanVideoPipeline", "HunyuanVideoImageToVideoPipeline"),
)
AUTOENCODER = Autoencoder(
    "AutoencoderKLHunyuanVideo", _factors, note="works in runs of frames that overlap, as its class does by itself"
)
