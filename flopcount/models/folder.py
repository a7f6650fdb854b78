"""A local folder of diffusers or transformers -> the sizes of its models, as `facts.model_sizes` has them.

A folder with model_index.json is a whole pipeline, whose components become parts by their role; one with config.json is
one model. What a folder does not say is a fact of the installed library (the defaults of a pipeline's call), or of the
known model that is most like it, and `not_read` names these.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..facts.model_sizes import Defaults, ModelPart, ModelSizes, model_sizes
from .configuration_file import CONFIG, INDEX, Configuration, read_configuration, read_json, real_path
from .library import error_text, ready_library
from .library_registry import find_library

__all__ = ["any_values", "most_alike", "part_of_folder", "sizes_of_folder", "vae_beside"]

_LIBRARIES = ("diffusers", "transformers")
_ROLES = {"transformer": "denoiser", "transformer_2": "denoiser_2", "unet": "denoiser", "unet_2": "denoiser_2"}
"""Folder of a pipeline -> role, where they differ."""
_PATH_OF_ROLE = {role: name for name, role in reversed(_ROLES.items())}
_SCHEDULER = "scheduler"
_IMPLEMENTATIONS = ("attn_implementation", "_attn_implementation", "experts_implementation")
"""Which kernels compute it; some names are fetched, and a count is the same under all."""


def sizes_of_folder(path: str | Path) -> ModelSizes:
    """The models of a folder, or of a file config.json or model_index.json.

    Raises:
        InputError: there is nothing to read, it is malformed, it is for code of its own, or its library is missing.
        UnknownNameError: no such folder, or the installed library has no such class.
    """
    found = real_path(path)
    if found.name == INDEX or (found / INDEX).is_file():
        return _of_pipeline(found if found.is_dir() else found.parent, str(path))
    configuration = read_configuration(found)
    part = _part(configuration)
    beside = vae_beside(configuration.folder) if part.name == "denoiser" else None
    parts = {part.name: part} | ({"vae": beside} if beside is not None else {})
    return ModelSizes(str(path), "", _task(part), parts)


def part_of_folder(path: str | Path, library: str) -> ModelPart:
    """The one model of a folder, which must be of this library.

    Raises:
        InputError: as `sizes_of_folder`; or the folder is of another library, or holds a whole pipeline.
        UnknownNameError: as `sizes_of_folder`.
    """
    found = real_path(path)
    if not (found / CONFIG).is_file() and (found.name == INDEX or (found / INDEX).is_file()):
        folder = found if found.is_dir() else found.parent
        sizes = _of_pipeline(folder, str(path))
        paths = {f"{part.library}:{folder / _folder_of(role)}" for role, part in sizes.parts.items()}
        seen = f"its models are {', '.join(sorted(paths))}"
        fix = f"name one of them, or count the whole job: flopcount generate {path}"
        raise InputError(f"{path} holds a pipeline of several models", [("seen", seen), ("fix", fix)])
    configuration = read_configuration(found)
    if configuration.library != library:
        fix = f"write {configuration.library}:{path}"
        raise InputError(f"{path} is a model of {configuration.library}, not of {library}", [("fix", fix)])
    return _part(configuration)


@contextmanager
def any_values(name: str, *, known: bool = False) -> Iterator[None]:
    """What a value of a configuration breaks is an error of the folder `name`; sizes that are `known` are our own.

    Raises:
        InputError: in place of whatever is no error of ours.
    """
    try:
        yield
    except FlopcountError:
        raise
    except Exception as error:  # a configuration from a file may have any value
        if known:
            raise
        fix = "look for a value of another kind than its class takes in the folder's configurations"
        raise InputError(f"{name} cannot be counted: {error_text(error)}", [("fix", fix)]) from error


def vae_beside(folder: Path) -> ModelPart | None:
    """The VAE of the pipeline that a folder of a denoiser belongs to, if it is there."""
    beside = folder.resolve().parent / "vae"
    return _part(read_configuration(beside), "vae") if (beside / CONFIG).is_file() else None


def most_alike(part: ModelPart) -> ModelSizes | None:
    """The model of known sizes that has a denoiser or VAE of the same class, with the most values in common."""
    best: tuple[int, ModelSizes] | None = None
    for sizes in model_sizes().values():
        for other in sizes.parts.values():
            if (other.library, other.class_name) == (part.library, part.class_name):
                common = sum(part.config.get(key) == value for key, value in other.config.items())
                if best is None or common > best[0]:
                    best = common, sizes
    return None if best is None else best[1]


def _folder_of(role: str) -> str:
    return _PATH_OF_ROLE.get(role, role)


def _of_pipeline(folder: Path, name: str) -> ModelSizes:
    file = folder / INDEX
    index = read_json(file)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        seen = f"_class_name is {pipeline!r}"
        fix = 'write the class of the pipeline, such as "_class_name": "WanPipeline"'
        raise InputError(f"{file} does not say which pipeline of diffusers it is", [("seen", seen), ("fix", fix)])
    parts: dict[str, ModelPart] = {}
    for component, entry in index.items():
        if component.startswith("_") or not isinstance(entry, list) or entry in ([None, None], []):
            continue
        if len(entry) != 2 or not all(isinstance(item, str) for item in entry):
            fix = 'write [library, class], such as ["diffusers", "AutoencoderKLWan"]'
            raise InputError(f"{file}: {component} is {entry!r}", [("fix", fix)])
        part = _component(folder, component, *entry)
        if part is not None:
            parts[part.name] = part
    if not parts:
        fix = f"put the sub-folders of its models, each with {CONFIG}, beside it"
        raise InputError(f"{file} has no models", [("seen", ", ".join(index) or "nothing"), ("fix", fix)])
    return _sizes(name, pipeline, index, parts, _scheduler(folder))


def _component(folder: Path, component: str, library: str, class_name: str) -> ModelPart | None:
    """The part in a sub-folder; None for what has no weights, such as a tokenizer or a scheduler."""
    within = folder / component
    if not (within / CONFIG).is_file():
        if component in ("vae", *_ROLES) or component.startswith(("text_encoder", "image_encoder")):
            fix = f"put {component}/{CONFIG} there; weights are not needed"
            raise InputError(f"{folder / INDEX} has a {component}, and {within} no {CONFIG}", [("fix", fix)])
        return None
    if library not in _LIBRARIES:
        seen, fix = (
            f"[{library!r}, {class_name!r}]",
            f"count your own code as file.py:callable, {CONFIG} as its options",
        )
        raise InputError(f"{component} is code of its own, which is not run", [("seen", seen), ("fix", fix)])
    configuration = read_configuration(within)
    if configuration.library != library:
        seen = f"{configuration.path} is of {configuration.library}"
        raise InputError(
            f"{folder / INDEX} says that {component} is of {library}",
            [("seen", seen), ("fix", "give the configuration that belongs to it")],
        )
    return _part(configuration, _ROLES.get(component, component), class_name)


def _part(configuration: Configuration, role: str | None = None, class_name: str | None = None) -> ModelPart:
    name = class_name or configuration.class_name
    kind, _, model_type = name.partition(":")
    if kind == "model_type":
        name = _class_of_type(model_type, configuration.path)
    values = dict(configuration.values)
    note = ""
    if configuration.version:
        note = f"saved by {configuration.library} {configuration.version}"
    if configuration.library == "transformers":
        values = _plain(values)
        return ModelPart(role or _role(name), "transformers", name, values, note=note)
    part = ModelPart(role or _role(name), "diffusers", name, values, note=note)
    if part.name != "vae":
        return part
    with any_values(str(configuration.folder)):
        latent = _latent(part)
    return ModelPart(
        *("vae", "diffusers", name, values),
        latent=latent,
        latent_channels=_whole(values.get("z_dim") or values.get("latent_channels")),
        note=note,
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without the names of kernels, in every part of them."""
    return {
        key: _plain(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if key not in _IMPLEMENTATIONS
    }


def _class_of_type(model_type: str, path: Path) -> str:
    """The class that transformers builds for a type of model without a task."""
    library = find_library("transformers")
    ready_library(library, "transformers")
    names = importlib.import_module("transformers.models.auto.modeling_auto")
    for mapping in (names.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, names.MODEL_MAPPING_NAMES):
        if model_type in mapping:
            found = mapping[model_type]
            return str(found if isinstance(found, str) else found[0])
    version = getattr(importlib.import_module("transformers"), "__version__", "")
    fix = f"name the class in architectures, or install a transformers that has it; {version} is installed"
    raise UnknownNameError(f"model_type of {path}", model_type, names.MODEL_MAPPING_NAMES, fix)


def _role(class_name: str) -> str:
    if class_name.startswith("Autoencoder") or class_name.endswith(("VAE", "Vae", "VQModel")):
        return "vae"
    if "UNet" in class_name or class_name.endswith(("DModel", "Transformer")):
        return "denoiser"
    return "text_encoder" if class_name.endswith(("EncoderModel", "TextModel")) else "whole"


def _task(part: ModelPart) -> str:
    if part.library == "diffusers":
        return "generation"
    if part.name == "text_encoder":
        return "text"
    return "language" if "text_config" in part.config or part.class_name.endswith(_LANGUAGE) else "recognition"


_LANGUAGE = ("ForConditionalGeneration", "ForCausalLM", "ForVision2Seq", "ForImageTextToText")


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _latent(part: ModelPart) -> tuple[int, int] | None:
    """(temporal, spatial) pixels of a latent, as the pipelines of diffusers read them; None where they do not say."""
    from ..tracing.building import weightless
    from .part import part_builder  # here, since what only reads data builds nothing

    vae = weightless(part_builder(part))
    config = getattr(vae, "config", {})
    found = vars(vae)
    spatial = _first(
        config.get("scale_factor_spatial"),
        found.get("spatial_compression_ratio"),
        config.get("spatial_compression_ratio"),
        2 ** (len(config.get("block_out_channels") or ()) - 1),
    )
    temporal = _first(
        config.get("scale_factor_temporal"),
        found.get("temporal_compression_ratio"),
        config.get("temporal_compression_ratio"),
        2 ** sum(map(bool, config.get("temperal_downsample") or ())),
    )
    return None if spatial is None or temporal is None else (temporal, spatial)


def _first(*values: Any) -> int | None:
    return next((value for value in values if type(value) is int and value > 0), None)


def _scheduler(folder: Path) -> dict[str, Any]:
    """The scheduler's configuration, as data."""
    file = folder / _SCHEDULER / "scheduler_config.json"
    return read_json(file) if file.is_file() else {}


def _sizes(
    name: str, pipeline: str, index: Mapping[str, Any], parts: dict[str, ModelPart], scheduler: dict[str, Any]
) -> ModelSizes:
    denoiser = parts.get("denoiser")
    like = most_alike(denoiser) if denoiser is not None else None
    defaults, not_read = _defaults(pipeline, parts, like)
    boundary = index.get("boundary_ratio")
    if like is not None:
        tokens = {role: part.tokens for role, part in like.parts.items()}
        parts = {role: _with_tokens(part, tokens.get(role)) for role, part in parts.items()}
        not_read.append(f"how a step runs, which is that of {like.name}")
    return ModelSizes(
        name=name,
        hub_id="",
        task="generation",
        parts=parts,
        defaults=defaults,
        passes_per_step=like.passes_per_step if like is not None else None,
        guidance_handling=like.guidance_handling if like is not None else "",
        token_rule=like.token_rule if like is not None else "",
        experts={"boundary": boundary} if isinstance(boundary, (int, float)) and "denoiser_2" in parts else {},
        not_read=tuple(not_read),
        other_defaults={
            "pipeline": pipeline,
            "scheduler": scheduler,
            "index": {key: value for key, value in index.items() if not isinstance(value, list)},
        },
    )


def _with_tokens(part: ModelPart, tokens: int | None) -> ModelPart:
    return part if tokens is None else replace(part, tokens=tokens)


def _defaults(pipeline: str, parts: Mapping[str, ModelPart], like: ModelSizes | None) -> tuple[Defaults, list[str]]:
    """The defaults of the pipeline's call in the installed library, of the denoiser's sizes, then of a known model.

    Beside them, what was taken from the known model.
    """
    call = _call_defaults(pipeline)
    denoiser, vae = parts.get("denoiser"), parts.get("vae")
    spatial = vae.latent[1] if vae is not None and vae.latent else None
    of_denoiser: dict[str, int | None] = {}
    if denoiser is not None and spatial is not None:
        config = denoiser.config
        sides = {side: _whole(config.get(f"sample_{side}")) for side in ("height", "width")}
        of_denoiser = {side: size * spatial for side, size in sides.items() if size is not None}
        of_denoiser["frames"] = _whole(config.get("num_frames")) or _sample_frames(config, like)
    scale = call.get("guidance_scale")
    said: dict[str, Any] = {
        "frames": _whole(call.get("num_frames")) or of_denoiser.get("frames"),
        "height": _whole(call.get("height")) or of_denoiser.get("height"),
        "width": _whole(call.get("width")) or of_denoiser.get("width"),
        "steps": _whole(call.get("num_inference_steps")),
        "text_tokens": _whole(call.get("max_sequence_length")),
        "fps": None,
    }
    known = like.defaults if like is not None else Defaults()
    missing = [key for key, value in said.items() if value is None and getattr(known, key) is not None]
    said |= {key: getattr(known, key) for key in missing}
    guided = known.guidance if like is not None else isinstance(scale, (int, float)) and scale > 1
    notes = [f"{', '.join(missing)}: those of {like.name}"] if missing and like is not None else []
    return Defaults(guidance=guided, **said), notes


def _sample_frames(config: Mapping[str, Any], like: ModelSizes | None) -> int | None:
    """The frames that a denoiser was made for; some configurations have those of its latents (Allegro)."""
    frames = _whole(config.get("sample_frames"))
    known = like.parts["denoiser"].config.get("sample_frames") if like is not None else None
    if frames is None or like is None or not known or like.defaults.frames is None:
        return frames
    return frames * int(like.defaults.frames // known)


def _call_defaults(pipeline: str) -> dict[str, Any]:
    """What a pipeline's call does where the caller says nothing, as the installed diffusers has it.

    Raises:
        InputError: diffusers is not installed.
        UnknownNameError: it has no such pipeline.
    """
    library = find_library("diffusers")
    diffusers = ready_library(library, "diffusers")
    names = [name for name in dir(diffusers) if name.endswith("Pipeline")]
    if pipeline not in names:
        fix = f"install a diffusers that has it; {diffusers.__version__} is installed"
        raise UnknownNameError("pipeline of diffusers", pipeline, names, fix)
    parameters = inspect.signature(getattr(diffusers, pipeline).__call__).parameters
    return {
        name: parameter.default for name, parameter in parameters.items() if parameter.default is not parameter.empty
    }
