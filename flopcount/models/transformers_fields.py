"""Sizes that a configuration of transformers names, in itself or in the configurations of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["field_of", "has_part", "parts_of", "picture_of", "sound_of"]

SIDE = 224  # pixels of a picture whose size the configuration leaves open
SAMPLES = 16_000  # a second of sound
SPECTRA = 1024  # frames of a spectrogram where the configuration has no length

_SIDES = ("image_size", "crop_size")
_COLOURS = ("num_channels", "in_channels", "num_image_channels")
_SPECTRA_LENGTHS = ("max_length",)
_BINS = (
    *("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim"),
    *("input_feat_size", "input_dim", "input_size", "mel_bins"),
)


def parts_of(config: Any, kind: str = "") -> Iterator[Any]:
    """The configuration, then those within it, those whose name says `kind` ("vision", "audio") first."""
    yield config
    inner = {name: part for name, part in vars(config).items() if hasattr(part, "model_type")}
    for name in sorted(inner, key=lambda name: not _speaks_of(name, kind)):
        yield from parts_of(inner[name])


def field_of(config: Any, names: tuple[str, ...], kind: str = "", types: Any = int) -> Any:
    """The first of these fields that has a value, in the configuration or in its parts; None where none has."""
    for part in parts_of(config, kind):
        for name in names:
            value = getattr(part, name, None)
            if isinstance(value, types) and not isinstance(value, bool) and value:
                return value
    return None


def has_part(config: Any, kind: str) -> bool:
    """Whether something in the configuration is made for pictures ("vision") or sound ("audio")."""
    names = [name for part in parts_of(config) for name in vars(part) if getattr(part, name) is not None]
    return any(_speaks_of(name, kind) and (name.endswith(_MEANS_A_PART)) for name in names)


_MEANS_A_PART = ("_config", "_token_id", "_token_index", "visual_embed")
_KINDS = {"vision": ("vision", "visual", "image"), "audio": ("audio", "sound", "speech", "encoder_config")}


def _speaks_of(name: str, kind: str) -> bool:
    return any(word in name for word in _KINDS.get(kind, ()))


def picture_of(config: Any) -> tuple[int, int, int]:
    """Colours, height and width of a picture; a size may be a number, a pair, or a dict."""
    side = field_of(config, _SIDES, "vision", (int, list, tuple, dict)) or _smallest_side(config) or SIDE
    if isinstance(side, dict):
        side = (side.get("height", SIDE), side.get("width", SIDE))
    height, width = (side, side) if isinstance(side, int) else tuple(side)[-2:]
    return field_of(config, _COLOURS, "vision") or 3, height, width


def _smallest_side(config: Any) -> int | None:
    """Of a model that looks at scaled copies (Depth Pro): the smallest must have a patch."""
    ratios, patch = getattr(config, "scaled_images_ratios", None), getattr(config, "patch_size", None)
    return int(patch / min(ratios)) if ratios and patch else None


def sound_of(config: Any, name: str) -> tuple[int, ...]:
    """Samples of a waveform, or a spectrogram: (bins, frames) as Whisper's convolutions take it, else (frames, bins)."""
    waveform = hasattr(config, "feat_extract_norm") or field_of(config, ("num_mel_bins",), "audio") is None
    if name == "input_values" and waveform:
        return (SAMPLES,)
    for part in parts_of(config, "audio"):
        for field in _BINS:
            bins = getattr(part, field, None)
            if isinstance(bins, int):
                positions = getattr(part, "max_source_positions", None)
                if field == "num_mel_bins" and isinstance(positions, int):
                    return (bins, 2 * positions)  # the first convolution halves its length
                return (getattr(part, "max_length", None) or SPECTRA, bins)
    return (SPECTRA, 80)
