"""HunyuanVideo 1.5: tokens of two texts and of an image in one sequence with the video, all of full length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.ops import TensorSpec
from .autoencoder import Autoencoder
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["AUTOENCODER", "DENOISER"]

LETTERS = 256  # tokens of what the video shows as writing, the default of its pipeline
IMAGE = 729  # of the image, as its pipeline says it


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents with the image's and their mask as channels (B, C, T, H, W), and three conditions with their tokens.

    A video from text alone has an image of zeros, which the forward looks at; its tokens are masked and computed.
    """
    config = a_pass.config
    batch, image = a_pass.batch, 0 if a_pass.image_tokens is None else 1
    pictures = (batch, a_pass.image_tokens or IMAGE, config["image_embed_dim"])
    return {
        "hidden_states": a_pass.floats(config["in_channels"], *a_pass.latents.sizes),
        "timestep": a_pass.step(a_pass.dtype),
        "encoder_hidden_states": a_pass.text("text_embed_dim"),
        "encoder_attention_mask": a_pass.mask("int64"),
        "encoder_hidden_states_2": a_pass.floats(LETTERS, config["text_embed_2_dim"]),
        "encoder_attention_mask_2": TensorSpec((batch, LETTERS), "int64", values=1),
        "image_embeds": TensorSpec(pictures, a_pass.dtype, values=image),
    }


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    return config["patch_size_t"], config["patch_size"], config["patch_size"]


def _factors(config: Mapping[str, Any]) -> tuple[int, int]:
    return config["temporal_compression_ratio"], config["spatial_compression_ratio"]


DENOISER = Denoiser(
    "HunyuanVideo15Transformer3DModel", _inputs, _patch, "AutoencoderKLHunyuanVideo15", text_tokens=1000, text_mask=True
)
AUTOENCODER = Autoencoder("AutoencoderKLHunyuanVideo15", _factors)
