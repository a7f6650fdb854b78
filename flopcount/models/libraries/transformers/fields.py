"""Sizes in a configuration of transformers, or in the configurations of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from ....tracing.torch_private import ConvNd

__all__ = ["SAMPLES", "SPECTRA", "field_of", "parts_of", "picture_of", "sound_of", "takes"]

SIDE = 224  # pixels of an image whose size the configuration does not say
SAMPLES = 16_000  # a second of sound
SPECTRA = 1024  # frames of a spectrogram whose length the configuration does not say

_SIDES = ("image_size", "crop_size")
_COLOURS = ("num_channels", "in_channels", "num_image_channels")
_BINS = (
    *("input_dim", "input_size", "input_feat_size", "num_mel_bins", "input_feat_per_channel"),
    *("feature_projection_input_dim", "feature_size"),
)


def parts_of(config: Any, kind: str = "") -> Iterator[Any]:
    """The configuration, then those of its parts, the one for `kind` ("image", "audio") first."""
    yield config
    inner = {name: part for name, part in vars(config).items() if hasattr(part, "model_type")}
    for name in sorted(inner, key=lambda name: _PARTS.get(kind, kind) not in name):
        yield from parts_of(inner[name])


def field_of(config: Any, names: tuple[str, ...], kind: str = "", types: Any = int) -> Any:
    """The first of these fields that has a value, in the configuration or in its parts; None if none has."""
    for part in parts_of(config, kind):
        for name in names:
            value = getattr(part, name, None)
            if isinstance(value, types) and not isinstance(value, bool) and value:
                return value
    return None


def takes(model_class: Any, config: Any, kind: str) -> bool:
    """Whether a model with this configuration takes images ("image") or sound ("audio") besides text."""
    part = getattr(config, f"{_PARTS[kind]}_config", "")
    return part is not None and (part != "" or kind in (getattr(model_class, "input_modalities", None) or ()))


_PARTS = {"image": "vision", "audio": "audio"}


def picture_of(config: Any) -> tuple[int, int, int]:
    """Colours, height and width of an image; a size may be a number, a pair, or a dict."""
    side = _smallest_side(config) or _side_of_tower(config)
    side = side or field_of(config, _SIDES, "image", (int, list, tuple, dict)) or SIDE
    if isinstance(side, dict):
        side = (side.get("height", SIDE), side.get("width", SIDE))
    height, width = (side, side) if isinstance(side, int) else tuple(side)[-2:]
    return field_of(config, _COLOURS, "image") or 3, height, width


def _side_of_tower(config: Any) -> Any:
    """The side of an image for a tower of another library, whose arguments have it."""
    arguments = (getattr(part, "model_args", None) for part in parts_of(config, "image"))
    return next((each["img_size"] for each in arguments if isinstance(each, dict) and "img_size" in each), None)


def _smallest_side(config: Any) -> int | None:
    """The side of an image for a model that scales it (Depth Pro): its smallest copy must have a patch."""
    ratios, patch = getattr(config, "scaled_images_ratios", None), getattr(config, "patch_size", None)
    return int(patch / min(ratios)) if ratios and patch else None


def sound_of(config: Any, module: nn.Module, name: str) -> tuple[int, ...]:
    """The shape of a waveform (samples), or of a spectrogram: (bins, frames) for a convolution, else (frames, bins).

    The layers tell what the configuration does not: the model may stack bins before the first layer.
    """
    channels = field_of(config, ("channels",), "audio")
    whole = field_of(config, ("samples_per_token",), "audio")
    if name == "input_values" and whole:  # as many samples as whole tokens have
        return (-(-SAMPLES // whole) * whole,)
    if name == "input_values" and (channels or any(map(_hears_samples, module.modules()))):
        return (channels, SAMPLES) if channels else (SAMPLES,)
    encoder = _encoder_of_sound(module)
    for part in parts_of(config, "audio"):
        for field in _BINS:
            bins = getattr(part, field, None)
            if isinstance(bins, int):
                return _spectrogram(part, field, bins, encoder)
    return (SPECTRA, 80)


def _spectrogram(part: Any, field: str, bins: int, encoder: nn.Module) -> tuple[int, int]:
    first = _first_layer(encoder)
    window, positions = getattr(part, "n_window", None), getattr(part, "max_source_positions", None)
    if window is not None:  # in chunks of two windows
        return bins, 20 * window
    if field == "num_mel_bins" and isinstance(first, nn.Conv1d) and first.in_channels == bins:
        return bins, 2 * positions if isinstance(positions, int) else SPECTRA  # a convolution halves its length
    stacked = next((layer for path, layer in encoder.named_modules() if path.endswith("input_linear")), None)
    width = stacked.in_features if isinstance(stacked, nn.Linear) else bins
    return getattr(part, "max_length", None) or SPECTRA, width


def _hears_samples(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv1d) and layer.in_channels == 1


def _first_layer(encoder: nn.Module) -> nn.Module | None:
    return next((part for part in encoder.modules() if isinstance(part, (nn.Linear, ConvNd))), None)


def _encoder_of_sound(module: nn.Module) -> nn.Module:
    """The part of a model that encodes sound, or the whole model."""
    found = (part for path, part in module.named_modules() if path.rpartition(".")[2] in _HEARS)
    return next(found, module)


_HEARS = ("audio_tower", "audio_encoder", "audio_model", "acoustic_tokenizer_encoder", "encoder")
