"""What a model of transformers takes, read from its configuration and the signature of its forward pass."""

from __future__ import annotations

import inspect
from typing import Any

from ..clip import Clip
from ..ops import TensorSpec

__all__ = ["inputs_of"]

TOKENS = 128  # of a text model that does not say how long its input is
SAMPLES = 16_000  # a second of sound
SPECTRA = 1024  # frames of a spectrogram where the configuration has no length

_FRAME_FIELDS = ("num_frames", "frames_per_clip")
_SIZE_FIELDS = ("image_size", "crop_size")
_MEL_FIELDS = ("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim")


def inputs_of(model_class: Any, config: Any, clip: Clip | None) -> tuple[Any, Clip | None]:
    """Inputs without the batch, and the clip if they are one; the configuration is changed to a clip that is given."""
    main = model_class.main_input_name
    if main.startswith("pixel_values"):
        return _pixels(main, config, clip)
    inputs: dict[str, Any] = {main: _main_input(main, config)}
    decodes = "decoder_input_ids" in inspect.signature(model_class.forward).parameters
    if decodes and getattr(config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = TensorSpec((_tokens(config),), "int64")
    return inputs, None


def _main_input(main: str, config: Any) -> Any:
    if main == "input_values" and not hasattr(config, "num_mel_bins"):
        return (SAMPLES,)
    if main in ("input_features", "input_values"):
        bins = next((getattr(config, field) for field in _MEL_FIELDS if hasattr(config, field)), 80)
        if hasattr(config, "max_source_positions") and not hasattr(config, "input_feat_per_channel"):
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
