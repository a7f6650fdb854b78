"""Stable Video Diffusion: a UNet over frames with the image's latents among its channels; a VAE that decodes frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...core.ops import TensorSpec
from ...core.protocol import Clip
from ...tracing.literal import literal
from .autoencoder import Autoencoder, Latents, each_frame, powers_of_two
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["AUTOENCODER", "DENOISER"]


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents of noise and image (B, T, C, H, W), one step, the image's embedding as text, and three added numbers."""
    config, latents = a_pass.config, a_pass.latents
    added = config["projection_class_embeddings_input_dim"] // config["addition_time_embed_dim"]
    return {
        "sample": a_pass.floats(latents.frames, config["in_channels"], latents.height, latents.width),
        "timestep": TensorSpec((), "float32"),
        "encoder_hidden_states": a_pass.text("cross_attention_dim"),
        "added_time_ids": a_pass.floats(added),
    }


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """A UNet takes every size: it gives its upsampling the sizes on the way down."""
    return 1, 1, 1


def _factors(config: Mapping[str, Any]) -> tuple[int, int]:
    return 1, powers_of_two(config)


def _image(clip: Clip, batch: int, dtype: str) -> TensorSpec:
    """One image (B, 3, H, W), since a frame of latents is repeated for all frames."""
    return TensorSpec((batch, 3, clip.height, clip.width), dtype)


def _latents(latents: Latents) -> dict[str, Any]:
    """Frames of all clips (B·T, C, H, W), and how many a clip has."""
    frames, height, width = latents.clip.sizes
    shape = (latents.batch * frames, latents.channels, height, width)
    return {"x": TensorSpec(shape, latents.dtype), "num_frames": literal(frames)}


def _decode(vae: Any, x: Tensor, num_frames: int) -> Tensor:
    """A clip at a time, as the pipeline does where nobody gives it `decode_chunk_size`."""
    return torch.cat([vae.decode(clip, num_frames=num_frames, return_dict=False)[0] for clip in x.split(num_frames)])


DENOISER = Denoiser(
    "UNetSpatioTemporalConditionModel",
    _inputs,
    _patch,
    "AutoencoderKLTemporalDecoder",
    text_tokens=1,
    joins_guidance=True,
    is_unet=True,
    one_frame=True,
    pipelines=("StableVideoDiffusionPipeline",),
    layouts={"sample": "BTCHW"},
)
AUTOENCODER = Autoencoder(
    "AutoencoderKLTemporalDecoder", _factors, latent_frames=each_frame, pixels=_image, latents=_latents, decode=_decode
)
