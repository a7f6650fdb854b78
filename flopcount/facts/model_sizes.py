"""Sizes of today's generators and video-language models: classes and configurations of their parts, with sources.

The data are in model_sizes.json. A local folder gives the same nouns, without sources (`models/folder.py`). Nothing
here builds anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine

__all__ = ["RECOGNITION", "TASKS", "Defaults", "ModelPart", "ModelSizes", "SizesSource", "find_sizes", "model_sizes"]

RECOGNITION = "recognition"
TASKS = (RECOGNITION, "generation", "language")
"""What a video model is for; encoders of text alone have the task "text"."""


@dataclass(frozen=True, slots=True)
class SizesSource(OneLine):
    """Where sizes were read: a repository, a path in it and its commit where they are known, and the place in words."""

    repo: str
    path: str = ""
    commit: str = ""
    note: str = ""

    @property
    def url(self) -> str | None:
        """The page of the file; None where the source names no repository."""
        if "/" not in self.repo or " " in self.repo:
            return None
        tail = f"/blob/{self.commit or 'main'}/{self.path}" if self.path and " " not in self.path else ""
        return f"https://github.com/{self.repo}{tail}"


@dataclass(frozen=True, slots=True)
class ModelPart(OneLine):
    """A part of a model: the class of a library, and what it is built with.

    Arguments:
        name: its role, such as "text_encoder", "denoiser", "denoiser_2", "vae", "vision", "text" or "whole".
        library: "diffusers" or "transformers".
        class_name: the class.
        config: what the class is configured with; everything else is the class's own default.
        source: where the configuration was read; None for a folder.
        latent: (temporal, spatial) pixels that a latent of a VAE stands for along each axis, the first frame aside.
        latent_channels: channels of a latent of a VAE.
        tokens: how many tokens the part always takes, of an encoder with a fixed number of them.
        params_built: parameters of the class as it was built from this configuration; None where it was not.
        params_published: what its authors say, in their words.
        role: what it does beside its name, such as which expert it is.
        note: what a reader has to know.
    """

    name: str
    library: str
    class_name: str
    config: Mapping[str, Any] = field(hash=False)
    source: SizesSource | None = None
    latent: tuple[int, int] | None = None
    latent_channels: int | None = None
    tokens: int | None = None
    params_built: int | None = None
    params_published: str | None = None
    role: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Defaults(OneLine):
    """What a model does where the caller says nothing; None where no source says it."""

    frames: int | None = None
    height: int | None = None
    width: int | None = None
    steps: int | None = None
    guidance: bool = False
    text_tokens: int | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class ModelSizes(OneLine):
    """A model: its parts by role, its defaults, and what its sources say of how it runs.

    Arguments:
        name: our name, such as "wan2.1-t2v-1.3b"; of a folder its path.
        hub_id: its public identifier, which is an alias; "" for a folder.
        task: one of TASKS, or "text".
        parts: by role; a video-language model has "vision", "text" and "whole".
        defaults: what it does where the caller says nothing.
        passes_per_step: denoiser passes per step with guidance; None for what does not denoise.
        guidance_handling: how guidance runs, in words with the place in the code.
        token_rule: how pixels become tokens, in words.
        step_per_token: whether the denoiser embeds a step for each token, not one for each sample.
        assembled: whether the sizes were put together from several sources, none of which has the released file.
        experts: which part of the schedule each of two denoisers runs: the first from noise down to the `boundary` of
            steps whose flow is shifted by `shift`; empty for one.
        sources: where the defaults and rules were read.
        not_read: what no source was found for.
        conflicts: where sources disagree, and which was taken.
        other_defaults: other defaults that sources print, by source.
    """

    name: str
    hub_id: str
    task: str
    parts: Mapping[str, ModelPart] = field(hash=False)
    defaults: Defaults = Defaults()
    passes_per_step: int | None = None
    guidance_handling: str = ""
    token_rule: str = ""
    step_per_token: bool = False
    assembled: bool = False
    experts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    sources: tuple[SizesSource, ...] = ()
    not_read: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    other_defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def whole(self) -> ModelPart | None:
        """The part that has all the others in it, or the only one; None where the parts are networks of their own."""
        return next(iter(self.parts.values())) if len(self.parts) == 1 else self.parts.get("whole")

    @property
    def params(self) -> int | None:
        """Parameters of all its networks; None where one was not built."""
        built = [part.params_built for part in ([self.whole] if self.whole else self.parts.values())]
        return None if None in built else sum(count for count in built if count is not None)

    def part(self, name: str) -> ModelPart:
        """The part of this role.

        Raises:
            UnknownNameError: it has none.
        """
        if name not in self.parts:
            raise UnknownNameError(f"part of {self.name}", name, self.parts, f"choose {', '.join(self.parts)}")
        return self.parts[name]


@cache
def model_sizes() -> Mapping[str, ModelSizes]:
    """Every model by name, in the order of the data file.

    Raises:
        InputError: a part has no source.
    """
    text = files(__package__).joinpath("model_sizes.json").read_text(encoding="utf-8")
    return {row["name"]: _model(row) for row in json.loads(text)}


def find_sizes(name: str) -> ModelSizes:
    """The model of this name or public identifier, in any case of letters.

    Raises:
        UnknownNameError: there is none; the message offers near names.
    """
    by_name = {alias.lower(): sizes for sizes in model_sizes().values() for alias in (sizes.name, sizes.hub_id)}
    if name.lower() not in by_name:
        raise UnknownNameError(
            "model of known sizes", name, list(model_sizes()), "see `flopcount list --task generation`"
        )
    return by_name[name.lower()]


def _model(row: dict[str, Any]) -> ModelSizes:
    return ModelSizes(
        name=row["name"],
        hub_id=row["hub_id"],
        task=row["task"],
        parts={name: _part(name, part, row["name"]) for name, part in row["parts"].items()},
        defaults=Defaults(**row["defaults"]),
        passes_per_step=row.get("passes_per_step"),
        guidance_handling=row.get("guidance_handling", ""),
        token_rule=row["token_rule"],
        step_per_token=row.get("step_per_token", False),
        assembled=row.get("assembled", False),
        experts=row.get("experts", {}),
        sources=tuple(map(_source, row["sources"])),
        not_read=tuple(row["not_read"]),
        conflicts=tuple(row["conflicts"]),
        other_defaults=row.get("other_defaults", {}),
    )


def _part(name: str, part: dict[str, Any], model: str) -> ModelPart:
    if not part.get("source", {}).get("repo"):
        raise InputError("a size without a source", [("in", f"model_sizes.json, {model}, {name}")])
    factors = part.get("latent_factors")
    return ModelPart(
        name=name,
        library=part["library"],
        class_name=part["class"],
        config=part["config"],
        source=_source(part["source"]),
        latent=(factors["temporal"], factors["spatial"]) if factors else None,
        latent_channels=part.get("latent_channels"),
        tokens=part.get("tokens"),
        params_built=part.get("params_built"),
        params_published=part.get("params_published"),
        role=part.get("role", ""),
        note=" ".join(filter(None, (part.get("note"), part.get("tokens_note")))),
    )


def _source(row: dict[str, str]) -> SizesSource:
    return SizesSource(row["repo"], row.get("path", ""), row.get("commit", ""), row.get("note", ""))
