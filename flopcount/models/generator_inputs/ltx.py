"""LTX-Video: latents as a sequence of tokens, text by cross-attention with a mask; a VAE that patches pixels itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.ops import TensorSpec
from ...tracing.literal import literal
from .autoencoder import Autoencoder, Latents
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["AUTOENCODER", "DENOISER"]

_FPS = 25
"""The pipeline's own frame rate; it moves positions and no cost."""


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents as tokens (B, N, C), text with its mask, and the sizes that positions are made of.

    From an image each token has a step of its own (B, N), none of noise for those of the first frame
    (pipeline_ltx_image2video.py of diffusers 0.42.1, line 849).
    """
    config, latents, (temporal, spatial) = a_pass.config, a_pass.latents, a_pass.factors
    in_time, patch, _ = _patch(config)
    tokens = latents.frames // in_time * (latents.height // patch) * (latents.width // patch)
    return {
        "hidden_states": a_pass.floats(tokens, config["in_channels"]),
        "encoder_hidden_states": a_pass.text("caption_channels"),
        "timestep": TensorSpec((a_pass.batch, tokens), "float32") if a_pass.step_per_token else a_pass.step("float32"),
        "encoder_attention_mask": a_pass.mask("int64"),
        "num_frames": literal(latents.frames),
        "height": literal(latents.height),
        "width": literal(latents.width),
        "rope_interpolation_scale": literal((temporal / (a_pass.fps or _FPS), spatial, spatial)),
    }


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    return config["patch_size_t"], config["patch_size"], config["patch_size"]


def _factors(config: Mapping[str, Any]) -> tuple[int, int]:
    """As the class finds them where the configuration does not say them."""
    halved = 2 ** sum(config["spatio_temporal_scaling"])
    temporal, spatial = config["temporal_compression_ratio"], config["spatial_compression_ratio"]
    return temporal or config["patch_size_t"] * halved, spatial or config["patch_size"] * halved


def _latents(latents: Latents) -> dict[str, Any]:
    """(B, C, T, H, W), and a step of the last noise where the decoder takes one."""
    step = {"step": TensorSpec((latents.batch,), latents.dtype)} if latents.config["timestep_conditioning"] else {}
    return {"x": latents.spec(), **step}


def _decode(vae: Any, x: Any, step: Any = None) -> Any:
    (made,) = vae.decode(x, step, return_dict=False)
    return made


DENOISER = Denoiser(
    "LTXVideoTransformer3DModel",
    _inputs,
    _patch,
    "AutoencoderKLLTXVideo",
    text_tokens=128,
    joins_guidance=True,
    one_frame=True,
    step_per_token_from_image=True,
    pipelines=("LTXPipeline", "LTXImageToVideoPipeline"),
)
AUTOENCODER = Autoencoder("AutoencoderKLLTXVideo", _factors, latents=_latents, decode=_decode)
