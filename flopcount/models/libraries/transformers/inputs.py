"""The input of a model of transformers, by general rules: from its forward's arguments and its configuration.

What enters is a model class and its configuration; what leaves are the arguments of `forward` for a batch: always all
of them, such as text with its image or sound. Sizes are those of the configuration, or else the constants below.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import isqrt
from typing import Any

import torch
from torch import nn

from ....core.errors import FlopcountError
from ....core.ops import TensorSpec
from ....core.protocol import Clip
from .fields import SAMPLES, field_of, picture_of, sound_of, takes
from .forms import PATCHES, other_forms
from .placeholders import encoder_of, placeholder_tokens, plain_token, start_token

__all__ = ["TransformersInput", "inputs_of"]

TOKENS = 128  # of a text model that does not say the length of its input
HOP = 160  # samples from a spectrum to the next, a hundredth of a second
FRAMES = 4  # of a video model whose configuration does not say it; InstructBLIP's processor takes as many

_FRAME_FIELDS = ("num_frames", "frames_per_clip")
_SIZE_FIELDS = ("image_size", "crop_size")
_CHANNELS = ("num_channels", "in_channels")
_SPECIFIC = ("input_values", "pixel_values", "input_ids")  # `inputs` means one of these
_TEXT = ("input_ids", "decoder_input_ids")
_PICTURES = ("pixel_values", "image_pixel_values", "pixel_values_videos")
_SOUNDS = ("input_features", "audio_input_features", "input_values")
_PADDING = "padding_mask"  # of samples
_FRAME_MASKS = ("input_features_mask", "feature_attention_mask", "audio_attention_mask")


@dataclass(frozen=True, slots=True)
class TransformersInput:
    """The names of `forward`'s arguments; a call with the model and a batch makes the keyword arguments."""

    names: tuple[str, ...]
    model_class: Any
    config: Any

    def __call__(self, module: nn.Module, batch: int) -> dict[str, Any]:
        """Keyword arguments of `module.forward` for a batch; token ids have values, other inputs have shapes.

        Raises:
            FlopcountError: the encoder of images takes none of the forms in which models take them.
        """
        others: dict[str, Any] = {}
        for name in self.names:
            if name not in _PICTURES:
                others |= self._argument(name, module, batch)
        first: FlopcountError | None = None
        for sound, image in product(_both_ways(others), self.images(module, batch)):
            every = others | sound | image
            given = {name: every[name] for name in (*self.names, *every) if name in every}
            try:
                return given | self._beside(module, given, batch)
            except FlopcountError as error:
                first = first or error
        assert first is not None
        raise first

    def _beside(self, module: nn.Module, given: dict[str, Any], batch: int) -> dict[str, Any]:
        """Tokens that stand for images and sounds, and which these are."""
        found: dict[str, Any] = {}
        if "input_ids" in given and len(given) > 1:
            found |= self._placed(module, given, batch)
        latents = getattr(self.config, "latent_query_num", None)
        if latents is not None and "image_embeds_position_mask" in _parameters(self.model_class.forward):
            places = torch.arange(self._length()) < latents  # tokens whose embeddings those of the image replace
            found["image_embeds_position_mask"] = places.expand(batch, -1).clone()
        return found

    def images(self, module: nn.Module, batch: int = 1) -> Iterator[dict[str, Any]]:
        """The image of each sample with what describes it, in the likeliest form first; {} where there is none."""
        names = [name for name in self.names if name in _PICTURES]
        if not names:
            yield {}
            return
        image = self._argument(names[0], module, batch)
        yield image
        for shape in other_forms(self.config, image[names[0]], batch):
            yield {**image, names[0]: shape}

    def _argument(self, name: str, module: nn.Module, batch: int) -> dict[str, Any]:
        """One input, with the arguments that describe it."""
        if name in _PICTURES:
            pictures = self._pictures(name, module, batch)
            if hasattr(self.config, "vlm_config"):  # a model in the model, which looks at each camera
                pictures["pixel_attention_mask"] = _ones(batch, 1)
            return pictures | self._describing(pictures, module, batch)
        if name in _SOUNDS:
            return self._sounds(name, module, batch)
        if name in _TEXT or name.endswith("_ids"):
            return {name: self._tokens(name, batch)}
        if name == "grid_thw" or (name == "merge_sizes" and "grid_thw" in self.names):  # of a vision tower alone
            if name == "merge_sizes":
                return {name: torch.ones(batch, dtype=torch.int64)}
            return {name: torch.tensor([[1, PATCHES, PATCHES]] * batch)}
        if name == "hidden_states" and "grid_thw" in self.names:
            return {name: self._pictures("pixel_values", module, batch)["pixel_values"]}
        if name == "bbox":  # of each word on a page
            return {name: torch.zeros(batch, self._length(), 4)}
        if name == "flattened_patches":  # with the row and the column of each
            values = (field_of(self.config, _CHANNELS) or 3) * (field_of(self.config, ("patch_size",)) or PATCHES) ** 2
            return {name: (batch, field_of(self.config, ("seq_len",), "image") or TOKENS, values + 2)}
        if name == "timestep":
            return {name: (batch,)}
        if isinstance(getattr(self.config, f"max_{name}_dim", None), int):  # of a robot
            return {name: (batch, getattr(self.config, f"max_{name}_dim"))}
        return {name: (batch, TOKENS, field_of(self.config, ("hidden_size", "d_model")) or 1)}

    def _pictures(self, name: str, module: nn.Module, batch: int) -> dict[str, Any]:
        """One image, or one clip if the configuration has frames; as pixels, or as patches if a layer takes those.

        If images may differ in size, the patches of all are in one list.
        """
        config, forward = self.config, _parameters(self.model_class.forward)
        colours, height, width = picture_of(config)
        patch = field_of(config, ("patch_size",), "image") or PATCHES
        values = colours * patch * patch
        if "image_grid_thw" in forward or "grid_thw" in forward:  # the patches of all images in one list
            grid = torch.tensor([[1, PATCHES, PATCHES]] * batch)
            shape: tuple[int, ...] = (values * _frames_of_a_patch(module, config, values),)
            if _convolves_patches(module, patch):
                shape = (colours, patch, patch)
            grids = {"image_grid_thw": grid} if "image_grid_thw" in forward else {}
            return {name: (batch * PATCHES * PATCHES, *shape), **grids}
        if "image_grid_hw" in forward:
            return {name: (batch * PATCHES**2, values), "image_grid_hw": torch.tensor([[PATCHES, PATCHES]] * batch)}
        if "aspect_ratio_ids" in forward:  # one image in all the tiles that there can be, in a row
            tiles = field_of(config, ("max_num_tiles",), "image") or 1
            aspects = {"aspect_ratio_ids": torch.ones(batch, 1, dtype=torch.int64)}
            aspects["aspect_ratio_mask"] = torch.ones(batch, 1, tiles, dtype=torch.int64)
            return {name: (batch, 1, tiles, colours, height, width), **aspects}
        if "image_attention_mask" in forward:  # of each token for each of several images
            seen = torch.ones(batch, self._length(), 1, dtype=torch.int64)
            return {name: (batch, 1, colours, height, width), "image_attention_mask": seen}
        if "spatial_shapes" in forward:
            count = field_of(config, ("num_patches",), "image") or PATCHES * PATCHES
            shapes = torch.tensor([[isqrt(count), isqrt(count)]] * batch)
            return {name: (batch, count, values), "pixel_attention_mask": _ones(batch, count), "spatial_shapes": shapes}
        if "image_position_ids" in forward:
            places = torch.cartesian_prod(torch.arange(PATCHES), torch.arange(PATCHES))
            return {name: (batch, PATCHES * PATCHES, values), "image_position_ids": places.expand(batch, -1, 2).clone()}
        if _takes_patches(module, values):
            if field_of(config, ("image_size",), types=(int, list, tuple)) is None:
                return {name: (batch * PATCHES * PATCHES, values)}
            return {name: (batch, height // patch * (width // patch), values)}
        frames = _frames(self.model_class, config)
        if frames is None and "pixel_attention_mask" in forward:  # it leaves out images that are black all over
            return {name: TensorSpec((batch, 1, colours, height, width), "float32", values=1)}
        tiles = _tiles(self.model_class, config, height, width)
        if frames is None and hasattr(config, "video_token_index") and "pixel_values_videos" not in forward:
            frames = FRAMES
        several = (frames,) if frames is not None else (tiles,) if tiles is not None else ()
        return {name: (batch, *several, colours, height, width)}

    def _describing(self, pictures: dict[str, Any], module: nn.Module, batch: int) -> dict[str, Any]:
        """What the encoder of images has to know about them, if the model passes it on."""
        encode = encoder_of(module, "image")
        if encode is None:
            return {}
        found: dict[str, Any] = {}
        forward = _parameters(self.model_class.forward)
        _, height, width = picture_of(self.config)
        for name, parameter in inspect.signature(encode).parameters.items():
            if parameter.default is not parameter.empty or name not in forward or name in pictures:
                continue
            if name == "image_sizes":
                found[name] = torch.tensor([[height, width]] * batch)
            elif name == "image_token_pooling":  # patches of which each token is made, two by two
                rows, columns = (size // self._patch() // 2 for size in (height, width))
                corners = torch.arange(rows * 2 * columns * 2).view(rows, 2, columns, 2)
                of_one = corners.permute(0, 2, 1, 3).reshape(rows * columns, 4)
                found[name] = torch.cat([of_one + place * corners.numel() for place in range(batch)])
            elif name == "image_grids":  # rows and columns of tokens: of the whole image, and of its tiles
                rows, columns = (size // self._patch() // 2 for size in (height, width))
                found[name] = torch.tensor([[rows, columns, 0, 0]] * batch)
            elif name == "target_sizes":  # rows and columns of patches that lie in one row
                found[name] = torch.tensor([[PATCHES, PATCHES]] * batch)
            elif name == "image_merge_sizes":
                found[name] = torch.ones(batch, dtype=torch.int64)
            elif name == "pixel_attention_mask":
                found[name] = _ones(batch, 1)  # of each tile of an image
            elif name == "high_res_pixel_values":
                side = field_of(getattr(self.config, "high_res_vision_config", self.config), ("image_size",)) or height
                found[name] = (batch, field_of(self.config, _CHANNELS, "image") or 3, side, side)
        return found

    def _patch(self) -> int:
        return field_of(self.config, ("patch_size",), "image") or PATCHES

    def _sounds(self, name: str, module: nn.Module, batch: int) -> dict[str, Any]:
        """A spectrogram or a waveform without padding; masks are left out if they do not describe frames."""
        shape = sound_of(self.config, module, name)
        encode = encoder_of(module, "audio")
        takers = self.model_class.forward, *([encode] if encode is not None else ())
        masks = {_PADDING: SAMPLES, **(dict.fromkeys(_FRAME_MASKS, max(shape)) if name != "input_values" else {})}
        masks = {mask: size for mask, size in masks.items() if all(mask in _parameters(taker) for taker in takers)}
        lengths = _lengths_of(encode, max(shape)) if encode is not None else {}
        found = {length: torch.full((batch,), samples) for length, samples in lengths.items()}
        return {name: (batch, *shape), **{mask: _ones(batch, size) for mask, size in masks.items()}, **found}

    def _tokens(self, name: str, batch: int) -> torch.Tensor:
        """Plain tokens, and at the end the token by which a model may find the end of the text."""
        ids = torch.full((batch, self._length()), plain_token(self.config))
        end = getattr(self.config, "eos_token_id", None)
        if name == "input_ids" and isinstance(end, int) and 0 <= end < (field_of(self.config, ("vocab_size",)) or 0):
            ids[:, -1] = end
        return _in_codebooks(self.config, name, ids)

    def _length(self) -> int:
        """The length is TOKENS for text, and the maximum for an image as a sequence of tokens."""
        longest = field_of(self.config, ("max_position_embeddings", "n_positions"))
        if "ForImage" in self.model_class.__name__ and longest is not None and self.names == ("input_ids",):
            return int(longest)
        return min(TOKENS, longest) if longest is not None and longest > 2 else TOKENS

    def _placed(self, module: nn.Module, given: dict[str, Any], batch: int) -> dict[str, Any]:
        """The text, with a token for every feature of the image and the sound in front."""
        forward = _parameters(self.model_class.forward)
        pieces, kinds = [given["input_ids"]], [torch.zeros_like(given["input_ids"])]
        for kind, (token, count) in enumerate(placeholder_tokens(module, self.config, given, batch), start=1):
            start = start_token(module, self.config, ("vision", "audio")[kind - 1])
            ids = [token] * count if start is None else [start, *[token] * count, plain_token(self.config)]
            pieces.insert(0, torch.tensor([ids] * batch))
            kinds.insert(0, torch.where(pieces[0] == token, kind, 0))
        if len(pieces) == 1:
            return {}
        placed = {"input_ids": torch.cat(pieces, 1)}
        if "attention_mask" in forward:
            placed["attention_mask"] = torch.ones_like(placed["input_ids"])
        return placed | ({"mm_token_type_ids": torch.cat(kinds, 1)} if "mm_token_type_ids" in forward else {})


def inputs_of(model_class: Any, config: Any, clip: Clip | None) -> tuple[TransformersInput, Clip | None]:
    """The inputs of a model, and the clip if they are one; a given clip changes the configuration."""
    names = tuple(dict.fromkeys(_names(model_class, config)))
    if clip is not None:
        _set_clip(config, clip)
    frames = _frames(model_class, config) if names[0] in _PICTURES else None
    shown = Clip(frames, *picture_of(config)[1:]) if frames is not None else None
    return TransformersInput(names, model_class, config), shown


def _names(model_class: Any, config: Any) -> Iterator[str]:
    """The main input, arguments without a default, the decoder's tokens, and images and sound if a part takes them."""
    forward = _parameters(model_class.forward)
    main = model_class.main_input_name
    if main == "inputs":  # its meaning depends on the model
        main = next((name for name in _SPECIFIC if name in forward), main)
    yield main if main in forward else next(name for name in forward if name != "self")
    named = (p for p in forward.values() if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self")
    yield from (parameter.name for parameter in named if parameter.default is parameter.empty)
    if "decoder_input_ids" in forward and getattr(config, "is_encoder_decoder", False):
        yield "decoder_input_ids"
    if main in _PICTURES and "input_ids" in forward and _takes_text(model_class):
        yield "input_ids"
    if hasattr(config, f"max_{main}_dim"):  # a robot that sees and reads, and moves from noise
        yield from [name for name in ("timestep", "input_ids", "pixel_values") if name in forward]
    if main == "input_ids":
        if "bbox" in forward and _takes_text(model_class):
            yield "bbox"
        if "cross_attention_states" in forward and "pixel_values" not in forward:  # another model computes them
            yield "cross_attention_states"
        for kind, names in (("image", _PICTURES), ("audio", _SOUNDS)):
            if takes(model_class, config, kind):
                yield from [name for name in names if name in forward][:1]


def _both_ways(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A spectrogram as the rules have it, then with its axes exchanged."""
    yield {}
    for name in _SOUNDS:
        if isinstance(given.get(name), tuple) and len(given[name]) == _SPECTROGRAM:
            batch, first, second = given[name]
            yield {name: (batch, second, first)}


_SPECTROGRAM = 3
"""Axes of a batch of spectrograms."""


def _lengths_of(encode: Any, frames: int) -> dict[str, int]:
    """How many samples an encoder of spectra wants to be told that these frames are."""
    wanted = _parameters(encode).values()
    named = [each.name for each in wanted if each.default is each.empty and each.name.endswith("sample_lengths")]
    return dict.fromkeys(named, frames * HOP)


def _takes_text(model_class: Any) -> bool:
    """Whether a model whose first input is an image also generates text."""
    return "ForConditionalGeneration" in model_class.__name__


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _set_clip(config: Any, clip: Clip) -> None:
    frames_field = next((field for field in _FRAME_FIELDS if hasattr(config, field)), None)
    size_field = next((field for field in _SIZE_FIELDS if hasattr(config, field)), None)
    if frames_field is not None:
        setattr(config, frames_field, clip.frames)
    if size_field is not None:
        square = clip.height == clip.width and isinstance(getattr(config, size_field), int)
        setattr(config, size_field, clip.height if square else (clip.height, clip.width))


def _frames(model_class: Any, config: Any) -> int | None:
    """The frames of a video model; a configuration for several kinds of data has them for its image models too."""
    return None if "ForImage" in model_class.__name__ else field_of(config, _FRAME_FIELDS, "image")


def _frames_of_a_patch(module: nn.Module, config: Any, values: int) -> int:
    """Over how many frames a patch extends: as the configuration says, or as the layers take it."""
    said = field_of(config, ("temporal_patch_size",), "image")
    if isinstance(said, int):
        return said
    widths = {getattr(layer, "in_features", None) for layer in module.modules()}
    return 2 if values not in widths and 2 * values in widths else 1


def _convolves_patches(module: nn.Module, patch: int) -> bool:
    """Whether a two-dimensional convolution takes each patch by itself, as pixels."""
    kinds = [layer for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.Conv3d))]
    return any(isinstance(layer, nn.Conv2d) and layer.kernel_size == (patch, patch) for layer in kinds) and not any(
        isinstance(layer, nn.Conv3d) for layer in kinds
    )


def _takes_patches(module: nn.Module, values: int) -> bool:
    """Whether a layer takes a patch as a vector, and none takes pixels."""
    layers = list(module.modules())
    if any(isinstance(layer, nn.Unfold) for layer in layers):  # which makes vectors of pixels
        return False
    widths = {getattr(layer, "in_features", None) for layer in layers}
    widths |= {getattr(layer, "normalized_shape", (None,))[-1] for layer in layers}
    return values in widths and not any(isinstance(layer, (nn.Conv2d, nn.Conv3d)) for layer in layers)


def _tiles(model_class: Any, config: Any, height: int, width: int) -> int | None:
    """The tiles into which a model cuts an image of the size of one, by its own function; None if it cuts none."""
    cut = getattr(sys.modules.get(model_class.__module__), "image_size_to_num_patches", None)
    grid = getattr(config, "image_grid_pinpoints", None)
    return int(cut([height, width], grid, height)) if callable(cut) and grid else None


def _ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.bool)


def _in_codebooks(config: Any, name: str, ids: torch.Tensor) -> torch.Tensor:
    """Tokens of sound, one per codebook at each moment: in a last axis, or in rows of their own."""
    books = getattr(config, "num_codebooks", None)
    if name == "decoder_input_ids" and hasattr(config, "delay_pattern"):
        return ids[..., None].repeat(1, 1, len(config.delay_pattern))
    if books and hasattr(config, "codec_config"):
        return ids[..., None].repeat(1, 1, books + 1)  # and the text beside them
    if books and hasattr(config, "audio_channels"):
        return ids.repeat_interleave(books, 0)
    return ids
