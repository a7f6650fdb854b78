"""Folders of models as their libraries save them, written for tests from known sizes, without weights."""

import json
from pathlib import Path

from flopcount.facts.model_sizes import ModelSizes, find_sizes

__all__ = ["write", "write_model", "write_pipeline"]

_FOLDERS = {"denoiser": "transformer", "denoiser_2": "transformer_2"}


def write(path: Path, values: object) -> Path:
    """A file of JSON, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def write_model(folder: Path, sizes: ModelSizes, part: str, **more: object) -> Path:
    """The folder of one part."""
    model = sizes.part(part)
    if model.library == "diffusers":
        values = {"_class_name": model.class_name, "_diffusers_version": "0.33.0.dev0", **model.config}
    else:
        values = {"architectures": [model.class_name], "transformers_version": "4.48.0", **model.config}
    write(folder / "config.json", {**values, **more})
    return folder


def write_pipeline(folder: Path, name: str, pipeline: str, **more: object) -> Path:
    """The folder of a whole pipeline, with a scheduler and a tokenizer that have no weights."""
    sizes = find_sizes(name)
    index: dict = {
        "_class_name": pipeline,
        "_diffusers_version": "0.33.0.dev0",
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
    }
    for role, part in sizes.parts.items():
        component = "unet" if "UNet" in part.class_name else _FOLDERS.get(role, role)
        write_model(folder / component, sizes, role)
        index[component] = [part.library, part.class_name]
    write(folder / "scheduler" / "scheduler_config.json", {"_class_name": "UniPCMultistepScheduler", "flow_shift": 3.0})
    write(folder / "tokenizer" / "tokenizer_config.json", {"tokenizer_class": "T5Tokenizer"})
    write(folder / "model_index.json", {**index, **more})
    return folder
