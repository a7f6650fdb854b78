"""CogVideoX and CogVideoX 1.5: text and video in one sequence, frames before channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import InputError
from ...core.ops import TensorSpec
from .autoencoder import Autoencoder, powers_of_two
from .denoising import Denoiser, Denoising, Inputs

__all__ = ["AUTOENCODER", "DENOISER"]


def _inputs(a_pass: Denoising) -> Inputs:
    """Latents (B, T, C, H, W) with T filled up to whole patches, text in one sequence with them, rotary positions."""
    config, latents = a_pass.config, a_pass.latents
    _require_text(a_pass)
    in_time, patch, _ = _patch(config)
    frames = latents.frames + -latents.frames % in_time
    inputs: Inputs = {
        "hidden_states": a_pass.floats(frames, config["in_channels"], latents.height, latents.width),
        "encoder_hidden_states": a_pass.text("text_embed_dim"),
        "timestep": a_pass.step("int64"),
    }
    if config["use_rotary_positional_embeddings"]:
        tokens = frames // in_time * (latents.height // patch) * (latents.width // patch)
        angles = TensorSpec((tokens, config["attention_head_dim"]), "float32")
        inputs["image_rotary_emb"] = (angles, angles)
    if config["ofs_embed_dim"]:
        inputs["ofs"] = TensorSpec((1,), "float32")
    return inputs


def _require_text(a_pass: Denoising) -> None:
    """Refuse a text for which a table of positions has no place: it has as many for the text as the configuration says.

    Raises:
        InputError: the denoiser adds such a table, and the text has another length.
    """
    config = a_pass.config
    rotary, learned = config["use_rotary_positional_embeddings"], config["use_learned_positional_embeddings"]
    places = config["max_text_seq_length"]
    if (learned or not rotary) and a_pass.text_tokens != places:
        seen, fix = "its table of positions has as many places for the text", f"write --text-tokens {places}"
        raise InputError(
            f"the denoiser takes {places} tokens of text, not {a_pass.text_tokens}", [("seen", seen), ("fix", fix)]
        )


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    return config["patch_size_t"] or 1, config["patch_size"], config["patch_size"]


def _factors(config: Mapping[str, Any]) -> tuple[int, int]:
    return int(config["temporal_compression_ratio"]), powers_of_two(config)


DENOISER = Denoiser(
    "CogVideoXTransformer3DModel",
    _inputs,
    _patch,
    "AutoencoderKLCogVideoX",
    text_tokens=226,
    joins_guidance=True,
    fills_frames=True,
    one_frame=True,
    pipelines=("CogVideoXPipeline", "CogVideoXImageToVideoPipeline"),
    layouts={"hidden_states": "BTCHW"},
)
AUTOENCODER = Autoencoder("AutoencoderKLCogVideoX", _factors)
