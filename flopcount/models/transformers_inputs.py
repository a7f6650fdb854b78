"""What a model of transformers takes, read from its configuration and the signature of its forward pass."""

from __future__ import annotations

import inspect
from typing import Any

from ..clip import Clip
from ..ops import TensorSpec

__all__ = ["as_from_a_file", "completed", "inputs_of"]

TOKENS = 128  # of a text model that does not say how long its input is
SAMPLES = 16_000  # a second of sound
LETTERS = 32  # a vocabulary where a configuration has none: that of Wav2Vec2 and of proteins
SPECTRA = 1024  # frames of a spectrogram where the configuration has no length

_FRAME_FIELDS = ("num_frames", "frames_per_clip")
_SIZE_FIELDS = ("image_size", "crop_size")
_MEL_FIELDS = ("feature_projection_input_dim", "num_mel_bins", "input_feat_per_channel", "input_dim")
_LONG_FIRST = ("input_feat_per_channel", "feature_projection_input_dim")  # (length, bins), although it has positions
_ZERO = 0  # every token that we give, and thus also the one that ends a text


def as_from_a_file(config: Any) -> Any:
    """Sequences are lists, as in a configuration that was read from JSON; some models rely on it."""
    for key, value in vars(config).items():
        if isinstance(value, tuple):
            setattr(config, key, list(value))
    return config


def completed(config: Any) -> bool:
    """Give fields that a default configuration leaves open what follows from others; whether there were any."""
    heads = getattr(config, "num_attention_heads", None)
    width = getattr(config, "hidden_size", None)
    follows = {
        "num_key_value_heads": heads,
        "head_dim": width // heads if isinstance(width, int) and isinstance(heads, int) else None,
        "vocab_size": LETTERS,
    }
    gaps = {key: value for key, value in follows.items() if value and getattr(config, key, 0) is None}
    for key, value in gaps.items():
        setattr(config, key, value)
    return bool(gaps)


def inputs_of(model_class: Any, config: Any, clip: Clip | None) -> tuple[Any, Clip | None]:
    """Inputs without the batch, and the clip if they are one; the configuration is changed to a clip that is given."""
    main = model_class.main_input_name
    if getattr(config, "is_encoder_decoder", False) and "SequenceClassification" in model_class.__name__:
        config.eos_token_id = _ZERO  # the class is read where the text ends
    if getattr(config, "default_language", "") is None:
        config.default_language = config.languages[0]
    if main.startswith("pixel_values"):
        return _pixels(main, config, clip)
    inputs: dict[str, Any] = {main: _main_input(main, config)}
    decodes = "decoder_input_ids" in inspect.signature(model_class.forward).parameters
    if decodes and getattr(config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = TensorSpec((_tokens(config),), "int64")
    return inputs, None


def _main_input(main: str, config: Any) -> Any:
    if main == "input_values" and (hasattr(config, "conv_kernel") or not hasattr(config, "num_mel_bins")):
        return (SAMPLES,)
    if main in ("input_features", "input_values"):
        encoder = getattr(config, "encoder_config", None)
        parts = (config, encoder, getattr(config, "audio_config", None))
        found = (getattr(part, field) for part in parts for field in _MEL_FIELDS if hasattr(part, field))
        bins = next((bins for bins in found if isinstance(bins, int)), 80)
        bins_first = encoder is None and not any(hasattr(config, field) for field in _LONG_FIRST)
        if bins_first and hasattr(config, "max_source_positions"):
            return (bins, 2 * config.max_source_positions)  # as Whisper: the first convolution halves its length
        return (getattr(config, "max_length", None) or SPECTRA, bins)
    return TensorSpec((_tokens(config),), "int64")


def _tokens(config: Any) -> int:
    longest = getattr(config, "max_position_embeddings", None)
    return min(TOKENS, longest) if isinstance(longest, int) and longest > 2 else TOKENS


def _pixels(main: str, config: Any, clip: Clip | None) -> tuple[Any, Clip | None]:
    """Pictures or clips; sizes may stand in the configuration of a backbone."""
    frames_field = next((field for field in _FRAME_FIELDS if hasattr(config, field)), None)
    size_field = next((field for field in _SIZE_FIELDS if hasattr(config, field)), None)
    if clip is not None:
        if frames_field is not None:
            setattr(config, frames_field, clip.frames)
        if size_field is not None:
            square = clip.height == clip.width and isinstance(getattr(config, size_field), int)
            setattr(config, size_field, clip.height if square else (clip.height, clip.width))
    inner = getattr(config, "backbone_config", None)
    size = getattr(config, size_field) if size_field is not None else getattr(inner, "image_size", None) or 224
    height, width = (size, size) if isinstance(size, int) else tuple(size)[-2:]
    if clip is not None:
        height, width = clip.height, clip.width
    colours = getattr(config, "num_channels", 3)
    colours = colours if isinstance(colours, int) else 3
    if frames_field is None:
        return {main: (colours, height, width)}, None
    frames = getattr(config, frames_field)
    return {main: (frames, colours, height, width)}, Clip(frames, height, width)
